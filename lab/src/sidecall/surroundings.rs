//! What a process of the lab runs in: a clock of its own, a disk of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{LabError, Result};

/// Debian's package `faketime`.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
/// The file with what is added to the wall clock, in the folder of the process.
const CLOCK: &str = "clock";
/// The folder where the disk is mounted, in the folder of the process.
const DISK: &str = "disk";

/// By default nothing of its own.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// A wall clock that [`step`] can step; the steady ones stay real.
    pub clock: bool,
    /// A disk that holds so many kilobytes, for the database alone. It goes with the process.
    pub disk_kb: Option<u32>,
}

/// Steps the wall clock of the process with this folder: so many seconds in all are added to the real one. It takes
/// a second to be seen there.
pub fn step(dir: &Path, seconds: i64) {
    // At once, for the process reads it at any moment.
    let new = dir.join("clock.new");
    fs::write(&new, format!("{seconds:+}\n")).expect("a file");
    fs::rename(new, dir.join(CLOCK)).expect("a file");
}

/// A file on the disk of a process, seen from outside.
pub fn on_disk(pid: u32, dir: &Path, name: &str) -> PathBuf {
    let inside = dir.join(DISK).join(name);
    Path::new(&format!("/proc/{pid}/root")).join(inside.strip_prefix("/").expect("an absolute path"))
}

impl Surroundings {
    pub fn database(&self) -> &'static str {
        if self.disk_kb.is_some() { "disk/sidecall.db" } else { "sidecall.db" }
    }

    /// A small disk has less space than is kept free by default.
    pub fn storage(&self) -> &'static str {
        if self.disk_kb.is_some() { "[node.storage]\nfree_mb = 0\n" } else { "" }
    }

    pub fn command(&self, dir: &Path, program: &Path) -> Result<Command> {
        let mut command = match self.disk_kb {
            None => Command::new(program),
            Some(size) => {
                let disk = dir.join(DISK);
                fs::create_dir_all(&disk).map_err(LabError::io("folder"))?;
                let script = format!("mount -t tmpfs -o size={size}k,mode=700 sidecall {disk:?} && exec \"$0\" \"$@\"");
                let mut command = Command::new("unshare");
                command.args(["--mount", "sh", "-c", &script]).arg(program);
                command
            }
        };
        if self.clock {
            if !Path::new(FAKETIME).is_file() {
                return Err(LabError::Missing("faketime (Debian's package of that name)".to_owned()));
            }
            if !dir.join(CLOCK).is_file() {
                step(dir, 0);
            }
            command.env("LD_PRELOAD", FAKETIME).env("FAKETIME_TIMESTAMP_FILE", dir.join(CLOCK));
            command
                .env("FAKETIME_CACHE_DURATION", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
                .env("NO_FAKE_STAT", "1");
        }
        Ok(command)
    }
}
