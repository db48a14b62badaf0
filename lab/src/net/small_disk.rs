//! A small disk that one process has for itself, and that can be full. It needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{LabError, Result};

/// Mounts it, and runs the rest of the command line as a user.
const ENTER: &str = r#"
image=$1 mount=$2 user=$3 group=$4
shift 4
mount -o loop "$image" "$mount" && mkdir -p "$mount/data" && chown "$user:$group" "$mount/data" || exit 1
exec setpriv --reuid "$user" --regid "$group" --clear-groups "$@"
"#;

/// Takes all space, in ever smaller files: a file of zeros would be written, and this isn't.
const FILL: &str = r#"
mkdir -p "$1"
n=0
for size in 268435456 16777216 1048576 65536 4096; do
  while fallocate -l "$size" "$1/$n" 2>/dev/null; do n=$((n + 1)); done
  n=$((n + 1))
done
"#;

/// A file system in a file.
#[derive(Debug)]
pub(super) struct SmallDisk {
    image: PathBuf,
    mount: PathBuf,
}

impl SmallDisk {
    /// Makes it in a folder, for [`SmallDisk::command`].
    pub(super) fn make(dir: &Path, megabytes: u32) -> Result<SmallDisk> {
        let disk = SmallDisk { image: dir.join("image"), mount: dir.join("disk") };
        fs::create_dir(&disk.mount).map_err(LabError::io("a folder for a disk"))?;
        must(Command::new("truncate").arg(format!("--size={megabytes}M")).arg(&disk.image))?;
        must(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image))?;
        Ok(disk)
    }

    /// Runs a program as a user, who may write to [`SmallDisk::data`]. Nobody else sees the disk.
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
        must(Command::new("sh").args(["-c", FILL, "sh"]).arg(self.ballast(pid)))
    }

    /// Gives it back.
    pub(super) fn free(&self, pid: u32) -> Result<()> {
        must(Command::new("rm").arg("-rf").arg(self.ballast(pid)))
    }

    /// The folder that takes the space, as it is seen from outside.
    fn ballast(&self, pid: u32) -> PathBuf {
        let inside = self.mount.strip_prefix("/").unwrap_or(&self.mount).join("ballast");
        Path::new(&format!("/proc/{pid}/root")).join(inside)
    }
}

/// Runs a command that must succeed.
pub(super) fn must(command: &mut Command) -> Result<()> {
    let output = command.output().map_err(LabError::io(format!("start {:?}", command.get_program())))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(LabError::Io { what: format!("{command:?}"), source: std::io::Error::other(said) })
}
