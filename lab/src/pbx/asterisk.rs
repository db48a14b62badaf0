//! A private Asterisk: the vanilla sample configuration, the project's snippets, a few endpoints.
//!
//! Several can run at once, also out of one private Debian root: each has its own folder for
//! configuration, state and control socket, inside that root, and its own ports.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::net::ports;
use crate::pbx::conf::Changes;
use crate::pbx::endpoints::{self, TEMPLATE};
use crate::pbx::{Software, conf};
use crate::process::{Child, on_path};
use crate::{LabError, Pbx, PbxConfig, Result};

pub(crate) const USER: &str = "sidecall";
/// Its secret, and the password of the event socket and of phones. Not the well-known one: the agent refuses that.
pub const SECRET: &str = "lab-secret";

/// Where an Asterisk is: on this machine, or in a private Debian root.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    pub root: Option<PathBuf>,
}

impl Installation {
    /// Finds `asterisk` on the path, or the root that `asterisk-root.sh` made.
    pub(super) fn find() -> Result<Installation> {
        if std::env::var_os("SIDECALL_ASTERISK_ROOT").is_none() && on_path("asterisk").is_some() {
            return Ok(Installation { root: None });
        }
        let root = root_dir();
        if root.join("usr/sbin/asterisk").is_file() {
            return Ok(Installation { root: Some(root) });
        }
        Err(LabError::Missing(format!(
            "no asterisk on PATH and none in {}; lab/asterisk-root.sh makes one",
            root.display()
        )))
    }

    /// The vanilla sample configuration: as the package ships it, else what is in `/etc/asterisk`.
    fn samples(&self) -> PathBuf {
        let Some(root) = &self.root else {
            let shipped = PathBuf::from("/usr/share/asterisk/conf/samples");
            return if shipped.is_dir() { shipped } else { "/etc/asterisk".into() };
        };
        root.join("etc/asterisk")
    }

    /// A folder of this machine as Asterisk sees it.
    fn inside(&self, path: &Path) -> PathBuf {
        match &self.root {
            Some(root) => Path::new("/").join(path.strip_prefix(root).unwrap_or(path)),
            None => path.to_path_buf(),
        }
    }

    fn command(&self, dir: &Path) -> Command {
        let conf = self.inside(&dir.join("etc/asterisk.conf"));
        let mut command = match &self.root {
            Some(root) => {
                let mut chroot = Command::new("chroot");
                chroot.arg(root).arg("/usr/sbin/asterisk");
                chroot
            }
            None => Command::new("asterisk"),
        };
        command.arg("-C").arg(conf);
        command
    }

    pub(super) fn spawn(&self, dir: &Path, ami: SocketAddr, config: &PbxConfig) -> Result<Child> {
        let mut command = self.command(dir);
        // In the foreground, without a console, verbose enough to follow a call in the log.
        command.args(["-f", "-vvv"]).env("TERM", "dumb");
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        let mut command = config.changes.with_resolver(command, dir, root)?;
        let mut child = Child::spawn(&mut command, dir.join("asterisk.out"))?;
        child.wait_for_port(ami, Duration::from_secs(30))?;
        self.console(dir, "core waitfullybooted");
        Ok(child)
    }

    pub(super) fn console(&self, dir: &Path, command: &str) -> String {
        let out = self.command(dir).args(["-rx", command]).output();
        out.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default()
    }
}

/// `SIDECALL_ASTERISK_ROOT`, or the place in the user's cache.
fn root_dir() -> PathBuf {
    std::env::var_os("SIDECALL_ASTERISK_ROOT").map_or_else(
        || {
            let home = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
            PathBuf::from(home).join(".cache/sidecall/asterisk-22")
        },
        PathBuf::from,
    )
}

pub(super) fn start(config: PbxConfig) -> Result<Pbx> {
    let sip = SocketAddr::new(config.ip.into(), config.trunk_port.unwrap_or_else(ports::free));
    let changes = endpoints::all(&config, sip)?;
    launch(config, sip, &changes)
}

/// The same with these changes to the sample configuration.
pub(super) fn launch(config: PbxConfig, sip: SocketAddr, changes: &Changes) -> Result<Pbx> {
    let installation = Installation::find()?;
    let base = installation.root.as_ref().map_or_else(std::env::temp_dir, |root| root.join("tmp"));
    let dir =
        tempfile::Builder::new().prefix("sidecall-").tempdir_in(base).map_err(LabError::io("folder for Asterisk"))?;
    let ami = ports::local();
    let tls = config.tls.then(|| (ports::local(), dir.path().join("etc/manager.pem")));
    write_configuration(&installation, dir.path(), &config, ami, tls.as_ref(), changes)?;
    let child = installation.spawn(dir.path(), ami, &config)?;
    Ok(Pbx { child, dir, software: Software::Asterisk(installation), config, sip, trunk_sip: sip, event: ami, tls })
}

fn write_configuration(
    installation: &Installation,
    dir: &Path,
    config: &PbxConfig,
    ami: SocketAddr,
    tls: Option<&(SocketAddr, PathBuf)>,
    more: &Changes,
) -> Result<()> {
    let etc = dir.join("etc");
    conf::copy_dir(&installation.samples(), &etc)?;
    for sub in ["run", "log/cdr-csv", "db", "spool", "cache"] {
        std::fs::create_dir_all(dir.join(sub)).map_err(LabError::io(sub))?;
    }
    for own in ["asterisk.conf", "rtp.conf", "manager.conf"] {
        let _ = std::fs::remove_file(etc.join(own));
    }
    let modules = format!("/usr/lib/{}-linux-gnu/asterisk/modules", std::env::consts::ARCH);
    let is_there = installation.root.is_some() || Path::new(&modules).is_dir();
    let mut secure = String::new();
    if let Some((addr, pem)) = tls {
        let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
            .expect("a self-signed certificate");
        conf::write(pem, &format!("{}{}", signed.signing_key.serialize_pem(), signed.cert.pem()))?;
        let pem = installation.inside(pem).display().to_string();
        secure = format!("tlsenable = yes\ntlsbindaddr = {addr}\ntlscertfile = {pem}\ntlsprivatekey = {pem}\n");
    }
    let (here, rtp) = (installation.inside(dir), ports::free_range(400));
    let base: [(&str, &dyn ToString); 6] = [
        ("MODULES", &if is_there { format!("astmoddir => {modules}") } else { String::new() }),
        ("HERE", &here.display()),
        ("RTP", &rtp),
        ("RTP_END", &(rtp + 399)),
        ("AMI", &ami.port()),
        ("TLS", &secure),
    ];
    // What an administrator installs, with the secret changed.
    let user = conf::project_file("dialplan/asterisk/manager.conf")?.replace("CHANGE-ME", SECRET);
    let mut changes = Changes::default().part(TEMPLATE, "base", &base).add("manager.conf", user);
    if config.snippets {
        conf::write(&etc.join("sidecall.conf"), &conf::project_file("dialplan/asterisk/sidecall.conf")?)?;
        let values: [(&str, &dyn ToString); 2] = [("HOLD", &config.hold_ms), ("CALL_INFO", &config.call_info)];
        changes = changes.part(TEMPLATE, "snippets", &values);
    }
    if config.inner.is_some() && config.snippets {
        changes = changes.part(TEMPLATE, "behind", &[]);
    }
    [&changes, more, &config.changes]
        .into_iter()
        .try_for_each(|changes| changes.apply(&etc, &installation.inside(&etc)))
}
