//! Two companies at once on one PBX, with the same extensions.

use super::office::on_one;
use super::staff::Staff;
use super::{Kind, Pbx, PbxConfig, Phone, Result, Sidecall, SidecallConfig};

/// One of them.
#[derive(Debug)]
pub struct Tenant {
    /// What the dialplan of an Asterisk calls it.
    pub name: &'static str,
    /// How an Asterisk names its phones.
    pub endpoints: &'static str,
}

impl Tenant {
    /// The phone of an extension, on an Asterisk.
    pub(super) fn endpoint(&self, extension: &str) -> String {
        self.endpoints.replace("XXXX", extension)
    }

    /// Where its extensions are valid; on a FreeSWITCH it is known by that.
    pub fn domain(&self) -> String {
        format!("{}.example", self.name)
    }

    /// A phone of its own.
    pub fn phone(&self, pbx: &Pbx, extension: &str) -> Result<Phone> {
        match pbx.kind() {
            Kind::Asterisk => Phone::register(pbx.sip(), &self.endpoint(extension)),
            Kind::FreeSwitch => Phone::register_in(pbx.sip(), extension, &self.domain()),
        }
    }
}

/// The first and the second.
pub const ACME: Tenant = Tenant { name: "acme", endpoints: "acme-XXXX" };
/// Its extensions have direct numbers.
pub const BETA: Tenant = Tenant { name: "beta", endpoints: "XXXX_beta" };

/// A PBX with both, four people of each, and sidecall.
#[derive(Debug)]
pub struct House {
    // Dropped in this order.
    /// People of [`ACME`].
    pub acme: Staff,
    /// People of [`BETA`].
    pub beta: Staff,
    /// Agent and node.
    pub sidecall: Sidecall,
    /// The PBX.
    pub pbx: Pbx,
}

impl House {
    /// Opens it.
    pub fn open(kind: Kind) -> Result<House> {
        let pbx = Pbx::start_with(kind, PbxConfig { tenants: &[ACME, BETA], ..PbxConfig::patient() })?;
        let tenant = |tenant: &Tenant| {
            let Tenant { name, endpoints } = tenant;
            // FreeSWITCH says itself whose phone it rings.
            let endpoints = format!("endpoints = [\"{endpoints}\"]\n");
            let endpoints = Some(endpoints).filter(|_| kind == Kind::Asterisk).unwrap_or_default();
            format!("[[pbx.tenant]]\nname = \"{name}\"\ncontext = \"{}\"\n{endpoints}", tenant.domain())
        };
        let direct = "[[pbx.tenant.map]]\nextension = \"100X\"\nnumber = \"+1212555900X\"\n";
        let more = tenant(&ACME) + &tenant(&BETA) + direct;
        let sidecall = Sidecall::start_with(&pbx, &SidecallConfig { more, ..SidecallConfig::default() })?;
        let local = |extension: &str| format!("{extension};phone-context={}", ACME.domain());
        let outer = |extension: &str| format!("+121255590{}", &extension[2..]);
        let acme = on_one(&pbx, &sidecall, local, |extension| ACME.phone(&pbx, extension))?;
        let beta = on_one(&pbx, &sidecall, outer, |extension| BETA.phone(&pbx, extension))?;
        Ok(House { acme, beta, sidecall, pbx })
    }
}
