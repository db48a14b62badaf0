//! The scenarios on one PBX with one node, and the people in them.

use crate::{PHONES, PSTN};

/// Somebody with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    pub name: &'static str,
    /// What is dialled, and what the PBX shows.
    pub dialled: &'static str,
    /// Her phone is on the PBX.
    pub here: bool,
    /// Our node serves her number.
    pub served: bool,
    /// The form of her multimedia client.
    pub client: Option<Form>,
}

/// The three forms of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `sidecall client` in a terminal.
    Hosted,
    /// The softphone itself.
    Sip,
    /// A signed POST.
    Webhook,
}

/// Extension 1000, with a client in a terminal.
pub const ALICE: Person =
    Person { name: "Alice", dialled: "1000", here: true, served: true, client: Some(Form::Hosted) };
/// Extension 1001, whose softphone is her client.
pub const BOB: Person = Person { name: "Bob", dialled: "1001", here: true, served: true, client: Some(Form::Sip) };
/// Extension 1002, without a client.
pub const CAROL: Person = Person { name: "Carol", dialled: "1002", here: true, served: true, client: None };
/// A mobile of our organisation, whose client is a webhook.
pub const DAVE: Person =
    Person { name: "Dave", dialled: "+12125550102", here: false, served: true, client: Some(Form::Webhook) };
/// A mobile of our organisation, without a client.
pub const ERIN: Person = Person { name: "Erin", dialled: "+12125550104", here: false, served: true, client: None };
/// Somebody of another organisation.
pub const FRANK: Person = Person { name: "Frank", dialled: "+12125550100", here: false, served: false, client: None };

pub(crate) const EVERYBODY: [Person; 6] = [ALICE, BOB, CAROL, DAVE, ERIN, FRANK];

impl Person {
    /// Her number in full, on a PBX whose extensions are valid in `domain`.
    pub fn number(&self, domain: &str) -> String {
        match self.dialled.starts_with('+') {
            true => self.dialled.to_owned(),
            false => format!("{};phone-context={domain}", self.dialled),
        }
    }
}

/// One call and what must become of it.
#[derive(Debug, Clone, Copy)]
pub struct CallScenario {
    pub behaviour: &'static str,
    /// One line for a person.
    pub title: &'static str,
    pub caller: Person,
    pub called: Person,
    /// The call comes in over the PSTN trunk; else from a phone.
    pub from_pstn: bool,
    /// The route that it must take.
    pub route: &'static str,
    pub reason: &'static str,
    /// Where it must arrive.
    pub arrives: Arrives,
    /// Both clients must get each other's address.
    pub paired: bool,
}

/// Where a call arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrives {
    /// At the far end of the packet trunk, with the address in its signalling.
    Packet,
    /// At the far end of the PSTN trunk.
    Pstn,
    /// At a phone of the PBX.
    Phone,
}

impl CallScenario {
    /// One line for a person.
    pub const fn titled(self, title: &'static str) -> CallScenario {
        CallScenario { title, ..self }
    }

    const fn paired(self) -> CallScenario {
        CallScenario { paired: true, ..self }
    }

    /// Where the caller's SIP comes from.
    pub fn origin(&self) -> std::net::IpAddr {
        if self.from_pstn { PSTN } else { PHONES }
    }
}

/// All scenarios, in the order of the behaviours.
pub const CALL_SCENARIOS: [CallScenario; 9] = [
    call("B1", [ALICE, FRANK], ("packet", "called-not-served"), Arrives::Packet).titled(
        "The caller has a client, the called number is somebody else's: packet trunk, and the address travels along",
    ),
    call("B2", [CAROL, FRANK], ("pstn", "caller-has-no-client"), Arrives::Pstn)
        .titled("The caller has no client: an ordinary call, and nothing is added to it"),
    call("B2", [CAROL, DAVE], ("pstn", "caller-has-no-client"), Arrives::Pstn)
        .titled("The caller has no client, the called mobile has: an ordinary call, and that client is told nothing"),
    call("B2", [CAROL, BOB], ("pstn", "caller-has-no-client"), Arrives::Phone).titled(
        "The caller has no client, the called phone here has: an ordinary call, and that client is told nothing",
    ),
    call("B3", [ALICE, DAVE], ("packet", "called-has-client"), Arrives::Packet)
        .titled("Both have clients, the called phone is elsewhere: packet trunk, both get each other's address")
        .paired(),
    call("B3", [ALICE, BOB], ("local", "called-has-client"), Arrives::Phone)
        .titled("Both have clients, the called phone is on this PBX: local, both get each other's address")
        .paired(),
    call("B4", [ALICE, ERIN], ("pstn", "called-has-no-client"), Arrives::Pstn)
        .titled("The called number is ours and has no client, its phone is elsewhere: the PSTN"),
    call("B4", [ALICE, CAROL], ("local", "called-has-no-client"), Arrives::Phone)
        .titled("The called number is ours and has no client, its phone is on this PBX: local"),
    CallScenario { from_pstn: true, ..call("B10", [DAVE, BOB], ("local", "called-has-client"), Arrives::Phone) }
        .titled("The call comes from the PSTN, nothing was done at its origin: our node knows both numbers")
        .paired(),
];

/// A call from a phone, after which nobody is paired. Its title is to be added.
pub const fn call(
    behaviour: &'static str,
    [caller, called]: [Person; 2],
    (route, reason): (&'static str, &'static str),
    arrives: Arrives,
) -> CallScenario {
    CallScenario { behaviour, title: "", caller, called, from_pstn: false, route, reason, arrives, paired: false }
}
