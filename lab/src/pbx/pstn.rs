//! The telephone network between two organisations: a third real Asterisk, without a snippet, that calls
//! on with what it knows, and so drops every header that it doesn't.

use std::net::SocketAddr;

use crate::pbx::asterisk;
use crate::pbx::conf;
use crate::pbx::endpoints::{phone, transport, trunk};
use crate::{Changes, PSTN, Pbx, PbxConfig, Phone, Result};

/// Mobiles that may register with it.
const MOBILES: [&str; 3] = ["+19175550100", "+19175550101", "+19175550102"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerId {
    /// `+12125551000` stays so.
    AsIs,
    /// `2125551000`.
    National,
    /// `anonymous`, with `Privacy: id`.
    Withheld,
}

#[derive(Debug)]
pub struct Pstn {
    asterisk: Pbx,
}

impl Pstn {
    /// Starts it at `port` with an organisation on either side.
    pub fn start(port: u16, a: SocketAddr, b: SocketAddr) -> Result<Pstn> {
        let sip = SocketAddr::new(PSTN, port);
        let trunks = trunk(transport(Changes::default(), sip), "a", a, "network", &[a.ip()]);
        let trunks = trunk(trunks, "b", b, "network", &[b.ip()]);
        let changes = MOBILES.iter().fold(trunks, |changes, number| phone(changes, number, "network"));
        let changes = changes.add("extensions.conf", conf::project_file("lab/dialplan/pstn.conf")?);
        Ok(Pstn { asterisk: asterisk::launch(PbxConfig::bare(), sip, &changes)? })
    }

    pub fn sip(&self) -> SocketAddr {
        self.asterisk.sip()
    }

    pub fn caller_id(&self, shown: CallerId) {
        let value = match shown {
            CallerId::AsIs => "as-is",
            CallerId::National => "national",
            CallerId::Withheld => "withheld",
        };
        self.asterisk.console(&format!("dialplan set global CALLER {value}"));
    }

    /// Whether it hands on `Call-Info` from now on. It never does anything else that it doesn't know.
    pub(crate) fn carries_call_info(&self, does: bool) {
        self.asterisk.console(&format!("dialplan set global CARRIES {}", if does { "call-info" } else { "nothing" }));
    }

    /// A mobile: `+19175550100` and the two behind it.
    pub fn mobile(&self, n: usize) -> Result<Phone> {
        Phone::register(self.sip(), MOBILES[n])
    }

    pub fn log(&self) -> String {
        self.asterisk.log()
    }
}
