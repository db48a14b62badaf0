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
use std::time::Duration;

use tempfile::TempDir;

use crate::net::ports;
use crate::pbx::conf::Changes;
use crate::pbx::plan::{Inner, Plan};
use crate::pbx::tenants::Tenant;
use crate::{Child, PACKET, PSTN, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Asterisk,
    FreeSwitch,
}

impl Kind {
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

#[derive(Debug, Clone)]
pub struct PbxConfig {
    /// The far end of the packet trunk; its network is the trusted one.
    pub packet: SocketAddr,
    /// The far end of the PSTN trunk: where the dialplan sends numbers of five digits and more.
    pub pstn: SocketAddr,
    pub snippets: bool,
    pub hold_ms: u32,
    /// FreeSWITCH only: `direct` mode, connecting to this agent for each call.
    pub direct: Option<SocketAddr>,
    /// Packet trunks that get the address as Call-Info too. With one, FreeSWITCH reads that header as well.
    pub call_info: &'static str,
    /// Asterisk only: the manager speaks TLS as well (see `Pbx::event_tls`).
    pub tls: bool,
    /// Where it lives: its SIP and its sound. The event socket stays on 127.0.0.1.
    pub ip: Ipv4Addr,
    /// Where trunks find it, if that has to be known before it starts.
    pub trunk_port: Option<u16>,
    pub plan: Plan,
    pub inner: Option<Inner>,
    /// Tenants, each with ten phones of the same extensions, besides those that are nobody's.
    pub tenants: &'static [Tenant],
    /// Asterisk only: `##` and `*2` transfer while a call is up.
    pub feature_codes: bool,
    /// Asterisk only: phones log in with their password, as FreeSWITCH's always do. Plain phones are believed by address.
    pub passwords: bool,
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
            passwords: false,
            changes: Changes::default(),
        }
    }
}

impl PbxConfig {
    /// For what is decided, and not for how fast: calls wait longer for the agent, which may be starved here.
    pub fn patient() -> PbxConfig {
        PbxConfig { hold_ms: 2_000, ..PbxConfig::default() }
    }

    /// Without the project's snippets, for a PBX of another company.
    pub(crate) fn bare() -> PbxConfig {
        PbxConfig { snippets: false, ..PbxConfig::default() }
    }

    /// The same in `direct` mode, with a port of its own for the agent to listen on.
    pub fn direct(config: PbxConfig) -> PbxConfig {
        PbxConfig { direct: Some(ports::local()), ..config }
    }
}

/// A running PBX. Dropping it ends it and removes its folder.
#[derive(Debug)]
pub struct Pbx {
    // Dropped in this order: the process ends before its folder goes.
    child: Child,
    dir: TempDir,
    software: Software,
    config: PbxConfig,
    sip: SocketAddr,
    trunk_sip: SocketAddr,
    event: SocketAddr,
    /// The manager interface over TLS, and its certificate.
    tls: Option<(SocketAddr, PathBuf)>,
}

#[derive(Debug)]
enum Software {
    Asterisk(asterisk::Installation),
    FreeSwitch(freeswitch::Installation),
}

impl Software {
    fn spawn(&self, dir: &Path, event: SocketAddr, config: &PbxConfig) -> Result<Child> {
        match self {
            Software::Asterisk(installation) => installation.spawn(dir, event, config),
            Software::FreeSwitch(installation) => installation.spawn(dir, event, config),
        }
    }
}

impl Pbx {
    /// Starts one with the project's snippets and everything else at its default.
    pub fn start(kind: Kind) -> Result<Pbx> {
        Pbx::start_with(kind, PbxConfig::default())
    }

    /// Starts one. Returns when it takes calls and its event socket answers.
    pub fn start_with(kind: Kind, config: PbxConfig) -> Result<Pbx> {
        match kind {
            Kind::Asterisk => asterisk::start(config),
            Kind::FreeSwitch => freeswitch::start(config),
        }
    }

    pub fn kind(&self) -> Kind {
        match self.software {
            Software::Asterisk(_) => Kind::Asterisk,
            Software::FreeSwitch(_) => Kind::FreeSwitch,
        }
    }

    /// What it was started with: the addresses of the trunks' far ends are here.
    pub fn config(&self) -> &PbxConfig {
        &self.config
    }

    pub fn sip(&self) -> SocketAddr {
        self.sip
    }

    pub fn trunk_sip(&self) -> SocketAddr {
        self.trunk_sip
    }

    /// The event socket or manager interface.
    pub fn event_addr(&self) -> SocketAddr {
        self.event
    }

    /// The manager interface over TLS and the certificate that it shows (PEM), if it was asked for.
    pub(crate) fn event_tls(&self) -> Option<(SocketAddr, PathBuf)> {
        self.tls.clone()
    }

    /// The manager's user. FreeSWITCH has none.
    pub fn event_user(&self) -> Option<&str> {
        (self.kind() == Kind::Asterisk).then_some(asterisk::USER)
    }

    pub fn event_secret(&self) -> &str {
        asterisk::SECRET
    }

    /// Its private folder: configuration and logs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn etc(&self) -> PathBuf {
        self.dir().join(if self.kind() == Kind::Asterisk { "etc" } else { "conf" })
    }

    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// What it has logged. A FreeSWITCH writes to a file, and to its output only what goes wrong at the start.
    pub fn log(&self) -> String {
        self.child.log() + &conf::read(&self.dir().join("log/freeswitch.log")).unwrap_or_default()
    }

    /// FreeSWITCH: how many calls it has announced so far in `direct` mode and in `hold` mode, as its own log has it.
    pub fn announced(&self) -> (usize, usize) {
        let log = self.log();
        let count = |application| log.lines().filter(|l| l.contains("EXECUTE [") && l.contains(application)).count();
        (count(" socket("), count(" event(Event-Name=CUSTOM,Event-Subclass=sidecall::setup"))
    }

    /// Kills it; [`Pbx::restart`] brings it back.
    pub fn kill(&mut self) {
        self.child.kill();
    }

    /// Ends it, if it runs, and starts it again with the same configuration and ports.
    pub fn restart(&mut self) -> Result<()> {
        self.child.terminate(Duration::from_secs(10));
        self.child = self.software.spawn(self.dir.path(), self.event, &self.config)?;
        Ok(())
    }

    /// Runs one command of its console (`core show channels`, `show calls`) and returns the output.
    pub fn console(&self, command: &str) -> String {
        match &self.software {
            Software::Asterisk(installation) => installation.console(self.dir(), command),
            Software::FreeSwitch(_) => freeswitch::console(self.event, command),
        }
    }

    /// Sets (or, with an empty value, removes) the global variable that says that an agent is attached.
    pub fn attach(&self, agent: &str) {
        self.set("sidecall_agent", agent);
    }

    /// Sets what an administrator edits at the top of the snippet, by FreeSWITCH's name.
    pub fn set(&self, name: &str, value: &str) {
        self.console(&match self.kind() {
            Kind::Asterisk => format!("dialplan set global {} \"{value}\"", name.to_uppercase()),
            Kind::FreeSwitch => format!("global_setvar {name}={value}"),
        });
    }

    /// From now on the administrator's own dialplan calls out over this trunk: `pstn`, as it does at first, or
    /// `sidecall`, which is the packet trunk.
    pub fn call_out_over(&self, trunk: &str) {
        self.set("lab_out", trunk);
    }
}
