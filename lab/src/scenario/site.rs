//! A site: a PBX, sidecall, phones, trunks' far ends and clients of all three forms.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::scenario::calls::{ALICE, Arrives, BOB, CAROL, CallScenario, DAVE, EVERYBODY, Form, Person};
use crate::scenario::letters::Letters;
pub use crate::scenario::outcome::{CallResult, carried};
use crate::scenario::outcome::{REMOTE_CLIENT, judge};
use crate::scenario::wire;
use crate::sidecall::clients::{Hosted, Webhook};
use crate::sidecall::{Sidecall, SidecallConfig, domain};
use crate::{
    Calls, Capture, Client, Habit, Kind, PSTN, Pbx, PbxConfig, Phone, Result, SipMessage, arrives, never, wait_until,
};

/// How long a client may take until it counts as not reached.
const PATIENCE: Duration = Duration::from_secs(5);
/// Once nothing has come for so long, nothing more comes of the calls before.
const SETTLED: Duration = Duration::from_millis(400);

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
    bob: Phone,
    carol: Phone,
    /// The PBX.
    pub pbx: Pbx,
    pub domain: String,
}

impl Site {
    /// Starts one without sidecall: this is what baselines are measured on.
    pub fn start(kind: Kind, config: PbxConfig) -> Result<Site> {
        Site::start_with(kind, config, &Habit::at_once())
    }

    /// The same with phones and far ends that answer in their own way.
    pub fn start_with(kind: Kind, config: PbxConfig, answer: &Habit) -> Result<Site> {
        let pbx = Pbx::start_with(kind, config)?;
        let site = Site {
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
        };
        Ok(site)
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

    /// Captures from now on: what a scenario's call carries is then taken from the wire too.
    pub fn tap(&mut self) -> Result<()> {
        let config = self.pbx.config();
        let ports = [self.pbx.sip(), self.pbx.trunk_sip(), config.packet, config.pstn].map(|at| at.port());
        self.wire = Some(Capture::start(&ports)?);
        Ok(())
    }

    /// A site with sidecall, both at their defaults.
    pub fn ready(kind: Kind) -> Result<Site> {
        Site::ready_with(kind, PbxConfig::default(), &SidecallConfig::default())
    }

    /// A site with sidecall.
    pub fn ready_with(kind: Kind, config: PbxConfig, sidecall: &SidecallConfig) -> Result<Site> {
        let mut site = Site::start(kind, config)?;
        site.start_sidecall(sidecall)?;
        Ok(site)
    }

    /// Agent and node.
    pub fn sidecall(&mut self) -> &mut Sidecall {
        self.sidecall.as_mut().expect("sidecall was started")
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

    /// INVITE → 200 in ms: the median of `n` calls, one after the other.
    pub fn setup_time(&self, scenario: &CallScenario, n: u32) -> Option<f64> {
        let (calls, to) = self.calls(scenario);
        let report = calls.times(n, 4).hold(100).place(to).ok()?;
        report.answer_time(50.0).map(|time| (time.as_secs_f64() * 1e5).round() / 1e2)
    }

    /// Runs a scenario with one call and checks all of it. The caller hangs up once everybody has heard, and been told, what
    /// they must.
    pub fn run(&mut self, scenario: &CallScenario) -> CallResult {
        let before = Before::note(self, scenario);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut result = self.blank(scenario);
        let mut invite = None;
        match self.caller(scenario) {
            Ok(phone) => {
                let call = phone.call(scenario.called.dialled);
                invite = self.arrival(scenario, &before);
                result.carried_address = invite.as_ref().and_then(carried);
                result.answered = call.wait_answered(PATIENCE);
                // What comes back from the far end is what went there.
                if !call.wait_hears(&phone, PATIENCE) {
                    result.problems.push("the two don't hear each other".into());
                }
                if scenario.has_remote_client() {
                    self.remote_client_answers(&result);
                }
                self.watch([scenario.caller, scenario.called], &before);
                result.first_client_received = self.received(scenario.caller, &before);
                result.second_client_received = self.received(scenario.called, &before);
                self.write(scenario, &before, &mut result);
                call.hang_up();
                if !call.wait_ended(PATIENCE) {
                    result.problems.push("the call does not end".into());
                }
            }
            Err(error) => result.problems.push(error.to_string()),
        }
        self.read_call(scenario, &before, &mut result);
        let pbx = self.pbx.trunk_sip().ip();
        match self.wire.as_mut().map(Capture::packets).transpose() {
            Ok(captured) => result.problems.extend(captured.into_iter().flat_map(|packets| {
                wire::problems(&packets.since(since), pbx, scenario.arrives, result.decided_address.as_deref())
            })),
            Err(error) => result.problems.push(error.to_string()),
        }
        judge(scenario, invite.as_ref(), &mut result);
        result
    }

    /// The phone of a scenario's caller, or the caller behind the PSTN trunk.
    fn caller(&self, scenario: &CallScenario) -> Result<Phone> {
        match scenario.from_pstn {
            true => Phone::behind_trunk(self.pbx.trunk_sip(), scenario.caller.dialled, PSTN),
            false => Phone::connect(self.pbx.sip(), scenario.caller.dialled),
        }
    }

    fn blank(&self, scenario: &CallScenario) -> CallResult {
        CallResult {
            behaviour: scenario.behaviour,
            title: scenario.title,
            near: self.pbx.kind().word(),
            remote: None,
            calling: self.number(scenario.caller),
            called: self.number(scenario.called),
            route: String::new(),
            reason: String::new(),
            answered: false,
            first_client_received: None,
            second_client_received: None,
            carried_address: None,
            decided_address: None,
            setup_ms: None,
            baseline_ms: None,
            push_ms: None,
            first_ms: None,
            second_ms: None,
            ok: false,
            problems: Vec::new(),
        }
    }

    fn end(&self, scenario: &CallScenario) -> &Phone {
        match scenario.arrives {
            Arrives::Packet => self.packet.as_ref().expect("a far end of the packet trunk"),
            Arrives::Pstn => self.pstn.as_ref().expect("a far end of the PSTN"),
            Arrives::Phone => self.phone(scenario.called),
        }
    }

    /// The phone of a person on this PBX who is called.
    pub fn phone(&self, person: Person) -> &Phone {
        if person == BOB { &self.bob } else { &self.carol }
    }

    /// Leaves both trunks without a far end, so that a test brings its own.
    pub fn clear_trunks(&mut self) {
        (self.packet, self.pstn) = (None, None);
    }

    fn arrival(&self, scenario: &CallScenario, before: &Before) -> Option<SipMessage> {
        let invites = self.end(scenario).wait_for("INVITE", before.invites + 1, PATIENCE);
        invites.get(before.invites).cloned()
    }

    /// What a client at the far end does with an address that came in the signalling.
    fn remote_client_answers(&mut self, result: &CallResult) {
        let Some(address) = &result.carried_address else { return };
        let peer = json!({"type": "peer", "role": "first", "peer": {
            "number": result.called, "name": "Frank", "address": REMOTE_CLIENT, "capabilities": ["text"],
        }});
        let sidecall = self.sidecall();
        sidecall.post(address, &peer);
    }

    /// Waits until those who must be told have been, and watches those who must be told nothing for as long as a message
    /// might take.
    fn watch(&self, people: [Person; 2], before: &Before) {
        let (tells, others): (Vec<_>, Vec<_>) = people.into_iter().partition(|person| before.tells.contains(person));
        let received = |person: &Person| self.received(*person, before).is_some();
        for person in tells {
            arrives(PATIENCE, || received(&person));
        }
        if others.iter().any(|person| person.client.is_some()) {
            never(|| others.iter().any(received));
        }
    }

    /// The peer's address, as the person's client got it since `before`.
    fn received(&self, person: Person, before: &Before) -> Option<String> {
        let skip = before.peers.iter().find(|(known, _)| *known == person)?.1;
        self.peers(person).get(skip).cloned()
    }

    /// The addresses that a person's client was given so far; what can't be read is one, too.
    fn peers(&self, person: Person) -> Vec<String> {
        let messages = match person.client {
            Some(Form::Hosted) => self.hosted.as_ref().map(|hosted| hosted.events("peer")).unwrap_or_default(),
            Some(Form::Webhook) => self.webhook.accepted("peer"),
            Some(Form::Sip) => {
                let bodies = self.bob.shown().into_iter().filter(|body| !body.contains("letter"));
                return bodies.map(|body| address_in(&body).unwrap_or(body)).collect();
            }
            None => return Vec::new(),
        };
        let address = |message: &Value| {
            let at = ["/message/peer/address", "/peer/address"];
            at.iter().find_map(|at| message.pointer(at)?.as_str().map(str::to_owned))
        };
        messages.iter().map(|message| address(message).unwrap_or_else(|| message.to_string())).collect()
    }

    /// A person's client.
    fn client(&self, person: Person) -> Option<&dyn Client> {
        Some(match person.client? {
            Form::Hosted => self.hosted.as_ref()?,
            Form::Webhook => &self.webhook,
            Form::Sip => &self.bob,
        })
    }

    /// Both write to the address that they were given, and the far end of the packet trunk to the one that came with the
    /// call: each text reaches its client, and no other client is shown anything.
    fn write(&self, scenario: &CallScenario, before: &Before, result: &mut CallResult) {
        let mut letters = Letters::default();
        let there = result.second_client_received.clone().filter(|_| scenario.paired);
        let back = result.first_client_received.clone().filter(|_| scenario.paired);
        for (address, to) in
            [(&there, scenario.caller), (&back, scenario.called), (&result.carried_address, scenario.caller)]
        {
            let (Some(address), Some(client)) = (address, self.client(to)) else { continue };
            let sidecall = self.sidecall.as_ref().expect("sidecall was started");
            let post = |address: &str, text: &str| sidecall.post(address, &json!({"type": "text", "text": text}));
            result.problems.extend(letters.write(address, (to.name, client), post).err());
        }
        let everybody = EVERYBODY.into_iter().filter_map(|person| Some((person.name, self.client(person)?)));
        result.problems.extend(letters.astray(&everybody.collect::<Vec<_>>()));
        for (person, shown) in &before.shown {
            let new: Vec<String> =
                self.client(*person).map(|client| client.shown()[*shown..].to_vec()).unwrap_or_default();
            if !before.tells.contains(person) && !new.is_empty() {
                result.problems.push(format!("{} was told {new:?}", person.name));
            }
        }
    }

    fn read_call(&mut self, scenario: &CallScenario, before: &Before, result: &mut CallResult) {
        let (calling, called) = (self.number(scenario.caller), self.number(scenario.called));
        let known = before.calls.clone();
        let sidecall = self.sidecall();
        let find = || {
            let calls = sidecall.calls();
            calls
                .into_iter()
                .find(|c| c["calling"] == *calling && c["called"] == *called && !known.contains(&c["call"]))
        };
        // The last report of a call comes just after the caller has gone.
        wait_until(Duration::from_secs(3), || find().is_some_and(|c| c["phase"] == "ended"));
        let Some(call) = find() else { return result.problems.push("the node does not know the call".into()) };
        result.route = call["route"].as_str().unwrap_or_default().to_owned();
        result.decided_address = call["address"].as_str().map(str::to_owned);
        result.reason = call["reason"].as_str().unwrap_or_default().to_owned();
        if call["phase"] != "ended" {
            result.problems.push(format!("the call has not ended: {}", call["phase"]));
        }
        let Some(answered) = call["answered"].as_i64().filter(|_| scenario.paired) else { return };
        let after = |number: &str| {
            let deliveries = call["deliveries"].as_array()?;
            let peer = deliveries.iter().find(|d| d["message"] == "peer" && d["number"] == number)?;
            Some(peer["delivered"].as_i64()? - answered)
        };
        (result.first_ms, result.second_ms) = (after(&calling), after(&called));
        result.push_ms = result.first_ms.max(result.second_ms);
    }
}

/// What was there before a scenario.
struct Before {
    invites: usize,
    /// How many addresses each client had been given, and how much it had shown.
    peers: Vec<(Person, usize)>,
    shown: Vec<(Person, usize)>,
    /// Whose clients must be told something.
    tells: Vec<Person>,
    calls: Vec<Value>,
}

impl Before {
    fn note(site: &mut Site, scenario: &CallScenario) -> Before {
        let with_client = || EVERYBODY.into_iter().filter(|person| person.client.is_some());
        // What is still told of a call before doesn't belong to this one.
        let shown = |site: &Site| with_client().map(|person| site.client(person)?.shown().len().into()).collect();
        let mut last: Vec<Option<usize>> = shown(site);
        while wait_until(SETTLED, || shown(site) != last) {
            last = shown(site);
        }
        let mut tells = Vec::new();
        if scenario.paired || scenario.has_remote_client() {
            tells.push(scenario.caller);
        }
        if scenario.paired {
            tells.push(scenario.called);
        }
        Before {
            invites: site.end(scenario).invites().len(),
            peers: with_client().map(|person| (person, site.peers(person).len())).collect(),
            shown: with_client().filter_map(|person| Some((person, site.client(person)?.shown().len()))).collect(),
            tells,
            calls: site.sidecall().calls().into_iter().map(|c| c["call"].clone()).collect(),
        }
    }
}

/// The first URI in a text.
fn address_in(text: &str) -> Option<String> {
    let word = text
        .split_whitespace()
        .find(|w| w.starts_with("http://") || w.starts_with("https://") || w.starts_with("sip:"))?;
    Some(word.trim_end_matches(['.', ',']).to_owned())
}
