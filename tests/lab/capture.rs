//! The wire itself: SIP on loopback as a packet capture sees it, so that what a trunk carries isn't taken
//! from anybody's own log. `dumpcap` captures, `tshark` reads; both are Wireshark's.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::message::local_time;
use super::process::{Child, on_path, wait_until};
use super::{LabError, Result, SipMessage, ports};

/// How long the capture may take to begin, and to write down its last packet.
const PATIENCE: Duration = Duration::from_secs(15);

/// A capture that is running. Dropping it ends it.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    dir: TempDir,
    ports: Vec<u16>,
    /// Where markers are sent to: they show where the capture begins and ends.
    marker: SocketAddr,
}

/// One SIP message on its way.
#[derive(Debug, Clone)]
pub struct Packet {
    /// Who sent it.
    pub from: SocketAddr,
    /// To whom.
    pub to: SocketAddr,
    /// The message; `received` has no meaning here and is true.
    pub message: SipMessage,
}

/// What was captured, in order.
#[derive(Debug, Clone, Default)]
pub struct Packets(pub Vec<Packet>);

impl Capture {
    /// Captures UDP from and to these ports. Returns when it has begun.
    pub fn start(ports: &[u16]) -> Result<Capture> {
        for program in ["dumpcap", "tshark"] {
            if on_path(program).is_none() {
                return Err(LabError::Missing(format!("no {program} on PATH (Debian package tshark)")));
            }
        }
        let dir = tempfile::Builder::new().prefix("sidecall-wire-").tempdir().map_err(LabError::io("folder"))?;
        let marker = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), ports::free());
        let filter: Vec<String> = ports.iter().chain([&marker.port()]).map(|port| format!("port {port}")).collect();
        let mut command = Command::new("dumpcap");
        command.args(["-q", "-i", "lo", "-f", &format!("udp and ({})", filter.join(" or "))]);
        command.arg("-w").arg(dir.path().join("wire.pcapng"));
        let child = Child::spawn(&mut command, dir.path().join("dumpcap.log"))?;
        let mut capture = Capture { child, dir, ports: ports.to_vec(), marker };
        match capture.mark("begin") {
            Ok(()) => Ok(capture),
            // Not permitted, as a rule: it says so and ends.
            Err(_) if !capture.child.is_running() => {
                Err(LabError::Missing(format!("no capture on lo: {}", capture.child.log().trim())))
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a marker until it has been captured: so has everything that was sent before.
    fn mark(&mut self, text: &str) -> Result<()> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(LabError::io("marker"))?;
        let text = format!("sidecall-{text}-{:016x}", rand::random::<u64>());
        let file = self.dir.path().join("wire.pcapng");
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
        let what = "no packet was captured".to_owned();
        Err(LabError::Late { what, seconds: PATIENCE.as_secs(), log: self.child.log() })
    }

    /// Ends it and reads what it has.
    pub fn stop(mut self) -> Result<Packets> {
        self.mark("end")?;
        self.child.terminate(Duration::from_secs(5));
        let mut command = Command::new("tshark");
        command.arg("-r").arg(self.dir.path().join("wire.pcapng"));
        for port in &self.ports {
            command.args(["-d", &format!("udp.port=={port},sip")]);
        }
        command.args(["-Y", "sip", "-T", "fields", "-E", "occurrence=f"]);
        for field in ["frame.time_epoch", "ip.src", "udp.srcport", "ip.dst", "udp.dstport", "udp.payload"] {
            command.args(["-e", field]);
        }
        let out = command.output().map_err(LabError::io("tshark"))?;
        Ok(Packets(String::from_utf8_lossy(&out.stdout).lines().filter_map(packet).collect()))
    }
}

/// One line of `tshark -T fields`.
fn packet(line: &str) -> Option<Packet> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [time, src, src_port, dst, dst_port, payload] = fields.as_slice() else { return None };
    let address = |ip: &str, port: &str| Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?));
    let octets = hex::decode(payload.replace(':', "")).ok()?;
    let at = local_time(Duration::from_secs_f64(time.parse().ok()?));
    let message = SipMessage::parse(at, true, &String::from_utf8_lossy(&octets))?;
    Some(Packet { from: address(src, src_port)?, to: address(dst, dst_port)?, message })
}

impl Packets {
    /// Those from one host to another.
    pub fn between(&self, from: std::net::IpAddr, to: std::net::IpAddr) -> Packets {
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

    /// Those with a header of that name.
    pub fn with_header(&self, name: &str) -> Packets {
        Packets(self.0.iter().filter(|p| p.message.header(name).is_some()).cloned().collect())
    }

    /// The messages alone.
    pub fn messages(&self) -> Vec<SipMessage> {
        self.0.iter().map(|p| p.message.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_fields_is_a_message() {
        let payload = hex::encode("INVITE sip:1001@127.0.2.1 SIP/2.0\r\nUser-to-User: 0461;encoding=hex\r\n\r\n");
        let line = format!("1700000000.5\t127.0.1.1\t5060\t127.0.2.1\t5070\t{payload}");
        let packet = packet(&line).unwrap();
        assert_eq!((packet.from.to_string().as_str(), packet.to.port()), ("127.0.1.1:5060", 5070));
        assert_eq!(packet.message.header("User-to-User"), Some("0461;encoding=hex"));
        assert!(super::packet("1\t2").is_none());
    }
}
