//! A softphone on an address of its own: it takes SIP MESSAGEs over UDP, and answers them in its own manner.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::process::wait_until;
use crate::sip::message::local_time;
use crate::{LabError, Result, SipMessage};

/// What it does with a MESSAGE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// It answers with 200 at once.
    Answers,
    /// It answers with 200 after that long.
    AnswersAfter(Duration),
    /// It never answers: a firewall that drops packets looks like this.
    Silent,
}

/// A MESSAGE as it first arrived.
#[derive(Debug, Clone)]
pub struct Copy {
    /// Since 1970.
    pub at: Duration,
    /// What came.
    pub message: SipMessage,
}

impl Copy {
    /// The value of a `key=` in the part that is for programs.
    pub fn value(&self, key: &str) -> Option<&str> {
        let (_, ours) = self.message.body.split_once("sidecall:")?;
        ours.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// Whether it tells of a peer.
    pub fn is_peer(&self) -> bool {
        self.message.body.contains("sidecall:peer ")
    }
}

/// A softphone. When it is dropped, its address is closed.
#[derive(Debug)]
pub struct Softphone {
    addr: SocketAddr,
    copies: Arc<Mutex<Vec<Copy>>>,
    over: Arc<Mutex<bool>>,
}

impl Softphone {
    /// Listens on a free port of 127.0.0.1.
    pub fn start(manner: Manner) -> Result<Softphone> {
        Softphone::start_at(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0), manner)
    }

    /// Listens there.
    pub fn start_at(addr: SocketAddr, manner: Manner) -> Result<Softphone> {
        let socket = UdpSocket::bind(addr).map_err(LabError::io("a softphone"))?;
        socket.set_read_timeout(Some(Duration::from_millis(200))).map_err(LabError::io("a softphone"))?;
        let addr = socket.local_addr().map_err(LabError::io("a softphone"))?;
        let (copies, over) = (Arc::<Mutex<Vec<Copy>>>::default(), Arc::<Mutex<bool>>::default());
        let (kept, ended) = (Arc::clone(&copies), Arc::clone(&over));
        thread::spawn(move || {
            let mut datagram = vec![0; 65_536];
            while !*ended.lock().expect("a flag") {
                let Ok((length, from)) = socket.recv_from(&mut datagram) else { continue };
                let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let text = String::from_utf8_lossy(&datagram[..length]).into_owned();
                let Some(message) = SipMessage::parse(local_time(at), true, &text) else { continue };
                keep(&kept, at, message.clone());
                let Ok(socket) = socket.try_clone() else { return };
                let answer = move || drop(socket.send_to(ok(&message).as_bytes(), from));
                match manner {
                    Manner::Answers => answer(),
                    Manner::AnswersAfter(wait) => drop(thread::spawn(move || {
                        thread::sleep(wait);
                        answer();
                    })),
                    Manner::Silent => {}
                }
            }
        });
        Ok(Softphone { addr, copies, over })
    }

    /// A `sip:` address where nobody listens: its port is closed.
    pub fn closed() -> Result<String> {
        Softphone::start(Manner::Silent).map(|softphone| softphone.address())
    }

    /// Its `sip:` address.
    pub fn address(&self) -> String {
        format!("sip:softphone@{}", self.addr)
    }

    /// Every MESSAGE that it was sent, without retransmissions.
    pub fn copies(&self) -> Vec<Copy> {
        self.copies.lock().expect("the softphone's copies").clone()
    }

    /// Waits for the `n`-th message that tells of a peer.
    pub fn wait_for_peers(&self, n: usize, limit: Duration) -> Vec<Copy> {
        let peers = || self.copies().into_iter().filter(Copy::is_peer).collect::<Vec<_>>();
        wait_until(limit, || peers().len() >= n);
        peers()
    }
}

impl Drop for Softphone {
    fn drop(&mut self) {
        *self.over.lock().expect("a flag") = true;
    }
}

/// The same request again is a retransmission (RFC 3261 §17.1.2).
fn keep(copies: &Mutex<Vec<Copy>>, at: Duration, message: SipMessage) {
    let mut copies = copies.lock().expect("the softphone's copies");
    let same = |copy: &Copy| {
        copy.message.call_id() == message.call_id() && copy.message.header("CSeq") == message.header("CSeq")
    };
    if message.method() == "MESSAGE" && !copies.iter().any(same) {
        copies.push(Copy { at, message });
    }
}

fn ok(request: &SipMessage) -> String {
    let copied = request.headers.iter().filter(|(name, _)| {
        ["via", "from", "to", "call-id", "cseq", "v", "f", "t", "i"].contains(&name.to_ascii_lowercase().as_str())
    });
    let lines: String = copied
        .map(|(name, value)| match name.eq_ignore_ascii_case("to") || name == "t" {
            true => format!("{name}: {value};tag=softphone\r\n"),
            false => format!("{name}: {value}\r\n"),
        })
        .collect();
    format!("SIP/2.0 200 OK\r\n{lines}Content-Length: 0\r\n\r\n")
}
