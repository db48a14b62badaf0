//! A TCP proxy that breaks links, such as that between an agent and the event socket of a PBX, or leads them elsewhere.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a thread sleeps before it looks at the switches again.
const TICK: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
struct Switches {
    ended: bool,
    paused: bool,
    refusing: bool,
    delay: Duration,
    /// Bytes that may still pass from the PBX before every link is cut.
    budget: Option<u64>,
    accepted: u64,
    /// Both connections of each link that is up, by its number.
    links: HashMap<u64, [TcpStream; 2]>,
    /// The number of times that every link was cut.
    cuts: u64,
    /// Where new links lead, if no longer to the first target.
    moved: Option<SocketAddr>,
}

impl Switches {
    fn cut(&mut self) {
        self.cuts += 1;
        for connection in self.links.drain().flat_map(|(_, link)| link) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn lock(switches: &Mutex<Switches>) -> MutexGuard<'_, Switches> {
    switches.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The proxy. Dropping it cuts all links.
#[derive(Debug)]
pub struct ChaosProxy {
    addr: SocketAddr,
    switches: Arc<Mutex<Switches>>,
}

impl ChaosProxy {
    /// Listens on a free port of loopback and connects each link to `target`.
    pub fn start(target: SocketAddr) -> std::io::Result<ChaosProxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let switches = Arc::<Mutex<Switches>>::default();
        let shared = Arc::clone(&switches);
        thread::spawn(move || accept(&listener, target, &shared));
        Ok(ChaosProxy { addr, switches })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Cuts every link. New ones lead to `target`.
    pub fn lead_to(&self, target: SocketAddr) {
        let mut switches = lock(&self.switches);
        switches.moved = Some(target);
        switches.cut();
    }

    pub fn cut(&self) {
        lock(&self.switches).cut();
    }

    /// Lets `n` more bytes pass from the PBX, over all links, then cuts every link: in the middle of a
    /// frame, if `n` says so. Links made afterwards are not limited.
    pub fn cut_after(&self, n: u64) {
        lock(&self.switches).budget = Some(n);
    }

    /// Nothing passes any more, in either direction, and nothing is closed.
    pub fn pause(&self) {
        lock(&self.switches).paused = true;
    }

    /// What was kept while paused passes now.
    pub fn resume(&self) {
        lock(&self.switches).paused = false;
    }

    pub fn delay(&self, delay: Duration) {
        lock(&self.switches).delay = delay;
    }

    /// New links are closed at once, as if nobody listened; `false` ends that.
    pub fn refuse(&self, refuse: bool) {
        lock(&self.switches).refusing = refuse;
    }

    /// How many links were made so far.
    pub fn accepted(&self) -> u64 {
        lock(&self.switches).accepted
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        let mut switches = lock(&self.switches);
        switches.ended = true;
        switches.cut();
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, switches: &Arc<Mutex<Switches>>) {
    while !lock(switches).ended {
        let Ok((near, _)) = listener.accept() else {
            thread::sleep(TICK);
            continue;
        };
        let (refusing, cuts, target) = {
            let switches = lock(switches);
            (switches.refusing, switches.cuts, switches.moved.unwrap_or(target))
        };
        if refusing {
            continue; // dropped: closed
        }
        lock(switches).accepted += 1;
        if let Ok(far) = TcpStream::connect(target) {
            let _ = link(near, far, cuts, switches);
        }
    }
}

/// `cuts` is the count from before the link was made: a cut since then cuts it too.
fn link(near: TcpStream, far: TcpStream, cuts: u64, switches: &Arc<Mutex<Switches>>) -> std::io::Result<()> {
    near.set_nonblocking(false)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let both = [near.try_clone()?, far.try_clone()?];
    let number = {
        let mut switches = lock(switches);
        if switches.cuts != cuts {
            return Ok(()); // dropped: closed
        }
        let number = switches.accepted;
        switches.links.insert(number, both);
        number
    };
    for (from, to, limited) in [(near.try_clone()?, far.try_clone()?, false), (far, near, true)] {
        let switches = Arc::clone(switches);
        thread::spawn(move || {
            pump(from, to, &switches, limited);
            lock(&switches).links.remove(&number);
        });
    }
    Ok(())
}

/// Copies one direction until it ends or is cut.
fn pump(mut from: TcpStream, mut to: TcpStream, switches: &Mutex<Switches>, limited: bool) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        let delay = lock(switches).delay;
        thread::sleep(delay);
        while Some(lock(switches)).is_some_and(|switches| switches.paused && !switches.ended) {
            thread::sleep(TICK);
        }
        let mut passes = n;
        if let Some(budget) = lock(switches).budget.as_mut().filter(|_| limited) {
            passes = n.min(usize::try_from(*budget).unwrap_or(n));
            *budget -= passes as u64;
        }
        if to.write_all(&buffer[..passes]).is_err() {
            break;
        }
        if passes < n {
            let mut switches = lock(switches);
            switches.budget = None;
            switches.cut();
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
