//! Asterisk's events in our words.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::enrolment::{self, ENROL};
use super::layout::is_genuine;
use crate::ami::AmiEvent;
use crate::core::base::name::{LegId, TrunkName};
use crate::core::numbering::endpoint_names::Endpoints;
use crate::pbx::event::{cause, hold, raw_number, side, tenant};
use crate::pbx::event_reader::Translate;
use crate::pbx::topology::{ChannelKind, Member, Topology};
use crate::pbx::{Announcement, CallTags, Device, PbxEvent, Release, Snapshot};

/// `ChannelState` of a channel that is up (`enum ast_channel_state` in `channelstate.h`).
pub(super) const UP: &str = "6";

/// The bridge technology of those who wait: parked, or in `BridgeWait`.
pub(super) const HOLDING: &str = "holding_bridge";

/// Channels of Asterisk itself: of `ConfBridge` and of ARI, in bridges or beside them.
const NOBODY: [&str; 6] = ["CBAnn/", "CBRec/", "Announcer/", "Recorder/", "Snoop/", "Message/"];

/// What a channel's name says: `PJSIP/1001-00000001`, `Local/1002@default-00000000;1`.
pub(in crate::pbx) fn kind(channel: &str) -> ChannelKind {
    match channel.strip_prefix("Local/").and_then(|rest| rest.rsplit_once(';')) {
        Some((common, "1")) => ChannelKind::Intermediate(common.to_owned(), 0),
        Some((common, "2")) => ChannelKind::Intermediate(common.to_owned(), 1),
        _ if NOBODY.iter().any(|prefix| channel.starts_with(prefix)) => ChannelKind::Nobody,
        _ => ChannelKind::Real,
    }
}

/// Reads events one by one. Asterisk says who enters and leaves a bridge, so who else is in it has
/// to be kept between events.
#[derive(Debug, Default)]
pub(super) struct AsteriskTranslator {
    endpoints: Endpoints,
    topology: Topology,
    locals: HashMap<String, Local>,
    /// `Local` channels that Asterisk is about to take out from between two people.
    leaving: HashMap<String, Leaving>,
}

/// The people around such a channel leave one bridge for the other, and are told to be apart only if
/// they still are when it is done.
#[derive(Debug)]
struct Leaving {
    people: HashSet<LegId>,
    apart: Vec<[LegId; 2]>,
}

/// A `Local` channel: what is dialled by one half is dialled for whoever dialled the other.
#[derive(Debug, Default)]
struct Local {
    dialler: Option<LegId>,
    /// The dialplan has announced the half that it runs on, as a call of its own.
    announced: bool,
}

impl Translate for AsteriskTranslator {
    type Event = AmiEvent;

    fn read(&mut self, event: &AmiEvent) -> Vec<PbxEvent> {
        let one = |found: Option<PbxEvent>| found.into_iter().collect();
        let name = event.get("Event");
        let Some(channels) = name.as_deref().and_then(channels) else { return Vec::new() };
        if !is_genuine(event, channels) {
            // Other programs' events may have any form.
            if event.get_all("UserEvent").any(|name| name.starts_with("Sidecall")) {
                tracing::warn!("an announcement is ignored: it has lines that Asterisk does not print");
            }
            return Vec::new();
        }
        match name.as_deref() {
            Some("UserEvent") => one(self.announced(event)),
            Some("DialBegin") => one(self.dialled(event)),
            Some("Newstate") => one(answered(event)),
            Some("BridgeEnter") => {
                let events = self.entered(event);
                self.hold_back(events)
            }
            Some("BridgeLeave") => {
                let events = self.left(event);
                self.hold_back(events)
            }
            Some("LocalOptimizationBegin") => {
                if let Some(common) = local(event) {
                    let people = self.topology.around(&common);
                    self.leaving.insert(common, Leaving { people, apart: Vec::new() });
                }
                Vec::new()
            }
            Some("LocalOptimizationEnd") => local(event).map(|common| self.optimized_away(&common)).unwrap_or_default(),
            Some("BridgeDestroy") => {
                let gone = event.get("BridgeUniqueid");
                let events = gone.map(|bridge| self.topology.destroy(&bridge)).unwrap_or_default();
                self.hold_back(events)
            }
            Some("Hangup") => self.hung_up(event),
            // Asterisk goes down or comes up: its channels are gone.
            Some("Shutdown" | "FullyBooted") => vec![PbxEvent::Gap { why: "Asterisk restarts" }],
            _ => Vec::new(),
        }
    }

    fn restart(&mut self, snapshot: &Snapshot) {
        self.topology = snapshot.topology.clone();
        self.locals.retain(|common, _| snapshot.locals.contains(common));
        self.leaving.clear();
    }

    fn is_announcement(event: &AmiEvent) -> bool {
        event.name() == "UserEvent"
    }
}

/// The prefixes of the channels that an event which we read is about.
fn channels(name: &str) -> Option<&'static [&'static str]> {
    match name {
        "UserEvent" | "Newstate" | "Hangup" | "BridgeEnter" | "BridgeLeave" => Some(&[""]),
        "DialBegin" => Some(&["Dest"]),
        "LocalOptimizationBegin" | "LocalOptimizationEnd" => Some(&["LocalOne"]),
        "BridgeDestroy" | "Shutdown" | "FullyBooted" => Some(&[]),
        _ => None,
    }
}

impl AsteriskTranslator {
    /// For a PBX whose phones are named so.
    pub(super) fn new(endpoints: Endpoints) -> AsteriskTranslator {
        AsteriskTranslator { endpoints, ..AsteriskTranslator::default() }
    }

    /// Whether it keeps nothing but how phones are named.
    pub(super) fn is_empty(&self) -> bool {
        let AsteriskTranslator { endpoints: _, topology, locals, leaving } = self;
        *topology == Topology::default() && locals.is_empty() && leaving.is_empty()
    }

    fn announced(&mut self, event: &AmiEvent) -> Option<PbxEvent> {
        if event.get("UserEvent").as_deref() == Some(ENROL) {
            return enrolment::read(event, &self.endpoints);
        }
        let found = announced(event)?;
        if matches!(found, PbxEvent::Announced(_))
            && let ChannelKind::Intermediate(common, _) = kind(&event.get("Channel")?)
        {
            self.locals.entry(common).or_default().announced = true;
        }
        Some(found)
    }

    fn dialled(&mut self, event: &AmiEvent) -> Option<PbxEvent> {
        let [channel, dest] = event.fields(["Channel", "DestChannel"]);
        let mut by = leg(event, "Uniqueid")?;
        if let ChannelKind::Intermediate(common, _) = kind(&channel?)
            && let Some(Local { dialler: Some(dialler), announced: false }) = self.locals.get(&common)
        {
            by = dialler.clone();
        }
        match kind(dest.as_deref()?) {
            ChannelKind::Real => {
                let device = dialled_device(event, &self.endpoints);
                Some(PbxEvent::Dialled { leg: leg(event, "DestUniqueid")?, by, device, trunk: trunk(event) })
            }
            ChannelKind::Intermediate(common, _) => {
                self.locals.entry(common).or_default().dialler = Some(by);
                None
            }
            ChannelKind::Nobody => None,
        }
    }

    fn entered(&mut self, event: &AmiEvent) -> Vec<PbxEvent> {
        let (Some(member), Some(bridge)) = (member(event, &self.endpoints), event.get("BridgeUniqueid")) else {
            return Vec::new();
        };
        // Parked, or waiting: whoever else is there can't be heard.
        if event.get("BridgeTechnology").as_deref() == Some(HOLDING) {
            return self.topology.hang_up(&member.leg);
        }
        self.topology.enter(&bridge, member, leg(event, "SwapUniqueid").as_ref())
    }

    fn left(&mut self, event: &AmiEvent) -> Vec<PbxEvent> {
        let (Some(leg), Some(bridge)) = (leg(event, "Uniqueid"), event.get("BridgeUniqueid")) else {
            return Vec::new();
        };
        self.topology.leave(&bridge, &leg)
    }

    fn hold_back(&mut self, mut events: Vec<PbxEvent>) -> Vec<PbxEvent> {
        for leaving in self.leaving.values_mut() {
            events.retain(|event| match event {
                PbxEvent::Unbridged { legs } if legs.iter().all(|leg| leaving.people.contains(leg)) => {
                    leaving.apart.push(legs.clone());
                    false
                }
                _ => true,
            });
        }
        events
    }

    fn optimized_away(&mut self, common: &str) -> Vec<PbxEvent> {
        let apart = self.leaving.remove(common).map(|leaving| leaving.apart).unwrap_or_default();
        let still = apart.into_iter().filter(|[a, b]| !self.topology.heard_by(a).contains(b));
        still.map(|legs| PbxEvent::Unbridged { legs }).collect()
    }

    fn hung_up(&mut self, event: &AmiEvent) -> Vec<PbxEvent> {
        let Some(leg) = leg(event, "Uniqueid") else { return Vec::new() };
        let mut events = self.topology.hang_up(&leg);
        if let Some(ChannelKind::Intermediate(common, _)) = event.get("Channel").map(|channel| kind(&channel)) {
            self.locals.remove(&common);
            events.extend(self.optimized_away(&common));
        }
        // `Cause-txt: Normal Clearing`
        let cause = event.get("Cause-txt").and_then(|text| cause(&text));
        events.push(PbxEvent::HungUp { leg, cause });
        events
    }
}

/// `LocalOneChannel: Local/1002@default-00000000;1`
fn local(event: &AmiEvent) -> Option<String> {
    match kind(&event.get("LocalOneChannel")?) {
        ChannelKind::Intermediate(common, _) => Some(common),
        ChannelKind::Real | ChannelKind::Nobody => None,
    }
}

/// The channel that an event, or an entry of a list, is about.
///
/// A caller's number is the one that the snippet has tagged it with, where that is shown (`Status`; events
/// show it only with `channelvars`). `CallerIDNum` is there for those who withhold it, too: it says nothing.
pub(super) fn member(event: &AmiEvent, endpoints: &Endpoints) -> Option<Member> {
    let channel = event.get("Channel").unwrap_or_default();
    let said = |name| variable(event, &["ChanVariable", "Variable"], name);
    let tenant = said("SIDECALL_TENANT");
    let caller = said("SIDECALL_SIDE").and_then(|_| said("SIDECALL_CALLING"));
    let device = phone(&channel, tenant.as_deref(), endpoints);
    let device = device.or_else(|| Device::read(&caller?, tenant.as_deref())).unwrap_or_default();
    Some(Member { leg: leg(event, "Uniqueid")?, kind: kind(&channel), device })
}

/// A channel's variable that has a value, as `channelvars` in manager.conf or the list's question shows
/// it: `ChanVariable: SIDECALL_SIDE=originating`, `Variable: SIDECALL_CALLED=1002`. One that isn't set is
/// `(null)` in the list (`generate_status` in `manager.c` prints a null pointer).
pub(super) fn variable(event: &AmiEvent, keys: &[&str], name: &str) -> Option<String> {
    let mut lines = keys.iter().flat_map(|key| event.get_all(key));
    let value = lines.find_map(|line| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned()));
    value.filter(|value| !value.is_empty() && value != "(null)")
}

/// The phone of a channel by its endpoint's name: `PJSIP/1001-00000019`, or as a rule reads `PJSIP/acme-1001-00000019`.
/// The rule knows whose it is, whatever else is said.
pub(super) fn phone(channel: &str, tenant: Option<&str>, endpoints: &Endpoints) -> Option<Device> {
    let name = channel.split_once('/')?.1.rsplit_once('-')?.0;
    match endpoints.read(name) {
        Some((number, own)) => Some(Device::Named { number, tenant: own.map(|own| own.as_str().to_owned()) }),
        None => Device::read(name, tenant),
    }
}

/// The phone that is dialled, or the number that a trunk is asked for.
///
/// `DialString` is what stands in `Dial(PJSIP/…)`: `1001`, `+12125550102@trunk`,
/// `trunk/sip:+12125550102@host`, `1001/sip:x@192.0.2.7`; and from `Queue` with the technology in front.
/// An endpoint that is no number may have one in its `callerid`; without, Asterisk shows the extension
/// that is being called, which says nothing about the phone.
fn dialled_device(event: &AmiEvent, endpoints: &Endpoints) -> Device {
    let [exten, dest, dialled, caller] = event.fields(["Exten", "DestChannel", "DialString", "DestCallerIDNum"]);
    let (Some(dest), dialled) = (dest, dialled.unwrap_or_default()) else { return Device::Unnamed };
    let technology = dest.split_once('/').map_or("", |(technology, _)| technology);
    let dialled = dialled.strip_prefix(technology).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&dialled);
    let (resource, uri) = dialled.split_once('/').unwrap_or((dialled, ""));
    let tenant = variable(event, &["DestChanVariable"], "SIDECALL_TENANT");
    let read = |number: &str| Device::read(number, tenant.as_deref());
    if let Some((number, _trunk)) = resource.split_once('@').filter(|_| uri.is_empty()) {
        return Device::read(number, None).unwrap_or(Device::Unreadable);
    }
    let user = uri.trim_start_matches("sips:").trim_start_matches("sip:").split('@').next().unwrap_or_default();
    let own = caller.filter(|caller| Some(caller) != exten.as_ref());
    phone(&dest, tenant.as_deref(), endpoints).or_else(|| read(user)).or_else(|| read(&own?)).unwrap_or_default()
}

/// `NUMBER@TRUNK`, as `Dial` is told it: a phone is called by its name alone.
fn trunk(event: &AmiEvent) -> Option<TrunkName> {
    event.get("DialString")?.split_once('@').filter(|(_, trunk)| !trunk.contains('/'))?.1.parse().ok()
}

pub(super) fn leg(event: &AmiEvent, key: &str) -> Option<LegId> {
    event.get(key)?.parse().ok()
}

fn announced(event: &AmiEvent) -> Option<PbxEvent> {
    let text = |key| event.get(key).map(Cow::into_owned);
    let tags = CallTags {
        side: side(&text("Side")?)?,
        calling: raw_number(&text("Calling").unwrap_or_default()),
        withheld: text("Withheld").as_deref() == Some("yes"),
        called: raw_number(&text("Called").unwrap_or_default()),
        received: text("Received").filter(|r| !r.is_empty()),
        tenant: text("Tenant").and_then(|name| tenant(&name)),
        refused: text("Refused").as_deref() == Some("yes"),
        call: None,
    };
    match event.get("UserEvent").as_deref() {
        Some("SidecallAttended") => {
            return Some(PbxEvent::MainNumber {
                leg: leg(event, "Uniqueid")?,
                tags: Box::new(tags),
                agent: text("Agent")?,
            });
        }
        Some("SidecallSetup") if !tags.called.is_empty() => {}
        _ => return None,
    }
    Some(PbxEvent::Announced(Box::new(Announcement {
        leg: leg(event, "Uniqueid")?,
        tags,
        agent: text("Agent")?,
        hold: hold(&text("Hold")?)?,
        sent: text("Sent").and_then(|s| micros(&s)),
        release: Release::Redirect {
            channel: text("Channel")?,
            context: text("Context")?,
            exten: text("Exten")?,
            joined: text("Answer").as_deref() == Some("1"),
        },
    })))
}

/// `1795345005.160012`: seconds with up to six digits behind the point, in microseconds.
pub(super) fn micros(text: &str) -> Option<i64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = format!("{:0<6.6}", fraction).parse::<i64>().ok()?;
    seconds.parse::<i64>().ok()?.checked_mul(1_000_000)?.checked_add(fraction)
}

fn answered(event: &AmiEvent) -> Option<PbxEvent> {
    (event.get("ChannelState")? == UP).then_some(PbxEvent::Answered { leg: leg(event, "Uniqueid")? })
}

#[cfg(test)]
#[path = "translator_tests.rs"]
mod tests;
