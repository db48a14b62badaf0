//! Takes connections and serves HTTP/1 on them, plain or with TLS.
//!
//! A server that speaks HTTP/2 too, as `axum-server` and `axum::serve` do, waits without a time limit for the bytes that
//! tell the two apart, and an idle HTTP/2 connection has no time limit either. All clients of a node speak HTTP/1.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ConnectInfo;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::io::Errno;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_layer::Layer;

use crate::node::config::connections::ConnectionsConfig;
use crate::node::http::client_certificate::ClientCertificate;
use crate::node::http::connection_limit::Connections;
use crate::node::http::socket::Socket;

/// How long requests have to finish when the node stops.
const FAREWELL: Duration = Duration::from_secs(5);
/// Bytes of a connection's buffer: heads of requests are small, and connections are many.
const BUFFER: usize = 16 * 1024;
/// Bytes that the kernel keeps for a reader that is behind. Left to itself it keeps 4 MB for each.
const SEND_BUFFER: u32 = 64 * 1024;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long to wait if no connection can be accepted.
const AGAIN: Duration = Duration::from_millis(50);

/// Listens on this address.
pub(in crate::node) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Connections have what their listener has.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What each connection needs.
#[derive(Clone)]
pub(in crate::node) struct Server {
    connections: Arc<Connections>,
    tls: Option<TlsAcceptor>,
    http: http1::Builder,
    router: Router,
    stall: Duration,
    shutdown: CancellationToken,
}

impl Server {
    /// `shutdown` ends it: then it takes no new connections, and finishes the requests that it has.
    pub(in crate::node) fn new(
        config: &ConnectionsConfig,
        connections: Arc<Connections>,
        tls: Option<TlsAcceptor>,
        router: Router,
        shutdown: CancellationToken,
    ) -> Server {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(config.idle()).max_buf_size(BUFFER);
        Server { connections, tls, http, router, stall: config.stall(), shutdown }
    }

    /// Serves until the shutdown, or until the listener is broken.
    pub(in crate::node) async fn run(self, listener: TcpListener) -> io::Result<()> {
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.shutdown.cancelled() => break,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Dropping it closes it.
                    let Ok(place) = self.connections.take(peer.ip(), Instant::now()) else { continue };
                    let Ok(socket) = Socket::new(stream, place, self.stall) else { continue };
                    tasks.spawn(self.clone().connection(socket, peer));
                }
                Err(error) if is_broken(&error) => return Err(error),
                // It has gone already, or the descriptors have run out.
                Err(error) => {
                    tracing::debug!(%error, "a connection can't be accepted");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
        drop(listener);
        tasks.close();
        tasks.wait().await;
        Ok(())
    }

    async fn connection(self, socket: Socket, peer: SocketAddr) {
        let Some(tls) = &self.tls else { return self.http(socket, peer, None).await };
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(self.stall, tls.accept(socket)) => shaken,
            () = self.shutdown.cancelled() => return,
        };
        if let Ok(Ok(stream)) = shaken {
            let shown = ClientCertificate::shown(stream.get_ref().1);
            self.http(stream, peer, shown).await;
        }
    }

    async fn http<S>(&self, stream: S, peer: SocketAddr, shown: Option<ClientCertificate>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let service = Extension(shown).layer(Extension(ConnectInfo(peer)).layer(self.router.clone()));
        let connection = self.http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = std::pin::pin!(connection.with_upgrades());
        // How a connection ends is its client's business.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = self.shutdown.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = tokio::time::timeout(FAREWELL, connection).await;
    }
}

/// Errors that no waiting mends.
fn is_broken(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK))
}
