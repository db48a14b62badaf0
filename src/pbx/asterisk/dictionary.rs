//! Asterisk's events in our words.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::ami;
use crate::core::name::LegId;
use crate::pbx::vocabulary::{cause, hold, raw_number, side, tenant};
use crate::pbx::{Announcement, Happened, Mark, Release};

/// `ChannelState` of a channel that is up (`enum ast_channel_state` in `channelstate.h`).
pub(super) const UP: &str = "6";

/// Reads events one by one. Asterisk says who enters and leaves a bridge, so who else is in it has
/// to be kept between events.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    bridges: HashMap<String, Vec<LegId>>,
}

impl Dictionary {
    /// What the event says; nothing if it doesn't concern us.
    pub(super) fn read(&mut self, event: &ami::Event) -> Vec<Happened> {
        let one = |happened: Option<Happened>| happened.into_iter().collect();
        match event.get("Event").as_deref() {
            Some("UserEvent") => one(announced(event)),
            Some("DialBegin") => one(dialled(event)),
            Some("Newstate") => one(answered(event)),
            Some("BridgeEnter") => self.entered(event),
            Some("BridgeLeave") => self.left(event),
            Some("BridgeDestroy") => {
                if let Some(bridge) = event.get("BridgeUniqueid") {
                    self.bridges.remove(bridge.as_ref());
                }
                Vec::new()
            }
            Some("Hangup") => self.hung_up(event),
            // Asterisk goes down or comes up: its channels are gone.
            Some("Shutdown" | "FullyBooted") => vec![Happened::Gap { why: "Asterisk restarts" }],
            _ => Vec::new(),
        }
    }

    /// Takes the bridges from a snapshot: what the map knows may have holes.
    pub(super) fn restart(&mut self, bridges: HashMap<String, Vec<LegId>>) {
        self.bridges = bridges;
    }

    fn entered(&mut self, event: &ami::Event) -> Vec<Happened> {
        let (Some(leg), Some(bridge)) = (leg(event, "Uniqueid"), event.get("BridgeUniqueid")) else {
            return Vec::new();
        };
        let inside = self.bridges.entry(bridge.into_owned()).or_default();
        if inside.contains(&leg) {
            return Vec::new();
        }
        // An attended transfer puts one channel in another's place. That one's `BridgeLeave` comes
        // later, but the two never hear each other.
        let mut happened = match self::leg(event, "SwapUniqueid") {
            Some(swapped) => Self::leave(inside, &swapped),
            None => Vec::new(),
        };
        happened.extend(inside.iter().map(|other| Happened::Bridged { legs: [other.clone(), leg.clone()] }));
        inside.push(leg);
        happened
    }

    fn left(&mut self, event: &ami::Event) -> Vec<Happened> {
        let (Some(leg), Some(bridge)) = (leg(event, "Uniqueid"), event.get("BridgeUniqueid")) else {
            return Vec::new();
        };
        match self.bridges.get_mut(bridge.as_ref()) {
            Some(inside) => Self::leave(inside, &leg),
            None => Vec::new(),
        }
    }

    fn leave(inside: &mut Vec<LegId>, leg: &LegId) -> Vec<Happened> {
        let before = inside.len();
        inside.retain(|other| other != leg);
        if inside.len() == before {
            return Vec::new();
        }
        inside.iter().map(|other| Happened::Unbridged { legs: [leg.clone(), other.clone()] }).collect()
    }

    fn hung_up(&mut self, event: &ami::Event) -> Vec<Happened> {
        let Some(leg) = leg(event, "Uniqueid") else { return Vec::new() };
        let mut happened = Vec::new();
        for inside in self.bridges.values_mut() {
            happened.extend(Self::leave(inside, &leg));
        }
        // `Cause-txt: Normal Clearing`
        let cause = event.get("Cause-txt").and_then(|text| cause(&text));
        happened.push(Happened::HungUp { leg, cause });
        happened
    }
}

pub(super) fn leg(event: &ami::Event, key: &str) -> Option<LegId> {
    event.get(key)?.parse().ok()
}

fn announced(event: &ami::Event) -> Option<Happened> {
    if event.get("UserEvent").as_deref() != Some("SidecallSetup") {
        return None;
    }
    let text = |key| event.get(key).map(Cow::into_owned);
    let mark = Mark {
        side: side(&text("Side")?)?,
        calling: raw_number(&text("Calling").unwrap_or_default()),
        called: raw_number(&text("Called")?),
        received: text("Received").filter(|r| !r.is_empty()),
        tenant: text("Tenant").and_then(|name| tenant(&name)),
        refused: text("Refused").as_deref() == Some("yes"),
        call: None,
    };
    Some(Happened::Announced(Box::new(Announcement {
        leg: leg(event, "Uniqueid")?,
        mark,
        agent: text("Agent")?,
        hold: hold(&text("Hold")?)?,
        sent: text("Sent").and_then(|s| micros(&s)),
        release: Release::Redirect { channel: text("Channel")?, context: text("Context")?, exten: text("Exten")? },
    })))
}

/// `1795345005.160012`: seconds with up to six digits behind the point, in microseconds.
pub(super) fn micros(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = format!("{:0<6.6}", fraction).parse::<i64>().ok()?;
    seconds.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction)
}

fn dialled(event: &ami::Event) -> Option<Happened> {
    Some(Happened::Dialled { leg: leg(event, "DestUniqueid")?, by: leg(event, "Uniqueid")? })
}

fn answered(event: &ami::Event) -> Option<Happened> {
    (event.get("ChannelState")? == UP).then_some(Happened::Answered { leg: leg(event, "Uniqueid")? })
}

#[cfg(test)]
#[path = "dictionary_tests.rs"]
mod tests;
