//! The agent's part of the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::contract::PbxKind;
use crate::core::address::{is_loopback, without_user};
use crate::core::base::name::{PbxName, TenantName};
use crate::core::base::node_list::first_share;
use crate::core::base::secret::Secret;
use crate::core::numbering::did_map::DidMap;
use crate::core::numbering::emergency::{EmergencyNumber, EmergencyRule};
use crate::core::numbering::endpoint_names::{EndpointRule, Endpoints};
use crate::core::numbering::number::Context;
use crate::core::numbering::numbering_plan::{DialPrefix, NumberingPlan, OutsideNumbers, PbxNumberingPlan, Region};
use crate::pbx::asterisk::{self, Trust};
use crate::pbx::{Pbx, freeswitch};

/// `[agent]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// The service node; on this machine, if neither this nor [`AgentConfig::nodes`] says where.
    pub node: Option<Url>,
    /// Several nodes, in the place of [`AgentConfig::node`]. The first is used while it answers.
    pub nodes: Vec<Url>,
    /// The file that holds the agent's token.
    pub token_file: Option<PathBuf>,
    /// The agent's token itself; [`AgentConfig::token_file`] is preferred.
    pub token: Option<Secret>,
    /// How long a decision may take, in milliseconds, if the hold leaves so much.
    pub deadline_ms: u64,
    /// Failures in a row after which calls go on without asking.
    pub breaker_failures: u32,
    /// Milliseconds after which the node is asked again.
    pub breaker_rest_ms: u64,
}

impl Default for AgentConfig {
    fn default() -> Self {
        AgentConfig {
            node: None,
            nodes: Vec::new(),
            token_file: None,
            token: None,
            deadline_ms: 400,
            breaker_failures: 3,
            breaker_rest_ms: 2_000,
        }
    }
}

impl AgentConfig {
    /// All nodes that it may use, at least one.
    pub fn urls(&self) -> Vec<Url> {
        #[expect(clippy::unwrap_used, reason = "a constant")]
        let here = || "http://127.0.0.1:8600".parse().unwrap();
        match &self.node {
            None if !self.nodes.is_empty() => self.nodes.clone(),
            node => vec![node.clone().unwrap_or_else(here)],
        }
    }

    /// How long the node that is asked first may take to decide.
    pub fn decides_within(&self) -> Duration {
        let deadline = Duration::from_millis(self.deadline_ms);
        if self.urls().len() > 1 { first_share(deadline) } else { deadline }
    }

    /// Looks for values that can't work, and names the key that is wrong.
    pub fn check(&self) -> Result<(), String> {
        if self.node.is_some() && !self.nodes.is_empty() {
            return Err("nodes: write either node or nodes: with nodes, remove the line of node".to_owned());
        }
        let key = if self.nodes.is_empty() { "node" } else { "nodes" };
        let urls = self.urls();
        for (n, url) in urls.iter().enumerate() {
            let shown = without_user(url);
            match url.scheme() {
                "https" => {}
                "http" if is_loopback(url.host()) => {}
                _ => return Err(format!("{key}: {:?} must begin with https: (http: is for loopback)", shown.as_str())),
            }
            if urls[..n].contains(url) {
                return Err(format!("{key}: {:?} is there twice", shown.as_str()));
            }
        }
        Ok(())
    }
}

/// `[[pbx]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PbxConfig {
    /// The name under which the directory knows it.
    pub name: PbxName,
    /// `freeswitch` or `asterisk`.
    pub kind: PbxKind,
    /// `host:port` of the event socket or the manager interface.
    pub address: String,
    /// FreeSWITCH: `user@domain` for `userauth`. Asterisk: the manager user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// The file that holds the password.
    pub password_file: Option<PathBuf>,
    /// The domain in which its extensions are valid (RFC 3966 `phone-context`).
    pub context: Context,
    /// The country whose national number format it uses.
    pub region: Option<Region>,
    /// What has at most this many digits, and no `+`, is an extension.
    #[serde(default = "extension_digits")]
    pub extension_digits: usize,
    /// What its phones dial for an outside line, before the number.
    pub outside_prefix: Option<DialPrefix>,
    /// What is dialled before a country code, if not what the region has.
    pub international_prefix: Option<DialPrefix>,
    /// Emergency numbers, if not those of the region.
    pub emergency: Option<Vec<EmergencyNumber>>,
    /// How its trunks and its caller IDs write numbers that have no `+`.
    #[serde(default)]
    pub outside_numbers: OutsideNumbers,
    /// Caller IDs, in digits, that name nobody.
    #[serde(default)]
    pub withheld: Vec<String>,
    /// Extensions that are reached from outside.
    #[serde(default)]
    pub map: Vec<DidMap>,
    /// Asterisk: how its phones are named, where not by their extension.
    #[serde(default)]
    pub endpoints: Vec<EndpointRule>,
    /// Those who share it, each with extensions of its own.
    #[serde(default)]
    pub tenant: Vec<TenantConfig>,
    /// FreeSWITCH: where the `socket` application finds us (`direct` mode).
    pub direct: Option<SocketAddr>,
    /// FreeSWITCH: the SIP profile that messages to softphones leave by.
    #[serde(default = "sip_profile")]
    pub sip_profile: String,
    /// Asterisk: speak TLS (`tlsenable` in manager.conf).
    #[serde(default)]
    pub tls: bool,
    /// Asterisk: the CA that signed its certificate, if the system doesn't know it.
    pub tls_ca_file: Option<PathBuf>,
    /// Asterisk: the endpoint that messages to addresses of other domains leave by.
    pub message_endpoint: Option<String>,
}

/// `[[pbx.tenant]]`: what is left out is as in `[[pbx]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantConfig {
    /// What the dialplan calls it: a name or a domain.
    pub name: TenantName,
    /// The domain in which its extensions are valid; its name, if that is a domain.
    pub context: Option<Context>,
    /// The country whose national number format it uses.
    pub region: Option<Region>,
    /// What has at most this many digits, and no `+`, is an extension.
    pub extension_digits: Option<usize>,
    /// What its phones dial for an outside line, before the number.
    pub outside_prefix: Option<DialPrefix>,
    /// What is dialled before a country code.
    pub international_prefix: Option<DialPrefix>,
    /// Extensions that are reached from outside.
    #[serde(default)]
    pub map: Vec<DidMap>,
    /// Asterisk: how its phones are named.
    #[serde(default)]
    pub endpoints: Vec<EndpointRule>,
}

fn extension_digits() -> usize {
    6
}

fn sip_profile() -> String {
    "internal".to_owned()
}

impl PbxConfig {
    /// The PBX that these keys describe, where it is and how to log in.
    pub fn endpoint(&self) -> Box<dyn Pbx> {
        let (address, user) = (self.address.clone(), self.user.clone());
        let password = self.password.as_ref().map_or("", Secret::expose).to_owned();
        match self.kind {
            PbxKind::Freeswitch => {
                Box::new(freeswitch::FreeswitchEndpoint::new(address, user, password, self.sip_profile.clone()))
            }
            PbxKind::Asterisk => Box::new(asterisk::AsteriskEndpoint {
                tls: self.tls.then(|| self.tls_ca_file.clone().map_or(Trust::System, Trust::CaFile)),
                message_endpoint: self.message_endpoint.clone(),
                endpoints: self.endpoints(),
                ..asterisk::AsteriskEndpoint::new(address, user, password, String::from(self.context.clone()))
            }),
        }
    }

    /// The domains of its extensions and of its tenants'.
    pub fn contexts(&self) -> impl Iterator<Item = Context> {
        [self.context.clone()].into_iter().chain(self.tenant.iter().filter_map(TenantConfig::context))
    }

    /// How this PBX writes numbers.
    pub fn plan(&self) -> PbxNumberingPlan {
        let own = NumberingPlan {
            context: Some(self.context.clone()),
            region: self.region,
            extension_digits: self.extension_digits,
            outside_prefix: self.outside_prefix.clone(),
            international_prefix: self.international_prefix.clone(),
            outside_numbers: self.outside_numbers,
            withheld: self.withheld.clone(),
            map: self.map.clone(),
            emergency: self.emergency(self.region, self.outside_prefix.as_ref()),
        };
        let tenants = self.tenant.iter().map(|tenant| {
            let (region, outside_prefix) =
                (tenant.region.or(self.region), tenant.outside_prefix.clone().or(self.outside_prefix.clone()));
            let plan = NumberingPlan {
                context: tenant.context(),
                region,
                extension_digits: tenant.extension_digits.unwrap_or(self.extension_digits),
                emergency: self.emergency(region, outside_prefix.as_ref()),
                outside_prefix,
                international_prefix: tenant.international_prefix.clone().or(self.international_prefix.clone()),
                map: tenant.map.clone(),
                ..own.clone()
            };
            (tenant.name.clone(), plan)
        });
        let tenants = tenants.collect();
        PbxNumberingPlan::new(own, tenants)
    }

    fn emergency(&self, region: Option<Region>, outside: Option<&DialPrefix>) -> EmergencyRule {
        EmergencyRule::new(
            self.emergency.as_deref(),
            region.as_ref().map(Region::as_str),
            outside.map(DialPrefix::as_str),
        )
    }

    /// How its phones are named, and whose they are.
    pub fn endpoints(&self) -> Endpoints {
        let own = self.endpoints.iter().map(|rule| (rule.clone(), None));
        let of = |tenant: &TenantConfig| {
            let name = tenant.name.clone();
            tenant.endpoints.clone().into_iter().map(move |rule| (rule, Some(name.clone())))
        };
        own.chain(self.tenant.iter().flat_map(of)).collect()
    }

    fn check_endpoints(&self) -> Result<(), String> {
        let of_tenants = self.tenant.iter().flat_map(|tenant| {
            let digits = tenant.extension_digits.unwrap_or(self.extension_digits);
            tenant.endpoints.iter().map(move |rule| (rule, digits))
        });
        let rules: Vec<_> = self.endpoints.iter().map(|rule| (rule, self.extension_digits)).chain(of_tenants).collect();
        if self.kind == PbxKind::Freeswitch && !rules.is_empty() {
            return Err("endpoints: only for an Asterisk; FreeSWITCH says itself whose phone it rings".to_owned());
        }
        if !self.endpoints.is_empty() && !self.tenant.is_empty() {
            return Err("endpoints: where there are tenants, each has its own: write them in [[pbx.tenant]]".to_owned());
        }
        for (n, (rule, digits)) in rules.iter().enumerate() {
            if rule.digits() > *digits {
                return Err(format!(
                    "endpoints: \"{rule}\": an extension has at most {digits} digits (extension_digits)"
                ));
            }
            if let Some((other, _)) = rules[..n].iter().find(|(other, _)| rule.shares_name(other)) {
                return Err(format!("endpoints: one phone would be two: \"{other}\" and \"{rule}\""));
            }
        }
        Ok(())
    }

    /// Looks for rules that contradict each other, and names the key that is wrong.
    pub fn check_plan(&self) -> Result<(), String> {
        if let Some(bad) = self.withheld.iter().find(|w| w.is_empty() || !w.bytes().all(|b| b.is_ascii_digit())) {
            return Err(format!("withheld: {bad:?} is not digits; words such as \"anonymous\" are known already"));
        }
        if self.emergency.as_ref().is_some_and(Vec::is_empty) {
            return Err("emergency: the list is empty; without the key the numbers of the region count".to_owned());
        }
        self.check_endpoints()?;
        if !self.map.is_empty() && !self.tenant.is_empty() {
            return Err("map: where there are tenants, each has its own: write [[pbx.tenant.map]]".to_owned());
        }
        let of_tenants = self.tenant.iter().flat_map(|tenant| &tenant.map);
        let maps: Vec<&DidMap> = self.map.iter().chain(of_tenants).collect();
        // Tenants may have the same extension, never the same number.
        for (n, rule) in maps.iter().enumerate() {
            if let Some(other) = maps[..n].iter().find(|other| rule.shares_number(other)) {
                return Err(format!("map: one number would be two extensions: {other} and {rule}"));
            }
        }
        for rules in [&self.map].into_iter().chain(self.tenant.iter().map(|tenant| &tenant.map)) {
            for (n, rule) in rules.iter().enumerate() {
                if let Some(other) = rules[..n].iter().find(|other| rule.shares_extension(other)) {
                    return Err(format!("map: one extension would be two numbers: {other} and {rule}"));
                }
            }
        }
        for (n, tenant) in self.tenant.iter().enumerate() {
            let name = &tenant.name;
            let Some(context) = tenant.context() else {
                return Err(format!(
                    "tenant {name}: context: say the domain in which its extensions are valid, such as \"{name}.pbx.example\""
                ));
            };
            let clash = self.tenant[..n].iter().find(|other| {
                let same = |word: &str| {
                    [other.name.as_str(), other.context().as_ref().map_or("", Context::as_str)]
                        .iter()
                        .any(|own| own.eq_ignore_ascii_case(word))
                };
                same(name.as_str()) || same(context.as_str())
            });
            if let Some(other) = clash {
                return Err(format!(
                    "tenant {name}: name and context must be others than those of tenant {}",
                    other.name
                ));
            }
        }
        Ok(())
    }
}

impl TenantConfig {
    /// A name without a dot is no domain that nobody else has.
    fn context(&self) -> Option<Context> {
        let domain = || self.name.as_str().parse().ok().filter(|_| self.name.as_str().contains('.'));
        self.context.clone().or_else(domain)
    }
}
