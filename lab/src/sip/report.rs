//! What a caller experienced, read from its trace.

use std::time::Duration;

use crate::sip::message::SipMessage;

/// One call as the caller saw it.
#[derive(Debug, Clone)]
pub struct CallOutcome {
    /// Call-ID.
    pub call_id: String,
    /// The final status; `None` if there was none.
    pub status: Option<u16>,
    /// The provisional statuses in order, without 100.
    pub provisional: Vec<u16>,
    /// INVITE → first provisional response after 100.
    pub ringing: Option<Duration>,
    /// INVITE → final response.
    pub answered: Option<Duration>,
    /// The `Reason` header of the final response or of the BYE.
    pub reason: Option<String>,
}

/// All calls of one caller.
#[derive(Debug, Clone)]
pub struct CallReport {
    /// In the order of their INVITEs.
    pub calls: Vec<CallOutcome>,
    /// Everything that was sent and received.
    pub messages: Vec<SipMessage>,
}

impl CallReport {
    /// Reads the outcome of each call out of the messages.
    pub(crate) fn from_trace(messages: Vec<SipMessage>) -> CallReport {
        let mut calls: Vec<(Duration, CallOutcome)> = Vec::new();
        for message in &messages {
            let known = calls.iter_mut().find(|(_, call)| call.call_id == message.call_id());
            match known {
                None if !message.received && message.method() == "INVITE" => calls.push((
                    message.at,
                    CallOutcome {
                        call_id: message.call_id().to_owned(),
                        status: None,
                        provisional: Vec::new(),
                        ringing: None,
                        answered: None,
                        reason: None,
                    },
                )),
                Some((begin, call)) if message.received => note(*begin, call, message),
                _ => {}
            }
        }
        CallReport { calls: calls.into_iter().map(|(_, call)| call).collect(), messages }
    }

    /// How many were answered.
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

    /// The final status of each call.
    pub fn statuses(&self) -> Vec<Option<u16>> {
        self.calls.iter().map(|call| call.status).collect()
    }

    /// The p-th percentile of INVITE → 200, over the answered calls.
    pub fn answer_time(&self, percentile: f64) -> Option<Duration> {
        let mut times: Vec<Duration> =
            self.calls.iter().filter(|call| call.status == Some(200)).filter_map(|call| call.answered).collect();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        times.get((last as f64 * percentile / 100.0).round() as usize).copied()
    }
}

fn note(begin: Duration, call: &mut CallOutcome, message: &SipMessage) {
    if message.method() == "BYE" {
        call.reason = message.header("Reason").map(str::to_owned);
    }
    let is_invite = message.header("CSeq").is_some_and(|cseq| cseq.ends_with("INVITE"));
    let Some(status) = message.status().filter(|_| is_invite && call.status.is_none()) else {
        return;
    };
    match status {
        100 => {}
        101..200 => {
            call.provisional.push(status);
            call.ringing.get_or_insert(message.at.saturating_sub(begin));
        }
        _ => {
            call.status = Some(status);
            call.answered = Some(message.at.saturating_sub(begin));
            call.reason = message.header("Reason").map(str::to_owned);
        }
    }
}
