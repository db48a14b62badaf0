//! A call as the person at the phone handles it.

use std::sync::Arc;
use std::time::Duration;

use super::Phone;
use super::dialog::{Dialog, Phase, tag};
use super::line::Line;
use super::sdp::{Codec, Direction};
use crate::{SipMessage, wait_until};

/// How long a PBX may take to answer a request within a call.
const PATIENCE: Duration = Duration::from_secs(8);

#[derive(Debug, Clone)]
pub struct Call {
    line: Arc<Line>,
    id: usize,
}

impl Call {
    pub(super) fn new(line: Arc<Line>, id: usize) -> Call {
        Call { line, id }
    }

    fn read<T>(&self, read: impl FnOnce(&Dialog) -> T) -> T {
        read(&self.line.lock().dialogs[self.id])
    }

    fn wait(&self, limit: Duration, test: impl Fn(&Dialog) -> bool) -> bool {
        self.line.wait(limit, |state| test(&state.dialogs[self.id]).then_some(())).is_some()
    }

    // What the phone shows.

    pub fn invite(&self) -> SipMessage {
        self.read(|d| d.invite.clone())
    }

    /// The user part of From: who calls.
    pub fn calling(&self) -> String {
        self.invite().calling().to_owned()
    }

    pub fn status(&self) -> Option<u16> {
        self.read(|d| d.status)
    }

    pub fn set_up_time(&self) -> Option<Duration> {
        self.read(|d| d.took.filter(|_| d.status == Some(200)))
    }

    /// Provisional statuses in order, without 100.
    pub fn provisional(&self) -> Vec<u16> {
        self.read(|d| d.provisional.clone())
    }

    pub fn reason(&self) -> Option<String> {
        self.read(|d| d.reason.clone())
    }

    pub fn ended_there(&self) -> bool {
        self.read(|d| d.is_over() && d.ended_there)
    }

    pub fn is_up(&self) -> bool {
        self.read(|d| d.phase == Phase::Up)
    }

    pub fn messages(&self) -> Vec<SipMessage> {
        let state = self.line.lock();
        let id = &state.dialogs[self.id].call_id;
        state.messages.iter().filter(|m| m.call_id() == id).cloned().collect()
    }

    /// Waits until it rings there, or is answered.
    pub fn wait_ringing(&self, limit: Duration) -> bool {
        self.wait(limit, |d| matches!(d.phase, Phase::Ringing | Phase::Up))
    }

    /// Waits for the answer. False if it is refused or late.
    pub fn wait_answered(&self, limit: Duration) -> bool {
        self.wait(limit, |d| d.phase >= Phase::Up) && self.is_up()
    }

    pub fn wait_status(&self, limit: Duration) -> Option<u16> {
        self.wait(limit, |d| d.status.is_some());
        self.status()
    }

    pub fn wait_ended(&self, limit: Duration) -> bool {
        self.wait(limit, Dialog::is_over)
    }

    // Keys.

    pub fn ring(&self) {
        self.line.lock().ring(self.id);
    }

    /// 183 Session Progress: it is heard before it is answered.
    pub fn speak_early(&self) {
        self.line.lock().speak_early(self.id);
    }

    pub fn answer(&self) {
        self.line.lock().answer(self.id);
    }

    /// Refuses it, e.g. with `486 Busy Here`.
    pub fn refuse(&self, status: &str) {
        self.line.lock().finish(self.id, status, &[]);
    }

    /// BYE, CANCEL, or 480, whatever is right now.
    pub fn hang_up(&self) {
        self.line.lock().hang_up(self.id);
    }

    /// Puts it on hold (`sendonly`). True if the PBX agreed.
    pub fn hold(&self) -> bool {
        self.turn(Direction::SEND_ONLY)
    }

    /// Puts it on hold without music (`inactive`).
    pub fn hold_inactive(&self) -> bool {
        self.turn(Direction::INACTIVE)
    }

    pub fn resume(&self) -> bool {
        self.turn(Direction::BOTH)
    }

    /// Offers another codec, or a fax, and nothing else. True if the PBX agreed.
    pub fn change_to(&self, codec: Codec) -> bool {
        self.offer(|dialog| dialog.offer(codec))
    }

    fn turn(&self, direction: Direction) -> bool {
        self.offer(|dialog| {
            dialog.direction = direction;
            dialog.media.speak(direction == Direction::BOTH);
            dialog.description("")
        })
    }

    fn offer(&self, offer: impl FnOnce(&mut Dialog) -> String) -> bool {
        let asked = {
            let mut state = self.line.lock();
            let dialog = &mut state.dialogs[self.id];
            let (timer, body) = (dialog.timer(), offer(dialog));
            state.ask(self.id, "INVITE", timer, body)
        };
        self.outcome(asked).is_some_and(|status| status < 300)
    }

    /// Sends digits as RFC 4733 events, once anything is heard (before that a digit may be lost on its way),
    /// and waits until they are out.
    pub fn dtmf(&self, digits: &str) {
        wait_until(Duration::from_secs(2), || self.sound() > 0);
        self.read(|d| d.media.digits(digits));
        wait_until(Duration::from_secs(20), || self.read(|d| d.is_over() || !d.media.is_dialling()));
    }

    /// Blind transfer. The PBX's answer to REFER: 202, or a refusal.
    pub fn refer_to(&self, number: &str) -> Option<u16> {
        self.refer(&format!("<sip:{number}@{}>", self.line.party.domain), None)
    }

    /// Attended transfer: the two parties of this call and of `other` are connected (RFC 3891).
    pub fn consulted_transfer_to(&self, other: &Call) -> Option<u16> {
        let (id, local, remote, far) = other.read(|d| {
            let far = if d.incoming { d.invite.calling() } else { d.invite.called() };
            (d.call_id.clone(), tag(&d.local).to_owned(), tag(&d.remote).to_owned(), far.to_owned())
        });
        let replaces = escape(&format!("{id};to-tag={remote};from-tag={local}"));
        self.refer(&format!("<sip:{far}@{}?Replaces={replaces}>", self.line.party.domain), Some(other.id))
    }

    fn refer(&self, to: &str, consult: Option<usize>) -> Option<u16> {
        let party = &self.line.party;
        let headers = vec![
            ("Refer-To".to_owned(), to.to_owned()),
            ("Referred-By".to_owned(), format!("<sip:{}@{}>", party.number, party.domain)),
        ];
        let asked = {
            let mut state = self.line.lock();
            state.dialogs[self.id].transfer = None;
            state.dialogs[self.id].consult = consult;
            state.ask(self.id, "REFER", headers, String::new())
        };
        self.outcome(asked)
    }

    /// Waits until the PBX says how the transfer went (`NOTIFY` with the final status).
    pub fn wait_transferred(&self, limit: Duration) -> Option<u16> {
        self.line.wait(limit, |state| state.dialogs[self.id].transfer)
    }

    fn outcome(&self, asked: u32) -> Option<u16> {
        let find = |d: &Dialog| d.outcomes.iter().find(|(cseq, _)| *cseq == asked).map(|(_, status)| *status);
        self.line.wait(PATIENCE, |state| find(&state.dialogs[self.id]))
    }

    // What the person hears.

    pub fn sound(&self) -> u64 {
        self.read(|d| d.media.packets())
    }

    /// Waits until so many more packets of sound have come.
    pub fn wait_sound(&self, packets: u64, limit: Duration) -> bool {
        let before = self.sound();
        wait_until(limit, || self.sound() >= before + packets)
    }

    pub fn codec(&self) -> Codec {
        self.read(|d| d.media.codec())
    }

    pub fn received_as(&self, codec: Codec) -> u64 {
        self.read(|d| d.media.received_as(codec))
    }

    pub fn hears(&self, other: &Phone) -> bool {
        self.read(|d| d.media.hears(other.line.party.sound))
    }

    pub fn wait_hears(&self, other: &Phone, limit: Duration) -> bool {
        wait_until(limit, || self.hears(other))
    }

    /// Waits until the phone hears itself: the far end sends back what it gets, so sound goes both ways.
    pub fn wait_echo(&self, limit: Duration) -> bool {
        let own = self.line.party.sound;
        wait_until(limit, || self.read(|d| d.media.hears(own)))
    }

    pub fn wait_deaf_to(&self, other: &Phone, limit: Duration) -> bool {
        wait_until(limit, || !self.hears(other))
    }
}

/// What may stand in a header of a URI (RFC 3261 §25.1).
fn escape(text: &str) -> String {
    let may_stand = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&octet);
    text.bytes().map(|o| if may_stand(o) { char::from(o).to_string() } else { format!("%{o:02X}") }).collect()
}
