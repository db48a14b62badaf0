//! Two organisations at work, with sidecall at both, people with phones and clients, and the wire watched:
//! what the end-to-end tests and the demo play B5 to B13 on.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::net::capture::{Capture, Packets};
use crate::net::ports;
use crate::scenario::domains::Domains;
use crate::scenario::letters::Letters;
use crate::scenario::sides::sides;
use crate::sidecall::{Sidecall, SidecallConfig};
use crate::sip::phone::{Call, Phone};
use crate::{Client, Hosted, Kind, PbxConfig, Result, arrives, never, wait_until};

/// How long anything may take until it counts as not happening.
pub const SOON: Duration = Duration::from_secs(6);

/// What became of a play: one line of `--json`.
#[derive(Debug, Clone, Serialize)]
pub struct Told {
    /// `B5` …
    pub behaviour: &'static str,
    /// One line for a person.
    pub title: &'static str,
    /// The PBX of the calling side.
    pub near: &'static str,
    /// The PBX of the called side.
    pub far: &'static str,
    /// What happened, in order.
    pub story: Vec<String>,
    /// Everything was as it must be.
    pub ok: bool,
    /// What was not; absent if all was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

impl Told {
    /// One more thing that happened.
    pub fn say(&mut self, text: impl Into<String>) {
        self.story.push(text.into());
    }

    /// Something that must be so.
    pub fn expect(&mut self, is_so: bool, problem: impl Into<String>) -> bool {
        if !is_so {
            self.problems.push(problem.into());
        }
        is_so
    }

    /// Two people in a call must hear each other.
    pub fn hear(&mut self, (a, at_a): (&Call, &Phone), (b, at_b): (&Call, &Phone)) {
        for (call, here, there) in [(a, at_a, at_b), (b, at_b, at_a)] {
            let problem = || format!("{} doesn't hear {}", here.number(), there.number());
            if !call.wait_hears(there, SOON) {
                self.problems.push(problem());
            }
        }
    }
}

/// Which way calls go from A to B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Between {
    /// The packet trunk carries the header; the nodes don't know each other.
    Trunk,
    /// The same trunk, which A's node takes for no number unless a portability source leads there.
    Routed,
    /// The telephone network, which drops it; the nodes are peers.
    Network,
    /// The packet trunk, and the nodes are peers as well.
    TrunkOfPeers,
    /// The same, where A doesn't know which numbers are B's.
    Unlisted,
    /// The same over HTTPS, with certificates that nobody else knows.
    Https(Known),
    /// A trunk of the telephone network's, which hands on `Call-Info` alone; the nodes don't know each other.
    Carrier,
}

/// By what a node knows another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The token that it shows.
    ByToken,
    /// Its certificate.
    ByCertificate,
}

/// The stage for two organisations.
#[derive(Debug)]
pub struct Theatre {
    /// A1's client.
    alice: Option<Hosted>,
    /// Clients of B's extensions, by extension.
    there: Vec<(u8, Hosted)>,
    /// PBXs, network, agents and nodes.
    pub domains: Domains,
    /// Where A's node and B's listen.
    pub nodes: [SocketAddr; 2],
    kinds: (Kind, Kind),
    raised: Option<(Between, [String; 2])>,
    wire: RefCell<Option<Capture>>,
    letters: RefCell<Letters>,
    unwatched: bool,
}

impl Theatre {
    /// Sets both PBXs and the network between them.
    pub fn set(a: Kind, b: Kind) -> Result<Theatre> {
        Theatre::new(a, b, None, false)
    }

    /// The same with a PBX behind B.
    pub fn with_inner(a: Kind, b: Kind, inner: Kind) -> Result<Theatre> {
        Theatre::new(a, b, Some(inner), false)
    }

    /// The same where every FreeSWITCH is in `direct` mode, each with an agent's socket of its own.
    pub fn direct(a: Kind, b: Kind, inner: Option<Kind>) -> Result<Theatre> {
        Theatre::new(a, b, inner, true)
    }

    fn new(a: Kind, b: Kind, inner: Option<Kind>, direct: bool) -> Result<Theatre> {
        let adapt = |config| {
            let config = if direct { PbxConfig::direct(config) } else { config };
            PbxConfig { call_info: "pstn", ..config }
        };
        let domains = Domains::set_with(a, b, inner, adapt)?;
        let nodes = [(); 2].map(|()| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), ports::free()));
        Ok(Theatre {
            alice: None,
            there: Vec::new(),
            domains,
            nodes,
            kinds: (a, b),
            raised: None,
            wire: RefCell::default(),
            letters: RefCell::default(),
            unwatched: false,
        })
    }

    /// Plays also where nothing can be captured, and says so.
    pub fn may_be_unwatched(&mut self) {
        self.unwatched = true;
    }

    /// Captures from now on, if it doesn't yet.
    pub(super) fn watch(&self, told: &mut Told) -> Result<()> {
        let mut wire = self.wire.borrow_mut();
        if wire.is_none() {
            match self.domains.capture() {
                Ok(capture) => *wire = Some(capture),
                Err(error) if error.is_missing() && self.unwatched => {
                    told.say(format!("the wire was not captured: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What was captured so far; none where nothing can be.
    pub(super) fn captured(&self) -> Result<Option<Packets>> {
        self.wire.borrow_mut().as_mut().map(Capture::so_far).transpose()
    }

    /// Starts agents and nodes at both, unless they run so already. Alice is A's first extension; at B, Bob
    /// (1) and Carol (2) have hosted clients. `more` goes to A's configuration.
    pub fn raise(&mut self, between: Between, more: &str) -> Result<()> {
        self.raise_with(between, [more, ""])
    }

    /// The same with lines for both configurations.
    pub fn raise_with(&mut self, between: Between, more: [&str; 2]) -> Result<()> {
        let wanted = (between, more.map(str::to_owned));
        if self.raised.as_ref() == Some(&wanted) {
            return Ok(());
        }
        self.lower();
        let [a, b] = sides(self.nodes, between);
        let [a, b] = [(a, more[0]), (b, more[1])]
            .map(|(side, more)| SidecallConfig { more: format!("{}{more}", side.more), ..side });
        self.domains.a.raise(&a)?;
        match self.domains.c {
            Some(_) => self.domains.raise_b_with_inner(&b)?,
            None => self.domains.b.raise(&b)?,
        }
        self.domains.a.serve(1, "Alice");
        self.alice = Some(self.domains.a.client(1)?);
        self.client_there(1, "Bob")?;
        self.client_there(2, "Carol")?;
        self.raised = Some(wanted);
        Ok(())
    }

    /// Ends agents, nodes and clients.
    pub fn lower(&mut self) {
        self.raised = None;
        self.alice = None;
        self.there.clear();
        self.domains.a.lower();
        self.domains.b.lower();
    }

    /// B's n-th extension gets an entry in B's directory and a hosted client.
    fn client_there(&mut self, n: u8, name: &str) -> Result<()> {
        self.domains.b.serve(n, name);
        let client = self.domains.b.client(n)?;
        self.there.push((n, client));
        Ok(())
    }

    /// Alice's client.
    pub fn alice(&self) -> &Hosted {
        self.alice.as_ref().expect("the theatre was raised")
    }

    /// The client of B's n-th extension.
    pub fn there(&self, n: u8) -> &Hosted {
        &self.there.iter().find(|(at, _)| *at == n).expect("a client there").1
    }

    /// A blank report.
    pub fn tell(&self, behaviour: &'static str, title: &'static str) -> Told {
        let (near, far) = (self.kinds.0.word(), self.kinds.1.word());
        Told { behaviour, title, near, far, story: Vec::new(), ok: false, problems: Vec::new() }
    }

    /// What both sides logged, for a test that fails.
    pub fn log(&self) -> String {
        let (a, b) = (self.domains.a.sidecall().log(), self.domains.b.sidecall().log());
        format!("sidecall A:\n{a}\nsidecall B:\n{b}\n{}", self.domains.log())
    }

    /// A calls, B answers.
    pub fn connect(&self, caller: &Phone, called: &str, answers: &Phone, told: &mut Told) -> Option<(Call, Call)> {
        let call = caller.call(called);
        let Some(there) = answers.answer_next(SOON) else {
            told.expect(false, format!("{called} was called by {} and did not ring", caller.number()));
            return None;
        };
        let up = call.wait_answered(SOON);
        told.expect(up, format!("the call to {called} was not answered"));
        told.say(format!("{} calls {called}; {} answers", caller.number(), answers.number()));
        if up {
            told.hear((&call, caller), (&there, answers));
        }
        up.then_some((call, there))
    }

    /// Somebody writes to the address that his client was given of somebody else, whose client must show the text.
    pub fn write(&self, address: &str, to: (&str, &dyn Client), told: &mut Told) {
        let post = |address: &str, text: &str| write(self.domains.a.sidecall(), address, text);
        told.problems.extend(self.letters.borrow_mut().write(address, to, post).err());
    }

    /// Two people write to each other, each to the address that the own client was given of the other.
    pub fn write_both(
        &self,
        (to_one, one): (Option<&str>, (&str, &dyn Client)),
        (to_other, other): (Option<&str>, (&str, &dyn Client)),
        told: &mut Told,
    ) {
        for (address, to) in [(to_other, other), (to_one, one)] {
            match address {
                Some(address) => self.write(address, to, told),
                None => drop(told.expect(false, format!("nobody was given an address of {}", to.0))),
            }
        }
    }

    /// No text of this play has reached anybody's client but that of the person it was for. `more` are clients besides
    /// those of the theatre.
    pub fn nothing_astray(&self, more: &[(&str, &dyn Client)], told: &mut Told) {
        let names = ["Bob", "Carol"];
        let there = self.there.iter().filter_map(|(n, client)| Some((*names.get(usize::from(*n) - 1)?, client)));
        let everybody = self.alice.iter().map(|alice| ("Alice", alice)).chain(there);
        let mut everybody: Vec<(&str, &dyn Client)> = everybody.map(|(name, client)| (name, client as _)).collect();
        everybody.extend(more);
        told.problems.extend(self.letters.borrow().astray(&everybody));
    }

    /// Forgets the texts of the play before.
    pub(super) fn forget_letters(&self) {
        self.letters.take();
    }
}

/// What a client has been shown, from some moment on.
#[derive(Debug, Clone, Copy)]
pub struct Since<'a> {
    client: &'a Hosted,
    peers: usize,
    ended: usize,
    messages: usize,
}

impl<'a> Since<'a> {
    /// From now on.
    pub fn now(client: &'a Hosted) -> Since<'a> {
        let count = |kind| client.events(kind).len();
        Since { client, peers: count("peer"), ended: count("ended"), messages: count("message") }
    }

    /// The peers that it was told of since, by number and address; waits for one of that number.
    pub fn peer(&self, number: Option<&str>) -> Option<String> {
        let find = || {
            let peers = self.client.events("peer");
            let of = peers.iter().skip(self.peers).find(|event| event["peer"]["number"].as_str() == number);
            of.and_then(|event| event["peer"]["address"].as_str().map(str::to_owned))
        };
        arrives(SOON, || find().is_some());
        find()
    }

    /// How many peers it was told of since.
    fn peers(&self) -> usize {
        self.client.events("peer").len() - self.peers
    }

    /// Whether it is told that it no longer talks to that number.
    pub fn ended(&self, number: Option<&str>) -> bool {
        let told = || self.client.events("ended").iter().skip(self.ended).any(|e| e["number"].as_str() == number);
        arrives(SOON, told)
    }

    /// Whether that text reaches it.
    pub fn text(&self, text: &str) -> bool {
        let has = || self.client.events("message").iter().skip(self.messages).any(|e| e["content"]["text"] == text);
        arrives(SOON, has)
    }

    /// Whether none of these is told of anybody for a while.
    pub fn all_stay_without(clients: &[Since]) -> bool {
        never(|| clients.iter().any(|client| client.peers() > 0))
    }

    /// Whether it stays without a (further) peer for a while.
    pub fn stays_without(&self, peers: usize) -> bool {
        never(|| self.peers() > peers)
    }
}

/// Sends a text to an address, as whoever has it may.
pub fn write(sidecall: &Sidecall, address: &str, text: &str) -> u16 {
    sidecall.post(address, &json!({"type": "text", "text": text}))
}

/// The calls that a node knows to a number, the newest first.
pub fn calls_to(sidecall: &Sidecall, called: &str) -> Vec<Value> {
    sidecall.calls().into_iter().filter(|call| call["called"] == called).collect()
}

/// Whether the newest call to a number is told to its end at that end too, which is another node's; if not,
/// what is.
pub fn there(sidecall: &Sidecall, called: &str, end: &str) -> std::result::Result<(), Vec<Value>> {
    let mut story = Vec::new();
    let whole = wait_until(SOON, || {
        let call = calls_to(sidecall, called).first().and_then(|call| Some(call["call"].as_str()?.to_owned()));
        let mut view = sidecall.get(&format!("/v1/calls/{}", call.unwrap_or_default()));
        story = view["story"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let has = |what| story.iter().any(|s| s["step"] == "there" && s["end"] == end && s["what"] == what);
        ["announced", "decided", "answered", "paired", "pushed", "ended"].into_iter().all(has)
    });
    if whole { Ok(()) } else { Err(story) }
}
