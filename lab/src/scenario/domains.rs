//! Two organisations: each with its own PBX, and with its own agent and node when a test wants that. They
//! are joined by a packet trunk and by a telephone network.
//!
//! ```text
//!  1000 … 1009                                                        6000 … 6009
//!  +12125551000 …                                                     +13105556000 …
//!  PBX A, 127.0.1.1 ───────────── packet trunk ───────────── PBX B, 127.0.2.1 ─── PBX C, 127.0.3.1
//!        └──────────────── telephone network, 127.0.0.13 ──────────┘              7000 … 7009
//! ```
//!
//! PBX C, behind B as its call server, is there with [`Domains::with_inner`]. B reaches its numbers
//! (`+13105557000` …, main number `+13105552007`) over a trunk, and C everything else over the same.

use std::net::{Ipv4Addr, SocketAddr};

use crate::net::capture::Capture;
use crate::net::ports;
use crate::sidecall::{Sidecall, SidecallConfig, credential, domain, pbx_entry};
use crate::{Hosted, Inner, Kind, PSTN, Pbx, PbxConfig, Phone, Plan, Pstn, Result};

const A: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 1);
const B: Ipv4Addr = Ipv4Addr::new(127, 0, 2, 1);
const C: Ipv4Addr = Ipv4Addr::new(127, 0, 3, 1);

/// The name of PBX C in the configuration of its node.
pub const INNER: &str = "inner";

/// One organisation, or the PBX behind its call server.
#[derive(Debug)]
pub struct Domain {
    // Dropped in this order: sidecall before its PBX.
    sidecall: Option<Sidecall>,
    /// Its PBX.
    pub pbx: Pbx,
}

impl Domain {
    fn start(kind: Kind, config: PbxConfig) -> Result<Domain> {
        Ok(Domain { sidecall: None, pbx: Pbx::start_with(kind, config)? })
    }

    /// Its numbers.
    pub fn plan(&self) -> &Plan {
        &self.pbx.config().plan
    }

    /// Registers the phone of its n-th extension.
    pub fn phone(&self, n: u8) -> Result<Phone> {
        Phone::register(self.pbx.sip(), &self.plan().extension(n))
    }

    /// The n-th extension's number from outside: E.164.
    pub fn number(&self, n: u8) -> String {
        self.plan().number(n)
    }

    /// The n-th extension's number inside: `1000;phone-context=…`.
    pub fn extension(&self, n: u8) -> String {
        format!("{};phone-context={}", self.plan().extension(n), domain(&self.pbx))
    }

    /// Starts agent and node beside its PBX, where extensions are known by their numbers from outside, and waits until
    /// they are attached.
    pub fn raise(&mut self, config: &SidecallConfig) -> Result<()> {
        let config = SidecallConfig { pbx_lines: map(self.plan()), ..config.clone() };
        self.sidecall = Some(Sidecall::start_with(&self.pbx, &config)?);
        Ok(())
    }

    /// Agent and node beside it are these.
    pub fn adopt(&mut self, sidecall: Sidecall) {
        self.sidecall = Some(sidecall);
    }

    /// Ends agent and node.
    pub fn lower(&mut self) {
        self.sidecall = None;
    }

    /// Agent and node.
    ///
    /// # Panics
    /// If they weren't raised.
    pub fn sidecall(&self) -> &Sidecall {
        self.sidecall.as_ref().expect("agent and node were raised")
    }

    /// Agent and node, if they run.
    pub fn running(&self) -> Option<&Sidecall> {
        self.sidecall.as_ref()
    }

    /// The same as [`Domain::sidecall`], to be restarted.
    pub fn sidecall_mut(&mut self) -> &mut Sidecall {
        self.sidecall.as_mut().expect("agent and node were raised")
    }

    /// Enters the n-th extension's number from outside in the directory.
    pub fn serve(&self, n: u8, name: &str) {
        self.sidecall().number(&self.number(n), name, true);
    }

    /// Connects a hosted client to the n-th extension's number from outside.
    pub fn client(&self, n: u8) -> Result<Hosted> {
        Hosted::start(self.sidecall(), &self.number(n))
    }

    /// The token of that client.
    pub fn credential(&self, n: u8) -> String {
        credential(&self.number(n))
    }
}

/// Both organisations and what is between them.
#[derive(Debug)]
pub struct Domains {
    /// The first: extensions 1000 to 1009, `+1212555…`.
    pub a: Domain,
    /// The second: extensions 6000 to 6009, `+1310555…`.
    pub b: Domain,
    /// The PBX behind the second one's call server: 7000 to 7009, `+13105557…`.
    pub c: Option<Domain>,
    /// The telephone network.
    pub pstn: Pstn,
}

impl Domains {
    /// Both PBXs and the network between them, without sidecall but with its snippets.
    pub fn set(a: Kind, b: Kind) -> Result<Domains> {
        Domains::set_with(a, b, None, |config| config)
    }

    /// The same with a PBX behind B.
    pub fn with_inner(a: Kind, b: Kind, c: Kind) -> Result<Domains> {
        Domains::set_with(a, b, Some(c), |config| config)
    }

    /// The same with other settings, made from each PBX's configuration.
    pub fn set_with(a: Kind, b: Kind, c: Option<Kind>, adapt: impl Fn(PbxConfig) -> PbxConfig) -> Result<Domains> {
        // Each has to know the others' ports before they start.
        let [at_a, at_b, at_c] = [A, B, C].map(|ip| SocketAddr::new(ip.into(), ports::free()));
        let network = SocketAddr::new(PSTN, ports::free());
        let config = |ip: Ipv4Addr, own: SocketAddr, packet, pstn, plan| PbxConfig {
            packet,
            pstn,
            ip,
            trunk_port: Some(own.port()),
            plan,
            ..PbxConfig::patient()
        };
        let inner = c.map(|_| Inner { plan: Plan::c(), sip: at_c });
        let b_config = PbxConfig { inner, ..config(B, at_b, at_a, network, Plan::b()) };
        let c_config = config(C, at_c, at_b, at_b, Plan::c());
        Ok(Domains {
            pstn: Pstn::start(network.port(), at_a, at_b)?,
            a: Domain::start(a, adapt(config(A, at_a, at_b, network, Plan::a())))?,
            b: Domain::start(b, adapt(b_config))?,
            c: c.map(|kind| Domain::start(kind, adapt(c_config))).transpose()?,
        })
    }

    /// Starts B's agent and node with PBX C attached to them too.
    pub fn raise_b_with_inner(&mut self, config: &SidecallConfig) -> Result<()> {
        let inner = self.c.as_ref().expect("a PBX behind B");
        let lines = SidecallConfig { pbx_lines: map(inner.plan()), ..SidecallConfig::default() };
        let entry = pbx_entry(INNER, &inner.pbx, &lines);
        self.b.raise(&SidecallConfig { more: format!("{}\n{entry}", config.more), ..config.clone() })
    }

    /// Captures SIP on all trunks, and between PBXs and phones.
    pub fn capture(&self) -> Result<Capture> {
        let pbxs = [Some(&self.a), Some(&self.b), self.c.as_ref()];
        let ports = pbxs.into_iter().flatten().flat_map(|d| [d.pbx.trunk_sip().port(), d.pbx.sip().port()]);
        Capture::start(&ports.chain([self.pstn.sip().port()]).collect::<Vec<_>>())
    }

    /// The logs of all PBXs, for a test that fails.
    pub fn log(&self) -> String {
        let inner = self.c.as_ref().map(|c| c.pbx.log()).unwrap_or_default();
        format!("A:\n{}\nB:\n{}\nC:\n{inner}\nnetwork:\n{}", self.a.pbx.log(), self.b.pbx.log(), self.pstn.log())
    }
}

/// The rule that makes the extensions of a plan one with their numbers from outside.
fn map(plan: &Plan) -> String {
    format!("[[pbx.map]]\nextension = \"{}XXX\"\nnumber = \"{}XXX\"\n", plan.digit, plan.did)
}
