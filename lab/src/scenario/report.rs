//! What a scenario reports, and what clients are told while it runs.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::sidecall::Sidecall;
use crate::{Call, Hosted, Phone, arrives, never, wait_until};

/// How long anything may take until it counts as not happening.
pub const SOON: Duration = Duration::from_secs(6);

/// What became of a scenario between two organisations: one line of `--json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `B5` …
    pub behaviour: &'static str,
    /// One line for a person.
    pub title: &'static str,
    /// The PBX of the calling side.
    pub near: &'static str,
    /// The PBX of the called side.
    #[serde(rename = "far")]
    pub remote: &'static str,
    /// What happened, in order.
    #[serde(rename = "story")]
    pub events: Vec<String>,
    /// Everything was as it must be.
    pub ok: bool,
    /// What was not; absent if all was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

impl Report {
    /// One more thing that happened.
    pub fn say(&mut self, text: impl Into<String>) {
        self.events.push(text.into());
    }

    /// Something that must be so.
    pub fn expect(&mut self, is_so: bool, problem: impl Into<String>) -> bool {
        if !is_so {
            self.problems.push(problem.into());
        }
        is_so
    }

    /// Two people in a call must hear each other.
    pub fn sound_both_ways(&mut self, (a, at_a): (&Call, &Phone), (b, at_b): (&Call, &Phone)) {
        for (call, here, there) in [(a, at_a, at_b), (b, at_b, at_a)] {
            let problem = || format!("{} doesn't hear {}", here.number(), there.number());
            if !call.wait_hears(there, SOON) {
                self.problems.push(problem());
            }
        }
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

    /// That client.
    pub(super) fn client(&self) -> &'a Hosted {
        self.client
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
    pub(crate) fn all_stay_without(clients: &[Since]) -> bool {
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
    let mut timeline = Vec::new();
    let whole = wait_until(SOON, || {
        let call = calls_to(sidecall, called).first().and_then(|call| Some(call["call"].as_str()?.to_owned()));
        let mut view = sidecall.get(&format!("/v1/calls/{}", call.unwrap_or_default()));
        timeline = view["timeline"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let has = |what| timeline.iter().any(|s| s["step"] == "there" && s["side"] == end && s["what"] == what);
        ["announced", "decided", "answered", "paired", "pushed", "ended"].into_iter().all(has)
    });
    if whole { Ok(()) } else { Err(timeline) }
}
