//! A TCP proxy that breaks links, such as that between an agent and the event socket of a PBX, or leads them elsewhere.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How often the proxy checks for new links.
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
    links: HashMap<u64, [Arc<TcpStream>; 2]>,
    /// The number of times that every link was cut.
    cuts: u64,
    /// How often something was cut, refused, delayed or kept.
    hits: u64,
    /// Where new links lead, if no longer to the first target.
    moved: Option<SocketAddr>,
}

impl Switches {
    fn keeps_bytes(&self) -> bool {
        self.paused && !self.ended
    }

    /// Each request that fails in a pause may be repeated on a new link. With threads of their own, all these links would use up
    /// the machine.
    fn keeps_links(&self) -> bool {
        self.keeps_bytes() && !self.refusing
    }

    fn cut(&mut self) {
        self.cuts += 1;
        self.hits += self.links.len() as u64;
        for connection in self.links.drain().flat_map(|(_, link)| link) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

/// The switches, and a signal for threads that wait for one of them.
#[derive(Debug, Default)]
struct Shared {
    switches: Mutex<Switches>,
    switched: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, condition: fn(&Switches) -> bool) {
        drop(self.switched.wait_while(self.lock(), |switches| condition(switches)));
    }
}

/// The proxy. Dropping it cuts all links.
#[derive(Debug)]
pub struct ChaosProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

impl ChaosProxy {
    /// Listens on a free port of loopback and connects each link to `target`.
    pub fn start(target: SocketAddr) -> std::io::Result<ChaosProxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accept(&listener, target, &accepting));
        Ok(ChaosProxy { addr, shared })
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Cuts every link. New ones lead to `target`.
    pub fn lead_to(&self, target: SocketAddr) {
        let mut switches = self.shared.lock();
        switches.moved = Some(target);
        switches.cut();
    }

    pub fn cut(&self) {
        self.shared.lock().cut();
    }

    /// Lets `n` more bytes pass from the PBX, over all links, then cuts every link: in the middle of a
    /// frame, if `n` says so. Links made afterwards are not limited.
    pub fn cut_after(&self, n: u64) {
        self.shared.lock().budget = Some(n);
    }

    /// Nothing passes any more, in either direction, and nothing is closed. The kernel keeps new links, up to its limit.
    pub fn pause(&self) {
        self.shared.lock().paused = true;
    }

    /// What was kept while paused passes now.
    pub fn resume(&self) {
        self.shared.lock().paused = false;
        self.shared.switched.notify_all();
    }

    pub fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// New links are closed at once, as if nobody listened; `false` ends that.
    pub fn refuse(&self, refuse: bool) {
        self.shared.lock().refusing = refuse;
        self.shared.switched.notify_all();
    }

    /// How often it has cut or refused a link, or delayed or kept bytes.
    pub fn hits(&self) -> u64 {
        self.shared.lock().hits
    }

    /// How many links were made so far.
    pub fn accepted(&self) -> u64 {
        self.shared.lock().accepted
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        let mut switches = self.shared.lock();
        switches.ended = true;
        switches.cut();
        self.shared.switched.notify_all();
    }
}

fn accept(listener: &TcpListener, target: SocketAddr, shared: &Arc<Shared>) {
    while !shared.lock().ended {
        shared.wait_while(Switches::keeps_links);
        let Ok((near, _)) = listener.accept() else {
            thread::sleep(TICK);
            continue;
        };
        let (refusing, cuts, target) = {
            let mut switches = shared.lock();
            switches.hits += u64::from(switches.refusing);
            (switches.refusing, switches.cuts, switches.moved.unwrap_or(target))
        };
        if refusing {
            continue; // dropped: closed
        }
        shared.lock().accepted += 1;
        if let Ok(far) = TcpStream::connect(target) {
            let _ = link(near, far, cuts, shared);
        }
    }
}

/// `cuts` is the count from before the link was made: a cut since then cuts it too.
fn link(near: TcpStream, far: TcpStream, cuts: u64, shared: &Arc<Shared>) -> std::io::Result<()> {
    near.set_nonblocking(false)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let (near, far) = (Arc::new(near), Arc::new(far));
    let number = {
        let mut switches = shared.lock();
        if switches.cuts != cuts {
            return Ok(()); // dropped: closed
        }
        let number = switches.accepted;
        switches.links.insert(number, [Arc::clone(&near), Arc::clone(&far)]);
        number
    };
    for (from, to, limited) in [(Arc::clone(&near), Arc::clone(&far), false), (far, near, true)] {
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            pump(&from, &to, &shared, limited);
            shared.lock().links.remove(&number);
        });
    }
    Ok(())
}

/// Copies one direction until it ends or is cut.
fn pump(from: &TcpStream, to: &TcpStream, shared: &Shared, limited: bool) {
    let (mut input, mut output) = (from, to);
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = input.read(&mut buffer) {
        let delay = {
            let mut switches = shared.lock();
            switches.hits += u64::from(switches.paused || !switches.delay.is_zero());
            switches.delay
        };
        thread::sleep(delay);
        shared.wait_while(Switches::keeps_bytes);
        let mut passes = n;
        if let Some(budget) = shared.lock().budget.as_mut().filter(|_| limited) {
            passes = n.min(usize::try_from(*budget).unwrap_or(n));
            *budget -= passes as u64;
        }
        if output.write_all(&buffer[..passes]).is_err() {
            break;
        }
        if passes < n {
            let mut switches = shared.lock();
            switches.budget = None;
            switches.cut();
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait_until;

    const SOON: Duration = Duration::from_secs(5);

    /// Makes a link, asks for something, and gives up.
    fn ask_in_vain(proxy: &ChaosProxy) {
        let mut link = TcpStream::connect(proxy.addr()).unwrap();
        link.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        link.write_all(b"?").unwrap();
        assert!(link.read(&mut [0]).is_err(), "something was answered");
    }

    #[test]
    fn links_that_are_made_during_a_pause_do_not_add_up() {
        let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = ChaosProxy::start(target.local_addr().unwrap()).unwrap();
        proxy.pause();
        (0..10).for_each(|_| ask_in_vain(&proxy));
        // The first may be made before the proxy notices the pause.
        assert!(proxy.accepted() <= 1, "{} links", proxy.accepted());
        proxy.resume();
        assert!(wait_until(SOON, || proxy.accepted() == 10), "{} links", proxy.accepted());
        assert!(wait_until(SOON, || proxy.shared.lock().links.is_empty()), "links stay that nobody uses");
    }

    #[test]
    fn what_is_cut_refused_delayed_or_kept_is_counted() {
        let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = ChaosProxy::start(target.local_addr().unwrap()).unwrap();
        let mut link = TcpStream::connect(proxy.addr()).unwrap();
        let (mut far, _) = target.accept().unwrap();
        let mut pass = |link: &mut TcpStream| {
            link.write_all(b"?").unwrap();
            far.read_exact(&mut [0]).unwrap();
        };
        pass(&mut link);
        assert_eq!(proxy.hits(), 0);
        proxy.delay(Duration::from_millis(1));
        pass(&mut link);
        assert_eq!(proxy.hits(), 1);
        proxy.delay(Duration::ZERO);
        proxy.pause();
        link.write_all(b"?").unwrap();
        assert!(wait_until(SOON, || proxy.hits() == 2), "{} hits", proxy.hits());
        proxy.resume();
        proxy.refuse(true);
        proxy.cut();
        assert_eq!(proxy.hits(), 3);
        ask_in_vain(&proxy);
        assert!(wait_until(SOON, || proxy.hits() == 4), "{} hits", proxy.hits());
    }
}
