//! Other organisations' nodes: finds the one that serves a number, and sends offers and answers.
//!
//! Offers go only to configured nodes. Answers go to the address that came with a call, whoever owns it.

mod config;
mod request;

pub use config::PeerConfig;
pub use request::Outcome;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use url::Url;

use crate::contract::{Offer, PeerClient, SharedTimeline};
use crate::core::address::hosts::may_be_public;
use crate::core::address::{Address, AddressKind};
use crate::core::base::name::{CallId, PeerName, TrunkName};
use crate::core::base::secret::Secret;
use crate::core::numbering::number::Number;
use crate::core::numbering::number_prefix::{NumberPrefix, longest};
use crate::core::routing::portability::ServedBy;
use crate::guard::PublicOnly;

/// Maximum number of concurrent posts to addresses of unknown nodes, so that slow ones can't use all sockets.
const AT_ONCE: usize = 256;
/// Maximum number of concurrent requests to one peer.
const AT_ONCE_EACH: usize = 64;
/// How long a request waits for its turn; longer, and the time in an offer would be wrong.
const TURN: Duration = Duration::from_secs(1);
/// Maximum number of offers being withdrawn from one peer at the same time. Others expire there.
const WITHDRAWALS: usize = 256;

/// Why a peer can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// A file can't be read, or its content is unusable.
    #[error("{key}: {path}: {reason}")]
    File {
        /// The configuration key that names it.
        key: &'static str,
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
    /// TLS can't be set up.
    #[error("TLS can't be set up: {0} (the system's CA certificates are in the package ca-certificates)")]
    Tls(String),
    /// A value is invalid.
    #[error("{0}")]
    Value(String),
    /// One of these errors, with the peer's name.
    #[error("{name}: {error}")]
    Of {
        /// The peer.
        name: PeerName,
        /// What is wrong with it.
        error: Box<PeerError>,
    },
}

/// A configured peer.
#[derive(Debug)]
pub struct PeerNode {
    name: PeerName,
    base: Url,
    prefixes: Arc<[NumberPrefix]>,
    verify: bool,
    token: Option<Secret>,
    certificate: Option<String>,
    trunk: Option<TrunkName>,
    http: reqwest::Client,
    permits: Semaphore,
    withdrawals: Arc<Semaphore>,
}

impl PeerNode {
    fn new(config: &PeerConfig) -> Result<PeerNode, PeerError> {
        let mut builder = request::builder();
        if let Some(path) = &config.ca_file {
            let pem = read("ca_file", path)?;
            let wrong = |reason: String| PeerError::File { key: "ca_file", path: path.display().to_string(), reason };
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| wrong(e.to_string()))?;
            if certificates.is_empty() {
                return Err(wrong("there is no certificate in it".to_owned()));
            }
            builder = builder.tls_certs_only(certificates);
        }
        if let (Some(cert), Some(key)) = (&config.client_cert, &config.client_key) {
            let mut pem = read("client_cert", cert)?;
            pem.push(b'\n');
            pem.extend(read("client_key", key)?);
            let identity = reqwest::Identity::from_pem(&pem).map_err(|e| PeerError::File {
                key: "client_cert",
                path: cert.display().to_string(),
                reason: e.to_string(),
            })?;
            builder = builder.identity(identity);
        }
        Ok(PeerNode {
            name: config.name.clone(),
            base: config.base().map_err(PeerError::Value)?,
            prefixes: config.prefixes.clone().into(),
            verify: config.verify,
            token: config.token.clone(),
            certificate: config.certificate.clone(),
            trunk: config.trunk.clone(),
            http: request::build(builder)?,
            permits: Semaphore::new(AT_ONCE_EACH),
            withdrawals: Arc::new(Semaphore::new(WITHDRAWALS)),
        })
    }

    /// Its name in our configuration.
    pub fn name(&self) -> &PeerName {
        &self.name
    }

    /// Its base URL.
    pub fn url(&self) -> &Url {
        &self.base
    }

    /// The packet trunk to this peer, if it has its own.
    pub fn trunk(&self) -> Option<&TrunkName> {
        self.trunk.as_ref()
    }

    /// The numbers that it serves.
    pub fn prefixes(&self) -> &Arc<[NumberPrefix]> {
        &self.prefixes
    }

    /// Whether the peer may offer calls from a number.
    pub fn may_offer(&self, calling: &Number) -> bool {
        !self.verify || longest(&self.prefixes, calling).is_some()
    }

    /// Sends an offer. Doesn't retry.
    pub async fn offer(&self, offer: &Offer) -> Outcome {
        self.send(self.request(Method::POST, &[]).json(offer)).await
    }

    /// Reserves a withdrawal for as long as it is tried. Returns `None` if too many are in progress.
    pub fn withdrawal(&self) -> Option<OwnedSemaphorePermit> {
        self.withdrawals.clone().try_acquire_owned().ok()
    }

    /// Withdraws the offer of a call that ended. Doesn't retry.
    pub async fn withdraw(&self, id: &CallId) -> Outcome {
        self.send(self.request(Method::DELETE, &[id.as_str()])).await
    }

    async fn send(&self, request: RequestBuilder) -> Outcome {
        match self.turn().await {
            Ok(_permit) => request::send(request).await,
            Err(again) => again,
        }
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, Outcome> {
        match tokio::time::timeout(TURN, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(request::again("too many requests to it are under way")),
        }
    }

    /// Exchanges timelines for a call that we offered: sends ours and returns the peer's. Doesn't retry.
    pub async fn sync_timeline(&self, id: &CallId, ours: &SharedTimeline) -> Result<SharedTimeline, Outcome> {
        let _permit = self.turn().await?;
        request::ask(self.request(Method::POST, &[id.as_str(), "part"]).json(ours)).await
    }

    fn request(&self, method: Method, more: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["v1", "peer", "offers"]).extend(more);
        }
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        }
    }

    fn has(&self, certificate: &ParsedCertificate<'_>) -> bool {
        let name = self.certificate.as_deref().and_then(|name| ServerName::try_from(name).ok());
        name.is_some_and(|name| verify_server_name(certificate, &name).is_ok())
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, PeerError> {
    std::fs::read(path).map_err(|e| PeerError::File { key, path: path.display().to_string(), reason: e.to_string() })
}

/// All configured peers, and the HTTP client for unknown nodes.
#[derive(Debug)]
pub struct Peers {
    known: Vec<Arc<PeerNode>>,
    strangers: reqwest::Client,
    /// Whether this node listens on loopback only, and may post to private addresses.
    at_home: bool,
    permits: Semaphore,
}

impl Peers {
    /// Sets up the configured peers. `at_home`: this node listens on loopback only.
    ///
    /// # Errors
    /// Names the peer that can't be set up, and why.
    pub fn new(configs: &[PeerConfig], at_home: bool) -> Result<Peers, PeerError> {
        let known = configs.iter().map(|config| {
            let peer = config.check().map_err(PeerError::Value).and_then(|()| PeerNode::new(config));
            peer.map(Arc::new).map_err(|error| PeerError::Of { name: config.name.clone(), error: Box::new(error) })
        });
        let known = known.collect::<Result<Vec<_>, _>>()?;
        let builder = request::builder();
        // Even without peers, the node answers addresses from call signalling.
        let strangers = if at_home { builder } else { builder.dns_resolver(PublicOnly::default()) };
        Ok(Peers { known, strangers: request::build(strangers)?, at_home, permits: Semaphore::new(AT_ONCE) })
    }

    /// All configured peers.
    pub fn all(&self) -> impl Iterator<Item = &PeerNode> {
        self.known.iter().map(Arc::as_ref)
    }

    /// The peer with this name.
    pub fn get(&self, name: &PeerName) -> Option<&Arc<PeerNode>> {
        self.known.iter().find(|peer| peer.name == *name)
    }

    /// The peer with this certificate, whose chain the listener has verified.
    pub fn by_certificate(&self, certificate: &CertificateDer<'_>) -> Option<&Arc<PeerNode>> {
        let parsed = ParsedCertificate::try_from(certificate).ok()?;
        self.known.iter().find(|peer| peer.has(&parsed))
    }

    /// The peer that serves a number: the longest configured prefix wins.
    pub fn serving(&self, number: &Number) -> Option<&Arc<PeerNode>> {
        let candidates = self.known.iter().filter_map(|peer| Some((longest(&peer.prefixes, number)?, peer)));
        candidates.max_by_key(|(digits, _)| *digits).map(|(_, peer)| peer)
    }

    /// The peer that serves a called number. A ported number no longer belongs to the peer with its prefix.
    pub fn for_called(&self, called: &Number, served_by: &ServedBy) -> Option<&Arc<PeerNode>> {
        match served_by {
            ServedBy::Peer(name) => self.get(name),
            ServedBy::Unknown => self.serving(called),
            ServedBy::Ours | ServedBy::Other => None,
        }
    }

    /// The peer whose node an address belongs to.
    pub fn at(&self, address: &Address) -> Option<&Arc<PeerNode>> {
        let origin = Url::parse(address.as_str()).ok().filter(|_| address.kind() == AddressKind::Http)?.origin();
        self.known.iter().find(|peer| peer.base.origin() == origin)
    }

    /// Whether our PBX may send a SIP MESSAGE to an address: its host is a peer's or public. Names always pass,
    /// since the PBX resolves them.
    pub fn may_send_to(&self, address: &Address) -> bool {
        let host = address.host();
        let known = self.known.iter().any(|peer| peer.base.host().map(|host| host.to_owned()) == host);
        self.at_home || known || !address.is_loopback() && may_be_public(host)
    }

    /// Sends our client's address to the client behind an address (B7). Doesn't retry.
    pub async fn answer(&self, address: &Address, own: &PeerClient) -> Outcome {
        self.post(address, &json!({"type": "peer", "peer": own})).await
    }

    /// Tells a remote client that it now talks to `to` instead of our client `instead`.
    pub async fn introduce(&self, address: &Address, to: &PeerClient, instead: &Address) -> Outcome {
        self.post(address, &json!({"type": "peer", "peer": to, "instead": instead})).await
    }

    /// Tells a remote client that it no longer talks to our client `own`.
    pub async fn ended(&self, address: &Address, own: &Address) -> Outcome {
        self.post(address, &json!({"type": "ended", "address": own})).await
    }

    /// Posts to a peer's address with its configured client, and to any other address only if it is public.
    async fn post(&self, address: &Address, content: &serde_json::Value) -> Outcome {
        let Ok(url) = Url::parse(address.as_str()) else { return Outcome::Refused("not a URL".to_owned()) };
        if let Some(peer) = self.at(address) {
            return peer.send(peer.http.post(url).json(content)).await;
        }
        if !self.at_home && !may_be_public(url.host()) {
            return Outcome::Refused("leads into a private network".to_owned());
        }
        let Ok(_permit) = self.permits.acquire().await else { return request::again("shutting down") };
        request::send(self.strangers.post(url).json(content)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sip_address_leads_into_no_private_network() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = serde_json::from_value(serde_json::json!({"name": "b", "url": "https://10.0.0.7/"})).unwrap();
        let configs: [PeerConfig; 1] = [config];
        let (away, home) = (Peers::new(&configs, false).unwrap(), Peers::new(&configs, true).unwrap());
        for (text, may) in [
            ("sip:alice@pbx.a.example", true),
            ("sip:alice@8.8.8.8:5080", true),
            ("sip:alice@10.0.0.7", true),
            ("sip:alice@10.0.0.8", false),
            ("sip:alice@169.254.169.254", false),
            ("sip:1005@127.0.0.1", false),
            ("sip:1005@localhost:5070", false),
            ("sips:1005@[::1]", false),
            ("sip:1005@[fe80::1]", false),
        ] {
            let address = text.parse().unwrap();
            assert_eq!(away.may_send_to(&address), may, "{text}");
            assert!(home.may_send_to(&address), "{text}");
        }
    }
}
