//! The stage: a PBX, sidecall, phones, trunks' far ends and clients of all three forms.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::scenario::calls::{ALICE, Arrives, BOB, CAROL, DAVE, EVERYBODY, Form, Person, Scene};
use crate::scenario::letters::Letters;
use crate::scenario::outcome::{FAR_CLIENT, judge};
pub use crate::scenario::outcome::{Played, carried};
use crate::scenario::wire;
use crate::sidecall::clients::{Hosted, Webhook};
use crate::sidecall::{Sidecall, SidecallConfig, domain};
use crate::{
    Answer, Calls, Capture, Client, FarEnd, Kind, PSTN, Pbx, PbxConfig, Phone, Result, SipMessage, arrives, never,
    wait_until,
};

/// How long a client may take until it counts as not reached.
const PATIENCE: Duration = Duration::from_secs(5);
/// Once nothing has come for so long, nothing more comes of the calls before.
const SETTLED: Duration = Duration::from_millis(400);

/// Everything that is needed to play a scene.
#[derive(Debug)]
pub struct Stage {
    /// Clients go first when it is dropped, the PBX last.
    hosted: Option<Hosted>,
    /// The wire, if it was tapped.
    wire: Option<Capture>,
    /// Dave's.
    pub webhook: Webhook,
    /// Agent and node; absent until [`Stage::raise`].
    sidecall: Option<Sidecall>,
    /// Far end of the packet trunk.
    pub packet: Option<FarEnd>,
    /// Far end of the PSTN trunk.
    pub pstn: Option<FarEnd>,
    bob: FarEnd,
    carol: FarEnd,
    /// The PBX.
    pub pbx: Pbx,
    pub domain: String,
}

impl Stage {
    /// Sets the stage without sidecall: this is what baselines are measured on.
    pub fn set(kind: Kind, config: PbxConfig) -> Result<Stage> {
        Stage::set_with(kind, config, &Answer::at_once())
    }

    /// The same with phones and far ends that answer in their own way.
    pub fn set_with(kind: Kind, config: PbxConfig, answer: &Answer) -> Result<Stage> {
        let pbx = Pbx::start_with(kind, config)?;
        let stage = Stage {
            hosted: None,
            wire: None,
            webhook: Webhook::start()?,
            sidecall: None,
            packet: Some(FarEnd::start(pbx.config().packet, answer)?),
            pstn: Some(FarEnd::start(pbx.config().pstn, answer)?),
            bob: FarEnd::register(pbx.sip(), BOB.dialled, answer)?,
            carol: FarEnd::register(pbx.sip(), CAROL.dialled, answer)?,
            domain: domain(&pbx),
            pbx,
        };
        Ok(stage)
    }

    /// Starts sidecall, fills its directory and connects the clients.
    pub fn raise(&mut self, config: &SidecallConfig) -> Result<()> {
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

    /// Captures from now on: what a scene's call carries is then taken from the wire too.
    pub fn tap(&mut self) -> Result<()> {
        let config = self.pbx.config();
        let ports = [self.pbx.sip(), self.pbx.trunk_sip(), config.packet, config.pstn].map(|at| at.port());
        self.wire = Some(Capture::start(&ports)?);
        Ok(())
    }

    /// A stage with sidecall on it.
    pub fn ready(kind: Kind) -> Result<Stage> {
        let mut stage = Stage::set(kind, PbxConfig::default())?;
        stage.raise(&SidecallConfig::default())?;
        Ok(stage)
    }

    /// Agent and node.
    pub fn sidecall(&mut self) -> &mut Sidecall {
        self.sidecall.as_mut().expect("the stage was raised")
    }

    /// Alice's client.
    pub fn hosted(&mut self) -> &mut Hosted {
        self.hosted.as_mut().expect("the stage was raised")
    }

    /// A person's number in full.
    pub fn number(&self, person: Person) -> String {
        person.number(&self.domain)
    }

    /// The calls of a scene, ready to be placed.
    pub fn calls(&self, scene: &Scene) -> (Calls, std::net::SocketAddr) {
        let calls = Calls::new(scene.caller.dialled, scene.called.dialled).via(scene.origin());
        (calls, if scene.from_pstn { self.pbx.trunk_sip() } else { self.pbx.sip() })
    }

    /// INVITE → 200 in ms: the median of `n` calls, one after the other.
    pub fn setup_time(&self, scene: &Scene, n: u32) -> Option<f64> {
        let (calls, to) = self.calls(scene);
        let report = calls.times(n, 4).hold(100).place(to).ok()?;
        report.answer_time(50.0).map(|time| (time.as_secs_f64() * 1e5).round() / 1e2)
    }

    /// Plays a scene with one call and checks all of it. The caller hangs up once everybody has heard, and been told, what
    /// they must.
    pub fn play(&mut self, scene: &Scene) -> Played {
        let before = Before::note(self, scene);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut played = self.blank(scene);
        let mut invite = None;
        match self.caller(scene) {
            Ok(phone) => {
                let call = phone.call(scene.called.dialled);
                invite = self.arrival(scene, &before);
                played.carried_address = invite.as_ref().and_then(carried);
                played.answered = call.wait_answered(PATIENCE);
                // What comes back from the far end is what went there.
                if !call.wait_hears(&phone, PATIENCE) {
                    played.problems.push("the two don't hear each other".into());
                }
                if scene.has_far_client() {
                    self.far_client_answers(&played);
                }
                self.watch([scene.caller, scene.called], &before);
                played.first_client_received = self.received(scene.caller, &before);
                played.second_client_received = self.received(scene.called, &before);
                self.write(scene, &before, &mut played);
                call.hang_up();
                if !call.wait_ended(PATIENCE) {
                    played.problems.push("the call does not end".into());
                }
            }
            Err(error) => played.problems.push(error.to_string()),
        }
        self.read_call(scene, &before, &mut played);
        let pbx = self.pbx.trunk_sip().ip();
        match self.wire.as_mut().map(Capture::so_far).transpose() {
            Ok(captured) => played.problems.extend(captured.into_iter().flat_map(|packets| {
                wire::problems(&packets.since(since), pbx, scene.arrives, played.decided_address.as_deref())
            })),
            Err(error) => played.problems.push(error.to_string()),
        }
        judge(scene, invite.as_ref(), &mut played);
        played
    }

    /// The phone of a scene's caller, or the caller behind the PSTN trunk.
    fn caller(&self, scene: &Scene) -> Result<Phone> {
        match scene.from_pstn {
            true => Phone::behind_trunk(self.pbx.trunk_sip(), scene.caller.dialled, PSTN),
            false => Phone::connect(self.pbx.sip(), scene.caller.dialled),
        }
    }

    fn blank(&self, scene: &Scene) -> Played {
        Played {
            behaviour: scene.behaviour,
            title: scene.title,
            near: self.pbx.kind().word(),
            far: None,
            calling: self.number(scene.caller),
            called: self.number(scene.called),
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

    fn end(&self, scene: &Scene) -> &FarEnd {
        match scene.arrives {
            Arrives::Packet => self.packet.as_ref().expect("a far end of the packet trunk"),
            Arrives::Pstn => self.pstn.as_ref().expect("a far end of the PSTN"),
            Arrives::Phone => self.phone(scene.called),
        }
    }

    /// The phone of a person on this PBX who is called.
    pub fn phone(&self, person: Person) -> &FarEnd {
        if person == BOB { &self.bob } else { &self.carol }
    }

    /// Leaves both trunks without a far end, so that a test brings its own.
    pub fn clear_far_ends(&mut self) {
        (self.packet, self.pstn) = (None, None);
    }

    fn arrival(&self, scene: &Scene, before: &Before) -> Option<SipMessage> {
        let invites = self.end(scene).wait_for("INVITE", before.invites + 1, PATIENCE);
        invites.get(before.invites).cloned()
    }

    /// What a client at the far end does with an address that came in the signalling.
    fn far_client_answers(&mut self, played: &Played) {
        let Some(address) = &played.carried_address else { return };
        let peer = json!({"type": "peer", "role": "first", "peer": {
            "number": played.called, "name": "Frank", "address": FAR_CLIENT, "capabilities": ["text"],
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
            Some(Form::Webhook) => self.webhook.taken("peer"),
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
    fn write(&self, scene: &Scene, before: &Before, played: &mut Played) {
        let mut letters = Letters::default();
        let there = played.second_client_received.clone().filter(|_| scene.paired);
        let back = played.first_client_received.clone().filter(|_| scene.paired);
        for (address, to) in [(&there, scene.caller), (&back, scene.called), (&played.carried_address, scene.caller)] {
            let (Some(address), Some(client)) = (address, self.client(to)) else { continue };
            let sidecall = self.sidecall.as_ref().expect("the stage was raised");
            let post = |address: &str, text: &str| sidecall.post(address, &json!({"type": "text", "text": text}));
            played.problems.extend(letters.write(address, (to.name, client), post).err());
        }
        let everybody = EVERYBODY.into_iter().filter_map(|person| Some((person.name, self.client(person)?)));
        played.problems.extend(letters.astray(&everybody.collect::<Vec<_>>()));
        for (person, shown) in &before.shown {
            let new: Vec<String> =
                self.client(*person).map(|client| client.shown()[*shown..].to_vec()).unwrap_or_default();
            if !before.tells.contains(person) && !new.is_empty() {
                played.problems.push(format!("{} was told {new:?}", person.name));
            }
        }
    }

    fn read_call(&mut self, scene: &Scene, before: &Before, played: &mut Played) {
        let (calling, called) = (self.number(scene.caller), self.number(scene.called));
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
        let Some(call) = find() else { return played.problems.push("the node does not know the call".into()) };
        played.route = call["route"].as_str().unwrap_or_default().to_owned();
        played.decided_address = call["address"].as_str().map(str::to_owned);
        played.reason = call["reason"].as_str().unwrap_or_default().to_owned();
        if call["phase"] != "ended" {
            played.problems.push(format!("the call has not ended: {}", call["phase"]));
        }
        let Some(answered) = call["answered"].as_i64().filter(|_| scene.paired) else { return };
        let after = |number: &str| {
            let deliveries = call["deliveries"].as_array()?;
            let peer = deliveries.iter().find(|d| d["message"] == "peer" && d["number"] == number)?;
            Some(peer["delivered"].as_i64()? - answered)
        };
        (played.first_ms, played.second_ms) = (after(&calling), after(&called));
        played.push_ms = played.first_ms.max(played.second_ms);
    }
}

/// What was there before a scene.
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
    fn note(stage: &mut Stage, scene: &Scene) -> Before {
        let with_client = || EVERYBODY.into_iter().filter(|person| person.client.is_some());
        // What is still told of a call before doesn't belong to this one.
        let shown = |stage: &Stage| with_client().map(|person| stage.client(person)?.shown().len().into()).collect();
        let mut last: Vec<Option<usize>> = shown(stage);
        while wait_until(SETTLED, || shown(stage) != last) {
            last = shown(stage);
        }
        let mut tells = Vec::new();
        if scene.paired || scene.has_far_client() {
            tells.push(scene.caller);
        }
        if scene.paired {
            tells.push(scene.called);
        }
        Before {
            invites: stage.end(scene).invites().len(),
            peers: with_client().map(|person| (person, stage.peers(person).len())).collect(),
            shown: with_client().filter_map(|person| Some((person, stage.client(person)?.shown().len()))).collect(),
            tells,
            calls: stage.sidecall().calls().into_iter().map(|c| c["call"].clone()).collect(),
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
