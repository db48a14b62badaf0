//! Two organisations: each with its own PBX, and with its own agent and node when a test wants that. They
//! are joined by a packet trunk and by a telephone network.
//!
//! ```text
//!  1000 … 1009                                                        6000 … 6009
//!  +12125551000 …                                                     +13105556000 …
//!  PBX A, 127.0.1.1 ───────────── packet trunk ───────────── PBX B, 127.0.2.1 ─── PBX C, 127.0.3.1
//!        └──────────────── telephone network, 127.0.0.13 ──────────┘              7000 … 7009
//! ```
//!
//! PBX C, behind B as its call server, is there if it is asked for. B reaches its numbers
//! (`+13105557000` …, main number `+13105552007`) over a trunk, and C everything else over the same.
//!
//! Alice is A's first extension, Bob and Carol are B's first and second.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::net::ports;
use crate::scenario::letters::Letters;
use crate::scenario::report::{SOON, Since, write};
use crate::scenario::sides::{Between, sides};
use crate::scenario::{Step, answer, expect, sound_both_ways};
use crate::sidecall::{Sidecall, SidecallConfig, pbx_entry};
use crate::{Call, Capture, Client, Hosted, Inner, Kind, PSTN, Pbx, PbxConfig, Phone, Plan, Pstn, Result};

const A: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
const B: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);
const C: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 1);

/// The name of PBX C in the configuration of its node.
pub const INNER: &str = "inner";

/// One organisation, or the PBX behind its call server.
#[derive(Debug)]
pub struct Domain {
    // Dropped in this order: sidecall before its PBX.
    /// Agent and node, if they run.
    pub running: Option<Sidecall>,
    pub pbx: Pbx,
}

impl Domain {
    fn new(kind: Kind, config: PbxConfig) -> Result<Domain> {
        Ok(Domain { running: None, pbx: Pbx::start_with(kind, config)? })
    }

    pub fn plan(&self) -> &Plan {
        &self.pbx.config().plan
    }

    /// Registers the phone of its n-th extension.
    pub fn phone(&self, n: u8) -> Result<Phone> {
        Phone::register(self.pbx.sip(), &self.plan().extension(n))
    }

    /// The n-th extension's number from outside: E.164.
    pub fn number(&self, n: u8) -> String {
        self.plan().number(n)
    }

    /// Starts agent and node beside its PBX, where extensions are known by their numbers from outside, and waits until
    /// they are attached.
    pub fn start_sidecall(&mut self, config: &SidecallConfig) -> Result<()> {
        let config = SidecallConfig { pbx_lines: map(self.plan()), ..config.clone() };
        self.running = Some(Sidecall::start_with(&self.pbx, &config)?);
        Ok(())
    }

    /// Agent and node, which must run.
    pub fn sidecall(&self) -> &Sidecall {
        self.running.as_ref().expect("agent and node were started")
    }

    /// The same, mutable.
    pub fn sidecall_mut(&mut self) -> &mut Sidecall {
        self.running.as_mut().expect("agent and node were started")
    }

    /// Enters the n-th extension's number from outside in the directory, and connects a hosted client to it.
    pub fn client(&self, n: u8, name: &str) -> Result<Hosted> {
        self.sidecall().number(&self.number(n), name, true);
        Hosted::start(self.sidecall(), &self.number(n))
    }

    /// The n-th extension, with that client.
    pub(super) fn participant<'a>(&self, n: u8, name: &'static str, client: &'a Hosted) -> Result<Participant<'a>> {
        Ok(Participant::new(name, &self.number(n), self.phone(n)?, client))
    }
}

/// Somebody at a phone, whose hosted client is watched from some moment on.
#[derive(Debug)]
pub struct Participant<'a> {
    pub(super) name: &'static str,
    /// As the directory has it.
    pub number: String,
    pub phone: Phone,
    pub client: Since<'a>,
}

impl<'a> Participant<'a> {
    pub(super) fn new(name: &'static str, number: &str, phone: Phone, client: &'a Hosted) -> Participant<'a> {
        Participant { name, number: number.to_owned(), phone, client: Since::now(client) }
    }

    /// The client is given an address of the other's.
    pub(super) fn is_told_of(&self, other: &Participant) -> Step<String> {
        let address = self.client.peer(Some(&other.number));
        address.ok_or_else(|| format!("{}'s client was not told of {}", self.name, other.name))
    }

    /// The client is told that it is over with the other.
    pub(super) fn is_told_of_the_end_with(&self, other: &Participant) -> Step<()> {
        let told = self.client.ended(Some(&other.number));
        expect(told, format!("{}'s client was not told that it is over with {}", self.name, other.name))
    }

    /// Name and client, as [`Domains::write`] wants them.
    pub(super) fn reader(&self) -> (&'static str, &dyn Client) {
        (self.name, self.client.client)
    }
}

/// What happens while a scenario runs.
#[derive(Debug, Default)]
pub(super) struct ScenarioState {
    pub(super) events: Vec<String>,
    letters: Letters,
    /// Captures as soon as a scenario wants it.
    pub(super) wire: Option<Capture>,
    /// What was on the wire before doesn't count.
    pub(super) since: Duration,
}

/// Both organisations and what is between them, and with [`Domains::start_sidecall`] their people with clients.
#[derive(Debug)]
pub struct Domains {
    // Dropped in this order: clients before their nodes.
    clients: Vec<Hosted>,
    /// The first: extensions 1000 to 1009, `+1212555…`.
    pub a: Domain,
    /// The second: extensions 6000 to 6009, `+1310555…`.
    pub b: Domain,
    /// The PBX behind the second one's call server: 7000 to 7009, `+13105557…`.
    pub c: Option<Domain>,
    pub pstn: Pstn,
    /// Where A's node and B's listen, if they are started for people with clients.
    pub(super) nodes: [SocketAddr; 2],
    started: Option<(Between, [String; 2])>,
    pub(super) state: RefCell<ScenarioState>,
    /// Scenarios run also where nothing can be captured, and say so.
    pub may_be_unwatched: bool,
}

impl Domains {
    /// Both PBXs, a third one behind B if it is asked for, and the network between them, whose trunk may hand on
    /// `Call-Info`.
    pub fn start(a: Kind, b: Kind, c: Option<Kind>) -> Result<Domains> {
        Domains::start_with(a, b, c, call_info)
    }

    /// The same where every FreeSWITCH is in `direct` mode, each with an agent's socket of its own.
    pub fn direct(a: Kind, b: Kind, c: Option<Kind>) -> Result<Domains> {
        Domains::start_with(a, b, c, |config| call_info(PbxConfig::direct(config)))
    }

    /// The same with settings made from each PBX's configuration.
    pub fn start_with(a: Kind, b: Kind, c: Option<Kind>, adapt: impl Fn(PbxConfig) -> PbxConfig) -> Result<Domains> {
        // Each has to know the others' ports before they start.
        let [at_a, at_b, at_c] = [A, B, C].map(|ip| SocketAddr::new(ip.into(), ports::free()));
        let network = SocketAddr::new(PSTN, ports::free());
        let config = |ip: Ipv4Addr, own: SocketAddr, packet, pstn, plan| PbxConfig {
            packet,
            pstn,
            ip,
            trunk_port: Some(own.port()),
            plan,
            ..PbxConfig::patient()
        };
        let inner = c.map(|_| Inner { plan: Plan::c(), sip: at_c });
        let b_config = PbxConfig { inner, ..config(B, at_b, at_a, network, Plan::b()) };
        let c_config = config(C, at_c, at_b, at_b, Plan::c());
        Ok(Domains {
            clients: Vec::new(),
            nodes: [(); 2].map(|()| ports::local()),
            started: None,
            state: RefCell::default(),
            may_be_unwatched: false,
            pstn: Pstn::start(network.port(), at_a, at_b)?,
            a: Domain::new(a, adapt(config(A, at_a, at_b, network, Plan::a())))?,
            b: Domain::new(b, adapt(b_config))?,
            c: c.map(|kind| Domain::new(kind, adapt(c_config))).transpose()?,
        })
    }

    /// The PBXs: A, B, and the one behind B.
    pub fn pbxs(&self) -> impl Iterator<Item = &Pbx> {
        [&self.a, &self.b].into_iter().chain(&self.c).map(|domain| &domain.pbx)
    }

    /// What everything logged, for a test that fails.
    pub fn log(&self) -> String {
        let node =
            |name, domain: &Domain| domain.running.as_ref().map(|node| format!("node {name}:\n{}\n", node.log()));
        let nodes: String = [node("A", &self.a), node("B", &self.b)].into_iter().flatten().collect();
        let pbxs: Vec<String> = self.pbxs().map(Pbx::log).collect();
        format!("{nodes}PBXs:\n{}\nnetwork:\n{}", pbxs.join("\n\n"), self.pstn.log())
    }

    /// Starts B's agent and node, to which PBX C is attached too if it is there.
    pub fn start_b(&mut self, config: &SidecallConfig) -> Result<()> {
        let inner = self.c.as_ref().map(|inner| {
            let lines = SidecallConfig { pbx_lines: map(inner.plan()), ..SidecallConfig::default() };
            pbx_entry(INNER, &inner.pbx, &lines)
        });
        let more = format!("{}\n{}", config.more, inner.unwrap_or_default());
        self.b.start_sidecall(&SidecallConfig { more, ..config.clone() })
    }

    /// Starts agents and nodes at both, and clients of Alice, Bob and Carol, unless they already run with this
    /// configuration. `more` goes to A's and to B's.
    pub fn start_sidecall(&mut self, between: Between, more: [&str; 2]) -> Result<()> {
        let wanted = (between, more.map(str::to_owned));
        if self.started.as_ref() == Some(&wanted) {
            return Ok(());
        }
        self.stop_sidecall();
        let [mut a, mut b] = sides(self.nodes, between);
        a.more += more[0];
        b.more += more[1];
        self.a.start_sidecall(&a)?;
        self.start_b(&b)?;
        self.clients = vec![self.a.client(1, "Alice")?, self.b.client(1, "Bob")?, self.b.client(2, "Carol")?];
        self.started = Some(wanted);
        Ok(())
    }

    /// Ends agents, nodes and clients.
    pub fn stop_sidecall(&mut self) {
        self.started = None;
        self.clients.clear();
        (self.a.running, self.b.running) = (None, None);
    }

    /// The clients of Alice, Bob and Carol.
    pub fn clients(&self) -> [&Hosted; 3] {
        self.clients.iter().collect::<Vec<_>>().try_into().expect("sidecall was started at both")
    }

    /// Alice, Bob and Carol, whose clients are watched from now on.
    pub fn people(&self) -> Result<[Participant<'_>; 3]> {
        let [alice, bob, carol] = self.clients();
        let (a, b) = (&self.a, &self.b);
        Ok([a.participant(1, "Alice", alice)?, b.participant(1, "Bob", bob)?, b.participant(2, "Carol", carol)?])
    }

    /// One more thing that happened.
    pub(super) fn say(&self, text: impl Into<String>) {
        self.state.borrow_mut().events.push(text.into());
    }

    /// Forgets the story and the texts of the scenario before.
    pub(super) fn begin(&self) {
        let mut state = self.state.borrow_mut();
        (state.events, state.letters) = (Vec::new(), Letters::default());
    }

    /// From now on the wire counts: one phone calls a number, and another one answers.
    pub fn connect(&self, caller: &Phone, called: &str, answers: &Phone) -> Step<(Call, Call)> {
        self.tap()?;
        let call = caller.call(called);
        let there = answer(answers, SOON)?;
        expect(call.wait_answered(SOON), format!("the call to {called} was not answered"))?;
        self.say(format!("{} calls {called}; {} answers", caller.number(), answers.number()));
        sound_both_ways((&call, caller), (&there, answers), SOON)?;
        Ok((call, there))
    }

    /// Texts are written to addresses, and each is shown by the client that the address is for.
    pub(super) fn write<'a>(&self, texts: [(&str, (&'a str, &'a dyn Client)); 2]) -> Step<()> {
        let post = |address: &str, text: &str| write(self.a.sidecall(), address, text);
        texts.into_iter().try_for_each(|(address, to)| self.state.borrow_mut().letters.write(address, to, post))
    }

    /// Two people are each told of the other, and write to each other. Returns the first's address as the other has it.
    pub(super) fn pair(&self, one: &Participant, other: &Participant) -> Step<String> {
        let (to_one, to_other) = (other.is_told_of(one)?, one.is_told_of(other)?);
        self.write([(&to_other, other.reader()), (&to_one, one.reader())])?;
        Ok(to_one)
    }

    /// No text of this scenario has reached anybody's client but that of the person it was for. `more` are clients besides
    /// those of both.
    pub(super) fn nothing_astray(&self, more: &[(&str, &dyn Client)]) -> Step<()> {
        let own = ["Alice", "Bob", "Carol"].into_iter().zip(&self.clients).map(|(name, client)| (name, client as _));
        self.state.borrow().letters.none_astray(own.chain(more.iter().copied()))
    }
}

fn call_info(config: PbxConfig) -> PbxConfig {
    PbxConfig { call_info: "pstn", ..config }
}

/// The rule that makes the extensions of a plan one with their numbers from outside.
fn map(plan: &Plan) -> String {
    format!("[[pbx.map]]\nextension = \"{}XXX\"\nnumber = \"{}XXX\"\n", plan.digit, plan.did)
}
