//! A private Asterisk: the vanilla sample configuration, the project's snippets, a few endpoints.
//!
//! Several can run at once, also out of one private Debian root: each has its own folder for
//! configuration, state and control socket, inside that root, and its own ports.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Child, on_path};
use super::{EXTENSIONS, LabError, PACKET, PHONES, PSTN, PbxConfig, Result, conf, ports};

/// The manager's user in the lab.
pub const USER: &str = "sidecall";
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

/// Where an Asterisk is: on this machine, or in a private Debian root.
#[derive(Debug, Clone)]
pub struct Installation {
    /// The private root, if it is in one.
    pub root: Option<PathBuf>,
}

impl Installation {
    /// Finds `asterisk` on the path, or the root that `asterisk-root.sh` made.
    pub fn find() -> Result<Installation> {
        if std::env::var_os("SIDECALL_ASTERISK_ROOT").is_none() && on_path("asterisk").is_some() {
            return Ok(Installation { root: None });
        }
        let root = root_dir();
        if root.join("usr/sbin/asterisk").is_file() {
            return Ok(Installation { root: Some(root) });
        }
        Err(LabError::Missing(format!(
            "no asterisk on PATH and none in {}; tests/lab/asterisk-root.sh makes one",
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

    fn command(&self, conf: &Path) -> Command {
        let conf = self.inside(conf);
        let mut command = match &self.root {
            Some(root) => {
                let mut chroot = Command::new("chroot");
                chroot.arg(root).arg("/usr/sbin/asterisk");
                chroot
            }
            None => Command::new("asterisk"),
        };
        command.arg("-C").arg(conf.join("asterisk.conf"));
        command
    }
}

/// `SIDECALL_ASTERISK_ROOT`, or the place in the user's cache.
pub fn root_dir() -> PathBuf {
    std::env::var_os("SIDECALL_ASTERISK_ROOT").map_or_else(
        || {
            let home = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
            PathBuf::from(home).join(".cache/sidecall/asterisk-22")
        },
        PathBuf::from,
    )
}

/// A running Asterisk.
#[derive(Debug)]
pub struct Asterisk {
    // Dropped in this order: the process ends before its folder goes.
    pub(crate) child: Child,
    dir: TempDir,
    installation: Installation,
    /// How it was set up.
    pub config: PbxConfig,
    /// SIP, for phones and trunks.
    pub sip: SocketAddr,
    /// The manager interface.
    pub ami: SocketAddr,
    /// The manager interface over TLS, and its certificate.
    pub tls: Option<(SocketAddr, PathBuf)>,
}

impl Asterisk {
    /// Sets up a private instance and waits until it is ready.
    pub fn start(config: PbxConfig) -> Result<Asterisk> {
        let installation = Installation::find()?;
        let base = installation.root.as_ref().map_or_else(std::env::temp_dir, |root| root.join("tmp"));
        let dir = tempfile::Builder::new()
            .prefix("sidecall-")
            .tempdir_in(base)
            .map_err(LabError::io("folder for Asterisk"))?;
        let local = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        let (sip, ami) = (local(ports::free()), local(ports::free()));
        let tls = config.tls.then(|| (local(ports::free()), dir.path().join("etc/manager.pem")));
        write_configuration(&installation, dir.path(), &config, sip, ami, tls.as_ref())?;
        let child = spawn(&installation, dir.path(), ami)?;
        Ok(Asterisk { child, dir, installation, config, sip, ami, tls })
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Ends it, if it runs, and starts it again.
    pub fn restart(&mut self) -> Result<()> {
        self.child.terminate(Duration::from_secs(5));
        self.child = spawn(&self.installation, self.dir.path(), self.ami)?;
        Ok(())
    }

    /// Runs a command of the console.
    pub fn console(&self, command: &str) -> String {
        self.installation
            .command(&self.dir.path().join("etc"))
            .arg("-rx")
            .arg(command)
            .output()
            .map(|out| String::from_utf8_lossy(&out.stdout).into_owned())
            .unwrap_or_default()
    }
}

fn spawn(installation: &Installation, dir: &Path, ami: SocketAddr) -> Result<Child> {
    let mut command = installation.command(&dir.join("etc"));
    // In the foreground, without a console, verbose enough to follow a call in the log.
    command.args(["-f", "-vvv"]).env("TERM", "dumb");
    let mut child = Child::spawn(&mut command, dir.join("asterisk.out"))?;
    child.wait_for_port(ami, Duration::from_secs(30))?;
    let mut booted = installation.command(&dir.join("etc"));
    booted.args(["-rx", "core waitfullybooted"]);
    let _ = booted.output();
    Ok(child)
}

fn write_configuration(
    installation: &Installation,
    dir: &Path,
    config: &PbxConfig,
    sip: SocketAddr,
    ami: SocketAddr,
    tls: Option<&(SocketAddr, PathBuf)>,
) -> Result<()> {
    let etc = dir.join("etc");
    conf::copy_dir(&installation.samples(), &etc)?;
    conf::strip_suffix(&etc, ".sample")?;
    for sub in ["run", "log", "db", "spool", "cache"] {
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
    append(&etc, "pjsip.conf", &endpoints(config, sip))?;
    manager(&etc, installation, ami, tls)?;

    let mut dialplan = LAB_DIALPLAN.to_owned();
    if config.snippets {
        dialplan.push_str("\n#include \"sidecall.conf\"\n");
        conf::write(&etc.join("sidecall.conf"), &conf::project_file("dialplan/asterisk/sidecall.conf")?)?;
        let file = etc.join("sidecall.conf");
        conf::replace(&file, "SIDECALL_HOLD=500", &format!("SIDECALL_HOLD={}", config.hold_ms))?;
        if config.call_info {
            conf::replace(&file, "SIDECALL_CALL_INFO=no", "SIDECALL_CALL_INFO=yes")?;
        }
    } else {
        dialplan = dialplan.lines().filter_map(without_snippet).fold(String::new(), |text, line| text + &line + "\n");
    }
    append(&etc, "extensions.conf", &dialplan)
}

/// A line of the lab's dialplan as it is before an administrator installs the snippet.
fn without_snippet(line: &str) -> Option<String> {
    if line.contains("Gosub(sidecall-") {
        return Some(line.split(",1,").next().map(|start| format!("{start},1,NoOp()")).unwrap_or_default());
    }
    Some(line.to_owned())
}

/// Phones' and trunks' dialplan, as an administrator has it, with the one line per entry added.
/// Extensions are local, everything longer goes to the PSTN, `+12125551xxx` is the DID of `1xxx`, and
/// `+12125552000` is an attendant that answers and sends every caller on to 1001.
const LAB_DIALPLAN: &str = "
[from-internal]
exten => _1XXX,1,Gosub(sidecall-originating,s,1)
 same => n,Dial(PJSIP/${EXTEN},60)
exten => _[+0-9]XXXX.,1,Gosub(sidecall-originating,s,1)
 same => n,Dial(PJSIP/${EXTEN}@pstn,60)
exten => _911,1,Gosub(sidecall-originating,s,1)
 same => n,Dial(PJSIP/${EXTEN}@pstn,60)

[from-trunk]
exten => _1XXX,1,Gosub(sidecall-terminating,s,1)
 same => n,Dial(PJSIP/${EXTEN},60)
exten => +12125552000,1,Gosub(sidecall-terminating,s,1)
 same => n,Answer()
 same => n,Wait(0.3)
 same => n,Goto(from-internal,1001,1)
exten => _+12125551XXX,1,Gosub(sidecall-terminating,s,1)
 same => n,Dial(PJSIP/${EXTEN:-4},60)
exten => _[+0-9]XXXX.,1,Gosub(sidecall-terminating,s,1)
 same => n,Dial(PJSIP/${EXTEN}@pstn,60)

[messages]
exten => _X.,1,MessageSend(pjsip:${EXTEN},${MESSAGE(from)})
";

fn endpoints(config: &PbxConfig, sip: SocketAddr) -> String {
    let codecs = "disallow=all\nallow=ulaw,alaw\ndirect_media=no\nmessage_context=messages";
    let mut text = format!("\n[lab-udp]\ntype=transport\nprotocol=udp\nbind={sip}\n");
    let aors = EXTENSIONS.join(",");
    // Phones are believed by address: no challenge, so that a scenario is one INVITE, and any From.
    let _ = write!(
        text,
        "\n[phones]\ntype=endpoint\ncontext=from-internal\naors={aors}\n{codecs}\n\n\
         [phones]\ntype=identify\nendpoint=phones\nmatch={PHONES}\n"
    );
    for number in EXTENSIONS {
        let _ = write!(
            text,
            "\n[{number}]\ntype=endpoint\ncontext=from-internal\naors={number}\n{codecs}\n\n\
             [{number}]\ntype=aor\nmax_contacts=1\nremove_existing=yes\n"
        );
    }
    // The packet trunk is trusted; a second PBX of the lab (127.0.0.1) is one as well.
    for (name, far, matches) in
        [("sidecall", config.packet, format!("{PACKET},127.0.0.1")), ("pstn", config.pstn, PSTN.to_string())]
    {
        let _ = write!(
            text,
            "\n[{name}]\ntype=endpoint\ncontext=from-trunk\naors={name}\n{codecs}\n\n\
             [{name}]\ntype=aor\ncontact=sip:{far}\n\n[{name}]\ntype=identify\nendpoint={name}\nmatch={matches}\n"
        );
    }
    text
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
