//! A TCP proxy that breaks links: between an agent and the event socket of a PBX.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a thread sleeps before it looks at the switches again.
const TICK: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
struct Switches {
    ended: AtomicBool,
    paused: AtomicBool,
    refusing: AtomicBool,
    delay_ms: AtomicU64,
    /// Bytes that may still pass from the PBX before every link is cut; `u64::MAX` is no limit.
    budget: AtomicU64,
    accepted: AtomicU64,
    links: Mutex<Vec<TcpStream>>,
}

impl Switches {
    fn links(&self) -> std::sync::MutexGuard<'_, Vec<TcpStream>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self) {
        for link in self.links().drain(..) {
            let _ = link.shutdown(Shutdown::Both);
        }
    }

    /// How many of `n` bytes may still pass. Fewer than `n`: cut after those.
    fn take(&self, n: usize) -> usize {
        let n = n as u64;
        let left = self
            .budget
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                Some(if left == u64::MAX { left } else { left.saturating_sub(n) })
            })
            .unwrap_or(u64::MAX);
        usize::try_from(left.min(n)).unwrap_or(usize::MAX)
    }
}

/// The proxy. Dropping it cuts all links.
#[derive(Debug)]
pub struct ChaosProxy {
    addr: SocketAddr,
    switches: Arc<Switches>,
}

impl ChaosProxy {
    /// Listens on a free port of loopback and connects each link to `target`.
    pub fn start(target: SocketAddr) -> std::io::Result<ChaosProxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let switches = Arc::new(Switches { budget: AtomicU64::new(u64::MAX), ..Switches::default() });
        let shared = Arc::clone(&switches);
        thread::spawn(move || accept(&listener, target, &shared));
        Ok(ChaosProxy { addr, switches })
    }

    /// Where to connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Cuts every link now.
    pub fn cut(&self) {
        self.switches.cut();
    }

    /// Lets `n` more bytes pass from the PBX, over all links, then cuts every link: in the middle of a
    /// frame, if `n` says so. Links made afterwards are not limited.
    pub fn cut_after(&self, n: u64) {
        self.switches.budget.store(n, Ordering::SeqCst);
    }

    /// Nothing passes any more, in either direction, and nothing is closed.
    pub fn pause(&self) {
        self.switches.paused.store(true, Ordering::SeqCst);
    }

    /// What was kept while paused passes now.
    pub fn resume(&self) {
        self.switches.paused.store(false, Ordering::SeqCst);
    }

    /// Everything passes `delay` later.
    pub fn delay(&self, delay: Duration) {
        self.switches.delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// New links are closed at once, as if nobody listened; `false` ends that.
    pub fn refuse(&self, refuse: bool) {
        self.switches.refusing.store(refuse, Ordering::SeqCst);
    }

    /// How many links were made so far.
    pub fn accepted(&self) -> u64 {
        self.switches.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.switches.ended.store(true, Ordering::SeqCst);
        self.cut();
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, switches: &Arc<Switches>) {
    while !switches.ended.load(Ordering::SeqCst) {
        let Ok((near, _)) = listener.accept() else {
            thread::sleep(TICK);
            continue;
        };
        if switches.refusing.load(Ordering::SeqCst) {
            continue; // dropped: closed
        }
        switches.accepted.fetch_add(1, Ordering::SeqCst);
        if let Ok(far) = TcpStream::connect(target) {
            let _ = link(near, far, switches);
        }
    }
}

fn link(near: TcpStream, far: TcpStream, switches: &Arc<Switches>) -> std::io::Result<()> {
    near.set_nonblocking(false)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    switches.links().extend([near.try_clone()?, far.try_clone()?]);
    let (near2, far2) = (near.try_clone()?, far.try_clone()?);
    let (up, down) = (Arc::clone(switches), Arc::clone(switches));
    thread::spawn(move || pump(near, far, &up, false));
    thread::spawn(move || pump(far2, near2, &down, true));
    Ok(())
}

/// Copies one direction until it ends or is cut.
fn pump(mut from: TcpStream, mut to: TcpStream, switches: &Switches, limited: bool) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let delay = switches.delay_ms.load(Ordering::SeqCst);
        thread::sleep(Duration::from_millis(delay));
        while switches.paused.load(Ordering::SeqCst) && !switches.ended.load(Ordering::SeqCst) {
            thread::sleep(TICK);
        }
        let passes = if limited { switches.take(n) } else { n };
        if to.write_all(&buffer[..passes]).is_err() {
            break;
        }
        if passes < n {
            switches.budget.store(u64::MAX, Ordering::SeqCst);
            switches.cut();
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
