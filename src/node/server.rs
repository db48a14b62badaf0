//! The node as its program sees it: bind, serve, shut down.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::monitor::Tasks;
use crate::node::NodeError;
use crate::node::config::NodeConfig;
use crate::node::config::connections::ConnectionsConfig;
use crate::node::config::tokens::BootstrapTokens;
use crate::node::http::configured_tokens::ConfiguredTokens;
use crate::node::http::connection_limit::Connections;
use crate::node::http::router::{ApiState, router};
use crate::node::http::server::Server;
use crate::node::lifecycle::Upkeep;
use crate::node::lifecycle::database_probe::{self, DatabaseProbe};
use crate::node::listener::NodeListener;
use crate::node::services::Services;
use crate::store::Store;

/// A node that has its address and its state, and waits for being served.
pub struct Node {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    connections: ConnectionsConfig,
    open: Arc<Connections>,
    state: ApiState,
    upkeep: Upkeep,
    probe: Arc<DatabaseProbe>,
    store: Store,
    tasks: Tasks,
    /// Ends what the node does by itself, and its streams.
    shutdown: CancellationToken,
}

impl Node {
    /// Binds, and takes up what was going on before.
    ///
    /// # Errors
    /// If the configuration can't work, the address is taken, or the database fails.
    pub async fn bind(config: &NodeConfig, bootstrap: &BootstrapTokens, store: Store) -> Result<Node, NodeError> {
        Node::at(&NodeListener::bind(config)?, bootstrap, store, Tasks::default()).await
    }

    /// Takes up what was going on before. What the node does by itself is registered in `tasks`.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn at(
        listener: &NodeListener,
        bootstrap: &BootstrapTokens,
        store: Store,
        tasks: Tasks,
    ) -> Result<Node, NodeError> {
        let (config, address) = (&listener.config, listener.address);
        let base = config.base(address)?;
        let tokens = ConfiguredTokens::new(config, bootstrap, &store).await?;
        database_probe::set_clock(&store).await?;
        let secret = store.secret(rand::random()).await?;
        let services = Services::new(config, base, secret, store.clone(), tasks)?;
        let upkeep = services.upkeep(config);
        upkeep.resume(&services.shutdown).await?;
        let state = services.api(config, tokens);
        let (connections, open, tls) = (config.connections.clone(), listener.open.clone(), listener.tls.clone());
        let listener = listener.listener()?;
        let Services { probe, tasks, shutdown, .. } = services;
        Ok(Node { listener, address, tls, connections, open, state, upkeep, probe, store, tasks, shutdown })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is cancelled: then it takes no new requests, finishes those it has,
    /// and writes down what is waiting.
    ///
    /// # Errors
    /// If the listener breaks.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), NodeError> {
        let Node { listener, address, tls, connections, open, state, upkeep, probe, store, tasks, shutdown: stop } =
            self;
        tracing::info!(%address, tls = tls.is_some(), "the node listens");
        let sweep = tasks.spawn("sweep", &stop, upkeep.sweep(tasks.clone(), stop.clone()));
        let probe = tasks.spawn("database probe", &stop, probe.run());
        tasks.spawn("store writer", &stop, {
            let store = store.clone();
            async move { store.ended().await }
        });
        let stopping = tasks.spawn("node's stop", &stop, {
            let (stop, shutdown) = (stop.clone(), shutdown.clone());
            async move {
                shutdown.cancelled().await;
                // Streams end with this: they would never finish on their own.
                stop.cancel();
            }
        });
        let router = router(state, &connections);
        let serving = Server::new(&connections, open, tls, router, shutdown.clone()).run(listener);
        let served = tasks.run("HTTP server", &shutdown, serving).await;
        stopping.abort();
        probe.abort();
        stop.cancel();
        store.wait_no_more();
        let _ = sweep.await;
        store.close().await;
        tracing::info!("the node has stopped");
        served.unwrap_or_else(|| Err(std::io::Error::other("it panicked"))).map_err(NodeError::Serve)
    }
}
