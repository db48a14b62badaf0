//! A site: a PBX, sidecall, phones, trunks' far ends and clients of all three forms.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::scenario::calls::{ALICE, Arrives, BOB, CAROL, CallScenario, DAVE, EVERYBODY, Form, Person};
use crate::scenario::letters::Letters;
use crate::scenario::report::write;
use crate::scenario::wire::{arrives_once, carried, now};
use crate::scenario::{Step, expect};
use crate::sidecall::clients::{Hosted, Webhook};
use crate::sidecall::{Sidecall, SidecallConfig, domain};
use crate::{Calls, Capture, Client, Habit, Kind, PSTN, Pbx, PbxConfig, Phone, Result, arrives, never, wait_until};

/// How long a client may take until it counts as not reached.
const PATIENCE: Duration = Duration::from_secs(5);
/// Once nothing has come for so long, nothing more comes of the calls before.
const SETTLED: Duration = Duration::from_millis(400);
/// The address of a client at another organisation.
const REMOTE_CLIENT: &str = "https://far.example/a/frank";

/// What became of a scenario: one line of `--json`.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CallResult {
    pub behaviour: &'static str,
    pub title: &'static str,
    pub near: &'static str,
    /// The far end is no PBX.
    #[serde(rename = "far")]
    pub remote: Option<&'static str>,
    pub calling: String,
    pub called: String,
    pub route: String,
    pub reason: String,
    pub answered: bool,
    /// What the caller's client got: the address of the other side, or what it sent.
    pub first_client_received: Option<String>,
    /// What the called side's client got.
    pub second_client_received: Option<String>,
    /// The address that the far end read out of the call signalling.
    pub carried_address: Option<String>,
    /// INVITE → 200 as the caller saw it, in ms: the median of the calls.
    pub setup_ms: Option<f64>,
    /// The same call without sidecall.
    pub baseline_ms: Option<f64>,
    /// Answer → both clients have the address, in ms.
    pub push_ms: Option<i64>,
    /// Answer → the first client has it, in ms.
    #[serde(skip)]
    pub first_ms: Option<i64>,
    /// Answer → the second client has it, in ms.
    #[serde(skip)]
    pub second_ms: Option<i64>,
    pub ok: bool,
    /// What was not; absent if all was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// Everything that is needed to run a scenario.
#[derive(Debug)]
pub struct Site {
    /// Clients go first when it is dropped, the PBX last.
    hosted: Option<Hosted>,
    /// The wire, if it was tapped.
    wire: Option<Capture>,
    /// Dave's.
    pub webhook: Webhook,
    /// Agent and node; absent until [`Site::start_sidecall`].
    sidecall: Option<Sidecall>,
    /// Far end of the packet trunk.
    pub packet: Option<Phone>,
    /// Far end of the PSTN trunk.
    pub pstn: Option<Phone>,
    pub bob: Phone,
    pub carol: Phone,
    pub pbx: Pbx,
    pub domain: String,
}

/// How many texts and how many addresses a person's client had shown before a scenario.
type Before = (Person, [usize; 2]);

impl Site {
    /// Starts one without sidecall: this is what baselines are measured on.
    pub fn start(kind: Kind, config: PbxConfig) -> Result<Site> {
        Site::start_with(kind, config, &Habit::at_once())
    }

    /// The same with phones and far ends that answer in their own way.
    pub fn start_with(kind: Kind, config: PbxConfig, answer: &Habit) -> Result<Site> {
        let pbx = Pbx::start_with(kind, config)?;
        Ok(Site {
            hosted: None,
            wire: None,
            webhook: Webhook::start()?,
            sidecall: None,
            packet: Some(Phone::listen(pbx.config().packet, answer)?),
            pstn: Some(Phone::listen(pbx.config().pstn, answer)?),
            bob: Phone::register_plain(pbx.sip(), BOB.dialled, answer)?,
            carol: Phone::register_plain(pbx.sip(), CAROL.dialled, answer)?,
            domain: domain(&pbx),
            pbx,
        })
    }

    /// Starts sidecall, fills its directory and connects the clients.
    pub fn start_sidecall(&mut self, config: &SidecallConfig) -> Result<()> {
        let sidecall = Sidecall::start_with(&self.pbx, config)?;
        for person in EVERYBODY.into_iter().filter(|p| p.served) {
            sidecall.number(&self.number(person), person.name, person.here);
        }
        self.webhook.bind(&sidecall, &self.number(DAVE));
        sidecall.bind(&self.number(BOB), &format!("sip:{}@{}", BOB.dialled, self.domain));
        self.hosted = Some(Hosted::start(&sidecall, &self.number(ALICE))?);
        self.sidecall = Some(sidecall);
        Ok(())
    }

    /// A site with sidecall.
    pub fn ready(kind: Kind, config: PbxConfig, sidecall: &SidecallConfig) -> Result<Site> {
        let mut site = Site::start(kind, config)?;
        site.start_sidecall(sidecall)?;
        Ok(site)
    }

    /// Captures from now on: what a scenario's call carries is then taken from the wire too.
    pub fn tap(&mut self) -> Result<()> {
        let config = self.pbx.config();
        let ports = [self.pbx.sip(), self.pbx.trunk_sip(), config.packet, config.pstn].map(|at| at.port());
        self.wire = Some(Capture::start(&ports)?);
        Ok(())
    }

    pub fn sidecall(&mut self) -> &mut Sidecall {
        self.sidecall.as_mut().expect("sidecall was started")
    }

    fn node(&self) -> &Sidecall {
        self.sidecall.as_ref().expect("sidecall was started")
    }

    /// Alice's client.
    pub fn hosted(&mut self) -> &mut Hosted {
        self.hosted.as_mut().expect("sidecall was started")
    }

    /// A person's number in full.
    pub fn number(&self, person: Person) -> String {
        person.number(&self.domain)
    }

    /// The calls of a scenario, ready to be placed.
    pub fn calls(&self, scenario: &CallScenario) -> (Calls, std::net::SocketAddr) {
        let calls = Calls::new(scenario.caller.dialled, scenario.called.dialled).via(scenario.origin());
        (calls, if scenario.from_pstn { self.pbx.trunk_sip() } else { self.pbx.sip() })
    }

    /// Runs a scenario with one call and checks all of it. The caller hangs up once everybody has heard, and been told, what
    /// they must.
    pub fn run(&mut self, scenario: &CallScenario) -> CallResult {
        let mut result = CallResult {
            behaviour: scenario.behaviour,
            title: scenario.title,
            near: self.pbx.kind().word(),
            calling: self.number(scenario.caller),
            called: self.number(scenario.called),
            ..CallResult::default()
        };
        let played = self.make_call(scenario, &mut result);
        result.ok = played.is_ok();
        result.problems.extend(played.err());
        result
    }

    fn make_call(&mut self, scenario: &CallScenario, result: &mut CallResult) -> Step<()> {
        let CallScenario { caller, called, paired, .. } = *scenario;
        let packet = scenario.arrives == Arrives::Packet;
        // The client of a called number that isn't ours, which the address in the call signalling reaches.
        let remote_client = packet && !paired;
        let before = self.settled();
        let known: Vec<Value> = self.node().calls().into_iter().map(|call| call["call"].clone()).collect();
        let (end, since) = (self.end(scenario), now());
        let invites = end.invites().len();
        let phone = match scenario.from_pstn {
            true => Phone::behind_trunk(self.pbx.trunk_sip(), caller.dialled, PSTN)?,
            false => Phone::connect(self.pbx.sip(), caller.dialled)?,
        };
        let call = phone.call(called.dialled);
        let invite = end.wait_for("INVITE", invites + 1, PATIENCE).get(invites).cloned();
        let invite = invite.ok_or_else(|| format!("no call arrived at {:?}", scenario.arrives))?;
        expect(invite.header("User-to-User").is_some() == packet, "User-to-User is there, or isn't")?;
        expect(invite.calling() == caller.dialled, format!("the caller ID has become {:?}", invite.calling()))?;
        result.carried_address = carried(&invite);
        result.answered = call.wait_answered(PATIENCE);
        expect(result.answered, "the call was not answered")?;
        // What comes back from the far end is what went there.
        expect(call.wait_hears(&phone, PATIENCE), "the two don't hear each other")?;
        if let Some(address) = result.carried_address.as_ref().filter(|_| remote_client) {
            let peer =
                json!({"number": result.called, "name": "Frank", "address": REMOTE_CLIENT, "capabilities": ["text"]});
            self.node().post(address, &json!({"type": "peer", "role": "first", "peer": peer}));
        }
        let told = [(caller, paired || remote_client), (called, paired)];
        let told: Vec<Person> = told.into_iter().filter_map(|(person, is)| is.then_some(person)).collect();
        [result.first_client_received, result.second_client_received] = self.watch([caller, called], &told, &before);
        for (person, received) in [(caller, &result.first_client_received), (called, &result.second_client_received)] {
            let right = received.is_some() == told.contains(&person);
            expect(right, format!("{}'s client got {received:?}", person.name))?;
        }
        if remote_client {
            let received = result.first_client_received.as_deref();
            expect(received == Some(REMOTE_CLIENT), format!("the far client's address arrived as {received:?}"))?;
        }
        self.write(scenario, &told, &before, result)?;
        call.hang_up();
        expect(call.wait_ended(PATIENCE), "the call does not end")?;
        let decided = self.read_call(scenario, &known, result)?;
        if packet {
            expect(result.carried_address.is_some(), "no address travelled along")?;
            expect(result.carried_address == decided, "another address than the caller's did")?;
        }
        let pbx = self.pbx.trunk_sip().ip();
        match self.wire.as_mut().map(Capture::packets).transpose()? {
            Some(packets) => arrives_once(&packets.since(since), pbx, scenario.arrives, decided.as_deref()),
            None => Ok(()),
        }
    }

    fn end(&self, scenario: &CallScenario) -> &Phone {
        match scenario.arrives {
            Arrives::Packet => self.packet.as_ref().expect("a far end of the packet trunk"),
            Arrives::Pstn => self.pstn.as_ref().expect("a far end of the PSTN"),
            Arrives::Phone if scenario.called == BOB => &self.bob,
            Arrives::Phone => &self.carol,
        }
    }

    /// A person's client.
    fn client(&self, person: Person) -> Option<&dyn Client> {
        Some(match person.client? {
            Form::Hosted => self.hosted.as_ref()?,
            Form::Webhook => &self.webhook,
            Form::Sip => &self.bob,
        })
    }

    /// What everybody's client has shown, once nothing more is told of the calls before.
    fn settled(&self) -> Vec<Before> {
        let shown = || -> Vec<Before> {
            let shown = |person| Some((person, [self.client(person)?.shown().len(), self.peers(person).len()]));
            EVERYBODY.into_iter().filter_map(shown).collect()
        };
        let mut last = shown();
        while wait_until(SETTLED, || shown() != last) {
            last = shown();
        }
        last
    }

    /// Waits until those who must be told have been, and watches those who must be told nothing for as long as a message
    /// might take. The address that each was given.
    fn watch(&self, people: [Person; 2], told: &[Person], before: &[Before]) -> [Option<String>; 2] {
        let received = |person: &Person| {
            let (_, [_, skip]) = before.iter().find(|(known, _)| known == person)?;
            self.peers(*person).get(*skip).cloned()
        };
        for person in told {
            arrives(PATIENCE, || received(person).is_some());
        }
        let others = || people.iter().filter(|person| !told.contains(person) && person.client.is_some());
        if others().next().is_some() {
            never(|| others().any(|person| received(person).is_some()));
        }
        people.each_ref().map(received)
    }

    /// The addresses that a person's client was given so far; what can't be read is one, too.
    fn peers(&self, person: Person) -> Vec<String> {
        let address =
            |message: &Value| message["peer"]["address"].as_str().map_or_else(|| message.to_string(), str::to_owned);
        match person.client {
            Some(Form::Hosted) => {
                self.hosted.iter().flat_map(|client| client.events("peer")).map(|e| address(&e)).collect()
            }
            Some(Form::Webhook) => self.webhook.accepted("peer").iter().map(address).collect(),
            Some(Form::Sip) => {
                let bodies = self.bob.shown().into_iter().filter(|body| !body.contains("letter"));
                bodies.map(|body| address_in(&body).unwrap_or(body)).collect()
            }
            None => Vec::new(),
        }
    }

    /// Both write to the address that they were given, and the far end of the packet trunk to the one that came with the
    /// call: each text reaches its client, and no other client is shown anything.
    fn write(&self, scenario: &CallScenario, told: &[Person], before: &[Before], result: &CallResult) -> Step<()> {
        let mut letters = Letters::default();
        let [there, back] = [&result.second_client_received, &result.first_client_received]
            .map(|address| address.as_ref().filter(|_| scenario.paired));
        let carried = result.carried_address.as_ref();
        for (address, to) in [(there, scenario.caller), (back, scenario.called), (carried, scenario.caller)] {
            let (Some(address), Some(client)) = (address, self.client(to)) else { continue };
            letters.write(address, (to.name, client), |address, text| write(self.node(), address, text))?;
        }
        letters.none_astray(EVERYBODY.into_iter().filter_map(|person| Some((person.name, self.client(person)?))))?;
        for (person, [shown, _]) in before.iter().filter(|(person, _)| !told.contains(person)) {
            let new = self.client(*person).map(|client| client.shown().split_off(*shown)).unwrap_or_default();
            expect(new.is_empty(), format!("{} was told {new:?}", person.name))?;
        }
        Ok(())
    }

    /// What the node says of the call, which it didn't know before. The caller's address, as the node has it.
    fn read_call(&self, scenario: &CallScenario, known: &[Value], result: &mut CallResult) -> Step<Option<String>> {
        let is_it =
            |c: &Value| c["calling"] == *result.calling && c["called"] == *result.called && !known.contains(&c["call"]);
        let find = || self.node().calls().into_iter().find(is_it);
        // The last report of a call comes just after the caller has gone.
        wait_until(Duration::from_secs(3), || find().is_some_and(|c| c["phase"] == "ended"));
        let call = find().ok_or("the node does not know the call")?;
        let text = |key: &str| call[key].as_str().unwrap_or_default().to_owned();
        (result.route, result.reason) = (text("route"), text("reason"));
        expect(call["phase"] == "ended", format!("the call has not ended: {}", call["phase"]))?;
        expect(result.route == scenario.route, format!("route {:?}, not {:?}", result.route, scenario.route))?;
        expect(result.reason == scenario.reason, format!("reason {:?}, not {:?}", result.reason, scenario.reason))?;
        if let Some(answered) = call["answered"].as_i64().filter(|_| scenario.paired) {
            let after = |number: &str| {
                let deliveries = call["deliveries"].as_array()?;
                let peer = deliveries.iter().find(|d| d["message"] == "peer" && d["number"] == number)?;
                Some(peer["delivered"].as_i64()? - answered)
            };
            (result.first_ms, result.second_ms) = (after(&result.calling), after(&result.called));
            result.push_ms = result.first_ms.max(result.second_ms);
        }
        Ok(call["address"].as_str().map(str::to_owned))
    }
}

/// The first URI in a text.
fn address_in(text: &str) -> Option<String> {
    let is_uri = |word: &&str| ["http://", "https://", "sip:"].iter().any(|scheme| word.starts_with(scheme));
    let word = text.split_whitespace().find(is_uri)?;
    Some(word.trim_end_matches(['.', ',']).to_owned())
}
