//! One door to both PBXs.

pub mod asterisk;
pub mod carrier;
pub mod cdr;
pub mod conf;
pub mod endpoints;
pub mod freeswitch;
pub mod installed;
pub mod machine;
pub mod plan;
pub mod pstn;
pub mod tenants;
mod vanilla;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::net::ports;
use crate::pbx::asterisk::Asterisk;
use crate::pbx::conf::Changes;
use crate::pbx::freeswitch::FreeSwitch;
use crate::pbx::plan::{Inner, Plan};
use crate::pbx::tenants::Tenant;
use crate::{PACKET, PSTN, Result};

/// Which PBX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Asterisk 22.
    Asterisk,
    /// FreeSWITCH 1.10.
    FreeSwitch,
}

impl Kind {
    /// Looks whether it is on this machine.
    pub fn find(self) -> Result<()> {
        match self {
            Kind::Asterisk => asterisk::Installation::find().map(drop),
            Kind::FreeSwitch => freeswitch::Installation::find().map(drop),
        }
    }

    /// As configurations and lines of JSON name it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Asterisk => "asterisk",
            Kind::FreeSwitch => "freeswitch",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Asterisk => "Asterisk",
            Kind::FreeSwitch => "FreeSWITCH",
        })
    }
}

/// How a PBX of the lab is set up.
#[derive(Debug, Clone)]
pub struct PbxConfig {
    /// The far end of the packet trunk; its network is the trusted one.
    pub packet: SocketAddr,
    /// The far end of the PSTN trunk: where the dialplan sends numbers of five digits and more.
    pub pstn: SocketAddr,
    /// The project's snippets are installed.
    pub snippets: bool,
    /// The hold in ms.
    pub hold_ms: u32,
    /// FreeSWITCH only: `direct` mode, connecting to this agent for each call.
    pub direct: Option<SocketAddr>,
    /// Packet trunks that get the address as Call-Info too. With one, FreeSWITCH reads that header as well.
    pub call_info: &'static str,
    /// Asterisk only: the manager speaks TLS as well (see [`Pbx::event_tls`]).
    pub tls: bool,
    /// Where it lives: its SIP and its sound. The event socket stays on 127.0.0.1.
    pub ip: Ipv4Addr,
    /// Where trunks find it, if that has to be known before it starts.
    pub trunk_port: Option<u16>,
    /// Its numbers.
    pub plan: Plan,
    /// A PBX behind it.
    pub inner: Option<Inner>,
    /// Tenants, each with ten phones of the same extensions, besides those that are nobody's.
    pub tenants: &'static [Tenant],
    /// Asterisk only: `##` and `*2` transfer while a call is up.
    pub feature_codes: bool,
    /// What a test changes in its configuration.
    pub changes: Changes,
}

impl Default for PbxConfig {
    fn default() -> PbxConfig {
        PbxConfig {
            packet: SocketAddr::new(PACKET, ports::free()),
            pstn: SocketAddr::new(PSTN, ports::free()),
            snippets: true,
            hold_ms: 500,
            direct: None,
            call_info: "",
            tls: false,
            ip: Ipv4Addr::LOCALHOST,
            trunk_port: None,
            plan: Plan::default(),
            inner: None,
            tenants: &[],
            feature_codes: false,
            changes: Changes::default(),
        }
    }
}

impl PbxConfig {
    /// For what is decided, and not for how fast: calls wait longer for the agent, which may be starved here.
    pub fn patient() -> PbxConfig {
        PbxConfig { hold_ms: 2_000, ..PbxConfig::default() }
    }

    /// The same in `direct` mode, with a port of its own for the agent to listen on.
    pub fn direct(config: PbxConfig) -> PbxConfig {
        PbxConfig { direct: Some(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), ports::free())), ..config }
    }
}

/// A running PBX. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub enum Pbx {
    /// An Asterisk.
    Asterisk(Box<Asterisk>),
    /// A FreeSWITCH.
    FreeSwitch(Box<FreeSwitch>),
}

impl Pbx {
    /// Starts one with the project's snippets and everything else at its default.
    pub fn start(kind: Kind) -> Result<Pbx> {
        Pbx::start_with(kind, PbxConfig::default())
    }

    /// Starts one. Returns when it takes calls and its event socket answers.
    pub fn start_with(kind: Kind, config: PbxConfig) -> Result<Pbx> {
        Ok(match kind {
            Kind::Asterisk => Pbx::Asterisk(Box::new(Asterisk::start(config)?)),
            Kind::FreeSwitch => Pbx::FreeSwitch(Box::new(FreeSwitch::start(config)?)),
        })
    }

    /// Which one it is.
    pub fn kind(&self) -> Kind {
        match self {
            Pbx::Asterisk(_) => Kind::Asterisk,
            Pbx::FreeSwitch(_) => Kind::FreeSwitch,
        }
    }

    /// What it was started with: the addresses of the trunks' far ends are here.
    pub fn config(&self) -> &PbxConfig {
        match self {
            Pbx::Asterisk(pbx) => &pbx.config,
            Pbx::FreeSwitch(pbx) => &pbx.config,
        }
    }

    /// Where phones send their SIP to.
    pub fn sip(&self) -> SocketAddr {
        match self {
            Pbx::Asterisk(pbx) => pbx.sip,
            Pbx::FreeSwitch(pbx) => pbx.sip,
        }
    }

    /// Where trunks send their SIP to.
    pub fn trunk_sip(&self) -> SocketAddr {
        match self {
            Pbx::Asterisk(pbx) => pbx.sip,
            Pbx::FreeSwitch(pbx) => pbx.trunk_sip,
        }
    }

    /// The event socket or manager interface.
    pub fn event_addr(&self) -> SocketAddr {
        match self {
            Pbx::Asterisk(pbx) => pbx.ami,
            Pbx::FreeSwitch(pbx) => pbx.esl,
        }
    }

    /// The manager interface over TLS and the certificate that it shows (PEM), if it was asked for.
    pub fn event_tls(&self) -> Option<(SocketAddr, PathBuf)> {
        match self {
            Pbx::Asterisk(pbx) => pbx.tls.clone(),
            Pbx::FreeSwitch(_) => None,
        }
    }

    /// The manager's user. FreeSWITCH has none.
    pub fn event_user(&self) -> Option<&str> {
        match self {
            Pbx::Asterisk(_) => Some(asterisk::USER),
            Pbx::FreeSwitch(_) => None,
        }
    }

    /// The secret of the event socket.
    pub fn event_secret(&self) -> &str {
        match self {
            Pbx::Asterisk(_) => asterisk::SECRET,
            Pbx::FreeSwitch(_) => freeswitch::PASSWORD,
        }
    }

    /// Its private folder: configuration and logs.
    pub fn dir(&self) -> &Path {
        match self {
            Pbx::Asterisk(pbx) => pbx.dir(),
            Pbx::FreeSwitch(pbx) => pbx.dir(),
        }
    }

    /// The pid.
    pub fn pid(&self) -> u32 {
        match self {
            Pbx::Asterisk(pbx) => pbx.child.pid(),
            Pbx::FreeSwitch(pbx) => pbx.child.pid(),
        }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        match self {
            Pbx::Asterisk(pbx) => pbx.child.log(),
            Pbx::FreeSwitch(pbx) => pbx.log(),
        }
    }

    /// FreeSWITCH: how many calls it has announced so far in `direct` mode and in `hold` mode, as its own log has it.
    pub fn announced(&self) -> (usize, usize) {
        let log = self.log();
        let count = |application| log.lines().filter(|l| l.contains("EXECUTE [") && l.contains(application)).count();
        (count(" socket("), count(" event(Event-Name=CUSTOM,Event-Subclass=sidecall::setup"))
    }

    /// Kills it; [`Pbx::restart`] brings it back.
    pub fn kill(&mut self) {
        match self {
            Pbx::Asterisk(pbx) => pbx.child.kill(),
            Pbx::FreeSwitch(pbx) => pbx.child.kill(),
        }
    }

    /// Ends it, if it runs, and starts it again with the same configuration and ports.
    pub fn restart(&mut self) -> Result<()> {
        match self {
            Pbx::Asterisk(pbx) => pbx.restart(),
            Pbx::FreeSwitch(pbx) => pbx.restart(),
        }
    }

    /// Stops it for `pause` (SIGSTOP, SIGCONT): it hangs, its sockets stay open.
    pub fn stop_cont(&mut self, pause: std::time::Duration) {
        let child = match self {
            Pbx::Asterisk(pbx) => &mut pbx.child,
            Pbx::FreeSwitch(pbx) => &mut pbx.child,
        };
        child.stop();
        std::thread::sleep(pause);
        child.cont();
    }

    /// Runs one command of its console (`core show channels`, `show calls`) and returns the output.
    pub fn console(&self, command: &str) -> String {
        match self {
            Pbx::Asterisk(pbx) => pbx.console(command),
            Pbx::FreeSwitch(pbx) => pbx.console(command),
        }
    }

    /// Sets (or, with an empty value, removes) the global variable that says that an agent is attached.
    pub fn attach(&self, agent: &str) {
        self.set("sidecall_agent", agent);
    }

    /// Sets what an administrator edits at the top of the snippet, by FreeSWITCH's name.
    pub fn set(&self, name: &str, value: &str) {
        let _ = match self {
            Pbx::Asterisk(pbx) => pbx.console(&format!("dialplan set global {} \"{value}\"", name.to_uppercase())),
            Pbx::FreeSwitch(pbx) => pbx.console(&format!("global_setvar {name}={value}")),
        };
    }

    /// From now on the administrator's own dialplan calls out over this trunk: `pstn`, as it does at first, or
    /// `sidecall`, which is the packet trunk.
    pub fn call_out_over(&self, trunk: &str) {
        self.set("lab_out", trunk);
    }
}
