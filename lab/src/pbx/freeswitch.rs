//! A private FreeSWITCH: its own vanilla configuration, copied, and the project's snippets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::net::ports;
use crate::pbx::asterisk::SECRET;
use crate::pbx::{Software, conf, vanilla};
use crate::process::{Child, folder, on_path, wait_until};
use crate::{LabError, Pbx, PbxConfig, Result};

#[derive(Debug, Clone)]
pub(super) struct Installation {
    binary: PathBuf,
    conf: PathBuf,
    modules: PathBuf,
}

impl Installation {
    /// `SIDECALL_FREESWITCH`, the path, `/usr/local/freeswitch/bin`, `/usr/bin`; the configuration and
    /// the modules are looked for beside it.
    pub(super) fn find() -> Result<Installation> {
        let binary = std::env::var_os("SIDECALL_FREESWITCH")
            .map(PathBuf::from)
            .or_else(|| on_path("freeswitch"))
            .or_else(|| Some("/usr/local/freeswitch/bin/freeswitch".into()))
            .filter(|file| file.is_file())
            .or_else(|| Some("/usr/bin/freeswitch".into()))
            .filter(|file| file.is_file())
            .ok_or_else(|| LabError::Missing("no freeswitch on PATH; SIDECALL_FREESWITCH may name one".into()))?;
        let binary = binary.canonicalize().unwrap_or(binary);
        let prefix = binary.parent().and_then(Path::parent).unwrap_or(Path::new("/usr")).to_path_buf();
        let first =
            |candidates: &[PathBuf], file: &str| candidates.iter().find(|dir| dir.join(file).is_file()).cloned();
        let conf = first(
            &[
                prefix.join("conf"),
                prefix.join("conf/vanilla"),
                prefix.join("share/freeswitch/conf/vanilla"),
                prefix.join("etc/freeswitch"),
                "/etc/freeswitch".into(),
            ],
            "dialplan/default.xml",
        );
        let modules = first(
            &[prefix.join("mod"), prefix.join("lib/freeswitch/mod"), "/usr/lib/freeswitch/mod".into()],
            "mod_sofia.so",
        );
        match (conf, modules) {
            (Some(conf), Some(modules)) => Ok(Installation { binary, conf, modules }),
            _ => Err(LabError::Missing(format!("{} has no vanilla configuration or no mod_sofia", binary.display()))),
        }
    }

    pub(super) fn spawn(&self, dir: &Path, esl: SocketAddr, config: &PbxConfig) -> Result<Child> {
        let mut command = Command::new(&self.binary);
        command.args(["-nf", "-nc", "-nonat", "-np"]).arg("-mod").arg(&self.modules);
        for name in ["conf", "log", "run", "db", "scripts", "temp", "certs", "recordings", "storage", "cache"] {
            let sub = dir.join(name);
            std::fs::create_dir_all(&sub).map_err(LabError::io(name))?;
            command.arg(format!("-{name}")).arg(sub);
        }
        let mut command = config.changes.with_resolver(command, dir, Path::new("/"))?;
        let mut child = Child::spawn(&mut command, dir.join("freeswitch.out"))?;
        child.wait_for_port(esl, Duration::from_secs(60))?;
        let ready = || {
            let up = |profile| {
                api(esl, &format!("sofia status profile {profile}")).is_ok_and(|text| text.contains("CALLS-IN"))
            };
            up("internal") && up("external") && api(esl, "status").is_ok_and(|text| text.contains("is ready"))
        };
        if wait_until(Duration::from_secs(60), ready) {
            return Ok(child);
        }
        Err(LabError::Late { what: "FreeSWITCH is not ready".into(), seconds: 60, log: child.log() })
    }
}

/// Sets up a private instance and waits until it is ready. Phones are in the profile `internal` and the context `default`,
/// trunks in `external` and `public`.
pub(super) fn start(config: PbxConfig) -> Result<Pbx> {
    let installation = Installation::find()?;
    let dir = folder("")?;
    let esl = ports::local();
    let sip = SocketAddr::new(config.ip.into(), ports::free());
    let trunk_sip = SocketAddr::new(config.ip.into(), config.trunk_port.unwrap_or_else(ports::free));
    let conf = dir.path().join("conf");
    conf::copy_dir(&installation.conf, &conf)?;
    vanilla::configure(&conf, &installation.modules, &config, [sip, trunk_sip, esl])?;
    let child = installation.spawn(dir.path(), esl, &config)?;
    Ok(Pbx { child, dir, software: Software::FreeSwitch(installation), config, sip, trunk_sip, event: esl, tls: None })
}

pub(super) fn console(esl: SocketAddr, command: &str) -> String {
    api(esl, command).unwrap_or_default()
}

/// One command over the event socket, on a connection of its own.
fn api(esl: SocketAddr, command: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect(esl)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    stream.write_all(format!("auth {SECRET}\n\napi {command}\n\n").as_bytes())?;
    loop {
        let (mut length, mut line) = (0, String::new());
        let mut is_answer = false;
        while lines.read_line(&mut line)? > 1 {
            is_answer |= line.contains("api/response");
            if let Some(n) = line.strip_prefix("Content-Length:") {
                length = n.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body)?;
        if is_answer {
            return Ok(String::from_utf8_lossy(&body).into_owned());
        }
        if line.is_empty() && length == 0 && lines.fill_buf()?.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
