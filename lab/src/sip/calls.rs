//! Calls by the dozen that phones place by themselves, and what their caller experienced.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::sip::message::SipMessage;
use crate::sip::phone::{Dialog, Phone};
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
        let phone = Phone::caller(self.local, pbx)?;
        let (line, calls) = (Arc::clone(&phone.line), self.clone());
        thread::spawn(move || {
            let begin = Instant::now();
            for n in 0..calls.count {
                let at = begin + Duration::from_secs(n.into()) / calls.rate.max(1);
                thread::sleep(at.saturating_duration_since(Instant::now()));
                if !line.is_open() {
                    return;
                }
                line.lock().place(&calls);
            }
        });
        Ok(Caller { phone, count: self.count as usize })
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
        let state = self.phone.line.lock();
        CallReport { calls: state.dialogs.iter().map(Dialog::experience).collect(), messages: state.messages.clone() }
    }

    pub fn finish(self, limit: Duration) -> Result<CallReport> {
        let over =
            self.phone.line.wait(limit, |state| (state.dialogs.len() == self.count && state.is_idle()).then_some(()));
        let late = || LabError::late("calls have not ended", limit, format!("{:#?}", self.phone.messages()));
        over.map(|()| self.report()).ok_or_else(late)
    }
}

/// One call as the caller saw it.
#[derive(Debug, Clone)]
pub struct CallOutcome {
    /// The final status; `None` if there was none.
    pub status: Option<u16>,
    /// The provisional statuses in order, without 100.
    pub provisional: Vec<u16>,
    /// INVITE → final response.
    pub answered: Option<Duration>,
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
