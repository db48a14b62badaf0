//! A disk that can hang: a file system in a file, mounted for one process alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes it in a folder, for [`mount`].
pub(crate) fn make(dir: &Path) {
    let image = dir.join("image").display().to_string();
    must("truncate", &["--size=16M", &image]);
    must("mkfs.ext4", &["-q", "-F", &image]);
    fs::create_dir(dir.join("disk")).unwrap();
}

/// Mounts it at `disk` for the program that this command runs there.
pub(crate) fn mount(command: &mut Command) {
    command.args(["unshare", "--mount", "sh", "-c", "mount -o loop image disk && exec \"$@\"", "sh"]);
}

/// While this is there, whatever writes to the disk waits.
pub(crate) struct Frozen {
    disk: PathBuf,
    pid: u32,
}

impl Frozen {
    /// The disk of a process with that folder.
    pub(crate) fn new(dir: &Path, pid: u32) -> Frozen {
        let frozen = Frozen { disk: dir.join("disk"), pid };
        frozen.fsfreeze("--freeze");
        frozen
    }

    fn fsfreeze(&self, what: &str) {
        let (pid, disk) = (self.pid.to_string(), self.disk.display().to_string());
        must("nsenter", &["--mount", "--target", &pid, "fsfreeze", what, &disk]);
    }
}

impl Drop for Frozen {
    /// Nobody could end a process that waits for it.
    fn drop(&mut self) {
        self.fsfreeze("--unfreeze");
    }
}

fn must(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
}
