//! A small disk that one process has for itself, and that can be full. It needs root.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{LabError, Result};

/// Mounts the disk, and runs the rest of the command line as a user.
const ENTER: &str = r#"
set -e
image=$1 mount=$2 user=$3 group=$4
shift 4
mount -o loop "$image" "$mount"
mountpoint -q "$mount" || exit 1
mkdir -p "$mount/data"
chown "$user:$group" "$mount/data"
exec setpriv --reuid "$user" --regid "$group" --clear-groups "$@"
"#;

/// Takes all space, in ever smaller files. Only allocates it: zeros would have to be written. Takes no more than the disk
/// has, and fails if there is space left.
const FILL: &str = r#"
set -e
mount=$1 left=$2
mountpoint -q "$mount" || exit 1
mkdir -p "$mount/ballast"
n=0
for size in 16777216 1048576 65536 4096; do
  while [ "$left" -ge "$size" ] && fallocate -l "$size" "$mount/ballast/$n" 2>/dev/null; do
    n=$((n + 1)) left=$((left - size))
  done
  n=$((n + 1))
done
! fallocate -l 4096 "$mount/ballast/last" 2>/dev/null
"#;

/// Gives the space back.
const FREE: &str = r#"
set -e
mountpoint -q "$1" || exit 1
rm -rf "$1/ballast"
"#;

/// A file system in a file.
#[derive(Debug)]
pub(super) struct SmallDisk {
    image: PathBuf,
    mount: PathBuf,
    bytes: u64,
}

impl SmallDisk {
    /// Makes it in a folder, for [`SmallDisk::command`], and fails if this machine can't mount it.
    pub(super) fn make(dir: &Path, megabytes: u64) -> Result<SmallDisk> {
        let disk = SmallDisk { image: dir.join("image"), mount: dir.join("disk"), bytes: megabytes << 20 };
        fs::create_dir(&disk.mount).map_err(LabError::io("a folder for a disk"))?;
        run(Command::new("truncate").arg(format!("--size={}", disk.bytes)).arg(&disk.image))?;
        // It need not survive the machine, and leaves no space to root alone.
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-O", "^has_journal", "-m", "0"]).arg(&disk.image))?;
        run(Command::new("unshare").args(["--mount", "mount", "-o", "loop"]).arg(&disk.image).arg(&disk.mount))?;
        Ok(disk)
    }

    /// Runs a program as a user, who may write to [`SmallDisk::data`]. Other processes don't have the disk.
    pub(super) fn command(&self, [user, group]: [u32; 2], program: &Path) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", ENTER, "sh"]).arg(&self.image).arg(&self.mount);
        command.args([user.to_string(), group.to_string()]).arg(program);
        command
    }

    /// The user's folder on it.
    pub(super) fn data(&self) -> PathBuf {
        self.mount.join("data")
    }

    /// Takes all its space. `pid` is that of the program.
    pub(super) fn fill(&self, pid: u32) -> Result<()> {
        run(self.inside(pid, FILL).arg(self.bytes.to_string()))
    }

    /// Gives the space back.
    pub(super) fn free(&self, pid: u32) -> Result<()> {
        run(&mut self.inside(pid, FREE))
    }

    /// A script that runs where the disk is mounted.
    fn inside(&self, pid: u32, script: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &pid.to_string(), "--mount", "sh", "-c", script, "sh"]).arg(&self.mount);
        command
    }
}

/// Runs a command to its end. Fails if the command does.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => LabError::Missing(program),
        _ => LabError::Io { what: format!("start {program}"), source: error },
    })?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(LabError::Io { what: format!("{command:?}"), source: std::io::Error::other(complaint) })
}
