//! A node for tests: it answers one request after the other, each on a connection of its own.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::cli::api_client::Api;
use crate::core::address::Address;

/// Something that listens where a node would.
pub(super) struct NodeDouble {
    listener: TcpListener,
    url: String,
}

impl NodeDouble {
    /// It says nothing until it is told to.
    pub(super) async fn start() -> NodeDouble {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        NodeDouble { listener, url }
    }

    /// A call-scoped address of this node's.
    pub(super) fn address(&self) -> Address {
        format!("{}/a/x", self.url).parse().unwrap()
    }

    /// A client of this node, with the token `token`.
    pub(super) fn api(&self) -> Api {
        // Fails if a provider is already installed, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Api::new(self.url.parse().unwrap(), "token").unwrap()
    }

    /// Answers the next request with this status line and this JSON, if any. Returns the request, in lower case.
    pub(super) async fn answer(&self, status: &str, json: &str) -> String {
        let (mut connection, _) = self.listener.accept().await.unwrap();
        let request = read_request(&mut connection).await;
        let length = json.len();
        let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{json}");
        connection.write_all(answer.as_bytes()).await.unwrap();
        request
    }
}

/// Reads a request to its end. A connection that is closed before loses the answer.
async fn read_request(connection: &mut TcpStream) -> String {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    loop {
        let read = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, body)) = read.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return read;
            }
        }
        let length = connection.read(&mut part).await.unwrap();
        assert!(length > 0, "the request ends too early");
        request.extend(&part[..length]);
    }
}
