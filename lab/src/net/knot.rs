//! A real DNS server (Knot DNS) with a zone of the tests' own.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::net::ports;
use crate::process::{Child, folder, on_path};
use crate::{LabError, Result, server_or_skip};

/// The zone's name: nobody else's.
pub const ZONE: &str = "e164.test";
/// Debian puts it where only root looks.
const ELSEWHERE: &str = "/usr/sbin/knotd";
const READY: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Default)]
pub struct Records(String);

impl Records {
    /// A NAPTR record of a number, with order, preference and TTL in seconds.
    pub fn naptr(
        mut self,
        number: &str,
        (order, preference): (u16, u16),
        ttl: u32,
        service: &str,
        regexp: &str,
    ) -> Records {
        let (name, regexp) = (name(number), regexp.replace('\\', "\\\\").replace('"', "\\\""));
        writeln!(self.0, "{name} {ttl} NAPTR {order} {preference} \"u\" \"{service}\" \"{regexp}\" .")
            .expect("a string");
        self
    }

    pub fn host(mut self, name: &str, ip: Ipv4Addr) -> Records {
        writeln!(self.0, "{name} 60 A {ip}").expect("a string");
        self
    }

    pub fn alias(mut self, number: &str, ttl: u32, other: &str) -> Records {
        writeln!(self.0, "{} {ttl} CNAME {}", name(number), name(other)).expect("a string");
        self
    }
}

/// `+1212…` as a name below the zone.
fn name(number: &str) -> String {
    let digits = number.chars().rev().filter(char::is_ascii_digit);
    digits.map(String::from).collect::<Vec<_>>().join(".")
}

/// A server that answers for [`ZONE`] on a loopback port, UDP and TCP.
#[derive(Debug)]
pub struct Knot {
    dir: TempDir,
    binary: PathBuf,
    address: SocketAddr,
    child: Child,
}

impl Knot {
    /// Starts one, or one line says that the test was skipped.
    pub fn or_skip(records: &Records, negative: u32) -> Option<Knot> {
        server_or_skip("Knot DNS", Knot::start(records, negative))
    }

    /// Starts one. That a name isn't there may be kept for `negative` seconds.
    pub fn start(records: &Records, negative: u32) -> Result<Knot> {
        Knot::start_at(ports::local(), records, negative)
    }

    /// The same where the system's resolver asks: at port 53 of an address of its own.
    pub(crate) fn start_for_resolvers(records: &Records) -> Result<Knot> {
        let [high, low] = ports::free().to_be_bytes();
        Knot::start_at(SocketAddr::from((Ipv4Addr::new(127, 53, high, low), 53)), records, 60)
    }

    fn start_at(address: SocketAddr, records: &Records, negative: u32) -> Result<Knot> {
        let binary = on_path("knotd").or_else(|| Some(PathBuf::from(ELSEWHERE)).filter(|file| file.is_file()));
        let binary = binary.ok_or_else(|| LabError::Missing(format!("knotd in PATH or {ELSEWHERE}")))?;
        let dir = folder("knot-")?;
        let path = dir.path().display();
        let zone = format!(
            "$ORIGIN {ZONE}.\n@ 60 SOA ns hostmaster 1 3600 600 86400 {negative}\n@ 60 NS ns\nns 60 A 127.0.0.1\n{}",
            records.0
        );
        let (ip, port) = (address.ip(), address.port());
        let config = format!(
            "server:\n  rundir: {path}\n  listen: {ip}@{port}\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n  storage: {path}\n\
             zone:\n  - domain: {ZONE}\n    storage: {path}\n    file: zone\n"
        );
        fs::write(dir.path().join("zone"), zone).map_err(LabError::io("the zone"))?;
        fs::write(dir.path().join("knot.conf"), config).map_err(LabError::io("knot.conf"))?;
        let child = spawn(&dir, &binary)?;
        let mut knot = Knot { dir, binary, address, child };
        knot.wait()?;
        Ok(knot)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets it hang: it takes questions, and says nothing.
    pub fn hang(&mut self) {
        self.child.stop();
    }

    pub fn stop(&mut self) {
        self.child.kill();
    }

    pub fn restart(&mut self) -> Result<()> {
        self.child.kill();
        self.child = spawn(&self.dir, &self.binary)?;
        self.wait()
    }

    fn wait(&mut self) -> Result<()> {
        self.child.wait_for_line("server started", READY)?;
        self.child.wait_for_port(self.address, READY)
    }
}

fn spawn(dir: &TempDir, binary: &std::path::Path) -> Result<Child> {
    let mut command = Command::new(binary);
    command.arg("-c").arg(dir.path().join("knot.conf"));
    Child::spawn(&mut command, dir.path().join("log"))
}
