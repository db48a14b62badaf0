//! Child processes: started with a log file, watched with a deadline, stopped by their own pid.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{LabError, Result};

/// A process of ours. Dropping it kills it and waits for its end: a test that panics leaves nothing.
#[derive(Debug)]
pub struct Child {
    inner: std::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts `command` with its output in `log`.
    pub fn spawn(command: &mut Command, log: impl Into<PathBuf>) -> Result<Child> {
        let log = log.into();
        let out = File::create(&log).map_err(LabError::io(format!("{}", log.display())))?;
        let err = out.try_clone().map_err(LabError::io("log"))?;
        let inner = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(LabError::io(format!("start {:?}", command.get_program())))?;
        Ok(Child { inner, log })
    }

    pub fn pid(&self) -> u32 {
        self.inner.id()
    }

    pub fn log(&self) -> String {
        fs::read(&self.log).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Sends a signal by name, e.g. `TERM`.
    pub fn signal(&mut self, name: &str) {
        if self.is_running() {
            let pid = self.inner.id().to_string();
            let _ = Command::new("kill").args(["-s", name, &pid]).status();
        }
    }

    /// SIGSTOP: the process hangs, its sockets stay open.
    pub fn stop(&mut self) {
        self.signal("STOP");
    }

    pub fn cont(&mut self) {
        self.signal("CONT");
    }

    /// SIGKILL, and waits for its end.
    pub fn kill(&mut self) {
        let _ = self.inner.kill();
        let _ = self.inner.wait();
    }

    /// SIGTERM, and SIGKILL if it hasn't ended after `grace`. The status, if it ended by itself.
    pub fn terminate(&mut self, grace: Duration) -> Option<ExitStatus> {
        self.cont();
        self.signal("TERM");
        let ended = self.wait(grace);
        if ended.is_none() {
            self.kill();
        }
        ended
    }

    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let mut status = None;
        wait_until(limit, || {
            status = self.inner.try_wait().ok().flatten();
            status.is_some()
        });
        status
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.inner.try_wait(), Ok(None))
    }

    pub(crate) fn wait_for_line(&mut self, text: &str, limit: Duration) -> Result<()> {
        self.wait_for(&format!("no “{text}”"), limit, |child| child.log().contains(text))
    }

    pub(crate) fn wait_for_port(&mut self, addr: SocketAddr, limit: Duration) -> Result<()> {
        self.wait_for(&format!("no listener on {addr}"), limit, |_| TcpStream::connect(addr).is_ok())
    }

    fn wait_for(&mut self, what: &str, limit: Duration, test: impl Fn(&Child) -> bool) -> Result<()> {
        let mut ended = false;
        let ok = wait_until(limit, || {
            ended = !self.is_running();
            test(self) || ended
        });
        if ok && (!ended || test(self)) {
            return Ok(());
        }
        let log = self.log();
        let tail: Vec<&str> = log.lines().rev().take(15).collect();
        Err(LabError::late(what, limit, tail.into_iter().rev().collect::<Vec<_>>().join("\n")))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Looks at `test` every 5 ms until it holds. False after `limit`.
pub fn wait_until(limit: Duration, mut test: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if test() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The longest that [`arrives`] has waited in this process until something arrived, in ms.
static SLOWEST: AtomicU64 = AtomicU64::new(0);

/// Waits until something that must arrive has arrived. [`never()`] remembers how long that took.
pub fn arrives(limit: Duration, test: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    let arrived = wait_until(limit, test);
    if arrived {
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        SLOWEST.fetch_max(took, Ordering::Relaxed);
    }
    arrived
}

/// How long to watch for something that must not arrive: three times the slowest arrival so far, and at least a second.
/// Where nothing has arrived yet nobody knows how fast this machine is, and it is three seconds.
pub fn quiet() -> Duration {
    Duration::from_millis(match SLOWEST.load(Ordering::Relaxed) {
        0 => 3_000,
        slowest => slowest.saturating_mul(3).max(1_000),
    })
}

/// Whether something stays away for as long as [`quiet`] says.
pub fn never(test: impl FnMut() -> bool) -> bool {
    !wait_until(quiet(), test)
}

/// A folder of its own in the machine's temporary folder, removed when it is dropped.
pub(crate) fn folder(purpose: &str) -> Result<TempDir> {
    let prefix = format!("sidecall-{purpose}");
    tempfile::Builder::new().prefix(&prefix).tempdir().map_err(LabError::io(format!("a folder {prefix}…")))
}

/// The first file of that name in the folders of `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|file| file.is_file())
}
