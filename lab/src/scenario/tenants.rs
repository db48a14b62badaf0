//! A PBX of two tenants at work, with sidecall.

use crate::pbx::tenants::{ACME, BETA, Tenant};
use crate::scenario::office::on_one;
use crate::scenario::people::People;
use crate::{Kind, Pbx, PbxConfig, Result, Sidecall, SidecallConfig};

/// A PBX with both, four people of each, and sidecall.
#[derive(Debug)]
pub struct TenantSite {
    // Dropped in this order.
    /// People of `ACME`.
    pub acme: People,
    /// People of [`BETA`].
    pub beta: People,
    /// Agent and node.
    pub sidecall: Sidecall,
    /// The PBX.
    pub pbx: Pbx,
}

impl TenantSite {
    /// Opens it.
    pub fn open(kind: Kind) -> Result<TenantSite> {
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
        Ok(TenantSite { acme, beta, sidecall, pbx })
    }
}
