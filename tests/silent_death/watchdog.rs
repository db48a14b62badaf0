//! systemd's side of `sd_notify`: counts the signs of life.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

#[derive(Clone)]
pub(crate) struct Watchdog {
    path: PathBuf,
    fed: Arc<AtomicUsize>,
}

impl Watchdog {
    pub(crate) fn new(dir: &Path) -> Watchdog {
        let path = dir.join("notify");
        let (socket, fed) = (UnixDatagram::bind(&path).unwrap(), Arc::new(AtomicUsize::new(0)));
        let count = fed.clone();
        std::thread::spawn(move || {
            let mut text = [0; 256];
            while let Ok(length) = socket.recv(&mut text) {
                if text[..length].starts_with(b"WATCHDOG=1") {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Watchdog { path, fed }
    }

    /// The program has to give a sign of life this often.
    pub(crate) fn watches(&self, command: &mut Command, every: Duration) {
        command.env("NOTIFY_SOCKET", &self.path).env("WATCHDOG_USEC", every.as_micros().to_string());
        command.env_remove("WATCHDOG_PID");
    }

    pub(crate) fn fed(&self) -> usize {
        self.fed.load(Ordering::Relaxed)
    }
}
