//! Connections that make no progress end; healthy ones that are idle stay.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use sidecall::node::{ConnectionsConfig, NodeConfig, TlsFiles};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::{ADMIN, AGENT, ALICE, BOB, TestNode, answer, credential};
use lab::net::ca::Ca;

/// Longer than any limit of [`short`], and shorter than the one on a whole request (15 s).
const PATIENCE: Duration = Duration::from_secs(8);

fn short(config: &mut NodeConfig, _: &Path) {
    config.connections.idle_seconds = 1;
    config.connections.stall_seconds = 1;
}

/// What is sent before nothing more is.
fn beginnings() -> Vec<(&'static str, String)> {
    let head = |path: &str, rest: String| format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{rest}");
    let json = |token: &str| format!("authorization: Bearer {token}\r\ncontent-type: application/json\r\n");
    let half = "content-length: 1000\r\n\r\n{\"pbx\":";
    vec![
        ("nothing", String::new()),
        ("one byte", "G".to_owned()),
        ("half an HTTP/2 preface", "PRI * HTTP/2.0\r\n".to_owned()),
        ("half a head", "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n".to_owned()),
        ("a request, and no other", "GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".to_owned()),
        ("half a body", head("/v1/calls", json(AGENT) + half)),
        ("half a chunk", head("/v1/calls", json(AGENT) + "transfer-encoding: chunked\r\n\r\n100\r\n{")),
        ("half an import", head("/v1/numbers:import", format!("authorization: Bearer {ADMIN}\r\n{half}"))),
        ("half a body without a token", head("/v1/calls", half.to_owned())),
        ("half a message", head("/a/nobody", half.to_owned())),
    ]
}

async fn tcp(node: &TestNode) -> TcpStream {
    TcpStream::connect(node.address).await.unwrap()
}

/// Waits until the node ends the connection.
async fn wait_for_end(mut stream: impl AsyncRead + Unpin, what: &str) {
    let mut buffer = vec![0; 64 * 1024];
    let read = async { while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {} };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("{what}: the connection is still open"));
}

async fn begins<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, what: &'static str, beginning: String) {
    stream.write_all(beginning.as_bytes()).await.unwrap();
    wait_for_end(stream, what).await;
}

#[tokio::test]
async fn a_connection_that_stalls_ends() {
    let node = TestNode::start_with(short).await;
    let mut all = Vec::new();
    for (what, beginning) in beginnings() {
        all.push(tokio::spawn(begins(tcp(&node).await, what, beginning)));
    }
    for one in all {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_that_stalls_ends_over_tls() {
    let ca = Ca::generate();
    let node = TestNode::start_with(|config, folder| {
        short(config, folder);
        let (cert, key) = ca.sign(&["node.example"]);
        let files = [("node.crt", cert), ("node.key", key)].map(|(name, text)| {
            std::fs::write(folder.join(name), text).unwrap();
            folder.join(name)
        });
        let [cert, key] = files;
        config.tls = Some(TlsFiles { cert, key, client_ca: None });
    })
    .await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let mut all = Vec::new();
    // A record header, and no record: the beginning of a handshake.
    for (what, sent) in [("no handshake", &b""[..]), ("half a handshake", &b"\x16\x03\x01\x02\x00\x01"[..])] {
        let mut stream = tcp(&node).await;
        stream.write_all(sent).await.unwrap();
        all.push(tokio::spawn(wait_for_end(stream, what)));
    }
    for (what, beginning) in beginnings() {
        let name = ServerName::try_from("node.example").unwrap();
        let stream = connector.connect(name, tcp(&node).await).await.unwrap();
        all.push(tokio::spawn(begins(stream, what, beginning)));
    }
    for one in all {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_gets_no_more() {
    let node = TestNode::start_with(short).await;
    let mut stream = tcp(&node).await;
    let document = node.http.get(node.url("/openapi.json")).send().await.unwrap().bytes().await.unwrap().len();
    let asked = 20_000_000 / document;
    let request = "GET /openapi.json HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    stream.write_all(request.repeat(asked).as_bytes()).await.unwrap();
    // What the kernels keep for it stays readable. The node has let go of the rest.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let mut read = 0;
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(n @ 1..) = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await.expect("an end") {
        read += n;
    }
    assert!(read < asked * document, "all {asked} answers came");
}

async fn connected(node: &TestNode, client: &str) -> bool {
    let clients = node.get("/v1/clients", &credential(ALICE)).await;
    let found = clients["clients"].as_array().unwrap().iter().find(|one| one["id"] == client).unwrap();
    found["connected"] == true
}

/// Alice, on the phone with Bob; the address by which she is sent messages.
async fn alice_is_sent(node: &TestNode) -> (String, String) {
    for number in [ALICE, BOB] {
        node.number(number, json!({"pbx": "a"})).await;
    }
    let (alice, bob) = (node.client(ALICE, json!({})).await, node.client(BOB, json!({})).await);
    node.talk().await;
    let address = node.websocket(&bob, BOB).await.next().await["peer"]["address"].as_str().unwrap().to_owned();
    (alice, address)
}

/// A stream that is opened and never read, with the smallest buffer that there is.
async fn opens(node: &TestNode, client: &str, headers: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    let mut stream = socket.connect(node.address).await.unwrap();
    let token = credential(ALICE);
    let request = format!(
        "GET /v1/clients/{client}/stream HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let begun = std::time::Instant::now();
    while !connected(node, client).await {
        assert!(begun.elapsed() < PATIENCE, "not connected");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stream
}

#[tokio::test]
async fn a_stream_that_nobody_reads_ends() {
    const SSE: &str = "accept: text/event-stream\r\n";
    const WEBSOCKET: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for headers in [SSE, WEBSOCKET] {
        let node = TestNode::start_with(short).await;
        let (alice, address) = alice_is_sent(&node).await;
        let stream = opens(&node, &alice, headers).await;
        // As much at once as an address takes: more than the kernels keep for such a reader.
        for n in 0..15 {
            let body = json!({"n": n, "text": "x".repeat(60_000)});
            assert_eq!(answer(node.http.post(&address).json(&body)).await.0, 202);
        }
        let begun = std::time::Instant::now();
        while connected(&node, &alice).await {
            assert!(begun.elapsed() < PATIENCE, "the stream is still open: {headers}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        drop(stream);
    }
}

#[tokio::test]
async fn idle_streams_stay_open() {
    let node = TestNode::start_with(short).await;
    let (alice, address) = alice_is_sent(&node).await;
    let mut socket = node.websocket(&alice, ALICE).await;
    let path = format!("/v1/clients/{alice}/stream");
    let events = node.request(Method::GET, &path, &credential(ALICE)).header("accept", "text/event-stream");
    let mut events = Box::pin(events.send().await.unwrap().bytes_stream());
    socket.next().await;
    // Several times as long as a connection that waits for a request may last.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(answer(node.http.post(&address).json(&json!({"text": "still there"}))).await.0, 202);
    let message: Value = socket.next().await;
    assert_eq!(message["content"]["text"], "still there");
    let heard = async {
        while let Some(chunk) = events.next().await {
            if String::from_utf8_lossy(&chunk.unwrap()).contains("still there") {
                return;
            }
        }
        panic!("the stream of events has ended");
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap();
}

#[test]
fn the_limits_as_shipped_are_short() {
    let shipped = ConnectionsConfig::default();
    assert_eq!((shipped.idle_seconds, shipped.stall_seconds), (75, 20));
}
