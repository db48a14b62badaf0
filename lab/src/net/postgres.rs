//! A real PostgreSQL server with an empty database.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::net::ports;
use crate::net::small_disk::{SmallDisk, run};
use crate::pbx::conf;
use crate::process::{Child, folder, on_path};
use crate::{LabError, Result, in_ci, server_or_skip, wait_until};

/// Debian puts the programs in a folder of each version, which is not in `PATH`.
const VERSIONS: &str = "/usr/lib/postgresql";
/// The user of the database.
const USER: &str = "sidecall";
/// Enough for the calls of half an hour.
const DISK_MB: u64 = 512;
const READY: Duration = Duration::from_secs(30);
const GRACE: Duration = Duration::from_secs(10);

/// A server on a socket in a folder of its own. By default it listens on no port.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    child: Child,
}

/// The parts that outlive a restart.
#[derive(Debug)]
struct Server {
    dir: TempDir,
    programs: PathBuf,
    owner: Option<Owner>,
    /// Clients need it on the port. The folder of the socket is closed to other users.
    password: String,
    /// Whether a commit survives a crash of the machine.
    durable: bool,
    /// Where it listens besides.
    port: Option<SocketAddr>,
    /// The disk of its tables. The write-ahead log isn't on it: without that, the server would end.
    disk: Option<SmallDisk>,
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
        Postgres::launch(Server::make()?)
    }

    /// Starts one that syncs its commits, as an installation's does. Its files are in the temporary folder.
    pub fn durable() -> Result<Postgres> {
        Postgres::launch(Server { durable: true, ..Server::make()? })
    }

    /// Starts one that also listens on a port of loopback, so that a proxy can stand in front of it. Its tables are on a small
    /// disk, if this machine can have one. Also returns its address.
    pub fn on_port() -> Result<(Postgres, SocketAddr)> {
        let (mut server, port) = (Server::make()?, ports::local());
        server.port = Some(port);
        server.disk = match SmallDisk::make(server.dir.path(), DISK_MB) {
            Err(error) if !in_ci() => {
                eprintln!("skipped: a full disk of PostgreSQL: {error}");
                None
            }
            made => Some(made?),
        };
        let postgres = Postgres::launch(server)?;
        if let Some(disk) = &postgres.server.disk {
            postgres.execute(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.data().display()))?;
            postgres.execute("ALTER DATABASE postgres SET default_tablespace = small")?;
        }
        Ok((postgres, port))
    }

    fn launch(server: Server) -> Result<Postgres> {
        let mut child = server.spawn()?;
        child.wait_for_line("ready to accept connections", READY)?;
        Ok(Postgres { server, child })
    }

    fn execute(&self, statement: &str) -> Result<()> {
        let mut psql = command(&self.server.programs, "psql", None);
        run(psql.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement]).arg(self.url()))
    }

    /// Whether [`Postgres::fill_disk`] can do anything.
    pub fn has_small_disk(&self) -> bool {
        self.server.disk.is_some()
    }

    /// From now on no table can grow.
    pub fn fill_disk(&self) -> Result<()> {
        self.server.disk.as_ref().map_or(Ok(()), |disk| disk.fill(self.child.pid()))
    }

    /// Tables can grow again.
    pub fn free_disk(&self) -> Result<()> {
        self.server.disk.as_ref().map_or(Ok(()), |disk| disk.free(self.child.pid()))
    }

    /// The number of times that it has found its disk full since it was started.
    pub fn found_disk_full(&self) -> usize {
        self.log().matches("No space left on device").count()
    }

    /// The server's first process. With a small disk it may be a wrapper.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    pub fn has_ended(&mut self) -> bool {
        !self.child.is_running()
    }

    /// Its log since the last start.
    pub fn log(&self) -> String {
        self.child.log()
    }

    /// The folder of its socket.
    pub fn socket(&self) -> &Path {
        self.server.dir.path()
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        let folder = self.socket().display().to_string().replace('/', "%2F");
        // The file of the socket has the port in its name.
        let port = self.server.port.map(|port| format!(":{}", port.port())).unwrap_or_default();
        format!("postgres://{USER}@{folder}{port}/postgres")
    }

    /// The URL of its database over a port: its own, or that of a proxy in front of it.
    pub fn url_at(&self, at: SocketAddr) -> String {
        format!("postgres://{USER}:{}@{at}/postgres", self.server.password)
    }

    /// Ends it, and all connections.
    pub fn stop(&mut self) {
        self.child.signal("INT");
        if self.child.wait(GRACE).is_none() {
            self.child.kill();
            // The others end by themselves. Until then no server can be started in the folder.
            wait_until(GRACE, || !self.server.has_processes());
        }
    }

    /// Ends it and starts it again.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        self.child = self.server.spawn()?;
        self.child.wait_for_line("ready to accept connections", READY)
    }
}

/// A killed server would leave its processes behind.
impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Server {
    /// Makes its files.
    fn make() -> Result<Server> {
        let programs = programs().ok_or_else(|| LabError::Missing(format!("initdb in PATH or {VERSIONS}")))?;
        let dir = folder("postgres-")?;
        let owner = Owner::unless_unprivileged()?;
        if let Some(owner) = owner {
            chown(dir.path(), Some(owner.user), Some(owner.group)).map_err(LabError::io("the server's folder"))?;
        }
        let password = format!("{:032x}", rand::random::<u128>());
        let password_file = dir.path().join("password");
        conf::write(&password_file, &password)?;
        if let Some(owner) = owner {
            chown(&password_file, Some(owner.user), Some(owner.group)).map_err(LabError::io("the password"))?;
        }
        let mut initdb = command(&programs, "initdb", owner);
        initdb.arg("-D").arg(dir.path().join("data")).arg("--pwfile").arg(password_file);
        initdb.args(["--no-sync", "-U", USER, "--auth-local=trust", "--auth-host=scram-sha-256"]);
        initdb.args(["-E", "UTF8", "--locale=C", "--locale-provider=icu", "--icu-locale=en"]);
        let mut initdb = Child::spawn(&mut initdb, dir.path().join("initdb.log"))?;
        if !initdb.wait(READY).is_some_and(|status| status.success()) {
            return Err(LabError::Missing(format!("a PostgreSQL that makes its files: {}", initdb.log())));
        }
        Ok(Server { dir, programs, owner, password, durable: false, port: None, disk: None })
    }

    fn spawn(&self) -> Result<Child> {
        let dir = self.dir.path();
        let mut postgres = match (&self.disk, self.owner) {
            (None, owner) => command(&self.programs, "postgres", owner),
            (Some(_), None) => return Err(LabError::Missing("root, for a disk of its own".to_owned())),
            (Some(disk), Some(owner)) => {
                let mut postgres = disk.command([owner.user, owner.group], &self.programs.join("postgres"));
                postgres.current_dir("/");
                postgres
            }
        };
        postgres.arg("-D").arg(dir.join("data")).arg("-k").arg(dir);
        match self.port {
            Some(port) => postgres.args(["-h", &port.ip().to_string(), "-p", &port.port().to_string()]),
            None => postgres.args(["-h", ""]),
        };
        if !self.durable {
            postgres.args(["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "autovacuum=off"]);
        }
        Child::spawn(&mut postgres, dir.join(format!("postgres-{:08x}.log", rand::random::<u32>())))
    }

    /// Whether a process of the server is left. Each works in the folder of the data.
    fn has_processes(&self) -> bool {
        let Ok(data) = self.dir.path().join("data").canonicalize() else { return false };
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes.map(|process| process.path().join("cwd")).any(|cwd| fs::read_link(cwd).is_ok_and(|cwd| cwd == data))
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
