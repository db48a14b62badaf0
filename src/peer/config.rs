//! The `[[peer]]` tables of the configuration.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use crate::core::address::is_loopback;
use crate::core::base::name::{PeerName, TrunkName};
use crate::core::base::secret::Secret;
use crate::core::numbering::number_prefix::NumberPrefix;

/// Another organisation's node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// Its name in our configuration.
    pub name: PeerName,
    /// Its base URL.
    pub url: String,
    /// Prefixes of the numbers that it serves: we offer it calls to them, and accept its offers of calls from them.
    #[serde(default)]
    pub prefixes: Vec<NumberPrefix>,
    /// Whether to accept only offers for calling numbers that it serves: by prefix, or according to a portability
    /// source.
    #[serde(default = "yes")]
    pub verify: bool,
    /// The file with the token that we send.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The token itself.
    #[serde(default)]
    pub token: Option<Secret>,
    /// The file with the token that it sends.
    #[serde(default)]
    pub accept_token_file: Option<PathBuf>,
    /// The token itself.
    #[serde(default)]
    pub accept_token: Option<Secret>,
    /// The CA of its certificate, if the system doesn't trust it.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Our client certificate, PEM.
    #[serde(default)]
    pub client_cert: Option<PathBuf>,
    /// Its key.
    #[serde(default)]
    pub client_key: Option<PathBuf>,
    /// The DNS name in its client certificate, which `[node.tls] client_ca` must have signed.
    #[serde(default)]
    pub certificate: Option<String>,
    /// Per-PBX trunk override for calls to this peer.
    #[serde(default)]
    pub trunk: Option<TrunkName>,
}

fn yes() -> bool {
    true
}

impl PeerConfig {
    /// Its URL.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn base(&self) -> Result<Url, String> {
        let url = Url::parse(&self.url).map_err(|e| format!("url: {:?} is not a URL: {e}", self.url))?;
        if url.query().is_some() || url.fragment().is_some() || url.cannot_be_a_base() {
            return Err(format!("url: {:?} must end with its path", self.url));
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_loopback(url.host()) => Ok(url),
            _ => Err(format!("url: {:?} must begin with https: (http: is for loopback)", self.url)),
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// Names the invalid key.
    pub fn check(&self) -> Result<(), String> {
        self.base()?;
        if self.client_cert.is_some() != self.client_key.is_some() {
            return Err("client_cert and client_key belong together".to_owned());
        }
        for (key, token) in [("token", &self.token), ("accept_token", &self.accept_token)] {
            let fits = |token: &Secret| token.expose().bytes().all(|b| b.is_ascii_graphic());
            if token.as_ref().is_some_and(|token| token.expose().is_empty() || !fits(token)) {
                return Err(format!("{key}: a token is printable ASCII without spaces"));
            }
        }
        match &self.certificate {
            Some(name) if rustls::pki_types::DnsName::try_from(name.as_str()).is_err() => {
                Err(format!("certificate: {name:?} is not a DNS name"))
            }
            _ => Ok(()),
        }
    }
}
