//! A machine of its own for `install.sh`, without SIDECALL_ROOT: a mount namespace in which /etc, /var, /run and
//! /usr/local/bin are folders of the test. Needs root.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::conf;

/// Mounts, then runs the rest of the command line.
const ENTER: &str = r#"
for part in etc var run usr/local/bin; do mount --bind "$MACHINE/$part" "/$part" || exit 99; done
exec "$@"
"#;

/// Stands in for systemd, of which there is none here: runs what the unit says as the user it says. It starts nothing
/// again that has ended.
const SYSTEMCTL: &str = r#"#!/bin/bash
mkdir -p /run/stand-in && cd /run/stand-in || exit 1
unit=/etc/systemd/system/sidecall.service
running() {
  # One that goes between two looks has no status: it must not count as running.
  read -r pid 2>/dev/null <pid && grep -q '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$pid/status" 2>/dev/null
}
stop() {
  if running; then kill "$pid"; fi
  while running; do sleep 0.05; done
}
start() {
  if running; then return; fi
  mkdir -p /var/lib/sidecall && chown sidecall:sidecall /var/lib/sidecall
  for fd in /proc/$$/fd/*; do
    fd=${fd##*/}
    if [ "$fd" -gt 2 ]; then eval "exec $fd>&-"; fi # a service inherits nothing
  done
  # shellcheck disable=SC2046
  setsid setpriv --reuid=sidecall --regid=sidecall --clear-groups $(sed -n 's/^ExecStart=//p' $unit) >>log 2>&1 </dev/null &
  echo $! >pid
}
case $1 in
  start) start ;;
  stop) stop ;;
  restart) stop; start ;;
  enable) touch enabled ;;
  disable) rm -f enabled; stop ;;
  is-enabled) test -f enabled ;;
  is-active) if running; then echo active; else echo failed; exit 3; fi ;;
esac
"#;

pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n")
}

/// A secret that sed, the shell, XML, TOML and Asterisk's parser each read as something else.
pub const NASTY: &str = r#"a&b|c\d e"f'g$h;i=j<k>l/m#n*[o]%p\"#;

/// As XML has it in an attribute.
pub fn xml(secret: &str) -> String {
    secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Stand-ins for all programs of this machine, which write down how they are called and then are those programs.
#[derive(Debug)]
pub struct Recorders {
    /// The only folder that a script needs in its path, so that nothing escapes them.
    pub bin: PathBuf,
    log: PathBuf,
}

impl Recorders {
    pub fn in_folder(dir: &Path) -> Recorders {
        let (bin, log, recorder) = (dir.join("bin"), dir.join("command-lines"), dir.join("recorder"));
        if !bin.exists() {
            std::fs::create_dir_all(&bin).expect("a folder");
            let path = std::env::var("PATH").unwrap_or_default();
            let text = format!(
                "#!/bin/sh\nprintf '%s\\n' \"$0 $*\" >>'{}'\npath={path}; IFS=:\nfor dir in $path; do\n  \
                 if [ -x \"$dir/${{0##*/}}\" ]; then exec \"$dir/${{0##*/}}\" \"$@\"; fi\ndone\nexit 127\n",
                log.display()
            );
            std::fs::write(&recorder, text).expect("the recorder");
            std::fs::set_permissions(&recorder, std::fs::Permissions::from_mode(0o755)).expect("its mode");
            for dir in path.split(':').map(Path::new).filter(|dir| dir.is_dir()) {
                for entry in std::fs::read_dir(dir).expect("a folder of the path").flatten() {
                    let _ = symlink(&recorder, bin.join(entry.file_name()));
                }
            }
            // The recorder's own interpreter, and the script's.
            for shell in ["sh", "bash"] {
                let _ = std::fs::remove_file(bin.join(shell));
                symlink(Path::new("/bin").join(shell), bin.join(shell)).expect("a shell");
            }
        }
        Recorders { bin, log }
    }

    pub fn command_lines(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).expect("commands")).into_owned()
    }
}

/// Such a machine. Dropping it ends the service and removes everything.
#[derive(Debug)]
pub struct Machine {
    dir: TempDir,
    recorders: Option<Recorders>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.path("run/systemd/system").exists() {
            let _ = self.run("systemctl", &["stop", "sidecall"]);
        }
    }
}

impl Machine {
    /// One that has what this one has in /etc, and no systemd.
    pub fn make() -> Machine {
        let dir = tempfile::Builder::new().prefix("sidecall-machine-").tempdir().expect("a folder");
        // The service's user has to get there.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("its mode");
        let machine = Machine { dir, recorders: None };
        for part in ["var/lib", "var/backups", "var/tmp", "run", "usr/local/bin", "bin"] {
            std::fs::create_dir_all(machine.path(part)).expect("a folder");
        }
        let copied = Command::new("cp").args(["-a", "/etc"]).arg(machine.path("etc")).status();
        assert!(copied.is_ok_and(|status| status.success()), "a copy of /etc");
        let _ = std::fs::remove_dir_all(machine.path("etc/sidecall"));
        machine.program("systemctl", SYSTEMCTL);
        machine
    }

    /// Where a file of the machine is: `etc/sidecall/sidecall.toml`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn program(&self, name: &str, text: &str) {
        let file = self.path("bin").join(name);
        std::fs::write(&file, text).expect("a program");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    pub fn boot(&self) {
        std::fs::create_dir_all(self.path("run/systemd/system")).expect("a folder");
    }

    /// From now on every command is on record.
    pub fn record(&mut self) -> &Recorders {
        self.recorders.insert(Recorders::in_folder(&self.dir.path().join("recorders")))
    }

    pub fn run(&self, program: &str, args: &[&str]) -> Output {
        let path = match &self.recorders {
            Some(recorders) => recorders.bin.display().to_string(),
            None => format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap_or_default()),
        };
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "bash", "-c", ENTER, "enter", program]).args(args);
        command.env("MACHINE", self.dir.path()).env("PATH", path).env("ASTERISK", "false").env_remove("SIDECALL_ROOT");
        command.output().expect("unshare")
    }

    /// Runs `install.sh --yes` in the machine. Answers whether it ended well, and what it said.
    pub fn install(&self, args: &[&str]) -> (bool, String) {
        let script = conf::project().join("install.sh");
        let done = self.run(&script.to_string_lossy(), &[&["--yes"], args].concat());
        (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
    }
}
