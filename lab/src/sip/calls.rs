//! Calls by the dozen that phones place by themselves, and what their caller experienced.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::sip::message::SipMessage;
use crate::sip::phone::Phone;
use crate::{LabError, PHONES, Result};

#[derive(Debug, Clone)]
pub struct Calls {
    /// The user part of From.
    pub from: String,
    /// The display name in From, as it goes on the wire, e.g. `"A" `.
    pub display: String,
    /// The user part of the request URI.
    pub to: String,
    pub count: u32,
    pub rate: u32,
    /// How long each talks, in ms.
    pub hold_ms: u32,
    /// Header lines added to the INVITE.
    pub headers: Vec<String>,
    /// The caller gives up this many ms after the INVITE.
    pub cancel_ms: Option<u32>,
    /// Where they come from: `PHONES`, or a trunk's address.
    pub local: IpAddr,
}

impl Calls {
    /// One call of a phone that talks for 200 ms.
    pub fn new(from: &str, to: &str) -> Calls {
        Calls {
            from: from.into(),
            display: String::new(),
            to: to.into(),
            count: 1,
            rate: 10,
            hold_ms: 200,
            headers: Vec::new(),
            cancel_ms: None,
            local: PHONES,
        }
    }

    /// This many calls, this many per second.
    pub fn times(self, count: u32, rate: u32) -> Calls {
        Calls { count, rate, ..self }
    }

    pub fn hold(self, hold_ms: u32) -> Calls {
        Calls { hold_ms, ..self }
    }

    pub fn header(mut self, line: &str) -> Calls {
        self.headers.push(line.into());
        self
    }

    /// The calls come from that address, e.g. [`crate::PACKET`]: a trunk.
    pub fn via(self, local: IpAddr) -> Calls {
        Calls { local, ..self }
    }

    pub fn start(&self, pbx: SocketAddr) -> Result<Caller> {
        let at = |n: u32| Duration::from_secs(n.into()) / self.rate.max(1);
        Calls::start_each(self.local, pbx, (0..self.count).map(|n| (at(n), self.clone())).collect())
    }

    /// Places one call of each, so long after now. All come from one phone.
    pub fn start_each(local: IpAddr, pbx: SocketAddr, calls: Vec<(Duration, Calls)>) -> Result<Caller> {
        let phone = Phone::caller(local, pbx)?;
        let (line, count) = (Arc::clone(&phone.line), calls.len());
        thread::spawn(move || {
            let begin = Instant::now();
            for (at, call) in calls {
                thread::sleep((begin + at).saturating_duration_since(Instant::now()));
                if !line.is_open() {
                    return;
                }
                line.lock().place(&call);
            }
        });
        Ok(Caller { phone, count })
    }

    pub fn place(&self, pbx: SocketAddr) -> Result<CallReport> {
        let seconds = self.count / self.rate.max(1) + self.hold_ms / 1000 + 40;
        self.start(pbx)?.finish(Duration::from_secs(u64::from(seconds)))
    }
}

#[derive(Debug)]
pub struct Caller {
    phone: Phone,
    count: usize,
}

impl Caller {
    pub fn report(&self) -> CallReport {
        CallReport { calls: self.phone.outcomes(), messages: self.phone.messages() }
    }

    /// True once all of them are over.
    pub(crate) fn wait(&self, limit: Duration) -> bool {
        let over =
            self.phone.line.wait(limit, |state| (state.dialogs.len() == self.count && state.is_idle()).then_some(()));
        over.is_some()
    }

    pub fn finish(self, limit: Duration) -> Result<CallReport> {
        let late = || LabError::late("calls have not ended", limit, format!("{:#?}", self.phone.messages()));
        self.wait(limit).then(|| self.report()).ok_or_else(late)
    }
}

/// One call as a phone saw it: as the caller did, unless it says something else.
#[derive(Debug, Clone)]
pub struct CallOutcome {
    /// The user part of From.
    pub calling: String,
    /// The user part of the request URI.
    pub called: String,
    /// When the INVITE was sent or received, since 1970.
    pub invited: Duration,
    /// The final status; `None` if there was none.
    pub status: Option<u16>,
    /// The provisional statuses in order, without 100.
    pub provisional: Vec<u16>,
    /// INVITE → final response. Unknown to the phone that was called.
    pub answered: Option<Duration>,
    /// When it was over, since 1970.
    pub over: Option<Duration>,
    /// The other side ended it.
    pub ended_there: bool,
    /// The `Reason` header of the final response or of the BYE.
    pub reason: Option<String>,
}

#[derive(Debug, Clone)]
pub struct CallReport {
    /// In the order of their INVITEs.
    pub calls: Vec<CallOutcome>,
    /// Everything that was sent and received.
    pub messages: Vec<SipMessage>,
}

impl CallReport {
    pub fn answered(&self) -> usize {
        self.calls.iter().filter(|call| call.status == Some(200)).count()
    }

    /// Every call was answered with 200, and none later than that.
    pub fn none_lost_or_later_than(&self, limit: Duration, count: u32, log: &str) {
        assert_eq!(self.calls.len(), count as usize, "{log}");
        let lost: Vec<_> = self.calls.iter().filter(|c| c.status != Some(200)).collect();
        assert!(lost.is_empty(), "{} lost: {lost:?}\n{log}", lost.len());
        let longest = self.calls.iter().filter_map(|c| c.answered).max().expect("an answer");
        assert!(longest <= limit, "a call took {longest:?}\n{log}");
    }

    pub fn statuses(&self) -> Vec<Option<u16>> {
        self.calls.iter().map(|call| call.status).collect()
    }

    /// The p-th percentile of INVITE → 200, over the answered calls.
    pub fn answer_time(&self, percentile: f64) -> Option<Duration> {
        let answered = self.calls.iter().filter(|call| call.status == Some(200));
        let mut times: Vec<Duration> = answered.filter_map(|call| call.answered).collect();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        times.get((last as f64 * percentile / 100.0).round() as usize).copied()
    }
}
