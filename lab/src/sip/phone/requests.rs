//! What a phone asks for and how it answers: it registers, calls, rings, answers, refuses, hangs up.

use std::time::{Duration, Instant};

use super::Habit;
use super::dialog::{Dialog, Draft, Due, Phase};
use super::line::{Party, State};
use super::sdp::{self, Codec, Direction};
use crate::SipMessage;
use crate::sip::calls::Calls;

/// How soon a phone hangs up after a transfer: as from behind a network. A FreeSWITCH that gets the BYE of a held leg
/// within a few milliseconds ends the transferred call as well (`audio_bridge_thread` in `switch_ivr_bridge.c`).
const LEAVES: Duration = Duration::from_millis(200);

const GONE: &str = "481 Call/Transaction Does Not Exist";

impl State {
    /// A request that begins something.
    fn first(&self, method: &'static str, from: &str, to: &str, uri: String) -> Draft {
        Draft {
            method,
            uri,
            from: format!("{from};tag={:08x}", rand::random::<u32>()),
            to: to.to_owned(),
            call_id: format!("{:016x}@{}", rand::random::<u64>(), self.party.local.ip()),
            cseq: 1,
            asked: 1,
            headers: Vec::new(),
            body: String::new(),
            dialog: None,
        }
    }

    pub(super) fn register(&mut self) {
        let Party { number, domain, .. } = &*self.party;
        let own = format!("<sip:{number}@{domain}>");
        let draft = self.first("REGISTER", &own, &own, format!("sip:{domain}"));
        self.send(Draft { headers: vec![("Expires".into(), "3600".into())], ..draft });
    }

    /// Places a call and returns its id.
    pub(super) fn invite(&mut self, from: &str, to: &str, headers: &[&str]) -> usize {
        let media = self.media();
        let uri = format!("sip:{to}@{}", self.party.domain);
        let id = self.dialogs.len();
        let headers = headers.iter().map(|line| line.split_once(": ").expect("a header line"));
        let draft = Draft {
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: sdp::write(&media, 1, Direction::BOTH, Codec::Pcmu),
            dialog: Some(id),
            ..self.first("INVITE", from, &format!("<{uri}>"), uri.clone())
        };
        let branch = self.send(draft.clone());
        let invite = self.messages.last().expect("the INVITE").clone();
        let mut dialog = Dialog::new(invite, draft.from.clone(), draft.to.clone(), media);
        dialog.target = uri;
        dialog.cseq = 1;
        dialog.out = Some((draft, branch));
        self.dialogs.push(dialog);
        id
    }

    /// One of many calls: it ends by itself.
    pub(crate) fn place(&mut self, calls: &Calls) {
        let Calls { from, display, to, hold_ms, headers, cancel_ms, .. } = calls;
        let from = format!("{display}<sip:{from}@{}>", self.party.local);
        let id = self.invite(&from, to, &headers.iter().map(String::as_str).collect::<Vec<_>>());
        let after = |ms: u32| Instant::now() + Duration::from_millis(ms.into());
        self.dialogs[id].talk = Some(Duration::from_millis((*hold_ms).into()));
        self.dialogs[id].due = cancel_ms.map(|ms| (after(ms), Due::HangUp));
    }

    /// A request within a call; its CSeq, under which the outcome will stand.
    pub(super) fn ask(&mut self, id: usize, method: &'static str, headers: Vec<(String, String)>, body: String) -> u32 {
        let draft = self.dialogs[id].draft(id, method, headers, body);
        let asked = draft.asked;
        self.send(draft);
        asked
    }

    /// Ends a call whatever its phase: BYE, CANCEL, or a refusal.
    pub(super) fn hang_up(&mut self, id: usize) {
        let dialog = &mut self.dialogs[id];
        match (dialog.phase, dialog.incoming) {
            (Phase::Over, _) => {}
            (Phase::Up, _) => {
                self.ask(id, "BYE", Vec::new(), String::new());
                self.dialogs[id].end(None);
            }
            (_, true) => self.finish(id, "480 Temporarily Unavailable", &[]),
            (_, false) => {
                // It is over when INVITE gets its 487.
                let invite = dialog.out.clone().filter(|_| !dialog.cancelled);
                dialog.cancelled = true;
                let Some((invite, branch)) = invite else { return };
                let cancel = Draft { method: "CANCEL", headers: Vec::new(), body: String::new(), asked: 0, ..invite };
                self.send_in(&branch, cancel);
            }
        }
    }

    fn respond(&mut self, id: usize, status: &str, headers: &[(&str, String)], body: &str) {
        let dialog = &self.dialogs[id];
        let (invite, to) = (dialog.invite.clone(), dialog.local.clone());
        self.reply(&invite, Some(&to), status, headers, body);
    }

    pub(super) fn finish(&mut self, id: usize, status: &str, headers: &[(&str, String)]) {
        if self.dialogs[id].phase >= Phase::Up {
            return;
        }
        self.respond(id, status, headers, "");
        self.dialogs[id].status = status.get(..3).and_then(|code| code.parse().ok());
        self.dialogs[id].end(None);
    }

    pub(super) fn ring(&mut self, id: usize) {
        if self.dialogs[id].phase <= Phase::Ringing {
            self.dialogs[id].phase = Phase::Ringing;
            self.respond(id, "180 Ringing", &[], "");
        }
    }

    /// 183 with media: whoever calls hears this phone before it answers.
    pub(super) fn speak_early(&mut self, id: usize) {
        if self.dialogs[id].phase <= Phase::Ringing {
            self.dialogs[id].phase = Phase::Ringing;
            let offer = self.dialogs[id].invite.clone();
            let body = self.renegotiate(id, &offer);
            self.dialogs[id].media.speak(true);
            self.respond(id, "183 Session Progress", &[], &body);
        }
    }

    pub(super) fn answer(&mut self, id: usize) {
        let dialog = &mut self.dialogs[id];
        if dialog.phase < Phase::Up {
            (dialog.phase, dialog.status) = (Phase::Up, Some(200));
            let offer = dialog.invite.clone();
            let body = self.renegotiate(id, &offer);
            self.respond(id, "200 OK", &[], &body);
        }
    }

    pub(super) fn request(&mut self, message: SipMessage) {
        if message.method() != "ACK" && self.answered_before(&message) {
            return;
        }
        let id = self.dialogs.iter().rposition(|dialog| dialog.call_id == message.call_id());
        match (message.method(), id) {
            ("INVITE", None) => return self.called(message),
            ("ACK", id) => {
                self.acknowledged(&message);
                if let Some(id) = id {
                    self.dialogs[id].take_media(&message.body);
                }
                return;
            }
            ("INVITE", Some(id)) if self.dialogs[id].is_over() => self.reply(&message, None, GONE, &[], ""),
            // Other media, hold, or another name.
            ("INVITE" | "UPDATE", Some(id)) => {
                let has_offer = message.method() == "INVITE" || !message.body.is_empty();
                let body = if has_offer { self.renegotiate(id, &message) } else { String::new() };
                self.reply(&message, None, "200 OK", &refreshed(&message), &body);
            }
            ("BYE" | "CANCEL" | "UPDATE", None) => self.reply(&message, None, GONE, &[], ""),
            ("MESSAGE", _) if self.habit == Habit::Silent => {}
            ("MESSAGE", _) if matches!(self.habit, Habit::Late(_)) => {
                let Habit::Late(wait) = self.habit else { return };
                self.reply_after(&message, wait);
            }
            ("BYE" | "CANCEL" | "NOTIFY" | "OPTIONS" | "MESSAGE" | "INFO", _) => {
                self.reply(&message, None, "200 OK", &[], "");
            }
            _ => self.reply(&message, None, "501 Not Implemented", &[], ""),
        }
        match (message.method(), id) {
            ("BYE", Some(id)) => self.dialogs[id].end(Some(&message)),
            ("CANCEL", Some(id)) if self.dialogs[id].phase < Phase::Up => {
                self.respond(id, "487 Request Terminated", &[], "");
                self.dialogs[id].status = Some(487);
                self.dialogs[id].end(Some(&message));
            }
            ("NOTIFY", Some(id)) if message.header("Event").is_some_and(|event| event.starts_with("refer")) => {
                self.transferred(id, &message);
            }
            _ => {}
        }
    }

    fn called(&mut self, invite: SipMessage) {
        let media = self.media();
        let to = invite.header("To").unwrap_or_default();
        let local = format!("{to};tag={:08x}", rand::random::<u32>());
        let remote = invite.header("From").unwrap_or_default().to_owned();
        let id = self.dialogs.len();
        self.dialogs.push(Dialog::new(invite, local, remote, media));
        self.incoming.push_back(id);
        let after = |ms: u64| Instant::now() + Duration::from_millis(ms);
        match self.habit.clone() {
            Habit::Wait | Habit::Silent | Habit::Late(_) => self.respond(id, "100 Trying", &[], ""),
            Habit::Ring => self.ring(id),
            Habit::Answer { ring_ms, talk_ms } => {
                self.ring(id);
                self.dialogs[id].due = Some((after(ring_ms), Due::Answer { talk_ms }));
            }
            Habit::Early { ms } => {
                self.speak_early(id);
                self.dialogs[id].due = Some((after(ms), Due::Answer { talk_ms: None }));
            }
            Habit::Refuse(status) => self.finish(id, status, &[]),
            Habit::Forward(number) => {
                let contact = format!("<sip:{number}@{}>", self.party.domain);
                self.finish(id, "302 Moved Temporarily", &[("Contact", contact)]);
            }
        }
    }

    fn renegotiate(&mut self, id: usize, offer: &SipMessage) -> String {
        let dialog = &mut self.dialogs[id];
        dialog.take_media(&offer.body);
        dialog.description(&offer.body)
    }

    /// How a transfer goes: the start line of a response (RFC 3515 §2.4.5). Once it has succeeded the
    /// phone leaves, as phones do.
    fn transferred(&mut self, id: usize, notify: &SipMessage) {
        let status = notify.body.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
        let Some(status) = status.filter(|status| *status >= 200) else { return };
        self.dialogs[id].transfer = Some(status);
        if status < 300 {
            let end = Some((Instant::now() + LEAVES, Due::HangUp));
            for id in [Some(id), self.dialogs[id].consult].into_iter().flatten() {
                self.dialogs[id].due = end;
            }
        }
    }
}

/// A session timer goes on as it was asked for (RFC 4028 §9).
fn refreshed(request: &SipMessage) -> Vec<(&'static str, String)> {
    let Some(value) = request.header("Session-Expires") else { return Vec::new() };
    vec![("Session-Expires", value.to_owned()), ("Require", "timer".to_owned())]
}
