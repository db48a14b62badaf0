//! A phone: a scriptable SIP user agent over UDP, for what SIPp does badly (transfers, hold, digits, who
//! hears whom).
//!
//! Blocking, on `std` alone: a thread for each phone, and two for the sound of each call. It lives on
//! [`HANDSETS`], so that a PBX of the lab takes it for the extension in its From: Asterisk by user name,
//! FreeSWITCH by digest, both as they are shipped. (Calls of SIPp come from `PHONES`, where any From goes.)
//!
//! ```ignore
//! let alice = Phone::register(pbx.sip(), "1000")?;
//! let bob = Phone::register(pbx.sip(), "1001")?;
//! let call = alice.call("1001");
//! let there = bob.next_call(SECOND).unwrap();
//! there.answer();
//! assert!(call.wait_answered(SECOND) && call.wait_hears(&bob, SECOND));
//! ```

mod actions;
mod call;
mod dialog;
mod digest;
mod g711;
mod incoming;
mod line;
mod media;
mod sdp;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub use call::Call;
pub use sdp::Codec;

use crate::net::ports;
use crate::pbx::freeswitch;
use crate::{Datagram, LabError, Result, SipMessage};
use line::{Line, Party};

/// Where scriptable phones live.
pub const HANDSETS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 14));

/// The registrar may be busy: it is given so long.
const REGISTER_LIMIT: Duration = Duration::from_secs(10);

/// What a phone does with a call by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Habit {
    /// Nothing but `100 Trying`: the test takes the call with [`Phone::next_call`] and goes on.
    Wait,
    /// It rings until the test answers.
    Ring,
    /// It rings so many ms, then answers; and hangs up so many ms later.
    Answer {
        /// How long it rings, in ms.
        ring_ms: u64,
        /// How long it talks, in ms; `None` leaves that to others.
        talk_ms: Option<u64>,
    },
    /// It refuses, e.g. with `486 Busy Here`.
    Refuse(&'static str),
    /// It forwards to this number: `302 Moved Temporarily`.
    Forward(String),
}

/// A registered phone. When it is dropped it falls silent, as one whose plug is pulled.
#[derive(Debug)]
pub struct Phone {
    line: Arc<Line>,
}

impl Phone {
    /// Registers `number` with the PBX at `pbx`.
    pub fn register(pbx: SocketAddr, number: &str) -> Result<Phone> {
        Phone::register_in(pbx, number, &pbx.to_string())
    }

    /// Registers `number` in a domain of that PBX.
    pub(crate) fn register_in(pbx: SocketAddr, number: &str, domain: &str) -> Result<Phone> {
        let phone = Phone::connect_in(pbx, number, domain)?;
        let line = &phone.line;
        line.lock().register(line);
        match line.wait(REGISTER_LIMIT, |state| state.registered) {
            Some(200) => Ok(phone),
            status => Err(LabError::Late {
                what: format!("{number} is not registered ({status:?})"),
                seconds: REGISTER_LIMIT.as_secs(),
                log: phone.messages().iter().map(|m| format!("{}\n", m.start_line)).collect(),
            }),
        }
    }

    /// A phone that calls and can't be called.
    pub fn connect(pbx: SocketAddr, number: &str) -> Result<Phone> {
        Phone::connect_in(pbx, number, &pbx.to_string())
    }

    /// A caller behind a trunk whose far end has this address.
    pub fn behind_trunk(pbx: SocketAddr, number: &str, trunk: IpAddr) -> Result<Phone> {
        Phone::connect_from(trunk, pbx, number, &pbx.to_string())
    }

    /// The far end of a trunk to `pbx`, where the PBX looks for it. It is called with any number.
    pub fn trunk_end(pbx: SocketAddr, number: &str, at: SocketAddr) -> Result<Phone> {
        Phone::connect_at(at, pbx, number, &pbx.to_string())
    }

    fn connect_in(pbx: SocketAddr, number: &str, domain: &str) -> Result<Phone> {
        Phone::connect_from(HANDSETS, pbx, number, domain)
    }

    fn connect_from(ip: IpAddr, pbx: SocketAddr, number: &str, domain: &str) -> Result<Phone> {
        Phone::connect_at(SocketAddr::new(ip, ports::free()), pbx, number, domain)
    }

    fn connect_at(local: SocketAddr, pbx: SocketAddr, number: &str, domain: &str) -> Result<Phone> {
        static TONE: AtomicU32 = AtomicU32::new(0);
        let party = Party {
            number: number.to_owned(),
            domain: domain.to_owned(),
            password: freeswitch::PASSWORD.to_owned(),
            pbx,
            local,
            tone: media::tone(TONE.fetch_add(1, Ordering::Relaxed)),
        };
        let line = Arc::new(Line::open(party)?);
        let serving = Arc::clone(&line);
        thread::spawn(move || serving.serve());
        Ok(Phone { line })
    }

    /// Its number.
    pub fn number(&self) -> &str {
        &self.line.party.number
    }

    /// True if its tone can be read in what was captured, going either way: whether that is encrypted or not.
    pub fn is_readable_in(&self, captured: &[Datagram]) -> bool {
        let mut ways: Vec<_> = captured.iter().map(|datagram| (datagram.from, datagram.to)).collect();
        ways.sort_unstable();
        ways.dedup();
        ways.into_iter().any(|way| {
            let rtp = captured.iter().filter(|datagram| (datagram.from, datagram.to) == way);
            media::is_tone_in(rtp.map(|datagram| datagram.payload.as_slice()), self.line.party.tone)
        })
    }

    /// What it does from now on when it is called.
    pub fn habit(&self, habit: Habit) {
        self.line.lock().habit = habit;
    }

    /// Calls a number, an extension or a feature code (`*81001`).
    pub fn call(&self, number: &str) -> Call {
        self.call_as(number, "", &[])
    }

    /// Calls with a display name in From, and more header lines.
    pub fn call_as(&self, number: &str, display: &str, headers: &[&str]) -> Call {
        let headers = headers.iter().filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let id = self.line.lock().invite(&self.line, number, display, headers);
        Call::new(Arc::clone(&self.line), id)
    }

    /// The next call that comes in and wasn't taken from here yet.
    pub fn next_call(&self, limit: Duration) -> Option<Call> {
        let id = self.line.wait(limit, |state| state.incoming.pop_front())?;
        Some(Call::new(Arc::clone(&self.line), id))
    }

    /// Takes the next call and answers it.
    pub fn answer_next(&self, limit: Duration) -> Option<Call> {
        let call = self.next_call(limit)?;
        call.answer();
        Some(call)
    }

    /// Every message so far, sent and received.
    pub fn messages(&self) -> Vec<SipMessage> {
        self.line.lock().messages.clone()
    }

    /// The requests of that method that it received, without retransmissions.
    pub fn received(&self, method: &str) -> Vec<SipMessage> {
        let mut found: Vec<SipMessage> = Vec::new();
        for message in self.line.lock().messages.iter().filter(|m| m.received && m.method() == method) {
            let known = |m: &SipMessage| m.call_id() == message.call_id() && m.header("CSeq") == message.header("CSeq");
            if !found.iter().any(known) {
                found.push(message.clone());
            }
        }
        found
    }

    /// Waits until it has received `n` requests of that method, and returns them (fewer, if it is late).
    pub fn wait_for(&self, method: &str, n: usize, limit: Duration) -> Vec<SipMessage> {
        crate::wait_until(limit, || self.received(method).len() >= n);
        self.received(method)
    }

    /// Hangs up whatever is up, forgets who called and what it does with calls by itself. True once it is idle.
    pub fn rest(&self, limit: Duration) -> bool {
        {
            let mut state = self.line.lock();
            state.habit = Habit::Wait;
            state.incoming.clear();
            (0..state.dialogs.len()).for_each(|id| state.hang_up(&self.line, id));
        }
        self.wait_idle(limit)
    }

    /// True once none of its calls is up or being set up.
    pub fn wait_idle(&self, limit: Duration) -> bool {
        self.line.wait(limit, |state| state.dialogs.iter().all(|d| d.is_over()).then_some(())).is_some()
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        self.line.close();
    }
}

/// Timer B of RFC 3261: how long a request is repeated.
fn gives_up() -> Instant {
    Instant::now() + Duration::from_secs(32)
}
