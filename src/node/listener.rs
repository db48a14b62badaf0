//! The address of a node, before the node has its database.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::os::fd::AsFd;

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

/// Listens where a node will serve.
pub struct NodeListener {
    pub(in crate::node) config: NodeConfig,
    pub(in crate::node) tls: Option<TlsAcceptor>,
    pub(in crate::node) address: SocketAddr,
    pub(in crate::node) listener: TcpListener,
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
        Ok(NodeListener { config: config.clone(), tls, address, listener })
    }

    /// Waits for `opening`, and tells whoever asks meanwhile that the node stands by. `reasons` has what it waits for.
    ///
    /// # Errors
    /// If the listener breaks.
    pub async fn stand_by<T>(
        &self,
        reasons: watch::Receiver<Option<String>>,
        opening: impl Future<Output = T>,
    ) -> Result<T, NodeError> {
        tracing::info!(address = %self.address, "the node stands by");
        let metrics = Metrics::install();
        // It ends what is being answered when this returns. The node's own listener keeps who comes in between.
        let over = CancellationToken::new();
        let _over = over.clone().drop_guard();
        let open = Connections::new(&self.config.connections, metrics);
        let router = stand_by::router(&self.config, reasons);
        let server = Server::new(&self.config.connections, open, self.tls.clone(), router, over);
        metrics.stands_by(true);
        let done = tokio::select! {
            done = opening => Ok(done),
            broken = server.run(self.listener_too().map_err(NodeError::Serve)?) => {
                Err(NodeError::Serve(broken.err().unwrap_or_else(|| std::io::Error::other("it ended"))))
            }
        };
        metrics.stands_by(false);
        done
    }

    /// A second descriptor of the same listener.
    fn listener_too(&self) -> std::io::Result<TcpListener> {
        TcpListener::from_std(StdListener::from(self.listener.as_fd().try_clone_to_owned()?))
    }
}
