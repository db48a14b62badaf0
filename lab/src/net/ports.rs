//! Free ports on loopback, below the ephemeral range, so that a client's own port never takes a server's.
//!
//! Several test processes and the demo run at once. A process takes ports in blocks, and marks each block as its own
//! with an abstract Unix socket: the kernel gives that name to one process at a time, and takes it back when the
//! process ends. So no process even probes a port of another one. Within a block a port counts as free when both UDP
//! and TCP can be bound on every address: something that a killed test left may still have it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Blocks of one size, and the ones that are this process's.
#[derive(Debug)]
pub struct Blocks {
    first: u16,
    size: u16,
    count: u16,
    /// A process that has so many begins again with its oldest.
    most: usize,
    mine: Vec<(u16, UnixDatagram)>,
    /// The block in use, and the next port in it.
    at: usize,
    next: u16,
}

const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(100);

/// Single ports: 12000 to 21999.
static SINGLE: Mutex<Blocks> = Mutex::new(Blocks::new(12_000, 500, 20, 4));
/// Ranges, one a block: 22000 to 31999.
static RANGES: Mutex<Blocks> = Mutex::new(Blocks::new(22_000, 400, 25, 6));

impl Blocks {
    /// Blocks of `size` ports, `count` of them from `first` on, at `most` so many for one process.
    pub const fn new(first: u16, size: u16, count: u16, most: usize) -> Blocks {
        Blocks { first, size, count, most, mine: Vec::new(), at: 0, next: size }
    }

    fn claim(&mut self) -> bool {
        let names = (0..self.count).map(|n| self.first + n * self.size);
        let claimed = names.into_iter().find_map(|start| {
            let name = UnixAddr::from_abstract_name(format!("sidecall-lab-ports-{start}")).ok()?;
            Some((start, UnixDatagram::bind_addr(&name).ok()?))
        });
        let found = claimed.is_some();
        self.mine.extend(claimed);
        found
    }

    /// Goes on to another block: a new one, or else the oldest of its own.
    fn turn(&mut self) {
        let grown = self.mine.len() < self.most && self.claim();
        let mut waited = Duration::ZERO;
        // Other processes end, and their blocks become free.
        while self.mine.is_empty() && !self.claim() {
            assert!(waited < PATIENCE, "other tests on this machine have all ports from {} on", self.first);
            std::thread::sleep(PAUSE);
            waited += PAUSE;
        }
        self.at = if grown { self.mine.len() - 1 } else { (self.at + 1) % self.mine.len() };
        self.next = 0;
    }

    /// The first of `n` consecutive ports that nothing has bound.
    pub fn take(&mut self, n: u16) -> u16 {
        assert!(n <= self.size, "{n} ports are more than a block has");
        let tries = self.most * usize::from(self.size / n) * 2;
        let found = (0..tries).find_map(|_| {
            if self.next + n > self.size {
                self.turn();
            }
            let first = self.mine[self.at].0 + self.next;
            self.next += n;
            (first..first + n).all(is_free).then_some(first)
        });
        found.expect("a free port on loopback")
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() && UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

fn from(blocks: &Mutex<Blocks>, n: u16) -> u16 {
    blocks.lock().unwrap_or_else(PoisonError::into_inner).take(n)
}

/// A port that is free now for TCP and UDP.
pub fn free() -> u16 {
    from(&SINGLE, 1)
}

pub fn local() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), free())
}

/// The first of `n` consecutive free ports, even (an RTP range begins there).
pub(crate) fn free_range(n: u16) -> u16 {
    from(&RANGES, n.next_multiple_of(2))
}
