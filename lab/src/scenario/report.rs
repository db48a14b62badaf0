//! What a scenario between two organisations reports, and what clients are told while it runs.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::sidecall::Sidecall;
use crate::{Hosted, arrives, never};

/// How long anything may take until it counts as not happening.
pub const SOON: Duration = Duration::from_secs(6);

/// What became of a scenario between two organisations: one line of `--json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub behaviour: &'static str,
    pub title: &'static str,
    /// The PBX of the calling side.
    pub near: &'static str,
    /// The PBX of the called side.
    #[serde(rename = "far")]
    pub remote: &'static str,
    #[serde(rename = "story")]
    pub events: Vec<String>,
    pub ok: bool,
    /// What was not; absent if all was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// What a client has been shown, from some moment on.
#[derive(Debug, Clone, Copy)]
pub struct Since<'a> {
    pub(super) client: &'a Hosted,
    /// How many events it had shown before.
    before: usize,
}

impl<'a> Since<'a> {
    /// From now on.
    pub fn now(client: &'a Hosted) -> Since<'a> {
        Since { client, before: client.all().len() }
    }

    fn events(&self, kind: &str) -> impl Iterator<Item = Value> {
        self.client.all().into_iter().skip(self.before).filter(move |event| event["event"] == *kind)
    }

    /// The address that it is given of that number's client, or of one without a number; waits for it.
    pub fn peer(&self, number: Option<&str>) -> Option<String> {
        let find = || {
            let of = self.events("peer").find(|event| event["peer"]["number"].as_str() == number)?;
            of["peer"]["address"].as_str().map(str::to_owned)
        };
        arrives(SOON, || find().is_some());
        find()
    }

    /// Whether it is told that it no longer talks to that number.
    pub fn ended(&self, number: Option<&str>) -> bool {
        arrives(SOON, || self.events("ended").any(|event| event["number"].as_str() == number))
    }

    /// Whether that text reaches it.
    pub fn text(&self, text: &str) -> bool {
        arrives(SOON, || self.events("message").any(|event| event["content"]["text"] == text))
    }

    /// Whether it stays without a (further) peer for a while.
    pub fn stays_without(&self, peers: usize) -> bool {
        never(|| self.events("peer").count() > peers)
    }

    /// Whether none of these is told of anybody for a while.
    pub(crate) fn all_stay_without(clients: &[Since]) -> bool {
        never(|| clients.iter().any(|client| client.events("peer").next().is_some()))
    }
}

/// Sends a text to an address, as anybody who has it may.
pub fn write(sidecall: &Sidecall, address: &str, text: &str) -> u16 {
    sidecall.post(address, &json!({"type": "text", "text": text}))
}

/// The calls that a node knows to a number, the newest first.
pub fn calls_to(sidecall: &Sidecall, called: &str) -> Vec<Value> {
    sidecall.calls().into_iter().filter(|call| call["called"] == called).collect()
}
