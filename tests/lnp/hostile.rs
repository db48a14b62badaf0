//! Sources that answer what no honest one would: nobody is kept waiting by it, and nothing is believed.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sidecall::lnp::Lnp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::support::{ALICE, BOB, dns_source, lnp, peer_b, served, unknown, until};

/// How long a question may be under way, and what a busy machine may add.
const FLIGHT: Duration = Duration::from_millis(1_000 + 800);

/// An HTTP service whose answers begin so and never end; how many bytes it got rid of.
async fn endless(head: &'static str) -> (Value, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (address, written) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = written.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(head.as_bytes()).await;
                // A chunk of JSON that goes on and on.
                let piece = format!("1000\r\n{}\r\n", " ".repeat(4096));
                while stream.write_all(piece.as_bytes()).await.is_ok() {
                    count.fetch_add(piece.len(), Ordering::Relaxed);
                }
            });
        }
    });
    (json!({"name": "http", "kind": "http", "url": format!("http://{address}/{{number}}")}), written)
}

#[tokio::test]
async fn a_body_that_never_ends_is_not_read() {
    for head in [
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 104857600\r\n\r\n",
        "HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n",
        "HTTP/1.1 500 Oh\r\ncontent-length: 104857600\r\n\r\n",
    ] {
        let (source, written) = endless(head).await;
        let lnp = lnp(&[source], Value::Null);
        let begun = Instant::now();
        assert_eq!(served(&lnp, ALICE).await, unknown());
        assert!(begun.elapsed() < FLIGHT, "{head}: {:?}", begun.elapsed());
        // What the kernel holds between the two, and no more: the connection is closed.
        let settled = async || {
            let before = written.load(Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(30)).await;
            before == written.load(Ordering::Relaxed)
        };
        until(settled).await;
        assert!(written.load(Ordering::Relaxed) < 32 * 1024 * 1024, "{head}: {written:?}");
    }
}

/// What a server makes of a question.
type Make = fn(&[u8]) -> Vec<u8>;

/// A DNS server that makes its answers so.
async fn server(make: Make) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&make(&buffer[..length]), from).await;
        }
    });
    address
}

/// The question's own octets: a header of twelve, then the name and four more.
fn question(asked: &[u8]) -> &[u8] {
    let end = 12 + asked[12..].iter().position(|octet| *octet == 0).unwrap() + 5;
    &asked[12..end]
}

/// An answer with these flags, so many records by its own words, and these octets of them.
fn message(asked: &[u8], flags: u16, count: u16, records: &[u8]) -> Vec<u8> {
    let mut answer = asked[..2].to_vec();
    for word in [flags, 1, count, 0, 0] {
        answer.extend(word.to_be_bytes());
    }
    answer.extend(question(asked));
    answer.extend(records);
    answer
}

/// A NAPTR record of the name that was asked for, in a class.
fn naptr(class: u16, order: u16, regexp: &[u8]) -> Vec<u8> {
    let mut data = [order.to_be_bytes(), 10u16.to_be_bytes()].concat();
    for text in [&b"u"[..], b"E2U+pstn:tel", regexp] {
        data.push(u8::try_from(text.len()).unwrap());
        data.extend(text);
    }
    data.push(0);
    record(35, class, &data)
}

fn record(kind: u16, class: u16, data: &[u8]) -> Vec<u8> {
    // Its name is the question's, by a pointer.
    let mut record = vec![0xc0, 12];
    for word in [kind, class, 0, 60, u16::try_from(data.len()).unwrap()] {
        record.extend(word.to_be_bytes());
    }
    record.extend(data);
    record
}

const OK: u16 = 0x8580;
const GOOD: &[u8] = b"!^(.*)$!tel:\\1;npdi;rn=+13035559999!";

/// A PBX opens ports of its own for RTP, below the ephemeral ones; a question that takes one of them costs a call.
#[tokio::test]
async fn questions_leave_by_the_systems_ephemeral_ports() {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let range: Vec<u16> = range.split_whitespace().map(|port| port.parse().unwrap()).collect();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let lnp = lnp(&[dns_source("dns", socket.local_addr().unwrap())], Value::Null);
    let mut buffer = [0; 4096];
    for last in 10..42 {
        let number = format!("+121255501{last}");
        let asked = async {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            assert!((range[0]..=range[1]).contains(&from.port()), "a question left by port {}", from.port());
            let answer = message(&buffer[..length], OK, 1, &naptr(1, 1, GOOD));
            socket.send_to(&answer, from).await.unwrap();
        };
        let (said, ()) = tokio::join!(served(&lnp, &number), asked);
        assert_eq!(said, peer_b());
    }
}

#[tokio::test]
async fn what_no_dns_server_should_say_says_nothing() {
    let honest: Make = |asked| message(asked, OK, 1, &naptr(1, 1, GOOD));
    let hostile: &[(&str, Make)] = &[
        ("nothing", |_| Vec::new()),
        ("noise", |asked| asked.iter().rev().map(|octet| octet.wrapping_mul(31)).collect()),
        ("a header alone", |asked| message(asked, OK, 1, &[])[..12].to_vec()),
        ("many records that aren't there", |asked| message(asked, OK, u16::MAX, &naptr(1, 1, GOOD))),
        ("a record cut off", |asked| message(asked, OK, 1, &naptr(1, 1, GOOD)[..30])),
        ("a text longer than its record", |asked| {
            let data = [&[0, 1, 0, 10, 255][..], b"u"].concat();
            message(asked, OK, 1, &record(35, 1, &data))
        }),
        ("another class", |asked| message(asked, OK, 1, &naptr(3, 1, GOOD))),
        ("another id", |asked| {
            let mut answer = message(asked, OK, 1, &naptr(1, 1, GOOD));
            answer[0] ^= 0xff;
            answer
        }),
        ("another question", |asked| {
            let mut answer = message(asked, OK, 1, &naptr(1, 1, GOOD));
            answer[13] ^= 1;
            answer
        }),
        ("truncated, and nobody there for TCP", |asked| message(asked, OK | 0x0200, 0, &[])),
        ("an alias of itself", |asked| message(asked, OK, 1, &record(5, 1, &[0xc0, 12]))),
        ("a name that points at itself", |asked| {
            let at = u16::try_from(12 + question(asked).len() + 12).unwrap() | 0xc000;
            message(asked, OK, 1, &record(5, 1, &at.to_be_bytes()))
        }),
        ("refused", |asked| message(asked, OK | 5, 0, &[])),
        ("a long expression, many times", |asked| {
            let regexp = [b"!^".as_slice(), &b"(.*)*".repeat(48), b"$!\\1!"].concat();
            let records: Vec<u8> = (0..12).flat_map(|n| naptr(1, n, &regexp)).collect();
            message(asked, OK, 12, &records)
        }),
        ("an expression of octets", |asked| message(asked, OK, 1, &naptr(1, 1, &[0xff; 255]))),
    ];
    assert_eq!(served(&lnp(&[dns_source("dns", server(honest).await)], Value::Null), ALICE).await, peer_b());
    // All at once: most of them take as long as a question may.
    let asking = hostile.iter().map(|(what, make)| async move {
        let lnp: Lnp = lnp(&[dns_source("dns", server(*make).await)], Value::Null);
        let begun = Instant::now();
        assert_eq!(served(&lnp, ALICE).await, unknown(), "{what}");
        assert!(begun.elapsed() < FLIGHT, "{what}: {:?}", begun.elapsed());
        // And asked for its own sake it says so, or nothing.
        let heard = lnp.explain(&BOB.parse().unwrap()).await;
        assert!(heard[0].said.as_ref().map_or(true, |(_, _, means)| means.is_none()), "{what}: {heard:?}");
    });
    futures_util::future::join_all(asking).await;
}
