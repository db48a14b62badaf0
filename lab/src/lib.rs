//! The lab: real PBXs, phones and trunks in private instances, on loopback, gone when dropped.
//!
//! Shared by the tests, the examples and the benches. Most of it blocks: call it outside a runtime. Only [`scripted`] PBXs,
//! which are real in nothing but what they say, live in one.
//! Nothing of a real installation is written to.
//!
//! Who has which address: `PHONES`, [`PACKET`] and [`PSTN`] are three loopback addresses, which is
//! how a PBX tells a phone from a trunk; scriptable phones have a fourth, [`HANDSETS`]. PBXs of two
//! organisations ([`Domains`]) have one each.
//!
//! Numbers to call on a PBX of the lab: 1000 to 1009 ([`Plan`]; 1008 forwards to 1002), 2000 (ring group of
//! 1001 and 1002), 3000 (queue, the same agents), 4000 (conference), 5000 (menu; the main number from
//! outside), 700 (parks; 701 takes back), `*8` (group pick-up), `*81001` (Asterisk) or `**1001` (FreeSWITCH)
//! (directed pick-up), and everything longer (PSTN). From outside the group is `+12125551200`, the queue 300, the
//! conference 400. The dialplans are in `lab/dialplan/`, the rest of the configuration in `lab/pbx/`.

pub mod net;
pub mod pbx;
mod process;
pub mod scenario;
pub mod scripted;
pub mod sidecall;
pub mod sip;

pub use net::capture::{Capture, Datagram, Packet, Packets};
pub use net::coturn::Coturn;
pub use net::knot::Knot;
pub use net::postgres::Postgres;
pub use net::proxy::ChaosProxy;
pub use pbx::carrier::Carrier;
pub use pbx::cdr::Cdr;
pub use pbx::conf::Changes;
pub use pbx::installed::Installed;
pub use pbx::plan::{Inner, Plan};
pub use pbx::pstn::{CallerId, Pstn};
pub use pbx::{Kind, Pbx, PbxConfig};
pub use process::{Child, arrives, never, quiet, wait_until};
pub use scenario::domains::{Domain, Domains};
pub use sidecall::browser::Browser;
pub use sidecall::clients::{Client, Hosted, Webhook};
pub use sidecall::surroundings::Surroundings;
pub use sidecall::{Https, Sidecall, SidecallConfig};
pub use sip::baresip::Baresip;
pub use sip::calls::{CallReport, Calls};
pub use sip::message::SipMessage;
pub use sip::phone::{Call, HANDSETS, Habit, Phone};

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

pub(crate) const PHONES: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
/// Where the far end of the packet trunk lives: a trusted trunk.
pub const PACKET: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 12));
/// Where the far end of the PSTN trunk lives: a trunk that is not trusted.
pub const PSTN: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 13));

/// What may go wrong while a laboratory is set up.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The software isn't on this machine. The text says what was looked for: print it and skip.
    #[error("not here: {0}")]
    Missing(String),
    #[error("{what} within {seconds} s; log: {log}")]
    Late {
        what: String,
        seconds: u64,
        /// The last lines of the log, or its path.
        log: String,
    },
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
}

impl LabError {
    /// True if a test should be skipped, since what it needs isn't installed.
    pub fn is_missing(&self) -> bool {
        matches!(self, LabError::Missing(_))
    }

    pub(crate) fn late(what: impl Into<String>, limit: Duration, log: String) -> LabError {
        LabError::Late { what: what.into(), seconds: limit.as_secs(), log }
    }

    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> LabError {
        let what = what.into();
        move |source| LabError::Io { what, source }
    }
}

pub type Result<T> = std::result::Result<T, LabError>;

pub use sidecall_lab_marks::{had_freeswitch, needs_freeswitch};

/// What a test was set up with. Where there is no Asterisk, one line says that the test was skipped; in CI that is
/// a failure.
pub fn or_skip<T>(kind: Kind, set_up: Result<T>) -> Option<T> {
    match set_up {
        Ok(ready) => Some(ready),
        Err(error) if error.is_missing() && kind == Kind::Asterisk && !in_ci() => {
            eprintln!("skipped: {kind}: {error}");
            None
        }
        Err(error) if error.is_missing() => panic!("this test needs {kind}, which is {error}"),
        Err(error) => panic!("{kind}: {error}"),
    }
}

/// A server that a test needs. Where it isn't installed, one line says that the test was skipped; in CI that is a failure.
pub(crate) fn server_or_skip<T>(name: &str, started: Result<T>) -> Option<T> {
    match started {
        Ok(server) => Some(server),
        Err(error) if error.is_missing() && !in_ci() => {
            eprintln!("skipped: {name}: {error}");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

/// In CI everything but a FreeSWITCH must be here.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// Tests named after functions of the file that take a [`Kind`]: one on each PBX, in a module of its name.
#[macro_export]
macro_rules! on_both_pbxs {
    ($($name:ident,)*) => {
        mod asterisk {
            $(#[test] fn $name() { super::$name($crate::Kind::Asterisk); })*
        }
        mod freeswitch {
            $(#[$crate::needs_freeswitch] #[test] fn $name() { super::$name($crate::Kind::FreeSwitch); })*
        }
    };
}
