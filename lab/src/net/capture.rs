//! The wire itself: SIP on loopback as a packet capture sees it, so that what a trunk carries isn't taken
//! from anybody's own log. Wireshark's `dumpcap` captures, and its file can be read while it goes on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::net::ports;
use crate::process::{Child, folder, on_path, wait_until};
use crate::{LabError, Result, SipMessage};

/// How long the capture may take to begin, and to write down its last packet.
const PATIENCE: Duration = Duration::from_secs(15);

const FILE: &str = "wire.pcap";

/// A capture that is running. Dropping it ends it.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    dir: TempDir,
    /// Where markers are sent to: they show where the capture begins and ends.
    marker: SocketAddr,
}

#[derive(Debug, Clone)]
pub struct Packet {
    pub from: SocketAddr,
    pub to: SocketAddr,
    /// The message; `received` has no meaning here and is true.
    pub message: SipMessage,
}

#[derive(Debug, Clone)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub payload: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
pub struct Packets(pub Vec<Packet>);

impl Capture {
    /// Captures UDP from and to these ports. Returns when it has begun.
    pub fn start(ports: &[u16]) -> Result<Capture> {
        let ports: Vec<String> = ports.iter().map(|port| format!("port {port}")).collect();
        Capture::start_with(&format!("udp and ({})", ports.join(" or ")))
    }

    /// Captures what a filter of `dumpcap` lets through.
    pub fn start_with(filter: &str) -> Result<Capture> {
        if on_path("dumpcap").is_none() {
            return Err(LabError::Missing("no dumpcap on PATH (Debian package tshark)".to_owned()));
        }
        let dir = folder("wire-")?;
        let marker = ports::local();
        let mut command = Command::new("dumpcap");
        command.args(["-q", "-P", "-i", "lo", "-f", &format!("({filter}) or udp port {}", marker.port())]);
        command.arg("-w").arg(dir.path().join(FILE));
        let child = Child::spawn(&mut command, dir.path().join("dumpcap.log"))?;
        let mut capture = Capture { child, dir, marker };
        match capture.send_marker("begin") {
            Ok(()) => Ok(capture),
            // Not permitted, as a rule: it says so and ends.
            Err(_) if !capture.child.is_running() => {
                Err(LabError::Missing(format!("no capture on lo: {}", capture.child.log().trim())))
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a marker until it has been captured: so has everything that was sent before.
    fn send_marker(&mut self, text: &str) -> Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(LabError::io("marker"))?;
        let text = format!("sidecall-{text}-{:016x}", rand::random::<u64>());
        let file = self.dir.path().join(FILE);
        let (marker, mut ended) = (self.marker, false);
        let seen = wait_until(PATIENCE, || {
            let _ = socket.send_to(text.as_bytes(), marker);
            std::thread::sleep(Duration::from_millis(20));
            ended = !self.child.is_running();
            let bytes = std::fs::read(&file).unwrap_or_default();
            ended || bytes.windows(text.len()).any(|window| window == text.as_bytes())
        });
        if seen && !ended {
            return Ok(());
        }
        Err(LabError::late("no packet was captured", PATIENCE, self.child.log()))
    }

    /// Ends it and reads what it has.
    pub fn stop(mut self) -> Result<Packets> {
        let packets = self.packets()?;
        self.child.terminate(Duration::from_secs(5));
        Ok(packets)
    }

    /// What it has by now. It goes on.
    pub fn packets(&mut self) -> Result<Packets> {
        let file = self.file()?;
        Ok(Packets(records(&file).filter_map(|(at, frame)| packet(at, frame)).collect()))
    }

    /// Every UDP packet by now, whatever it carries.
    pub fn datagrams(&mut self) -> Result<Vec<Datagram>> {
        let file = self.file()?;
        Ok(records(&file).filter_map(|(_, frame)| datagram(frame)).collect())
    }

    /// All octets by now: for what must not be read there.
    pub fn file(&mut self) -> Result<Vec<u8>> {
        self.send_marker("here")?;
        std::fs::read(self.dir.path().join(FILE)).map_err(LabError::io(FILE))
    }
}

/// The frames of a capture file (pcap, as this machine writes it) and when they came.
fn records(file: &[u8]) -> impl Iterator<Item = (Duration, &[u8])> {
    let mut rest = file.get(24..).unwrap_or_default();
    let word = |bytes: &[u8], n: usize| u32::from_ne_bytes(bytes[4 * n..4 * n + 4].try_into().expect("four octets"));
    std::iter::from_fn(move || {
        let (head, more) = rest.split_at_checked(16)?;
        // The last one may not have been written to its end yet.
        let (frame, more) = more.split_at_checked(word(head, 2) as usize)?;
        rest = more;
        Some((Duration::from_secs(word(head, 0).into()) + Duration::from_micros(word(head, 1).into()), frame))
    })
}

/// A frame of loopback: Ethernet, IPv4 or IPv6 without extension headers, UDP.
fn datagram(frame: &[u8]) -> Option<Datagram> {
    let ip = frame.get(14..)?;
    let (from, to, protocol, udp): (IpAddr, IpAddr, u8, &[u8]) = match frame[12..14] {
        [8, 0] => {
            let address = |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?));
            (address(12)?, address(16)?, *ip.get(9)?, ip.get(usize::from(ip[0] & 15) * 4..)?)
        }
        [0x86, 0xdd] => {
            let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(ip.get(at..at + 16)?).ok()?).into());
            (address(8)?, address(24)?, *ip.get(6)?, ip.get(40..)?)
        }
        _ => return None,
    };
    let (head, payload) = udp.split_at_checked(8).filter(|(_, payload)| protocol == 17 && !payload.is_empty())?;
    let port = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (from, to) = (SocketAddr::new(from, port(0)), SocketAddr::new(to, port(2)));
    Some(Datagram { from, to, payload: payload.to_vec() })
}

fn packet(at: Duration, frame: &[u8]) -> Option<Packet> {
    let Datagram { from, to, payload } = datagram(frame)?;
    let message = SipMessage::parse(at, true, &String::from_utf8_lossy(&payload))?;
    Some(Packet { from, to, message })
}

impl Packets {
    pub fn since(self, at: Duration) -> Packets {
        Packets(self.0.into_iter().filter(|p| p.message.at >= at).collect())
    }

    pub fn between(&self, from: IpAddr, to: IpAddr) -> Packets {
        Packets(self.0.iter().filter(|p| p.from.ip() == from && p.to.ip() == to).cloned().collect())
    }

    /// The INVITEs that begin calls, without repetitions and re-INVITEs.
    pub fn invites(&self) -> Vec<Packet> {
        let mut found: Vec<Packet> = Vec::new();
        for packet in self.0.iter().filter(|p| p.message.method() == "INVITE") {
            let within = packet.message.header("To").is_some_and(|to| to.contains(";tag="));
            let known = |p: &Packet| p.message.call_id() == packet.message.call_id() && p.to == packet.to;
            if !within && !found.iter().any(known) {
                found.push(packet.clone());
            }
        }
        found
    }

    pub fn with_header(&self, name: &str) -> Packets {
        Packets(self.0.iter().filter(|p| p.message.header(name).is_some()).cloned().collect())
    }

    pub fn messages(&self) -> Vec<SipMessage> {
        self.0.iter().map(|p| p.message.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_far_as_it_is_written() {
        let text = b"INVITE sip:1001@127.0.2.1 SIP/2.0\r\nUser-to-User: 0461;encoding=hex\r\n\r\n";
        let mut frame = [[0; 12].as_slice(), &[8, 0]].concat();
        let length = u8::try_from(28 + text.len()).unwrap();
        frame.extend([0x45, 0, 0, length, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 1, 1, 127, 0, 2, 1]);
        frame.extend([0x13, 0xc4, 0x13, 0xce, 0, length - 20, 0, 0]);
        frame.extend(text);
        let mut file = vec![0; 24];
        for (n, size) in [(1_700_000_000_u32, frame.len()), (1_700_000_001, frame.len() + 1)] {
            file.extend([n, 500_000, size as u32, size as u32].map(u32::to_ne_bytes).concat());
            file.extend(&frame);
        }
        let packets: Vec<Packet> = records(&file).filter_map(|(at, frame)| packet(at, frame)).collect();
        assert_eq!(packets.len(), 1);
        let packet = &packets[0];
        assert_eq!((packet.from.to_string().as_str(), packet.to.port()), ("127.0.1.1:5060", 5070));
        assert_eq!(packet.message.at, Duration::from_millis(1_700_000_000_500));
        assert_eq!(packet.message.header("User-to-User"), Some("0461;encoding=hex"));
    }
}
