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
//! PBX C, behind B as its call server, is there with [`Domains::with_inner`]. B reaches its numbers
//! (`+13105557000` …, main number `+13105552007`) over a trunk, and C everything else over the same.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};

use crate::net::capture::{Capture, Packets};
use crate::net::ports;
use crate::scenario::letters::Letters;
use crate::scenario::report::{Report, SOON, Since, write};
use crate::scenario::sides::{Between, sides};
use crate::sidecall::{Sidecall, SidecallConfig, credential, domain, pbx_entry};
use crate::{Call, Client, Hosted, Inner, Kind, PSTN, Pbx, PbxConfig, Phone, Plan, Pstn, Result};

const A: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
const B: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);
const C: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 1);

/// The name of PBX C in the configuration of its node.
pub const INNER: &str = "inner";

/// One organisation, or the PBX behind its call server.
#[derive(Debug)]
pub struct Domain {
    // Dropped in this order: sidecall before its PBX.
    sidecall: Option<Sidecall>,
    /// Its PBX.
    pub pbx: Pbx,
}

impl Domain {
    fn new(kind: Kind, config: PbxConfig) -> Result<Domain> {
        Ok(Domain { sidecall: None, pbx: Pbx::start_with(kind, config)? })
    }

    /// Its numbers.
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

    /// The n-th extension's number inside: `1000;phone-context=…`.
    pub fn extension(&self, n: u8) -> String {
        format!("{};phone-context={}", self.plan().extension(n), domain(&self.pbx))
    }

    /// Starts agent and node beside its PBX, where extensions are known by their numbers from outside, and waits until
    /// they are attached.
    pub fn start_sidecall(&mut self, config: &SidecallConfig) -> Result<()> {
        let config = SidecallConfig { pbx_lines: map(self.plan()), ..config.clone() };
        self.sidecall = Some(Sidecall::start_with(&self.pbx, &config)?);
        Ok(())
    }

    /// Agent and node beside it are these.
    pub fn adopt(&mut self, sidecall: Sidecall) {
        self.sidecall = Some(sidecall);
    }

    /// Ends agent and node.
    pub fn stop_sidecall(&mut self) {
        self.sidecall = None;
    }

    /// Agent and node.
    ///
    /// # Panics
    /// If they weren't started.
    pub fn sidecall(&self) -> &Sidecall {
        self.sidecall.as_ref().expect("agent and node were started")
    }

    /// Agent and node, if they run.
    pub fn running(&self) -> Option<&Sidecall> {
        self.sidecall.as_ref()
    }

    /// The same as [`Domain::sidecall`], to be restarted.
    pub fn sidecall_mut(&mut self) -> &mut Sidecall {
        self.sidecall.as_mut().expect("agent and node were started")
    }

    /// Enters the n-th extension's number from outside in the directory.
    pub fn serve(&self, n: u8, name: &str) {
        self.sidecall().number(&self.number(n), name, true);
    }

    /// Connects a hosted client to the n-th extension's number from outside.
    pub fn client(&self, n: u8) -> Result<Hosted> {
        Hosted::start(self.sidecall(), &self.number(n))
    }

    /// The token of that client.
    pub fn credential(&self, n: u8) -> String {
        credential(&self.number(n))
    }
}

/// Somebody whom another one is told of: name, number, and what the own client is shown.
pub(super) struct Partner<'a> {
    name: &'a str,
    number: &'a str,
    client: Since<'a>,
}

pub(super) fn partner<'a>(name: &'a str, number: &'a str, client: Since<'a>) -> Partner<'a> {
    Partner { name, number, client }
}

/// Both organisations and what is between them, and with [`Domains::start_sidecall`] their people with clients.
#[derive(Debug)]
pub struct Domains {
    // Dropped in this order: clients before their nodes.
    /// A1's client.
    alice: Option<Hosted>,
    /// Clients of B's extensions, by extension.
    there: Vec<(u8, Hosted)>,
    /// The first: extensions 1000 to 1009, `+1212555…`.
    pub a: Domain,
    /// The second: extensions 6000 to 6009, `+1310555…`.
    pub b: Domain,
    /// The PBX behind the second one's call server: 7000 to 7009, `+13105557…`.
    pub c: Option<Domain>,
    /// The telephone network.
    pub pstn: Pstn,
    /// Where A's node and B's listen, if they are started for people with clients.
    pub nodes: [SocketAddr; 2],
    started: Option<(Between, [String; 2])>,
    wire: RefCell<Option<Capture>>,
    letters: RefCell<Letters>,
    unwatched: bool,
}

impl Domains {
    /// Both PBXs and the network between them, whose trunk may hand on `Call-Info`.
    pub fn start(a: Kind, b: Kind) -> Result<Domains> {
        Domains::start_with(a, b, None, call_info)
    }

    /// The same with a PBX behind B.
    pub fn with_inner(a: Kind, b: Kind, inner: Kind) -> Result<Domains> {
        Domains::start_with(a, b, Some(inner), call_info)
    }

    /// The same where every FreeSWITCH is in `direct` mode, each with an agent's socket of its own.
    pub fn direct(a: Kind, b: Kind, inner: Option<Kind>) -> Result<Domains> {
        Domains::start_with(a, b, inner, |config| call_info(PbxConfig::direct(config)))
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
            alice: None,
            there: Vec::new(),
            nodes: [(); 2].map(|()| ports::local()),
            started: None,
            wire: RefCell::default(),
            letters: RefCell::default(),
            unwatched: false,
            pstn: Pstn::start(network.port(), at_a, at_b)?,
            a: Domain::new(a, adapt(config(A, at_a, at_b, network, Plan::a())))?,
            b: Domain::new(b, adapt(b_config))?,
            c: c.map(|kind| Domain::new(kind, adapt(c_config))).transpose()?,
        })
    }

    /// Starts B's agent and node with PBX C attached to them too.
    pub fn start_b_with_inner(&mut self, config: &SidecallConfig) -> Result<()> {
        let inner = self.c.as_ref().expect("a PBX behind B");
        let lines = SidecallConfig { pbx_lines: map(inner.plan()), ..SidecallConfig::default() };
        let entry = pbx_entry(INNER, &inner.pbx, &lines);
        self.b.start_sidecall(&SidecallConfig { more: format!("{}\n{entry}", config.more), ..config.clone() })
    }

    /// The PBXs: A, B, and the one behind B.
    pub fn pbxs(&self) -> impl Iterator<Item = &Pbx> {
        [&self.a, &self.b].into_iter().chain(&self.c).map(|domain| &domain.pbx)
    }

    /// Captures SIP on all trunks, and between PBXs and phones.
    pub fn capture(&self) -> Result<Capture> {
        let ports = self.pbxs().flat_map(|pbx| [pbx.trunk_sip().port(), pbx.sip().port()]);
        Capture::start(&ports.chain([self.pstn.sip().port()]).collect::<Vec<_>>())
    }

    /// What everything logged, for a test that fails.
    pub fn log(&self) -> String {
        let node = |name, domain: &Domain| domain.running().map(|node| format!("sidecall {name}:\n{}\n", node.log()));
        let nodes: String = [node("A", &self.a), node("B", &self.b)].into_iter().flatten().collect();
        let inner = self.c.as_ref().map(|c| c.pbx.log()).unwrap_or_default();
        let (a, b, network) = (self.a.pbx.log(), self.b.pbx.log(), self.pstn.log());
        format!("{nodes}A:\n{a}\nB:\n{b}\nC:\n{inner}\nnetwork:\n{network}")
    }

    /// Runs scenarios also where nothing can be captured, and says so.
    pub fn may_be_unwatched(&mut self) {
        self.unwatched = true;
    }

    /// Captures from now on, if it doesn't yet.
    pub(super) fn watch(&self, report: &mut Report) -> Result<()> {
        let mut wire = self.wire.borrow_mut();
        if wire.is_none() {
            match self.capture() {
                Ok(capture) => *wire = Some(capture),
                Err(error) if error.is_missing() && self.unwatched => {
                    report.say(format!("the wire was not captured: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What was captured so far; none where nothing can be.
    pub(super) fn captured(&self) -> Result<Option<Packets>> {
        self.wire.borrow_mut().as_mut().map(Capture::packets).transpose()
    }

    /// Starts agents and nodes at both, unless they run so already. Alice is A's first extension; at B, Bob
    /// (1) and Carol (2) have hosted clients. `more` goes to A's configuration.
    pub fn start_sidecall(&mut self, between: Between, more: &str) -> Result<()> {
        self.start_sidecall_with(between, [more, ""])
    }

    /// The same with lines for both configurations.
    pub(crate) fn start_sidecall_with(&mut self, between: Between, more: [&str; 2]) -> Result<()> {
        let wanted = (between, more.map(str::to_owned));
        if self.started.as_ref() == Some(&wanted) {
            return Ok(());
        }
        self.stop_sidecall();
        let [a, b] = sides(self.nodes, between);
        let [a, b] = [(a, more[0]), (b, more[1])]
            .map(|(side, more)| SidecallConfig { more: format!("{}{more}", side.more), ..side });
        self.a.start_sidecall(&a)?;
        match self.c {
            Some(_) => self.start_b_with_inner(&b)?,
            None => self.b.start_sidecall(&b)?,
        }
        self.a.serve(1, "Alice");
        self.alice = Some(self.a.client(1)?);
        self.client_there(1, "Bob")?;
        self.client_there(2, "Carol")?;
        self.started = Some(wanted);
        Ok(())
    }

    /// Ends agents, nodes and clients.
    pub fn stop_sidecall(&mut self) {
        self.started = None;
        self.alice = None;
        self.there.clear();
        self.a.stop_sidecall();
        self.b.stop_sidecall();
    }

    /// B's n-th extension gets an entry in B's directory and a hosted client.
    fn client_there(&mut self, n: u8, name: &str) -> Result<()> {
        self.b.serve(n, name);
        let client = self.b.client(n)?;
        self.there.push((n, client));
        Ok(())
    }

    /// Alice's client.
    pub fn alice(&self) -> &Hosted {
        self.alice.as_ref().expect("sidecall was started at both")
    }

    /// The client of B's n-th extension.
    pub fn there(&self, n: u8) -> &Hosted {
        &self.there.iter().find(|(at, _)| *at == n).expect("a client there").1
    }

    /// A blank report.
    pub fn tell(&self, behaviour: &'static str, title: &'static str) -> Report {
        let (near, far) = (self.a.pbx.kind().word(), self.b.pbx.kind().word());
        Report { behaviour, title, near, remote: far, events: Vec::new(), ok: false, problems: Vec::new() }
    }

    /// A calls, B answers.
    pub fn connect(&self, caller: &Phone, called: &str, answers: &Phone, report: &mut Report) -> Option<(Call, Call)> {
        let call = caller.call(called);
        let Some(there) = answers.answer_next(SOON) else {
            report.expect(false, format!("{called} was called by {} and did not ring", caller.number()));
            return None;
        };
        let up = call.wait_answered(SOON);
        report.expect(up, format!("the call to {called} was not answered"));
        report.say(format!("{} calls {called}; {} answers", caller.number(), answers.number()));
        if up {
            report.sound_both_ways((&call, caller), (&there, answers));
        }
        up.then_some((call, there))
    }

    /// Somebody writes to the address that his client was given of somebody else, whose client must show the text.
    pub fn write(&self, address: &str, to: (&str, &dyn Client), report: &mut Report) {
        let post = |address: &str, text: &str| write(self.a.sidecall(), address, text);
        report.problems.extend(self.letters.borrow_mut().write(address, to, post).err());
    }

    /// Two people write to each other, each to the address that the own client was given of the other.
    pub(crate) fn write_both(
        &self,
        (to_one, one): (Option<&str>, (&str, &dyn Client)),
        (to_other, other): (Option<&str>, (&str, &dyn Client)),
        report: &mut Report,
    ) {
        for (address, to) in [(to_other, other), (to_one, one)] {
            match address {
                Some(address) => self.write(address, to, report),
                None => drop(report.expect(false, format!("nobody was given an address of {}", to.0))),
            }
        }
    }

    /// Two people are each told of the other, and write to each other. Returns the first's address as the other has it.
    pub(super) fn pair(&self, one: Partner, other: Partner, report: &mut Report) -> Option<String> {
        let (to_one, to_other) = (other.client.peer(Some(one.number)), one.client.peer(Some(other.number)));
        for (who, of, told) in [(&one, &other, &to_other), (&other, &one, &to_one)] {
            report.expect(told.is_some(), format!("{}'s client was not told of {}", who.name, of.name));
        }
        let [at_one, at_other] = [&one, &other].map(|who| (who.name, who.client.client() as _));
        self.write_both((to_one.as_deref(), at_one), (to_other.as_deref(), at_other), report);
        to_one
    }

    /// No text of this scenario has reached anybody's client but that of the person it was for. `more` are clients besides
    /// those of both.
    pub(crate) fn nothing_astray(&self, more: &[(&str, &dyn Client)], report: &mut Report) {
        let names = ["Bob", "Carol"];
        let there = self.there.iter().filter_map(|(n, client)| Some((*names.get(usize::from(*n) - 1)?, client)));
        let everybody = self.alice.iter().map(|alice| ("Alice", alice)).chain(there);
        let mut everybody: Vec<(&str, &dyn Client)> = everybody.map(|(name, client)| (name, client as _)).collect();
        everybody.extend(more);
        report.problems.extend(self.letters.borrow().astray(&everybody));
    }

    /// Forgets the texts of the scenario before.
    pub(super) fn forget_letters(&self) {
        self.letters.take();
    }
}

fn call_info(config: PbxConfig) -> PbxConfig {
    PbxConfig { call_info: "pstn", ..config }
}

/// The rule that makes the extensions of a plan one with their numbers from outside.
fn map(plan: &Plan) -> String {
    format!("[[pbx.map]]\nextension = \"{}XXX\"\nnumber = \"{}XXX\"\n", plan.digit, plan.did)
}
