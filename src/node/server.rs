//! The node as its program sees it: bind, serve, shut down.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::core::name::PeerName;
use crate::core::secret::Secret;
use crate::monitor::{Metrics, Tasks, Totals, now};
use crate::node::NodeError;
use crate::node::app::{App, Shared};
use crate::node::config::access;
use crate::node::config::{NodeConfig, TlsFiles, is_at_home};
use crate::node::delivery::Deliveries;
use crate::node::delivery::pbx_links::PbxLinks;
use crate::node::delivery::post_budget::PostBudget;
use crate::node::delivery::sip_messages::SipHandout;
use crate::node::disclosure::Disclosure;
use crate::node::disclosure::inbox_token::InboxTokens;
use crate::node::http::connections::{Connections, ConnectionsConfig};
use crate::node::http::hosts::Hosts;
use crate::node::http::limit::Limits;
use crate::node::http::logins::Logins;
use crate::node::http::router;
use crate::node::http::server::{Server, listen};
use crate::node::lifecycle::database_probe;
use crate::node::lifecycle::disk_space::Space;
use crate::node::pairing::Pairing;
use crate::node::peering::outbound::Outbound;
use crate::node::state::LiveCalls;
use crate::peer::Peers;
use crate::push::Push;
use crate::store::{Store, TokenRole, credential_hash};

/// The tokens that the configuration brings along.
#[derive(Debug, Clone, Default)]
pub struct BootstrapTokens {
    /// The administrator's.
    pub admin: Option<Secret>,
    /// The agents'.
    pub agent: Option<Secret>,
}

/// A node that has its address and its state, and waits for being served.
pub struct Node {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    connections: ConnectionsConfig,
}

impl Node {
    /// Checks the configuration, binds, and takes up what was going on before.
    ///
    /// # Errors
    /// If the configuration can't work, the address is taken, or the database fails.
    pub async fn bind(config: &NodeConfig, tokens: &BootstrapTokens, store: Store) -> Result<Node, NodeError> {
        config.check()?;
        let tls = config.tls.as_ref().map(tls).transpose()?;
        let bind = |source| NodeError::Bind { address: config.listen, source };
        let listener = listen(config.listen).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (base, configured) = (config.base(address)?, bootstrap(tokens, &store).await?);
        let peer_tokens = peer_tokens(config, &configured)?;
        database_probe::set_clock(&store).await?;
        let is_taken = |hash: &[u8; 32]| configured.contains_key(hash) || peer_tokens.contains_key(hash);
        let agents = access::scopes(&config.agent, is_taken)?;
        let secret = store.secret(rand::random()).await?;
        let metrics = Metrics::install();
        let totals = Arc::new(Totals::new(metrics));
        let shutdown = CancellationToken::new();
        let push = Push::new(store.clone(), totals.clone(), config.clients.clone(), shutdown.clone());
        let peers = Arc::new(Peers::new(&config.peers, is_at_home(&base))?);
        let live = LiveCalls::new(store.clone(), config.conference_size, config.storage.calls);
        let inbox_tokens = InboxTokens::new(secret, base);
        let disclosure = Arc::new(Disclosure::new(store.clone(), live.clone(), peers.clone(), inbox_tokens));
        let deliveries = Arc::new(Deliveries::new(store.clone(), push.clone()));
        let links = Arc::new(PbxLinks::new(metrics));
        let sip = SipHandout::new(live.clone(), push.clone(), links.clone());
        let outbound = Arc::new(Outbound::new(
            live.clone(),
            disclosure.clone(),
            store.clone(),
            push.clone(),
            peers.clone(),
            metrics,
            shutdown.clone(),
        ));
        let pairing = Arc::new(Pairing::new(
            live.clone(),
            disclosure.clone(),
            deliveries.clone(),
            outbound.clone(),
            store.clone(),
            push.clone(),
            totals.clone(),
        ));
        let app = App::new(Shared {
            push,
            totals,
            peers,
            peer_tokens,
            offers: Default::default(),
            routing: config.routing.clone(),
            lnp: config.portability()?,
            keep: config.keep_calls,
            monitoring: config.monitoring(),
            hosts: Hosts::new(config),
            tokens: configured,
            agents,
            logins: Logins::new(&config.connections, metrics),
            limits: Limits::new(),
            deliveries_max: config.storage.deliveries,
            space: Space::new(&config.database, &config.storage, metrics),
            tasks: Tasks::default(),
            trouble: Mutex::default(),
            started: now(),
            shutdown,
            live,
            disclosure,
            deliveries,
            posts: PostBudget::new(config.storage.posts()),
            links,
            sip,
            outbound,
            pairing,
            store,
        });
        app.resume().await?;
        Ok(Node { app, listener, address, tls, connections: config.connections.clone() })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Its internal tasks, for an agent in the same process and for whoever watches both.
    pub fn tasks(&self) -> Tasks {
        self.app.tasks.clone()
    }

    /// Serves until `shutdown` is cancelled: then it takes no new requests, finishes those it has,
    /// and writes down what is waiting.
    ///
    /// # Errors
    /// If the listener breaks.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), NodeError> {
        let Node { app, listener, address, tls, connections: config } = self;
        tracing::info!(%address, tls = tls.is_some(), "the node listens");
        let tasks = app.tasks.clone();
        let sweep = tasks.spawn("sweep", &app.shutdown, app.clone().sweep());
        let probe = tasks.spawn("database probe", &app.shutdown, app.clone().probe());
        tasks.spawn("store writer", &app.shutdown, {
            let store = app.store.clone();
            async move { store.ended().await }
        });
        let stop = tasks.spawn("node's stop", &app.shutdown, {
            let (app, shutdown) = (app.clone(), shutdown.clone());
            async move {
                shutdown.cancelled().await;
                // Streams end with this: they would never finish on their own.
                app.shutdown.cancel();
            }
        });
        let connections = Connections::new(&config, app.totals.metrics);
        let router = router::router(app.clone(), &config);
        let serving = Server::new(&config, connections, tls, router, shutdown.clone()).run(listener);
        let served = tasks.run("HTTP server", &shutdown, serving).await;
        stop.abort();
        probe.abort();
        app.shutdown.cancel();
        let _ = sweep.await;
        app.store.close().await;
        tracing::info!("the node has stopped");
        served.unwrap_or_else(|| Err(std::io::Error::other("it panicked"))).map_err(NodeError::Serve)
    }
}

/// Takes the configuration's tokens over. They are kept hashed, here and in the database, where
/// other nodes of the same database find them.
async fn bootstrap(tokens: &BootstrapTokens, store: &Store) -> Result<HashMap<[u8; 32], TokenRole>, NodeError> {
    let mut known = HashMap::new();
    let given = [
        ("config-admin", "node.admin_token_file", TokenRole::Admin, &tokens.admin),
        ("config-agent", "node.agent_token_file", TokenRole::Agent, &tokens.agent),
    ];
    for (name, key, role, token) in given {
        let Some(token) = token.as_ref().map(|t| t.expose().trim()) else {
            // Whoever has the one of before is not let in by its hash in the database.
            store.put_token(role, name, None).await?;
            continue;
        };
        let wrong = |reason: &str| NodeError::Config { key, reason: reason.to_owned() };
        fits(token).map_err(wrong)?;
        let hash = credential_hash(token);
        if known.insert(hash, role).is_some() {
            return Err(NodeError::Config { key, reason: "the two tokens must differ".to_owned() });
        }
        store.put_token(role, name, Some(hash)).await?;
    }
    Ok(known)
}

/// What a token has to be.
pub(in crate::node) fn fits(token: &str) -> Result<(), &'static str> {
    if token.len() >= 16 && token.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(());
    }
    Err("a token is at least 16 characters of printable ASCII without spaces")
}

/// The tokens that peers show. They are this node's alone: they stand in its configuration.
fn peer_tokens(
    config: &NodeConfig,
    others: &HashMap<[u8; 32], TokenRole>,
) -> Result<HashMap<[u8; 32], PeerName>, NodeError> {
    let mut known = HashMap::new();
    for peer in &config.peers {
        let Some(token) = peer.accept_token.as_ref().map(|token| token.expose().trim()) else { continue };
        let wrong =
            |reason: &str| NodeError::Config { key: "peer", reason: format!("{}: accept_token: {reason}", peer.name) };
        fits(token).map_err(wrong)?;
        let hash = credential_hash(token);
        if others.contains_key(&hash) || known.insert(hash, peer.name.clone()).is_some() {
            return Err(wrong("the token is somebody else's too"));
        }
    }
    Ok(known)
}

fn tls(files: &TlsFiles) -> Result<TlsAcceptor, NodeError> {
    let chain = certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| wrong(&files.key, e.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client_auth = files.client_ca.as_ref().map(|path| client_auth(path, provider.clone())).transpose()?;
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().and_then(
        |config| {
            match client_auth {
                Some(verifier) => config.with_client_cert_verifier(verifier),
                None => config.with_no_client_auth(),
            }
            .with_single_cert(chain, key)
        },
    );
    let mut config = config.map_err(|e| wrong(&files.cert, e.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Whoever shows a certificate shows one that this CA has signed; nobody has to.
fn client_auth(path: &Path, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, NodeError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| wrong(path, e.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated();
    verifier.build().map_err(|e| wrong(path, e.to_string()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, NodeError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| wrong(path, e.to_string()))?;
    if found.is_empty() {
        return Err(wrong(path, "there is no certificate in it".to_owned()));
    }
    Ok(found)
}

fn wrong(path: &Path, reason: String) -> NodeError {
    NodeError::Tls { path: path.to_owned(), reason }
}
