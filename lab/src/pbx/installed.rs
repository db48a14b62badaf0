//! `install.sh` on the configuration of a PBX of the lab, as an administrator runs it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::pbx::conf;
use crate::process::folder;
use crate::sidecall::{ADMIN, Sidecall, binary};
use crate::{Kind, Pbx, Result};

/// What `install.sh` made beside one PBX.
#[derive(Debug)]
pub struct Installed {
    root: TempDir,
}

impl Installed {
    /// Runs `install.sh` with these options on the configuration of `pbx`. Everything outside that configuration goes
    /// below a root of its own.
    pub fn beside(pbx: &Pbx, options: &[&str]) -> Result<Installed> {
        let root = folder("root-")?;
        conf::write(&root.path().join("etc/sidecall/admin.token"), ADMIN)?;
        let installed = Installed { root };
        let program = binary().to_string_lossy().into_owned();
        let all = [&["--pbx", pbx.kind().word(), "--binary", &program], options].concat();
        installed.script(&all, Some(&pbx.etc()));
        Ok(installed)
    }

    pub fn etc(&self) -> PathBuf {
        self.root.path().join("etc/sidecall")
    }

    /// Starts agent and node from a copy of `/etc/sidecall`, with the node at `http`.
    pub fn start(&self, http: SocketAddr) -> Result<Sidecall> {
        let dir = folder("run-")?;
        conf::copy_dir(&self.etc(), dir.path())?;
        let config = dir.path().join("sidecall.toml");
        conf::replace(&config, "127.0.0.1:8600", &http.to_string())?;
        conf::replace(&config, "/var/lib/sidecall/", "")?;
        Sidecall::in_folder(dir, http)
    }

    pub fn take_back(&self) {
        self.script(&["--uninstall"], None);
    }

    fn script(&self, options: &[&str], at: Option<&Path>) {
        let mut script = Command::new(conf::project().join("install.sh"));
        script.env("SIDECALL_ROOT", self.root.path()).env_remove("ASTERISK");
        script.arg("--yes").args(options);
        if let Some(at) = at {
            script.arg("--pbx-conf").arg(at);
        }
        let done = script.output().unwrap_or_else(|error| panic!("install.sh: {error}"));
        assert!(done.status.success(), "install.sh {options:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

/// On an Asterisk, changes the context of endpoints: from the first of each pair to the second.
pub fn lead_calls(pbx: &Pbx, contexts: &[(&str, &str)]) -> Result<()> {
    let file = pbx.etc().join("pjsip.conf");
    contexts
        .iter()
        .try_for_each(|(from, to)| conf::replace(&file, &format!("context={from}\n"), &format!("context={to}\n")))
}

/// On an Asterisk, the lab's own packet trunk goes: `--trunk` makes one of the same name.
pub fn without_packet_trunk(pbx: &Pbx) -> Result<()> {
    match pbx.kind() {
        Kind::Asterisk => conf::replace(&pbx.etc().join("pjsip.conf"), "\n[sidecall]\n", "\n[sidecall](!)\n"),
        Kind::FreeSwitch => Ok(()),
    }
}

/// What `install.sh` leaves to the administrator: the line in front of each route that may use the packet trunk.
pub fn let_calls_out(pbx: &Pbx) -> Result<()> {
    let (file, route, line) = route_out(pbx.kind());
    conf::replace(&pbx.etc().join(file), route, &format!("{line}{route}"))
}

pub fn let_no_calls_out(pbx: &Pbx) -> Result<()> {
    let (file, _, line) = route_out(pbx.kind());
    conf::replace(&pbx.etc().join(file), line, "")
}

/// The file of the routes that call out, what they do, and the line.
fn route_out(kind: Kind) -> (&'static str, &'static str, &'static str) {
    match kind {
        Kind::Asterisk => {
            ("extensions.conf", "Dial(PJSIP/${EXTEN}@${LAB_OUT},60)", "Gosub(sidecall-out,s,1(60))\n same => n,")
        }
        Kind::FreeSwitch => (
            "dialplan/default/00_a_lab.xml",
            "<action application=\"bridge\" data=\"sofia/gateway/${lab_out}/$1\"/>",
            "<X-PRE-PROCESS cmd=\"include\" data=\"$${conf_dir}/dialplan/sidecall/out.xml\"/>\n",
        ),
    }
}

pub struct PacketTrunk {
    file: PathBuf,
    text: String,
}

impl PacketTrunk {
    /// Reads it, while it is there.
    pub fn read(pbx: &Pbx) -> Result<PacketTrunk> {
        let file = match pbx.kind() {
            Kind::Asterisk => "sidecall-trunk.conf",
            Kind::FreeSwitch => "sip_profiles/external/sidecall.xml",
        };
        let file = pbx.etc().join(file);
        Ok(PacketTrunk { text: conf::read(&file)?, file })
    }

    /// Makes it the administrator's own, after `install.sh` has taken it back. Its calls come into `context`.
    pub fn keep(&self, pbx: &Pbx, context: &str) -> Result<()> {
        conf::write(&self.file, &self.text.replace("context=sidecall-trunks", &format!("context={context}")))?;
        if pbx.kind() == Kind::Asterisk {
            let all = pbx.etc().join("pjsip.conf");
            conf::write(&all, &(conf::read(&all)? + "\n#include \"sidecall-trunk.conf\"\n"))?;
        }
        Ok(())
    }
}

/// `install.sh` does that where the PBX is the machine's own.
pub fn reload(pbx: &Pbx) {
    let commands = match pbx.kind() {
        Kind::Asterisk => ["dialplan reload", "manager reload", "pjsip reload"],
        Kind::FreeSwitch => ["reloadxml", "reloadacl", "sofia profile external rescan"],
    };
    for command in commands {
        let _ = pbx.console(command);
    }
}
