//! A softphone that speaks TLS and SRTP: baresip. It answers every call and plays back what it hears, so whoever
//! talks with it hears themselves if the sound goes both ways.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::ops::RangeInclusive;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::net::ca::Ca;
use crate::net::ports;
use crate::pbx::asterisk::SECRET;
use crate::pbx::conf;
use crate::process::{Child, folder, on_path};
use crate::{LabError, Result};

pub const SOFTPHONE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 15));

/// Debian's, on every architecture.
const MODULES: &str = "/usr/lib/baresip/modules";
const READY: Duration = Duration::from_secs(10);

/// A registered softphone. Dropping it ends it.
#[derive(Debug)]
pub struct Baresip {
    child: Child,
    _dir: TempDir,
    control: SocketAddr,
    ports: RangeInclusive<u16>,
}

impl Baresip {
    /// Registers `number` over TLS with the PBX there, whose certificate `ca` has signed. It takes no call without
    /// SRTP.
    pub fn register(pbx: SocketAddr, number: &str, ca: &Ca) -> Result<Baresip> {
        if on_path("baresip").is_none() {
            return Err(LabError::Missing("no baresip on PATH (Debian package baresip-core)".into()));
        }
        let dir = folder("baresip-")?;
        let control = ports::local();
        let (here, rtp) = (dir.path().display(), ports::free_range(20));
        let ports = rtp..=rtp + 19;
        let (certificate, key) = ca.sign(&[&SOFTPHONE.to_string()]);
        conf::write(&dir.path().join("ca.pem"), &ca.pem())?;
        conf::write(&dir.path().join("own.pem"), &(certificate + &key))?;
        conf::write(
            &dir.path().join("config"),
            &format!(
                "net_interface {SOFTPHONE}\nsip_listen {SOFTPHONE}:{}\nrtp_ports {}-{}\n\
                 sip_certificate {here}/own.pem\nsip_cafile {here}/ca.pem\n\
                 audio_player aubridge,echo\naudio_source aubridge,echo\naudio_alert aubridge,alert\n\
                 module_path {MODULES}\nmodule g711.so\nmodule aubridge.so\nmodule srtp.so\n\
                 module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\nctrl_tcp_listen {control}\n",
                // It takes the next one too, for TLS.
                ports::free_range(2),
                ports.start(),
                ports.end(),
            ),
        )?;
        conf::write(
            &dir.path().join("accounts"),
            &format!(
                "<sip:{number}@{pbx};transport=tls>;auth_user={number};auth_pass={};mediaenc=srtp-mand;\
                 answermode=auto;audio_codecs=pcmu;regint=600\n",
                SECRET
            ),
        )?;
        conf::write(&dir.path().join("contacts"), "")?;
        let mut command = Command::new("baresip");
        command.arg("-f").arg(dir.path()).arg("-4").arg("-v");
        let mut child = Child::spawn(&mut command, dir.path().join("baresip.log"))?;
        child.wait_for_line("200 OK", READY)?;
        child.wait_for_port(control, READY)?;
        Ok(Baresip { child, _dir: dir, control, ports })
    }

    pub fn call(&self, number: &str) -> Result<()> {
        self.command("dial", number)
    }

    pub fn hang_up(&self) -> Result<()> {
        self.command("hangup", "")
    }

    /// A command of its menu, as JSON in a netstring.
    fn command(&self, command: &str, parameter: &str) -> Result<()> {
        let text = format!("{{\"command\":\"{command}\",\"params\":\"{parameter}\"}}");
        let error = || LabError::io(format!("baresip: {command}"));
        let mut stream = TcpStream::connect(self.control).map_err(error())?;
        stream.set_read_timeout(Some(READY)).map_err(error())?;
        stream.write_all(format!("{}:{text},", text.len()).as_bytes()).map_err(error())?;
        // It answers when it has done so.
        stream.read_exact(&mut [0]).map_err(error())
    }

    /// The ports of its sound. The packets that it sends come from whatever loopback address suits their way.
    pub fn ports(&self) -> &RangeInclusive<u16> {
        &self.ports
    }

    pub fn log(&self) -> String {
        self.child.log()
    }
}
