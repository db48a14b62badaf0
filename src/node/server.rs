//! The node as its program sees it: bind, serve, shut down.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum_server::Handle;
use axum_server::accept::NoDelayAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioTimer;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio_util::sync::CancellationToken;

use super::app::{App, Shared};
use super::capability::Capabilities;
use super::certificate::Certified;
use super::config::{NodeConfig, TlsFiles, is_at_home};
use super::{NodeError, probe, router};
use crate::core::exchange::Exchange;
use crate::core::name::PeerName;
use crate::core::secret::Secret;
use crate::monitor::{Metrics, Tasks, Totals, now};
use crate::peer::Peers;
use crate::push::Push;
use crate::store::{Store, TokenRole, credential_hash};

/// How long requests have to finish when the node stops.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a connection may take to send the head of a request, or sit idle before it.
const HEADERS: Duration = Duration::from_secs(75);
/// Bytes of a connection's buffer: heads of requests are small, and connections are many.
const BUFFER: usize = 16 * 1024;

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
    tls: Option<RustlsConfig>,
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
        let listener = TcpListener::bind(config.listen).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let (base, configured) = (config.base(address)?, bootstrap(tokens, &store).await?);
        let peer_tokens = peer_tokens(config, &configured)?;
        probe::set_clock(&store).await?;
        let secret = store.secret(rand::random()).await?;
        let totals = Arc::new(Totals::new(Metrics::install()));
        let shutdown = CancellationToken::new();
        let app = App::new(Shared {
            push: Push::new(store.clone(), totals.clone(), config.clients.clone(), shutdown.clone()),
            totals,
            peers: Peers::new(&config.peers, is_at_home(&base))?,
            peer_tokens,
            offers: Default::default(),
            underway: Default::default(),
            comparing: Default::default(),
            capabilities: Capabilities::new(secret, base),
            clients: config.clients.clone(),
            routing: config.routing.clone(),
            lnp: config.portability()?,
            keep: config.keep_calls,
            monitoring: config.monitoring(),
            tokens: configured,
            limits: Default::default(),
            turns: Default::default(),
            tasks: Tasks::default(),
            trouble: Mutex::default(),
            started: now(),
            shutdown,
            exchange: Mutex::new(Exchange::new(config.conference_size)),
            backlog: Mutex::default(),
            pbxs: Mutex::default(),
            store,
        });
        app.resume().await?;
        Ok(Node { app, listener, address, tls })
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
        let Node { app, listener, address, tls } = self;
        tracing::info!(%address, tls = tls.is_some(), "the node listens");
        let handle = Handle::new();
        let tasks = app.tasks.clone();
        let sweep = tasks.spawn("sweep", &app.shutdown, app.clone().sweep());
        let probe = tasks.spawn("database probe", &app.shutdown, app.clone().probe());
        tasks.spawn("store writer", &app.shutdown, {
            let store = app.store.clone();
            async move { store.ended().await }
        });
        let stop = tasks.spawn("node's stop", &app.shutdown, {
            let (app, handle) = (app.clone(), handle.clone());
            async move {
                shutdown.cancelled().await;
                // Streams end with this: they would never finish on their own.
                app.shutdown.cancel();
                handle.graceful_shutdown(Some(FAREWELL));
            }
        });
        let service = router::router(app.clone()).into_make_service();
        let server = axum_server::from_tcp(listener).map_err(NodeError::Serve)?.handle(handle);
        let serving = async {
            match tls {
                None => limited(server.acceptor(NoDelayAcceptor::new())).serve(service).await,
                Some(tls) => {
                    let acceptor = RustlsAcceptor::new(tls).acceptor(NoDelayAcceptor::new());
                    limited(server.acceptor(Certified(acceptor))).serve(service).await
                }
            }
        };
        let served = tasks.run("HTTP server", &app.shutdown, serving).await;
        stop.abort();
        probe.abort();
        app.shutdown.cancel();
        let _ = sweep.await;
        app.store.close().await;
        tracing::info!("the node has stopped");
        served.unwrap_or_else(|| Err(std::io::Error::other("it panicked"))).map_err(NodeError::Serve)
    }
}

fn limited<A>(mut server: axum_server::Server<SocketAddr, A>) -> axum_server::Server<SocketAddr, A> {
    let mut http = server.http_builder().http1();
    http.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(BUFFER);
    server
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
fn fits(token: &str) -> Result<(), &'static str> {
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

fn tls(files: &TlsFiles) -> Result<RustlsConfig, NodeError> {
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
    Ok(RustlsConfig::from_config(Arc::new(config)))
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
