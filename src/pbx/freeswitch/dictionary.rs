//! FreeSWITCH's events in our words.

use std::borrow::Cow;
use std::time::Duration;

use crate::core::name::LegId;
use crate::esl;
use crate::pbx::vocabulary::{cause, hold, raw_number, side, tenant};
use crate::pbx::{Announcement, Happened, Mark, Release};

/// The events that are subscribed to. One call has about 51 in all; these are the ones that matter.
pub(super) const EVENTS: &[&str] = &[
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_HANGUP_COMPLETE",
    "HEARTBEAT",
    "CUSTOM",
    "sidecall::setup",
];

/// What passes the filter: legs that the dialplan marked, our announcements, and signs of life.
/// `mod_event_socket` sends an event that matches any one of them.
pub(super) const FILTERS: &[(&str, &str)] =
    &[("variable_sidecall", "on"), ("Event-Subclass", "sidecall::setup"), ("Event-Name", "HEARTBEAT")];

/// Reads events one by one. What it keeps between them serves to notice that some are missing.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    core: Option<String>,
}

impl Dictionary {
    /// What the event says; nothing if it doesn't concern us.
    pub(super) fn read(&mut self, event: &esl::Event) -> Vec<Happened> {
        let [name, core] = event.fields(["Event-Name", "Core-UUID"]);
        if name.as_deref() == Some("CUSTOM") {
            return announced(event).into_iter().collect();
        }
        let mut happened = Vec::new();
        if self.restarted(core) {
            happened.push(Happened::Gap { why: "the core is another one" });
        }
        match name.as_deref() {
            Some("CHANNEL_ANSWER") => happened.extend(answered(event)),
            Some("CHANNEL_BRIDGE") => happened.extend(legs(event).map(|legs| Happened::Bridged { legs })),
            Some("CHANNEL_UNBRIDGE") => happened.extend(legs(event).map(|legs| Happened::Unbridged { legs })),
            Some("CHANNEL_HANGUP_COMPLETE") => happened.extend(hung_up(event)),
            _ => {}
        }
        happened
    }

    /// Whether the events come from another core than before. `Event-Sequence` doesn't tell more: it
    /// counts every event of the core, also those that nobody subscribed to, and it steps back in
    /// ordinary calls, since a number is taken before the event is queued
    /// (`switch_event_prep_for_delivery_detailed` in `switch_event.c`).
    fn restarted(&mut self, core: Option<Cow<'_, str>>) -> bool {
        let Some(core) = core.filter(|core| self.core.as_deref() != Some(core)) else { return false };
        self.core.replace(core.into_owned()).is_some()
    }
}

fn leg(text: &Option<Cow<'_, str>>) -> Option<LegId> {
    text.as_deref()?.parse().ok()
}

fn announced(event: &esl::Event) -> Option<Happened> {
    let [subclass, sent] = event.fields(["Event-Subclass", "Event-Date-Timestamp"]);
    if subclass.as_deref() != Some("sidecall::setup") {
        return None;
    }
    let said = event.get("sidecall_hold")?;
    announcement(event, sent.and_then(|s| s.parse().ok()), hold(&said)?).map(|a| Happened::Announced(Box::new(a)))
}

/// The announcement in an event, or in the channel data of an outbound socket.
pub(super) fn announcement(event: &esl::Event, sent: Option<i64>, hold: Duration) -> Option<Announcement> {
    let [id, own, agent] = event.fields(["Unique-ID", "sidecall_agent", "variable_sidecall_agent"]);
    // The event's own header comes before the channel's variable; both say the same.
    let agent = own.or(agent).unwrap_or_default();
    Some(Announcement {
        leg: leg(&id)?,
        mark: mark(event)?,
        agent: agent.into_owned(),
        hold,
        sent,
        release: Release::Break,
    })
}

/// The mark that the snippet left in the channel's variables.
pub(super) fn mark(event: &esl::Event) -> Option<Mark> {
    let [said_side, calling, called, received, tenant_name, refused, call] = event.fields([
        "variable_sidecall_side",
        "variable_sidecall_calling",
        "variable_sidecall_called",
        "variable_sidecall_received",
        "variable_sidecall_tenant",
        "variable_sidecall_refused",
        "variable_sidecall_call",
    ]);
    Some(Mark {
        side: side(&said_side?)?,
        calling: raw_number(&calling.unwrap_or_default()),
        called: raw_number(&called?),
        received: received.filter(|r| !r.is_empty()).map(Cow::into_owned),
        tenant: tenant_name.and_then(|name| tenant(&name)),
        refused: refused.as_deref() == Some("yes"),
        call: call.and_then(|c| c.parse().ok()),
    })
}

/// The originator that a leg was made for: `Other-Type: originator`.
pub(super) fn made_for(event: &esl::Event) -> Option<LegId> {
    let [direction, kind, other] = event.fields(["Call-Direction", "Other-Type", "Other-Leg-Unique-ID"]);
    (direction.as_deref() == Some("outbound") && kind.as_deref() == Some("originator")).then(|| leg(&other))?
}

fn answered(event: &esl::Event) -> Vec<Happened> {
    let [id] = event.fields(["Unique-ID"]);
    let Some(leg) = leg(&id) else { return Vec::new() };
    let dialled = made_for(event).map(|by| Happened::Dialled { leg: leg.clone(), by });
    dialled.into_iter().chain([Happened::Answered { leg }]).collect()
}

fn legs(event: &esl::Event) -> Option<[LegId; 2]> {
    let [a, b] = event.fields(["Bridge-A-Unique-ID", "Bridge-B-Unique-ID"]);
    // CHANNEL_UNBRIDGE names the other leg in the originator or originatee block.
    let (a, b) = match (leg(&a), leg(&b)) {
        (Some(a), Some(b)) => (a, b),
        _ => {
            let [own, other] = event.fields(["Unique-ID", "Other-Leg-Unique-ID"]);
            (leg(&own)?, leg(&other)?)
        }
    };
    (a != b).then_some([a, b])
}

fn hung_up(event: &esl::Event) -> Option<Happened> {
    let [id, why] = event.fields(["Unique-ID", "Hangup-Cause"]);
    Some(Happened::HungUp { leg: leg(&id)?, cause: why.and_then(|w| cause(&w)) })
}

#[cfg(test)]
#[path = "dictionary_tests.rs"]
mod tests;
