//! FreeSWITCH's events in our words.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::enrolment::{self, ENROL};
use crate::core::base::name::LegId;
use crate::esl::EslEvent;
use crate::pbx::event::{cause, hold, raw_number, side, tenant};
use crate::pbx::event_reader::Translate;
use crate::pbx::topology::{ChannelKind, Member, Topology};
use crate::pbx::{Announcement, CallTags, Device, PbxEvent, Release, Snapshot};

/// The events that are subscribed to. One call has about 51 in all; these are the ones that matter.
pub(super) const EVENTS: &[&str] = &[
    "CHANNEL_ANSWER",
    "CHANNEL_BRIDGE",
    "CHANNEL_UNBRIDGE",
    "CHANNEL_HANGUP_COMPLETE",
    "HEARTBEAT",
    "CUSTOM",
    SETUP,
    ENROL,
    CONFERENCE,
];

/// Our announcement.
const SETUP: &str = "sidecall::setup";
/// Who comes to a conference and who leaves it, among much else.
const CONFERENCE: &str = "conference::maintenance";

/// What passes the filter: `mod_event_socket` sends an event that matches any one of them. Legs without
/// our tags pass as well: whoever picks a call up has none. Of conferences only the coming and going
/// passes, for whoever begins or ends to speak makes an event too.
pub(super) const FILTERS: &[(&str, &str)] = &[
    ("Event-Name", "CHANNEL_ANSWER"),
    ("Event-Name", "CHANNEL_BRIDGE"),
    ("Event-Name", "CHANNEL_UNBRIDGE"),
    ("Event-Name", "CHANNEL_HANGUP_COMPLETE"),
    ("Event-Name", "HEARTBEAT"),
    ("Event-Subclass", SETUP),
    ("Event-Subclass", ENROL),
    ("Action", "add-member"),
    ("Action", "del-member"),
];

/// Reads events one by one.
#[derive(Debug, Default)]
pub(super) struct FreeswitchTranslator {
    core: Option<String>,
    topology: Topology,
    answered: HashSet<LegId>,
    /// Bridges whose legs haven't answered: FreeSWITCH bridges as soon as there is early media.
    early: Vec<[Member; 2]>,
    /// Halves of `loopback` channels.
    halves: HashMap<LegId, ChannelKind>,
    /// The phones behind legs, as their own events named them.
    devices: HashMap<LegId, Device>,
}

impl Translate for FreeswitchTranslator {
    type Event = EslEvent;

    fn read(&mut self, event: &EslEvent) -> Vec<PbxEvent> {
        let [name, core] = event.fields(["Event-Name", "Core-UUID"]);
        if name.as_deref() == Some("CUSTOM") {
            return self.custom(event);
        }
        let mut events = Vec::new();
        if self.restarted(core) {
            events.push(PbxEvent::Gap { why: "the core is another one" });
        }
        events.extend(match name.as_deref() {
            Some("CHANNEL_ANSWER") => self.answered(event),
            Some("CHANNEL_BRIDGE") => self.bridged(event),
            Some("CHANNEL_UNBRIDGE") => self.unbridged(event),
            Some("CHANNEL_HANGUP_COMPLETE") => self.hung_up(event),
            _ => Vec::new(),
        });
        events
    }

    fn restart(&mut self, snapshot: &Snapshot) {
        self.topology = snapshot.topology.clone();
        self.answered = snapshot.legs.iter().filter(|leg| leg.answered).map(|leg| leg.leg.clone()).collect();
        self.devices = snapshot.legs.iter().map(|leg| (leg.leg.clone(), leg.device.clone())).collect();
        self.halves.retain(|leg, _| self.devices.contains_key(leg));
        self.early.retain(|legs| {
            let there = legs.iter().all(|member| self.devices.contains_key(&member.leg));
            there && legs.iter().any(|member| !self.answered.contains(&member.leg))
        });
    }

    fn is_announcement(event: &EslEvent) -> bool {
        matches!(event.get("Event-Subclass").as_deref(), Some(SETUP | ENROL))
    }
}

impl FreeswitchTranslator {
    /// Whether it keeps nothing but which core speaks.
    pub(super) fn is_empty(&self) -> bool {
        let FreeswitchTranslator { core: _, topology, answered, early, halves, devices } = self;
        let empty = answered.is_empty() && early.is_empty() && halves.is_empty() && devices.is_empty();
        empty && *topology == Topology::default()
    }

    fn custom(&mut self, event: &EslEvent) -> Vec<PbxEvent> {
        match event.get("Event-Subclass").as_deref() {
            Some(SETUP) => announced(event).into_iter().collect(),
            Some(ENROL) => enrolment::read(event).into_iter().collect(),
            Some(CONFERENCE) => self.conference(event),
            _ => Vec::new(),
        }
    }

    /// `Action: add-member`; a ghost is counted by nobody (`mod_conference.c`).
    fn conference(&mut self, event: &EslEvent) -> Vec<PbxEvent> {
        let [action, room, ghost] = event.fields(["Action", "Conference-Unique-ID", "Member-Ghost"]);
        let (Some(member), Some(room)) = (member(event), room) else { return Vec::new() };
        match action.as_deref() {
            Some("add-member") if ghost.as_deref() != Some("true") => {
                let member = self.known(member);
                self.topology.enter(&room, member, None)
            }
            Some("del-member") => self.topology.leave(&room, &member.leg),
            _ => Vec::new(),
        }
    }

    fn answered(&mut self, event: &EslEvent) -> Vec<PbxEvent> {
        let Some(Member { leg, kind, device }) = member(event) else { return Vec::new() };
        let mut events = Vec::new();
        if let Some(tags) = tags(event).filter(|tags| tags.called.is_empty()) {
            let agent = event.get("variable_sidecall_agent").unwrap_or_default().into_owned();
            events.push(PbxEvent::MainNumber { leg: leg.clone(), tags: Box::new(tags), agent });
        }
        self.answered.insert(leg.clone());
        self.devices.insert(leg.clone(), device.clone());
        match kind {
            ChannelKind::Real => {
                let dialled = made_for(event).map(|by| {
                    let trunk = event.get("variable_sip_gateway_name").and_then(|name| name.parse().ok());
                    PbxEvent::Dialled { leg: leg.clone(), by, device, trunk }
                });
                events.extend(dialled);
            }
            intermediate => drop(self.halves.insert(leg.clone(), intermediate)),
        }
        events.push(PbxEvent::Answered { leg });
        let (ready, early) = std::mem::take(&mut self.early).into_iter().partition(|legs| self.up(legs));
        self.early = early;
        let ready: Vec<[Member; 2]> = ready;
        events.extend(ready.into_iter().flat_map(|legs| self.together(legs)));
        events
    }

    fn bridged(&mut self, event: &EslEvent) -> Vec<PbxEvent> {
        let (Some(own), Some(other)) = (member(event), other(event)) else { return Vec::new() };
        if own.leg == other.leg {
            return Vec::new();
        }
        let [state, since] = event.fields(["Answer-State", "Other-Leg-Channel-Answered-Time"]);
        if state.as_deref() == Some("answered") {
            self.answered.insert(own.leg.clone());
        }
        if since.is_some_and(|since| since != "0") {
            self.answered.insert(other.leg.clone());
        }
        self.devices.insert(own.leg.clone(), own.device.clone());
        let legs = [self.known(own), self.known(other)];
        if self.up(&legs) {
            return self.together(legs);
        }
        self.early.push(legs);
        Vec::new()
    }

    fn unbridged(&mut self, event: &EslEvent) -> Vec<PbxEvent> {
        let Some(legs) = legs(event) else { return Vec::new() };
        self.early.retain(|early| !early.iter().all(|member| legs.contains(&member.leg)));
        let room = room(&legs);
        legs.iter().flat_map(|leg| self.topology.leave(&room, leg)).collect()
    }

    fn hung_up(&mut self, event: &EslEvent) -> Vec<PbxEvent> {
        let [id, why] = event.fields(["Unique-ID", "Hangup-Cause"]);
        let Some(leg) = leg(&id) else { return Vec::new() };
        self.early.retain(|early| early.iter().all(|member| member.leg != leg));
        let mut events = self.topology.hang_up(&leg);
        self.answered.remove(&leg);
        self.halves.remove(&leg);
        self.devices.remove(&leg);
        events.push(PbxEvent::HungUp { leg, cause: why.and_then(|w| cause(&w)) });
        events
    }

    /// Both hear each other from now on, and nobody else outside a conference.
    fn together(&mut self, legs: [Member; 2]) -> Vec<PbxEvent> {
        let room = room(&[legs[0].leg.clone(), legs[1].leg.clone()]);
        legs.into_iter().flat_map(|member| self.topology.enter(&room, member, None)).collect()
    }

    fn up(&self, legs: &[Member; 2]) -> bool {
        legs.iter().all(|member| self.answered.contains(&member.leg))
    }

    /// An event says of the other leg only that it is a half, not of what; and of its phone neither the
    /// tenant nor that it is withheld.
    fn known(&self, member: Member) -> Member {
        let kind = self.halves.get(&member.leg).cloned().unwrap_or(member.kind);
        let device = self.devices.get(&member.leg).cloned().unwrap_or(member.device);
        Member { kind, device, ..member }
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

/// The bridge of two legs, in either order.
pub(super) fn room(legs: &[LegId; 2]) -> String {
    let [a, b] = legs;
    format!("{}/{}", a.min(b), a.max(b))
}

/// The channel that an event, or a dump, is about.
///
/// Who called in keeps the number in `ANI`; in the other caller's fields FreeSWITCH shows whoever talks
/// with whom, and turns them round when a call is transferred. A leg that was dialled has the caller's.
pub(super) fn member(event: &EslEvent) -> Option<Member> {
    let [id, name, direction] = event.fields(["Unique-ID", "Channel-Name", "Call-Direction"]);
    let outbound = direction.as_deref() == Some("outbound");
    let device = if outbound { dialled_device(event) } else { calling_device(event) };
    let kind =
        if name.is_some_and(|name| name.starts_with(LOOPBACK)) { intermediate(event) } else { ChannelKind::Real };
    Some(Member { leg: leg(&id)?, kind, device })
}

/// `user/1002@a.example` says whose phone it is, a gateway or a contact only what it is asked for.
fn dialled_device(event: &EslEvent) -> Device {
    let [user, domain, dialled] =
        event.fields(["variable_dialed_user", "variable_dialed_domain", "Caller-Destination-Number"]);
    match (user, dialled) {
        (Some(user), _) => Device::read(&user, domain.as_deref()).unwrap_or(Device::Unreadable),
        (None, Some(number)) => Device::read(&number, None).unwrap_or_default(),
        (None, None) => Device::Unnamed,
    }
}

/// Who called in: as the snippet has tagged the leg, or else by the caller ID, unless it is withheld.
fn calling_device(event: &EslEvent) -> Device {
    let [side, calling, tenant, domain, ani, hidden, privacy] = event.fields([
        "variable_sidecall_side",
        "variable_sidecall_calling",
        "variable_sidecall_tenant",
        "variable_domain_name",
        "Caller-ANI",
        "Caller-Privacy-Hide-Number",
        "variable_privacy_hide_number",
    ]);
    let withheld = [hidden, privacy].iter().flatten().any(|hide| hide == "true");
    let number = match side {
        Some(_) => calling,
        None => ani.filter(|_| !withheld),
    };
    number.and_then(|number| Device::read(&number, tenant.or(domain).as_deref())).unwrap_or_default()
}

/// The one that it is bridged with.
fn other(event: &EslEvent) -> Option<Member> {
    let [own, name, direction, ani, dialled] = event.fields([
        "Unique-ID",
        "Other-Leg-Channel-Name",
        "Other-Leg-Direction",
        "Other-Leg-ANI",
        "Other-Leg-Destination-Number",
    ]);
    let named = if direction.as_deref() == Some("outbound") { dialled } else { ani };
    let kind =
        if name.is_some_and(|name| name.starts_with(LOOPBACK)) { ChannelKind::Nobody } else { ChannelKind::Real };
    let own = leg(&own)?;
    let leg = legs(event)?.into_iter().find(|leg| *leg != own)?;
    let device = named.and_then(|name| Device::read(&name, None)).unwrap_or_default();
    Some(Member { leg, kind, device })
}

/// `loopback/1002-a`
const LOOPBACK: &str = "loopback/";

/// Each half knows the other one's id.
fn intermediate(event: &EslEvent) -> ChannelKind {
    let [own, other, which] = event.fields(["Unique-ID", "variable_other_loopback_leg_uuid", "variable_loopback_leg"]);
    match (leg(&own), leg(&other), which.as_deref()) {
        (Some(a), Some(b), Some("A")) => ChannelKind::Intermediate(room(&[a, b]), 0),
        (Some(b), Some(a), Some("B")) => ChannelKind::Intermediate(room(&[a, b]), 1),
        _ => ChannelKind::Nobody,
    }
}

fn announced(event: &EslEvent) -> Option<PbxEvent> {
    let [said, sent] = event.fields(["sidecall_hold", "Event-Date-Timestamp"]);
    let hold = hold(&said?)?;
    announcement(event, sent.and_then(|s| s.parse().ok()), hold).map(|a| PbxEvent::Announced(Box::new(a)))
}

/// The announcement in an event, or in the channel data of an outbound socket.
pub(super) fn announcement(event: &EslEvent, sent: Option<i64>, hold: Duration) -> Option<Announcement> {
    let [id, own, agent] = event.fields(["Unique-ID", "sidecall_agent", "variable_sidecall_agent"]);
    // The event's own header comes before the channel's variable; both say the same.
    let agent = own.or(agent).unwrap_or_default();
    Some(Announcement {
        leg: leg(&id)?,
        tags: tags(event).filter(|tags| !tags.called.is_empty())?,
        agent: agent.into_owned(),
        hold,
        sent,
        release: Release::Break,
    })
}

/// The tags that the snippet left in the channel's variables. Who calls 911 has a side and no called number, too:
/// only `sidecall=on` says that the call is ours.
pub(super) fn tags(event: &EslEvent) -> Option<CallTags> {
    let [said_side, on, calling, withheld, called, received, tenant_name, domain, refused, call] = event.fields([
        "variable_sidecall_side",
        "variable_sidecall",
        "variable_sidecall_calling",
        "variable_sidecall_withheld",
        "variable_sidecall_called",
        "variable_sidecall_received",
        "variable_sidecall_tenant",
        // As announce.xml has it, where nothing is announced.
        "variable_domain_name",
        "variable_sidecall_refused",
        "variable_sidecall_call",
    ]);
    Some(CallTags {
        side: side(&said_side?)?,
        calling: raw_number(&calling.unwrap_or_default()),
        withheld: withheld.as_deref() == Some("yes"),
        called: raw_number(&called.or_else(|| (on? == "on").then(Cow::default))?),
        received: received.filter(|r| !r.is_empty()).map(Cow::into_owned),
        tenant: tenant_name.or(domain).and_then(|name| tenant(&name)),
        refused: refused.as_deref() == Some("yes"),
        call: call.and_then(|c| c.parse().ok()),
    })
}

/// The originator that a leg was made for: `Other-Type: originator`.
pub(super) fn made_for(event: &EslEvent) -> Option<LegId> {
    let [direction, kind, other] = event.fields(["Call-Direction", "Other-Type", "Other-Leg-Unique-ID"]);
    (direction.as_deref() == Some("outbound") && kind.as_deref() == Some("originator")).then(|| leg(&other))?
}

fn legs(event: &EslEvent) -> Option<[LegId; 2]> {
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

#[cfg(test)]
#[path = "translator_tests.rs"]
mod tests;
