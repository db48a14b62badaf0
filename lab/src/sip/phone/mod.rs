//! A phone: a scriptable SIP user agent over UDP.
//!
//! Blocking, on `std` alone: a thread for each phone, and two for the sound of each call. It lives on
//! [`HANDSETS`], so that a PBX of the lab takes it for the extension in its From: Asterisk by user name,
//! FreeSWITCH by digest, both as they are shipped. A plain phone lives on `PHONES`, where any From is accepted. Its SIP is as
//! short as can be, and all its calls share one RTP port.
//!
//! ```ignore
//! let alice = Phone::register(pbx.sip(), "1000")?;
//! let bob = Phone::register(pbx.sip(), "1001")?;
//! let call = alice.call("1001");
//! let there = bob.next_call(SECOND).unwrap();
//! there.answer();
//! assert!(call.wait_answered(SECOND) && call.wait_hears(&bob, SECOND));
//! ```

mod call;
mod dialog;
mod digest;
mod g711;
mod line;
mod media;
mod requests;
mod sdp;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

pub use call::Call;
use dialog::Dialog;
pub use sdp::Codec;

use crate::net::ports;
use crate::pbx::asterisk::SECRET as PASSWORD;
use crate::sip::calls::CallOutcome;
use crate::{Datagram, LabError, PHONES, Result, SipMessage};
use line::{Line, Party};
use media::Sound;

/// Where scriptable phones live.
pub const HANDSETS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 14));

/// The registrar may be busy: it is given so long.
const REGISTER_LIMIT: Duration = Duration::from_secs(10);

/// What a phone does by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Habit {
    /// Nothing but `100 Trying`: the test takes the call with [`Phone::next_call`] and goes on.
    Wait,
    Ring,
    /// It rings so many ms, then answers; and hangs up so many ms later, or leaves that to others.
    Answer {
        ring_ms: u64,
        talk_ms: Option<u64>,
    },
    /// It is heard at once (183), and answers so many ms later.
    Early {
        ms: u64,
    },
    /// It refuses, e.g. with `486 Busy Here`.
    Refuse(&'static str),
    /// It forwards to this number: `302 Moved Temporarily`.
    Forward(String),
    /// It answers a MESSAGE after so long only.
    Late(Duration),
    /// It never answers a MESSAGE: a firewall that drops packets looks like this.
    Silent,
}

impl Habit {
    /// Rings and answers at once.
    pub fn at_once() -> Habit {
        Habit::after(0)
    }

    /// Rings for `ring_ms`, then answers.
    pub fn after(ring_ms: u64) -> Habit {
        Habit::Answer { ring_ms, talk_ms: None }
    }
}

/// A registered phone. When it is dropped it falls silent, as one whose plug is pulled.
#[derive(Debug)]
pub struct Phone {
    pub(crate) line: Arc<Line>,
}

impl Phone {
    pub fn register(pbx: SocketAddr, number: &str) -> Result<Phone> {
        Phone::register_in(pbx, number, &pbx.to_string())
    }

    pub(crate) fn register_in(pbx: SocketAddr, number: &str, domain: &str) -> Result<Phone> {
        Phone::open(free(HANDSETS), pbx, number, domain, own_tone(), Habit::Wait)?.registered()
    }

    /// Registers a plain phone, which sends back what it hears.
    pub fn register_plain(pbx: SocketAddr, number: &str, habit: &Habit) -> Result<Phone> {
        Phone::open(free(PHONES), pbx, number, &pbx.to_string(), Sound::Echo, habit.clone())?.registered()
    }

    /// A plain phone that anybody may call at this address, at the other end of a trunk for example.
    pub fn listen(at: SocketAddr, habit: &Habit) -> Result<Phone> {
        let nobody = SocketAddr::new(at.ip(), 0);
        Phone::open(at, nobody, "phone", &nobody.to_string(), Sound::Echo, habit.clone())
    }

    /// A phone that places [`crate::Calls`].
    pub(crate) fn caller(ip: IpAddr, pbx: SocketAddr) -> Result<Phone> {
        Phone::open(free(ip), pbx, "caller", &pbx.to_string(), Sound::Silence, Habit::Wait)
    }

    /// A phone that calls and can't be called.
    pub fn connect(pbx: SocketAddr, number: &str) -> Result<Phone> {
        Phone::behind_trunk(pbx, number, HANDSETS)
    }

    /// A caller behind a trunk whose far end has this address.
    pub fn behind_trunk(pbx: SocketAddr, number: &str, trunk: IpAddr) -> Result<Phone> {
        Phone::trunk_end(pbx, number, free(trunk))
    }

    /// The far end of a trunk to `pbx`, where the PBX looks for it. It is called with any number.
    pub fn trunk_end(pbx: SocketAddr, number: &str, at: SocketAddr) -> Result<Phone> {
        Phone::open(at, pbx, number, &pbx.to_string(), own_tone(), Habit::Wait)
    }

    fn open(
        local: SocketAddr,
        pbx: SocketAddr,
        number: &str,
        domain: &str,
        sound: Sound,
        habit: Habit,
    ) -> Result<Phone> {
        let party = Party { number: number.to_owned(), domain: domain.to_owned(), pbx, local, sound };
        let line = Arc::new(Line::open(party, habit)?);
        let serving = Arc::clone(&line);
        thread::spawn(move || serving.serve());
        Ok(Phone { line })
    }

    fn registered(self) -> Result<Phone> {
        self.line.lock().register();
        match self.line.wait(REGISTER_LIMIT, |state| state.registered) {
            Some(200) => Ok(self),
            status => {
                let log = self.messages().iter().map(|m| format!("{}\n", m.start_line)).collect::<String>();
                Err(LabError::late(format!("{} is not registered ({status:?})", self.number()), REGISTER_LIMIT, log))
            }
        }
    }

    pub fn number(&self) -> &str {
        &self.line.party.number
    }

    /// A `sip:` address at which it takes MESSAGEs.
    pub fn address(&self) -> String {
        format!("sip:softphone@{}", self.line.party.local)
    }

    /// True if its tone can be read in what was captured, going either way: whether that is encrypted or not.
    pub fn is_readable_in(&self, captured: &[Datagram]) -> bool {
        let mut ways: Vec<_> = captured.iter().map(|datagram| (datagram.from, datagram.to)).collect();
        ways.sort_unstable();
        ways.dedup();
        ways.into_iter().any(|way| {
            let rtp = captured.iter().filter(|datagram| (datagram.from, datagram.to) == way);
            media::is_tone_in(rtp.map(|datagram| datagram.payload.as_slice()), self.line.party.sound)
        })
    }

    pub fn habit(&self, habit: Habit) {
        self.line.lock().habit = habit;
    }

    /// Calls a number, an extension or a feature code (`*81001`).
    pub fn call(&self, number: &str) -> Call {
        self.call_as(number, "", &[])
    }

    /// Calls with a display name in From, and more header lines.
    pub fn call_as(&self, number: &str, display: &str, headers: &[&str]) -> Call {
        let display = if display.is_empty() { String::new() } else { format!("\"{display}\" ") };
        let from = format!("{display}<sip:{}@{}>", self.number(), self.line.party.domain);
        let id = self.line.lock().invite(&from, number, headers);
        Call::new(Arc::clone(&self.line), id)
    }

    /// The next call that comes in and wasn't taken from here yet.
    pub fn next_call(&self, limit: Duration) -> Option<Call> {
        let id = self.line.wait(limit, |state| state.incoming.pop_front())?;
        Some(Call::new(Arc::clone(&self.line), id))
    }

    pub fn answer_next(&self, limit: Duration) -> Option<Call> {
        let call = self.next_call(limit)?;
        call.answer();
        Some(call)
    }

    /// What became of its calls, in the order of their INVITEs.
    pub(crate) fn outcomes(&self) -> Vec<CallOutcome> {
        self.line.lock().dialogs.iter().map(Dialog::experience).collect()
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

    pub fn invites(&self) -> Vec<SipMessage> {
        self.received("INVITE")
    }

    /// Waits until `n` MESSAGEs that tell of a peer have come.
    pub fn wait_for_peers(&self, n: usize, limit: Duration) -> Vec<SipMessage> {
        let peers = || self.received("MESSAGE").into_iter().filter(SipMessage::is_peer).collect::<Vec<_>>();
        crate::wait_until(limit, || peers().len() >= n);
        peers()
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
            (0..state.dialogs.len()).for_each(|id| state.hang_up(id));
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

fn free(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, ports::free())
}

fn own_tone() -> Sound {
    static TONE: AtomicU32 = AtomicU32::new(0);
    Sound::Tone(media::tone(TONE.fetch_add(1, Ordering::Relaxed)))
}
