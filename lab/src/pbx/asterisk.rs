//! A private Asterisk: the vanilla sample configuration, the project's snippets, a few endpoints.
//!
//! Several can run at once, also out of one private Debian root: each has its own folder for
//! configuration, state and control socket, inside that root, and its own ports.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::net::ports;
use crate::pbx::endpoints;
use crate::pbx::{Software, conf};
use crate::process::{Child, on_path};
use crate::{LabError, Pbx, PbxConfig, Result};

/// The manager's user in the lab.
pub(crate) const USER: &str = "sidecall";
/// Its secret.
pub const SECRET: &str = "lab-secret";

/// Modules that would listen on a fixed port, or look for hardware and daemons that a lab hasn't got.
const NOT_LOADED: [&str; 14] = [
    "chan_iax2",
    "chan_unistim",
    "pbx_dundi",
    "chan_motif",
    "res_xmpp",
    "res_corosync",
    "app_jack",
    "chan_console",
    "res_snmp",
    "res_hep",
    "cel_odbc",
    "res_phoneprov",
    "res_resolver_unbound",
    "res_stun_monitor",
];

/// Codes that transfer while a call is up. Who keys nothing more is not waited for as long as by default, nor asked again.
const FEATURES: &str = "[general](+)\ntransferdigittimeout = 2\ntransferdialattempts = 1\n\n\
    [featuremap](+)\nblindxfer => ##\natxfer => *2\n";

/// Where an Asterisk is: on this machine, or in a private Debian root.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    /// The private root, if it is in one.
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

/// What is added to the vanilla configuration.
#[derive(Debug, Default)]
pub(super) struct Plans {
    pub pjsip: String,
    pub queues: String,
    pub dialplan: String,
}

/// Sets up a private instance and waits until it is ready.
pub(super) fn start(config: PbxConfig) -> Result<Pbx> {
    let sip = SocketAddr::new(config.ip.into(), config.trunk_port.unwrap_or_else(ports::free));
    let plans = Plans {
        pjsip: endpoints::pjsip(&config, sip),
        queues: endpoints::queues(&config),
        dialplan: endpoints::dialplan(&config)?,
    };
    launch(config, sip, &plans)
}

/// The same with other plans.
pub(super) fn launch(config: PbxConfig, sip: SocketAddr, plans: &Plans) -> Result<Pbx> {
    let installation = Installation::find()?;
    let base = installation.root.as_ref().map_or_else(std::env::temp_dir, |root| root.join("tmp"));
    let dir =
        tempfile::Builder::new().prefix("sidecall-").tempdir_in(base).map_err(LabError::io("folder for Asterisk"))?;
    let ami = ports::local();
    let tls = config.tls.then(|| (ports::local(), dir.path().join("etc/manager.pem")));
    write_configuration(&installation, dir.path(), &config, ami, tls.as_ref(), plans)?;
    let child = installation.spawn(dir.path(), ami, &config)?;
    Ok(Pbx { child, dir, software: Software::Asterisk(installation), config, sip, trunk_sip: sip, event: ami, tls })
}

fn write_configuration(
    installation: &Installation,
    dir: &Path,
    config: &PbxConfig,
    ami: SocketAddr,
    tls: Option<&(SocketAddr, PathBuf)>,
    plans: &Plans,
) -> Result<()> {
    let etc = dir.join("etc");
    conf::copy_dir(&installation.samples(), &etc)?;
    conf::strip_suffix(&etc, ".sample")?;
    for sub in ["run", "log/cdr-csv", "db", "spool", "cache"] {
        std::fs::create_dir_all(dir.join(sub)).map_err(LabError::io(sub))?;
    }
    let here = installation.inside(dir);
    let here = here.display();
    let modules = if installation.root.is_some() || Path::new("/usr/lib/x86_64-linux-gnu/asterisk/modules").is_dir() {
        "astmoddir => /usr/lib/x86_64-linux-gnu/asterisk/modules\n".replace("x86_64", std::env::consts::ARCH)
    } else {
        String::new()
    };
    conf::write(
        &etc.join("asterisk.conf"),
        &format!(
            "[directories]\nastetcdir => {here}/etc\n{modules}astvarlibdir => /var/lib/asterisk\n\
             astdbdir => {here}/db\nastkeydir => {here}/db\nastcachedir => {here}/cache\n\
             astdatadir => /usr/share/asterisk\nastspooldir => {here}/spool\nastrundir => {here}/run\n\
             astlogdir => {here}/log\n\n[options]\nhideconnect = yes\n"
        ),
    )?;
    append(
        &etc,
        "modules.conf",
        &NOT_LOADED.iter().fold(String::new(), |text, name| text + &format!("noload => {name}.so\n")),
    )?;

    let rtp = ports::free_range(400);
    conf::write(&etc.join("rtp.conf"), &format!("[general]\nrtpstart={rtp}\nrtpend={}\nstunaddr=\n", rtp + 399))?;
    append(&etc, "pjsip.conf", &plans.pjsip)?;
    append(&etc, "queues.conf", &plans.queues)?;
    // `##` and `*2` while a call is up, where the dialplan allows them.
    append(&etc, "features.conf", FEATURES)?;
    // What a menu makes of keys shows which of them were lost.
    conf::replace(&etc.join("logger.conf"), "console => notice,warning,error", "console => notice,warning,error,dtmf")?;
    manager(&etc, installation, ami, tls)?;
    if config.snippets {
        install_snippet(&etc, config)?;
    }
    append(&etc, "extensions.conf", &plans.dialplan)?;
    config.changes.apply(&etc, &installation.inside(&etc))
}

/// As the documentation tells an administrator; the dialplan includes it.
fn install_snippet(etc: &Path, config: &PbxConfig) -> Result<()> {
    let file = etc.join("sidecall.conf");
    conf::write(&file, &conf::project_file("dialplan/asterisk/sidecall.conf")?)?;
    conf::replace(&file, "SIDECALL_HOLD=500", &format!("SIDECALL_HOLD={}", config.hold_ms))?;
    // The menu's extension for people inside; from outside the menu has an entry of its own.
    conf::replace(&file, "SIDECALL_MAIN= ", "SIDECALL_MAIN=5000 ")?;
    conf::replace(&file, "SIDECALL_CALL_INFO= ", &format!("SIDECALL_CALL_INFO={} ", config.call_info))?;
    if config.inner.is_some() {
        conf::replace(&file, "SIDECALL_BEHIND= ", "SIDECALL_BEHIND=inner ")?;
    }
    Ok(())
}

fn manager(
    etc: &Path,
    installation: &Installation,
    ami: SocketAddr,
    tls: Option<&(SocketAddr, PathBuf)>,
) -> Result<()> {
    let file = etc.join("manager.conf");
    let mut general = format!("[general]\nenabled = yes\nport = {}\nbindaddr = 127.0.0.1\n", ami.port());
    if let Some((addr, pem)) = tls {
        let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()])
            .expect("a self-signed certificate");
        conf::write(pem, &format!("{}{}", signed.signing_key.serialize_pem(), signed.cert.pem()))?;
        let _ = write!(
            general,
            "tlsenable = yes\ntlsbindaddr = {addr}\ntlscertfile = {0}\ntlsprivatekey = {0}\n",
            installation.inside(pem).display()
        );
    }
    // What an administrator installs, with the secret changed.
    let user = conf::project_file("dialplan/asterisk/manager.conf")?.replace("CHANGE-ME", SECRET);
    conf::write(&file, &(general + "\n" + &user))
}

fn append(etc: &Path, name: &str, text: &str) -> Result<()> {
    let file = etc.join(name);
    conf::write(&file, &(conf::read(&file)? + "\n" + text))
}
