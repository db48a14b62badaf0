//! The connection against a device that offers, over a network in memory, with time that is moved by hand.

use super::*;
use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::media::description::{certificate_of, data_section};
use crate::media::offerer::Offerer;
use crate::media::remote_addresses::ADDRESSES_MAX;

fn address(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

/// A candidate as a device says it.
fn candidate(ip: &str, port: u32) -> String {
    format!("candidate:1 1 udp 2113929471 {ip} {port} typ host")
}

/// Two devices and the network between them.
struct Network {
    browser: Offerer,
    terminal: MediaConnection,
    addresses: RemoteAddresses,
    now: Instant,
    events: Vec<ConnectionEvent>,
}

impl Network {
    fn new() -> Network {
        let now = Instant::now();
        let terminal = MediaConnection::new(&MediaIdentity::new().unwrap(), address(2000), now).unwrap();
        let addresses = RemoteAddresses::new(address(2000).ip(), now);
        Network { browser: Offerer::new(address(3000), now), terminal, addresses, now, events: Vec::new() }
    }

    fn answer(&mut self, offer: &str) -> Result<String, MediaError> {
        self.terminal.answer(offer, &self.addresses, self.now)
    }

    fn add_candidate(&mut self, line: &str) {
        self.terminal.add_candidate(line, &self.addresses, self.now).unwrap();
    }

    /// Where the terminal sends datagrams within ten seconds.
    fn destinations(&mut self) -> BTreeSet<SocketAddr> {
        let mut destinations = BTreeSet::new();
        for _ in 0..1000 {
            destinations.extend(std::iter::from_fn(|| self.terminal.next_datagram()).map(|(to, _)| to));
            self.now += Duration::from_millis(10);
            self.terminal.timeout(self.now).unwrap();
        }
        destinations
    }

    /// Delivers datagrams and moves time until this holds, or ten seconds have passed.
    fn run(&mut self, until: impl Fn(&Network) -> bool) -> Result<bool, MediaError> {
        for _ in 0..1000 {
            while let Some((to, datagram)) = self.terminal.next_datagram() {
                if to == address(3000) {
                    self.browser.receive(address(2000), &datagram, self.now);
                }
            }
            for (to, datagram) in std::mem::take(&mut self.browser.datagrams) {
                if to == address(2000) {
                    self.terminal.receive(address(3000), &datagram, &self.addresses, self.now)?;
                }
            }
            while let Some(event) = self.terminal.next_event() {
                self.events.push(event);
            }
            if until(self) {
                return Ok(true);
            }
            self.now += Duration::from_millis(10);
            self.browser.timeout(self.now);
            self.terminal.timeout(self.now)?;
        }
        Ok(false)
    }

    fn connect(&mut self, with_camera: bool) {
        let offer = self.browser.offer(with_camera);
        let answer = self.answer(&offer).unwrap();
        self.browser.accept(&answer);
        assert!(self.run(|it| it.is_up() && it.browser.is_connected).unwrap());
    }

    fn is_up(&self) -> bool {
        self.events.iter().any(|event| matches!(event, ConnectionEvent::Up))
    }
}

#[test]
fn texts_and_bytes_come_through_a_channel_with_its_protocol() {
    let mut network = Network::new();
    network.connect(false);
    let channel = network.browser.open("files:x", "sidecall-files");
    assert!(network.run(|it| it.browser.channels.contains(&channel)).unwrap());
    assert!(network.browser.send(channel, true, b"bytes") && network.browser.send(channel, false, b"text"));
    assert!(network.run(|it| it.events.iter().any(|event| matches!(event, ConnectionEvent::Text { .. }))).unwrap());
    let Some(ConnectionEvent::Opened { channel: own, label, protocol }) = network
        .events
        .iter()
        .find(|event| matches!(event, ConnectionEvent::Opened { label, .. } if label == "files:x"))
    else {
        panic!("{:?}", network.events)
    };
    assert_eq!((label.as_str(), protocol.as_str()), ("files:x", "sidecall-files"));
    let own = *own;
    let bytes = network.events.iter().find_map(|event| match event {
        ConnectionEvent::Bytes { channel, bytes } if *channel == own => Some(bytes.clone()),
        _ => None,
    });
    assert_eq!(bytes.as_deref(), Some(b"bytes".as_slice()));
    assert!(network.terminal.send(own, "answer").unwrap());
    assert!(network.run(|it| it.browser.texts == ["answer"]).unwrap());
    network.terminal.close_channel(own).unwrap();
    assert!(network.run(|it| it.browser.closed.contains(&channel)).unwrap());
    assert!(!network.terminal.send(own, "late").unwrap());
}

#[test]
fn an_answer_names_one_certificate_and_refuses_cameras() {
    let mut network = Network::new();
    let offer = network.browser.offer(true);
    let answer = network.answer(&offer).unwrap();
    assert!(certificate_of(&answer).is_some());
    assert!(answer.contains("m=video 0 UDP/TLS/RTP/SAVPF 0\r\n"), "{answer}");
    assert_eq!(data_section(&answer).map(|section| section.index), Some(1));
    assert_eq!(data_section(&answer), data_section(&offer));
}

/// The library reports on every stream that an offer names, also of a section that it has refused.
#[test]
fn a_camera_in_the_offer_does_not_end_the_connection() {
    let mut network = Network::new();
    network.connect(true);
    let channel = network.browser.open("files:x", "sidecall-files");
    assert!(network.run(|it| it.browser.channels.contains(&channel)).unwrap());
    // Ten seconds, with several reports.
    assert!(!network.run(|_| false).unwrap());
    assert!(network.browser.send(channel, false, b"text"));
    assert!(network.run(|it| it.events.iter().any(|event| matches!(event, ConnectionEvent::Text { .. }))).unwrap());
}

#[test]
fn a_device_with_another_certificate_than_its_offers_is_not_let_in() {
    let mut network = Network::new();
    let offer = network.browser.offer(false);
    let own = network.browser.fingerprint().to_string();
    let other = MediaIdentity::new().unwrap().proof([0; 16]).fingerprint.to_string();
    let answer = network.answer(&offer.replace(&own, &other)).unwrap();
    network.browser.accept(&answer);
    assert!(matches!(network.run(Network::is_up), Err(MediaError::Impostor)));
}

#[test]
fn datagrams_go_only_where_a_client_may_be() {
    let mut network = Network::new();
    let offer = network.browser.offer(false);
    network.answer(&offer).unwrap();
    for (ip, port) in [("192.0.2.9", 53), ("224.0.0.1", 5000), ("127.0.0.1", 5000)] {
        network.add_candidate(&candidate(ip, port));
    }
    for bad in ["", "candidate:", "candidate:1 1 udp 1 x.local 5000 typ host", &candidate("192.0.2.9", 70_000)] {
        network.add_candidate(bad);
    }
    for port in 5000..5200 {
        network.add_candidate(&candidate("192.0.2.8", port));
    }
    let destinations = network.destinations();
    let tried = destinations.iter().filter(|to| to.to_string().starts_with("192.0.2.8:")).count();
    assert!(tried > 0 && tried < ADDRESSES_MAX as usize, "{destinations:?}");
    assert!(destinations.iter().all(|to| *to == address(3000) || to.to_string().starts_with("192.0.2.8:")));
}

#[test]
fn a_request_from_where_no_client_can_be_gets_no_answer() {
    let mut network = Network::new();
    network.browser = Offerer::new(address(53), network.now);
    let offer = network.browser.offer(false);
    let answer = network.answer(&offer).unwrap();
    network.browser.accept(&answer);
    let mut requests = 0;
    for _ in 0..200 {
        for (_, datagram) in std::mem::take(&mut network.browser.datagrams) {
            requests += 1;
            network.terminal.receive(address(53), &datagram, &network.addresses, network.now).unwrap();
        }
        network.now += Duration::from_millis(10);
        network.browser.timeout(network.now);
        network.terminal.timeout(network.now).unwrap();
        assert_eq!(network.terminal.next_datagram(), None);
    }
    assert!(requests > 0);
}

#[test]
fn another_connection_does_not_try_more_addresses() {
    let mut network = Network::new();
    let offer = network.browser.offer(false);
    network.answer(&offer).unwrap();
    for port in 5000..5100 {
        network.add_candidate(&candidate("192.0.2.8", port));
    }
    network.terminal = MediaConnection::new(&MediaIdentity::new().unwrap(), address(2000), network.now).unwrap();
    network.browser = network.browser.anew(network.now);
    let offer = network.browser.offer(false);
    network.answer(&offer).unwrap();
    for port in 5000..5100 {
        network.add_candidate(&candidate("192.0.2.9", port));
    }
    assert_eq!(network.destinations(), BTreeSet::from([address(3000)]));
}

#[test]
fn what_is_no_offer_and_what_is_no_datagram_breaks_nothing() {
    let mut network = Network::new();
    for sdp in ["", "v=0", "v=0\r\nm=\r\n", "a=fingerprint:sha-256 00\r\n"] {
        assert!(network.answer(sdp).is_err(), "{sdp:?}");
    }
    for datagram in [&b""[..], &[0], &[22; 40], &[128; 12], &[255; 2000]] {
        network.terminal.receive(address(3000), datagram, &network.addresses, network.now).unwrap();
    }
    network.connect(false);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// A device that keeps to its certificate may still send an offer that is none.
    #[test]
    fn no_offer_makes_the_library_panic(
        changes in vec((any::<Index>(), any::<Index>(), 0_u8..5, "[0-9]{1,20}|[ -~]{0,9}"), 1..12), with_camera: bool,
    ) {
        let mut network = Network::new();
        let offer = network.browser.offer(with_camera);
        let mut lines: Vec<String> = offer.lines().map(str::to_owned).collect();
        for (at, to, change, text) in changes {
            let (at, to) = (at.index(lines.len()), to.index(lines.len()));
            match change {
                0 => drop(lines.remove(at)),
                1 => lines.insert(to, lines[at].clone()),
                2 => lines.swap(at, to),
                3 => lines[at].truncate(to),
                _ => lines[at] = lines[at].replace(|c: char| c.is_ascii_digit(), &text),
            }
            if lines.is_empty() {
                lines.push(text);
            }
        }
        let sdp: String = lines.iter().flat_map(|line| [line.as_str(), "\r\n"]).collect();
        let _ = network.answer(&sdp);
        for _ in 0..3 {
            network.now += Duration::from_millis(500);
            while network.terminal.next_datagram().is_some() {}
            let _ = network.terminal.timeout(network.now);
        }
    }
}
