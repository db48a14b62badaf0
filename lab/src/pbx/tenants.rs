//! Two companies at once on one PBX, with the same extensions.

use crate::{Kind, Pbx, Phone, Result};

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
