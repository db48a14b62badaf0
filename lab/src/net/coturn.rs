//! A real TURN server (coturn), and coturn's own client to try it with.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::net::ports;
use crate::process::{Child, folder, on_path};
use crate::{LabError, Result, server_or_skip};

const SERVER: &str = "turnserver";
const CLIENT: &str = "turnutils_uclient";
const READY: Duration = Duration::from_secs(15);
/// How long the client may take: it tries again for a while if nothing answers.
const PATIENCE: Duration = Duration::from_secs(30);
/// Ports that it relays from.
const RELAYS: u16 = 40;

/// A server on a loopback port, UDP and TCP, that takes time-limited credentials made with its secret.
#[derive(Debug)]
pub struct Coturn {
    dir: TempDir,
    address: SocketAddr,
    _child: Child,
}

impl Coturn {
    /// Starts one, or one line says that the test was skipped.
    pub fn or_skip(secret: &str) -> Option<Coturn> {
        server_or_skip("coturn", Coturn::start(secret))
    }

    pub fn start(secret: &str) -> Result<Coturn> {
        let missing = |name| move || LabError::Missing(format!("{name} in PATH"));
        let binary = on_path(SERVER).ok_or_else(missing(SERVER))?;
        on_path(CLIENT).ok_or_else(missing(CLIENT))?;
        let (dir, address, relay) = (folder("coturn-")?, ports::local(), ports::free_range(RELAYS));
        let (path, ip, port) = (dir.path().display(), address.ip(), address.port());
        // The client sends to itself, on loopback.
        let config = format!(
            "use-auth-secret\nstatic-auth-secret={secret}\nrealm=turn.test\n\
             listening-ip={ip}\nlistening-port={port}\nrelay-ip={ip}\nmin-port={relay}\nmax-port={}\n\
             allow-loopback-peers\nno-cli\nno-tls\nno-dtls\n\
             userdb={path}/turndb\npidfile={path}/pid\nlog-file=stdout\nsimple-log\n",
            relay + RELAYS - 1
        );
        let file = dir.path().join("turnserver.conf");
        fs::write(&file, config).map_err(LabError::io("turnserver.conf"))?;
        let mut command = Command::new(binary);
        command.arg("-c").arg(file);
        let mut child = Child::spawn(&mut command, dir.path().join("log"))?;
        child.wait_for_port(address, READY)?;
        Ok(Coturn { dir, address, _child: child })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether a client with these credentials gets a relay, and a packet through it.
    pub fn relays_for(&self, username: &str, credential: &str) -> Result<bool> {
        let (ip, port) = (self.address.ip().to_string(), self.address.port().to_string());
        let mut command = Command::new(CLIENT);
        // One packet to itself (`-y`), without RTCP (`-c`).
        command.args(["-y", "-c", "-n", "1", "-m", "1", "-l", "100", "-p", &port, "-L", &ip]);
        command.args(["-u", username, "-w", credential, &ip]);
        let mut client = Child::spawn(&mut command, self.dir.path().join("client.log"))?;
        let log = client.log();
        let ended = client.wait(PATIENCE).ok_or_else(|| LabError::late("no end of the client", PATIENCE, log))?;
        let log = client.log();
        match ended.success() {
            true if log.contains("Total lost packets 0 (") => Ok(true),
            false if log.contains("Cannot complete Allocation") => Ok(false),
            _ => Err(LabError::late("neither a relay nor a refusal", PATIENCE, log)),
        }
    }
}
