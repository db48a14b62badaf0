//! What happens on a PBX, in our words.

use std::time::Duration;

use crate::core::address::Address;
use crate::core::base::name::{CallId, LegId, TrunkName};
use crate::core::enrolment::dial_code::DialCode;
use crate::core::numbering::number::Number;
use crate::core::routing::route::{Reason, Route, Side};

/// The phone behind a leg, as the PBX names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Device {
    /// It names none: a trunk, a contact, a caller who is withheld.
    #[default]
    Unnamed,
    /// It names one, by what looks like no number.
    Unreadable,
    /// It names one by what looks like a number.
    Named {
        /// Still raw text.
        number: String,
        /// Whose extension it is, where the PBX says that: a name or a domain.
        tenant: Option<String>,
    },
}

/// Something happened.
#[derive(Debug, Clone, PartialEq)]
pub enum PbxEvent {
    /// The dialplan announces a call and holds it.
    Announced(Box<Announcement>),
    /// A call has come to a main number. It isn't held, and nobody is asked: whom it is for isn't known.
    MainNumber {
        /// The caller's leg.
        leg: LegId,
        /// What the dialplan says about it; no called number.
        tags: Box<CallTags>,
        /// The agent that the dialplan speaks to.
        agent: String,
    },
    /// A phone has dialled the code of a page that waits to be enrolled, and is held.
    EnrolmentDialled(Box<EnrolmentCall>),
    /// A leg was made on behalf of another.
    Dialled {
        /// The new leg.
        leg: LegId,
        /// The leg that it was made for.
        by: LegId,
        /// The phone that it rings.
        device: Device,
        /// The trunk that it goes over, if the PBX names one.
        trunk: Option<TrunkName>,
    },
    /// A leg is another phone than before.
    Identified {
        /// Which one.
        leg: LegId,
        /// The phone.
        device: Device,
    },
    /// A leg answered.
    Answered {
        /// Which one.
        leg: LegId,
    },
    /// Two legs hear each other.
    Bridged {
        /// In either order.
        legs: [LegId; 2],
        /// The phones behind them: for a leg that nobody announced or dialled.
        devices: [Device; 2],
    },
    /// Two legs no longer hear each other.
    Unbridged {
        /// In either order.
        legs: [LegId; 2],
    },
    /// A leg is gone.
    HungUp {
        /// Which one.
        leg: LegId,
        /// The cause in the PBX's words, cut to harmless characters.
        cause: Option<String>,
    },
    /// Events are missing: a snapshot is needed.
    Gap {
        /// How it was noticed.
        why: &'static str,
    },
}

/// A call that waits for our answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// The leg that is held.
    pub leg: LegId,
    /// What the dialplan says about the call.
    pub tags: CallTags,
    /// The agent that the dialplan speaks to.
    pub agent: String,
    /// The longest that the dialplan waits, from the moment of the announcement.
    pub hold: Duration,
    /// When the PBX announced it, in microseconds since the epoch of its own clock.
    pub sent: Option<i64>,
    /// How the hold is ended.
    pub release: Release,
}

/// A phone that has dialled the code of a page, and waits to be told whether it was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentCall {
    /// The leg that is held.
    pub leg: LegId,
    /// The agent that the dialplan speaks to.
    pub agent: String,
    /// The phone, as the PBX knows it by itself: never by what a caller says.
    pub device: Device,
    /// What it has dialled behind the feature code.
    pub digits: DialCode,
    /// The longest that the dialplan waits, from the moment of the announcement.
    pub hold: Duration,
    /// When the PBX announced it, in microseconds since the epoch of its own clock.
    pub sent: Option<i64>,
    /// How the hold is ended.
    pub release: Release,
}

/// What the dialplan wrote in the variables of the announced channel. The numbers are still raw text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallTags {
    /// Which end of the call the PBX is.
    pub side: Side,
    /// The calling number as the PBX writes it.
    pub calling: String,
    /// The caller, a phone of this PBX, withholds it.
    pub withheld: bool,
    /// The called number as the PBX writes it; empty while an attendant has the call.
    pub called: String,
    /// The header that a trusted trunk brought, as it came.
    pub received: Option<String>,
    /// Whose extensions these are, where the PBX has tenants: a name or a domain, as the dialplan has it.
    pub tenant: Option<String>,
    /// An address came from where none is believed, and was dropped.
    pub refused: bool,
    /// The call's id, if the call was decided before.
    pub call: Option<CallId>,
}

/// How a held call is let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// FreeSWITCH: `uuid_break` on the announced leg.
    Break,
    /// Asterisk: `Redirect` to the label behind the wait.
    Redirect {
        /// The channel's name.
        channel: String,
        /// Where it waits.
        context: String,
        /// Where it waits.
        exten: String,
        /// Whether the dialplan takes the answer in one variable. That of an earlier version takes several.
        joined: bool,
    },
}

/// What the dialplan is told.
#[derive(Debug, Clone, PartialEq)]
pub struct DialplanAnswer {
    /// The call's id, if the node gave one.
    pub call: Option<CallId>,
    /// Where it goes.
    pub route: Route,
    /// Through which trunk.
    pub trunk: Option<TrunkName>,
    /// The address to carry.
    pub address: Option<Address>,
    /// Its numbers, as the dialplan may need them.
    pub dial_strings: DialStrings,
    /// Why.
    pub reason: Reason,
}

/// How the numbers of a call are written elsewhere than where it was announced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DialStrings {
    /// The number by which the outside knows the caller, if the PBX shows an extension.
    pub caller: Option<Number>,
    /// The called number.
    pub called: Option<Number>,
    /// The extension that the called number is here: its context may announce the call once more.
    pub extension: Option<String>,
}

impl DialplanAnswer {
    /// The variables that the dialplan reads, in FreeSWITCH's spelling; Asterisk's is the same in
    /// capitals. No value has a character that either PBX would read (see [`Address`]).
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("sidecall_route", self.route.as_str().to_owned()),
            ("sidecall_reason", self.reason.as_str().to_owned()),
        ];
        if let Some(call) = &self.call {
            variables.push(("sidecall_call", call.to_string()));
        }
        if let Some(trunk) = &self.trunk {
            variables.push(("sidecall_trunk", trunk.to_string()));
        }
        let DialStrings { caller, called, extension } = &self.dial_strings;
        // Digits behind a `+`: what was dialled, as other domains write it.
        if let Some(number @ Number::E164(_)) = called {
            variables.push(("sidecall_number", number.to_string()));
        }
        if let Some(caller @ Number::E164(_)) = caller {
            variables.push(("sidecall_caller", caller.to_string()));
        }
        if let Some(extension) = extension {
            variables.push(("sidecall_extension", extension.clone()));
        }
        if let Some(address) = &self.address {
            variables.push(("sidecall_uui", crate::core::address::uui::encode(address)));
            variables.push(("sidecall_uri", address.to_string()));
        }
        variables
    }
}

/// The variable that tells the dialplan whether a page was enrolled, in FreeSWITCH's spelling.
pub(super) fn enrolled_variable(enrolled: bool) -> (&'static str, &'static str) {
    ("sidecall_enrolled", if enrolled { "yes" } else { "no" })
}

/// A hang-up cause as it may stand in JSON, a page and a log: letters, digits and underscores.
pub(super) fn cause(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| c.is_ascii_alphanumeric() || " _-".contains(*c)).take(64).collect();
    Some(text).filter(|t| !t.is_empty())
}

impl Device {
    /// What the PBX calls a phone, if that looks like a number: `1001`, `+12125550100`.
    pub(super) fn read(name: &str, tenant: Option<&str>) -> Option<Device> {
        let digits = name.strip_prefix('+').unwrap_or(name);
        let number = !digits.is_empty() && digits.len() <= 20 && digits.bytes().all(|b| b.is_ascii_digit());
        let tenant = tenant.and_then(self::tenant);
        number.then(|| Device::Named { number: name.to_owned(), tenant })
    }

    /// The raw text that looks like a number.
    pub fn number(&self) -> Option<&str> {
        match self {
            Device::Named { number, .. } => Some(number),
            Device::Unnamed | Device::Unreadable => None,
        }
    }
}

/// The side, as the dialplan writes it.
pub(super) fn side(text: &str) -> Option<Side> {
    match text {
        "originating" => Some(Side::Originating),
        "terminating" => Some(Side::Terminating),
        _ => None,
    }
}

/// The longest hold that is believed.
const HOLD_MAX: Duration = Duration::from_secs(10);

/// The hold as the dialplan announces it, in milliseconds.
pub(super) fn hold(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis).map(|hold| hold.min(HOLD_MAX))
}

/// The tenant as the dialplan calls it, no longer than any domain is.
pub(super) fn tenant(text: &str) -> Option<String> {
    Some(text.chars().take(253).collect()).filter(|name: &String| !name.is_empty())
}

/// A raw number, no longer than any number is.
pub(super) fn raw_number(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
impl CallTags {
    /// Those of an originating call, and nothing else.
    pub(crate) fn originating(calling: &str, called: &str) -> CallTags {
        CallTags {
            side: Side::Originating,
            calling: calling.to_owned(),
            withheld: false,
            called: called.to_owned(),
            received: None,
            tenant: None,
            refused: false,
            call: None,
        }
    }
}

#[cfg(test)]
impl Device {
    pub(crate) fn named(number: &str) -> Device {
        Device::Named { number: number.to_owned(), tenant: None }
    }
}

#[cfg(test)]
impl PbxEvent {
    /// Two legs of which no phone is known.
    pub(crate) fn bridged(legs: [LegId; 2]) -> PbxEvent {
        PbxEvent::Bridged { legs, devices: [Device::Unnamed, Device::Unnamed] }
    }
}
