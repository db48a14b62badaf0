//! The telephone network between two organisations: a third real Asterisk, without a snippet, that calls
//! on with what it knows, and so drops every header that it doesn't.

use std::net::SocketAddr;

use crate::pbx::asterisk::{self, Plans};
use crate::pbx::conf;
use crate::pbx::endpoints::{phone, transport, trunk};
use crate::{PSTN, Pbx, PbxConfig, Phone, Result};

/// Mobiles that may register with it.
const MOBILES: [&str; 3] = ["+19175550100", "+19175550101", "+19175550102"];

/// What it does with the caller's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerId {
    /// `+12125551000` stays so.
    AsIs,
    /// `2125551000`.
    National,
    /// `anonymous`, with `Privacy: id`.
    Withheld,
}

/// The running network.
#[derive(Debug)]
pub struct Pstn {
    asterisk: Pbx,
}

impl Pstn {
    /// Starts it at `port` with an organisation on either side.
    pub fn start(port: u16, a: SocketAddr, b: SocketAddr) -> Result<Pstn> {
        let sip = SocketAddr::new(PSTN, port);
        let mut pjsip = transport(sip) + &trunk("a", a, "network", &[a.ip()]) + &trunk("b", b, "network", &[b.ip()]);
        pjsip.extend(MOBILES.iter().map(|number| phone(number, "network")));
        let dialplan = conf::project_file("lab/dialplan/pstn.conf")?;
        let plans = Plans { pjsip, queues: String::new(), dialplan };
        let config = PbxConfig { snippets: false, ..PbxConfig::default() };
        Ok(Pstn { asterisk: asterisk::launch(config, sip, &plans)? })
    }

    /// Where it is reached.
    pub fn sip(&self) -> SocketAddr {
        self.asterisk.sip()
    }

    /// Rewrites callers' numbers from now on.
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

    /// What it has logged.
    pub fn log(&self) -> String {
        self.asterisk.log()
    }
}
