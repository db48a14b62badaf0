//! How many connections there may be.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{ADMIN, TestNode};

/// Connects, from that address if there is one, and asks; none if the node closed the connection at once.
async fn asks(node: SocketAddr, from: Option<&str>) -> Option<TcpStream> {
    let mut stream = match from {
        None => TcpStream::connect(node).await.unwrap(),
        Some(from) => {
            let from: SocketAddr = format!("{from}:0").parse().unwrap();
            let socket = if from.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
            socket.bind(from).unwrap();
            let ip = from.ip();
            socket.connect((ip, node.port()).into()).await.unwrap()
        }
    };
    let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").await;
    let mut buffer = [0; 1024];
    let read =
        tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer)).await.expect("an answer or an end");
    read.is_ok_and(|n| buffer[..n].starts_with(b"HTTP/1.1 200")).then_some(stream)
}

#[tokio::test]
async fn the_total_is_capped_and_places_come_back() {
    let node = TestNode::start_with(|config, _| config.connections.max = Some(5)).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(asks(node.address, None).await.expect("a place"));
    }
    for _ in 0..3 {
        assert!(asks(node.address, None).await.is_none(), "one too many was served");
    }
    held.truncate(3);
    // The node hears of an end a moment later.
    let begun = std::time::Instant::now();
    while asks(node.address, None).await.is_none() {
        assert!(begun.elapsed() < Duration::from_secs(5), "no place came back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let metrics = node.request(reqwest::Method::GET, "/metrics", ADMIN).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("sidecall_connections_refused_total{why=\"total\"}"), "{metrics}");
}

/// Set where the test runs in a network namespace of its own, in which this machine has addresses that aren't loopback.
const INSIDE: &str = "SIDECALL_TEST_INSIDE";

#[test]
fn an_address_and_an_ipv6_network_are_capped_and_loopback_is_not() {
    if std::env::var_os(INSIDE).is_some() {
        return tokio::runtime::Runtime::new().unwrap().block_on(inside());
    }
    let script = "ip link set lo up && ip addr add 192.0.2.7/32 dev lo && ip addr add 192.0.2.8/32 dev lo \
        && ip addr add 2001:db8::7/128 dev lo nodad && ip addr add 2001:db8::8/128 dev lo nodad \
        && ip addr add 2001:db8:0:1::7/128 dev lo nodad && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "caps::an_address_and_an_ipv6_network_are_capped_and_loopback_is_not"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

async fn inside() {
    let node = TestNode::start_with(|config, _| {
        config.listen = "[::]:0".parse().unwrap();
        config.connections.per_address = 3;
    })
    .await;
    let mut held = Vec::new();
    for from in ["192.0.2.7", "192.0.2.7", "192.0.2.7"] {
        held.push(asks(node.address, Some(from)).await.expect(from));
    }
    assert!(asks(node.address, Some("192.0.2.7")).await.is_none(), "an address has one too many");
    held.push(asks(node.address, Some("192.0.2.8")).await.expect("another address"));
    for from in ["[2001:db8::7]", "[2001:db8::7]", "[2001:db8::8]"] {
        held.push(asks(node.address, Some(from)).await.expect(from));
    }
    assert!(asks(node.address, Some("[2001:db8::8]")).await.is_none(), "a network has one too many");
    held.push(asks(node.address, Some("[2001:db8:0:1::7]")).await.expect("another network"));
    for n in 0..10 {
        let from = if n % 2 == 0 { "127.0.0.1" } else { "[::1]" };
        held.push(asks(node.address, Some(from)).await.expect("loopback isn't capped"));
    }
}
