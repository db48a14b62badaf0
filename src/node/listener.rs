//! The address of a node, before the node has its database.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::monitor::Metrics;
use crate::node::NodeError;
use crate::node::config::NodeConfig;
use crate::node::http::connection_limit::Connections;
use crate::node::http::server::{Server, listen};
use crate::node::http::{stand_by, tls};
use crate::store::StandByReason;

/// How often the metrics are compacted.
const UPKEEP: Duration = Duration::from_secs(5);

/// Listens where a node will serve.
pub struct NodeListener {
    pub(in crate::node) config: NodeConfig,
    pub(in crate::node) tls: Option<TlsAcceptor>,
    pub(in crate::node) address: SocketAddr,
    pub(in crate::node) open: Arc<Connections>,
    listener: StdListener,
}

impl NodeListener {
    /// Checks the configuration, and binds.
    ///
    /// # Errors
    /// If the configuration can't work, or the address is taken.
    pub fn bind(config: &NodeConfig) -> Result<NodeListener, NodeError> {
        config.check()?;
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let failed = |source| NodeError::Bind { address: config.listen, source };
        let listener = listen(config.listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let listener = listener.into_std().map_err(failed)?;
        let open = Connections::new(&config.connections, Metrics::install());
        Ok(NodeListener { config: config.clone(), tls, address, open, listener })
    }

    /// Waits for `work`, and tells whoever asks meanwhile that the node stands by. `reasons` has what it waits for.
    ///
    /// # Errors
    /// If the listener breaks.
    pub async fn stand_by<T>(
        &self,
        reasons: watch::Receiver<Option<StandByReason>>,
        work: impl Future<Output = T>,
    ) -> Result<T, NodeError> {
        tracing::info!(address = %self.address, "the node stands by");
        let metrics = Metrics::install();
        // It ends what is being answered when this returns. Whoever comes then waits for the node.
        let over = CancellationToken::new();
        let _over = over.clone().drop_guard();
        let router = stand_by::router(&self.config, reasons);
        let server = Server::new(&self.config.connections, self.open.clone(), self.tls.clone(), router, over);
        let upkeep = async {
            loop {
                tokio::time::sleep(UPKEEP).await;
                metrics.upkeep();
            }
        };
        metrics.stands_by(true);
        let done = tokio::select! {
            done = work => Ok(done),
            broken = server.run(self.listener()?) => {
                Err(NodeError::Serve(broken.err().unwrap_or_else(|| std::io::Error::other("it ended"))))
            }
            () = upkeep => Err(NodeError::Serve(std::io::Error::other("it ended"))),
        };
        metrics.stands_by(false);
        done
    }

    /// The listener, under a descriptor of its own.
    pub(in crate::node) fn listener(&self) -> Result<TcpListener, NodeError> {
        self.listener.try_clone().and_then(TcpListener::from_std).map_err(NodeError::Serve)
    }
}
