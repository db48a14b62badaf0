//! A real PostgreSQL server with an empty database.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Child, folder, on_path};
use crate::{LabError, Result, server_or_skip};

/// Debian puts the programs in a folder of each version, which is not in `PATH`.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The user of the database.
const USER: &str = "sidecall";
const READY: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(10);

/// A server on a socket in a folder of its own. It listens on no port.
#[derive(Debug)]
pub struct Postgres {
    dir: TempDir,
    programs: PathBuf,
    owner: Option<Owner>,
    child: Child,
}

/// The user that runs the server: PostgreSQL refuses root.
#[derive(Debug, Clone, Copy)]
struct Owner {
    user: u32,
    group: u32,
}

impl Postgres {
    /// Starts one, or one line says that the test was skipped.
    pub fn or_skip() -> Option<Postgres> {
        server_or_skip("PostgreSQL", Postgres::start())
    }

    /// Starts one. Its texts are sorted as people sort them, unless a column says otherwise.
    pub fn start() -> Result<Postgres> {
        let programs = programs().ok_or_else(|| LabError::Missing(format!("initdb in PATH or {VERSIONS}")))?;
        let dir = folder("postgres-")?;
        let owner = Owner::unless_unprivileged()?;
        if let Some(owner) = owner {
            chown(dir.path(), Some(owner.user), Some(owner.group)).map_err(LabError::io("the server's folder"))?;
        }
        let mut initdb = command(&programs, "initdb", owner);
        initdb.arg("-D").arg(dir.path().join("data")).args(["--no-sync", "-U", USER, "-A", "trust"]);
        initdb.args(["-E", "UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en"]);
        let mut initdb = Child::spawn(&mut initdb, dir.path().join("initdb.log"))?;
        if !initdb.wait(READY).is_some_and(|status| status.success()) {
            return Err(LabError::Missing(format!("a PostgreSQL that makes its files: {}", initdb.log())));
        }
        let child = spawn(&dir, &programs, owner)?;
        let mut server = Postgres { dir, programs, owner, child };
        server.child.wait_for_line("ready to accept connections", READY)?;
        Ok(server)
    }

    /// The folder of its socket.
    pub fn socket(&self) -> &Path {
        self.dir.path()
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        let folder = self.socket().display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{folder}/postgres")
    }

    /// Ends it, and all connections.
    pub fn stop(&mut self) {
        self.child.signal("INT");
        if self.child.wait(GRACE).is_none() {
            self.child.kill();
        }
    }

    /// Ends it and starts it again.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        self.child = spawn(&self.dir, &self.programs, self.owner)?;
        self.child.wait_for_line("ready to accept connections", READY)
    }
}

/// A killed server would leave its processes behind.
impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Owner {
    fn unless_unprivileged() -> Result<Option<Owner>> {
        if fs::metadata("/proc/self").map_err(LabError::io("/proc/self"))?.uid() != 0 {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").map_err(LabError::io("/etc/passwd"))?;
        let ids = |name: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut ids = line.split(':').skip(2).map(str::parse);
            Some(Owner { user: ids.next()?.ok()?, group: ids.next()?.ok()? })
        };
        let owner = ids("postgres").or_else(|| ids("nobody"));
        owner.map(Some).ok_or_else(|| LabError::Missing("a user that PostgreSQL may run as".to_owned()))
    }
}

/// The folder of the programs of the newest version.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok().into_iter().flatten().flatten();
    let version = |folder: &PathBuf| folder.parent().and_then(|f| f.file_name()?.to_str()?.parse::<u32>().ok());
    let newest = versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").is_file());
    let here = || on_path("initdb").and_then(|file| Some(file.parent()?.to_owned()));
    newest.max_by_key(version).or_else(here)
}

fn command(programs: &Path, name: &str, owner: Option<Owner>) -> Command {
    let mut command = Command::new(programs.join(name));
    // The folder that a test runs in may be closed to that user.
    command.current_dir("/");
    if let Some(Owner { user, group }) = owner {
        command.gid(group).uid(user);
    }
    command
}

fn spawn(dir: &TempDir, programs: &Path, owner: Option<Owner>) -> Result<Child> {
    let mut postgres = command(programs, "postgres", owner);
    postgres.arg("-D").arg(dir.path().join("data")).arg("-k").arg(dir.path());
    // It need not survive the machine.
    postgres.args(["-h", "", "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "autovacuum=off"]);
    Child::spawn(&mut postgres, dir.path().join("log"))
}
