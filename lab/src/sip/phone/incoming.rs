//! Requests that come to a phone.

use std::time::{Duration, Instant};

use super::Habit;
use super::dialog::{Dialog, Due, Phase};
use super::line::{Line, State};
use super::media::Media;
use crate::SipMessage;

/// How soon a phone hangs up after a transfer: as from behind a network. A FreeSWITCH that gets the BYE of a held leg
/// within a few milliseconds ends the transferred call as well (`audio_bridge_thread` in `switch_ivr_bridge.c`).
const LEAVES: Duration = Duration::from_millis(200);

impl State {
    /// Answers a request.
    pub(super) fn request(&mut self, line: &Line, message: SipMessage) {
        if message.method() != "ACK" && self.answered_before(line, &message) {
            return;
        }
        let id = self.dialogs.iter().rposition(|dialog| dialog.call_id == message.call_id());
        match (message.method(), id) {
            ("INVITE", None) => self.called(line, message),
            ("INVITE", Some(id)) => self.changed(line, id, &message),
            ("ACK", id) => {
                self.acknowledged(&message);
                if let Some(id) = id {
                    self.dialogs[id].take_media(&message.body);
                }
            }
            ("BYE", Some(id)) => {
                self.reply(line, &message, None, "200 OK", &[], "");
                self.dialogs[id].end(Some(&message));
            }
            ("CANCEL", Some(id)) => {
                self.reply(line, &message, None, "200 OK", &[], "");
                if self.dialogs[id].phase < Phase::Up {
                    self.respond(line, id, "487 Request Terminated", &[], "");
                    self.dialogs[id].status = Some(487);
                    self.dialogs[id].end(Some(&message));
                }
            }
            ("NOTIFY", id) => {
                self.reply(line, &message, None, "200 OK", &[], "");
                if let Some(id) = id.filter(|_| message.header("Event").is_some_and(|e| e.starts_with("refer"))) {
                    self.transferred(id, &message);
                }
            }
            ("UPDATE", Some(id)) => {
                let body = match message.body.is_empty() {
                    true => String::new(),
                    false => self.renegotiate(id, &message),
                };
                self.reply(line, &message, None, "200 OK", &refreshed(&message), &body);
            }
            ("OPTIONS" | "MESSAGE" | "INFO", _) => self.reply(line, &message, None, "200 OK", &[], ""),
            ("BYE" | "CANCEL" | "UPDATE", None) => {
                self.reply(line, &message, None, "481 Call/Transaction Does Not Exist", &[], "");
            }
            _ => self.reply(line, &message, None, "501 Not Implemented", &[], ""),
        }
    }

    /// A new call.
    fn called(&mut self, line: &Line, invite: SipMessage) {
        let media = Media::open(line.party.local.ip(), line.party.tone).expect("a port for RTP");
        media.speak(false);
        let to = invite.header("To").unwrap_or_default();
        let local = format!("{to};tag={:08x}", rand::random::<u32>());
        let remote = invite.header("From").unwrap_or_default().to_owned();
        let id = self.dialogs.len();
        self.dialogs.push(Dialog::new(invite, local, remote, media));
        self.incoming.push_back(id);
        match self.habit.clone() {
            Habit::Wait => self.respond(line, id, "100 Trying", &[], ""),
            Habit::Ring => self.ring(line, id),
            Habit::Answer { ring_ms, talk_ms } => {
                self.ring(line, id);
                let at = Instant::now() + Duration::from_millis(ring_ms);
                self.dialogs[id].due = Some((at, Due::Answer { talk_ms }));
            }
            Habit::Refuse(status) => self.finish(line, id, status, &[]),
            Habit::Forward(number) => self.forward(line, id, &number),
        }
    }

    /// 302 to another number of the same PBX.
    pub(super) fn forward(&mut self, line: &Line, id: usize, number: &str) {
        let contact = format!("<sip:{number}@{}>", line.party.domain);
        self.finish(line, id, "302 Moved Temporarily", &[("Contact", contact)]);
    }

    /// A re-INVITE: other media, hold, or another name.
    fn changed(&mut self, line: &Line, id: usize, invite: &SipMessage) {
        if self.dialogs[id].is_over() {
            return self.reply(line, invite, None, "481 Call/Transaction Does Not Exist", &[], "");
        }
        let body = self.renegotiate(id, invite);
        self.reply(line, invite, None, "200 OK", &refreshed(invite), &body);
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
