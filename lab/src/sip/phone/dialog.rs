//! One call of a phone: what RFC 3261 §12 calls a dialog, and what its requests are made of.

use std::time::{Duration, Instant};

use super::line::Party;
use super::media::{Media, Sound};
use super::sdp::{self, Codec, Direction};
use crate::SipMessage;
use crate::sip::calls::CallOutcome;
use crate::sip::message::now;

/// Where a call is. It only goes downwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// INVITE is out or in, without a word yet.
    Calling,
    Ringing,
    Up,
    Over,
}

/// What a phone does by itself, when its time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Answer { talk_ms: Option<u64> },
    HangUp,
}

/// A request before it has a branch.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub method: &'static str,
    pub uri: String,
    pub from: String,
    pub to: String,
    pub call_id: String,
    pub cseq: u32,
    /// The CSeq that it was asked for under; another one once it has been authorized.
    pub asked: u32,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub dialog: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Dialog {
    pub(super) call_id: String,
    /// Our side: From of our requests.
    pub(super) local: String,
    /// The other side: To of our requests.
    pub(super) remote: String,
    pub(super) target: String,
    pub(super) routes: Vec<String>,
    pub(super) cseq: u32,
    pub(super) incoming: bool,
    /// As it was sent or received first.
    pub(super) invite: SipMessage,
    pub(super) phase: Phase,
    pub(super) status: Option<u16>,
    /// INVITE → final response, if it is ours.
    pub(super) took: Option<Duration>,
    pub(super) provisional: Vec<u16>,
    /// `Reason` of the final response, the BYE or the CANCEL.
    pub(super) reason: Option<String>,
    pub(super) ended_there: bool,
    /// When it was over, since 1970.
    pub(super) over: Option<Duration>,
    pub(super) media: Media,
    pub(super) direction: Direction,
    pub(super) version: u32,
    /// The INVITE that is out, with its branch: CANCEL needs it.
    pub(super) out: Option<(Draft, String)>,
    /// Given up, but INVITE may still be answered.
    pub(super) cancelled: bool,
    /// The last ACK to a 200, which may come again.
    pub(super) ack: String,
    /// Final statuses of our requests by CSeq.
    pub(super) outcomes: Vec<(u32, u16)>,
    /// What the PBX says about a transfer.
    pub(super) transfer: Option<u16>,
    /// The second call of an attended transfer.
    pub(super) consult: Option<usize>,
    pub(super) due: Option<(Instant, Due)>,
    /// It hangs up so long after the answer.
    pub(super) talk: Option<Duration>,
}

impl Dialog {
    /// The call that `message`, the first INVITE, begins.
    pub(super) fn new(invite: SipMessage, local: String, remote: String, media: Media) -> Dialog {
        let incoming = invite.received;
        let routes = if incoming { all(&invite, "Record-Route") } else { Vec::new() };
        Dialog {
            call_id: invite.call_id().to_owned(),
            local,
            remote,
            target: invite.header("Contact").map(uri).unwrap_or_default(),
            routes,
            cseq: 0,
            incoming,
            invite,
            phase: Phase::Calling,
            status: None,
            took: None,
            provisional: Vec::new(),
            reason: None,
            ended_there: false,
            over: None,
            media,
            direction: Direction::BOTH,
            version: 1,
            out: None,
            cancelled: false,
            ack: String::new(),
            outcomes: Vec::new(),
            transfer: None,
            consult: None,
            due: None,
            talk: None,
        }
    }

    pub(crate) fn experience(&self) -> CallOutcome {
        let (status, provisional, reason) = (self.status, self.provisional.clone(), self.reason.clone());
        CallOutcome {
            calling: self.invite.calling().to_owned(),
            called: self.invite.called().to_owned(),
            invited: self.invite.at,
            status,
            provisional,
            answered: self.took,
            over: self.over,
            ended_there: self.ended_there,
            reason,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    /// Its end; the first word about it counts.
    pub(super) fn end(&mut self, by: Option<&SipMessage>) {
        if self.is_over() {
            return;
        }
        self.phase = Phase::Over;
        self.over = Some(now());
        self.due = None;
        self.media.speak(false);
        self.ended_there = by.is_some();
        if let Some(reason) = by.and_then(|message| message.header("Reason")) {
            self.reason = Some(reason.to_owned());
        }
    }

    /// The other side's media, if a message brings any.
    pub(super) fn take_media(&mut self, body: &str) {
        if let Some(remote) = sdp::read(body) {
            self.media.send_to(remote.addr, remote.codec);
            self.media.speak(self.phase == Phase::Up && remote.listens && self.direction == Direction::BOTH);
        }
    }

    /// What this phone answers to `offer`, or offers if that is empty: what the call carries already.
    pub(super) fn description(&mut self, offer: &str) -> String {
        let remote = sdp::read(offer);
        let direction = remote.map_or(self.direction, |remote| remote.answer(self.direction));
        self.describe(direction, remote.map_or(self.media.codec(), |remote| remote.codec))
    }

    pub(super) fn offer(&mut self, codec: Codec) -> String {
        self.describe(self.direction, codec)
    }

    fn describe(&mut self, direction: Direction, codec: Codec) -> String {
        self.version += 1;
        sdp::write(&self.media, self.version, direction, codec)
    }

    /// What asks for a session timer, if our first INVITE did: each INVITE asks again (RFC 4028 §7.4).
    pub(super) fn timer(&self) -> Vec<(String, String)> {
        let asks = |name: &str| ["Session-Expires", "Min-SE"].contains(&name);
        let mut headers = self.invite.headers.clone();
        headers.retain(|(name, value)| !self.incoming && (asks(name) || (name == "Supported" && value == "timer")));
        headers
    }

    /// The answer to our INVITE: from now on requests go to its Contact (RFC 3261 §12.1.2).
    pub(super) fn establish(&mut self, answer: &SipMessage) {
        self.remote = answer.header("To").unwrap_or_default().to_owned();
        if let Some(contact) = answer.header("Contact") {
            self.target = uri(contact);
        }
        self.routes = all(answer, "Record-Route");
        self.routes.reverse();
    }

    pub(super) fn draft(
        &mut self,
        id: usize,
        method: &'static str,
        mut headers: Vec<(String, String)>,
        body: String,
    ) -> Draft {
        self.cseq += 1;
        headers.extend(self.routes.iter().map(|route| ("Route".to_owned(), route.clone())));
        Draft {
            method,
            uri: self.target.clone(),
            from: self.local.clone(),
            to: self.remote.clone(),
            call_id: self.call_id.clone(),
            cseq: self.cseq,
            asked: self.cseq,
            headers,
            body,
            dialog: Some(id),
        }
    }
}

impl Draft {
    pub(super) fn text(&self, party: &Party, branch: &str) -> String {
        let Party { number, local, sound, .. } = party;
        let mut text = format!(
            "{} {} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch={branch};rport\r\nMax-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {} {}\r\nContact: <sip:{number}@{local}>\r\n",
            self.method, self.uri, self.from, self.to, self.call_id, self.cseq, self.method
        );
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text + &with_body(&self.body, *sound)
    }
}

/// The end of a message. A plain phone doesn't say what it can.
pub(super) fn with_body(body: &str, sound: Sound) -> String {
    let abilities = if sound.is_plain() { "" } else { ABILITIES };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!("{abilities}{kind}Content-Length: {}\r\n\r\n{body}", body.len())
}

const ABILITIES: &str = "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, NOTIFY, INFO, UPDATE, REFER\r\n\
    Supported: replaces\r\nUser-Agent: sidecall-lab\r\n";

fn all(message: &SipMessage, name: &str) -> Vec<String> {
    message.all(name).map(str::to_owned).collect()
}

/// The URI in `"A" <sip:a@b>;tag=1`.
fn uri(value: &str) -> String {
    match value.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        Some((uri, _)) => uri.to_owned(),
        None => value.split(';').next().unwrap_or_default().trim().to_owned(),
    }
}

pub(super) fn tag(value: &str) -> &str {
    value.split(";tag=").nth(1).map_or("", |rest| rest.split(';').next().unwrap_or(""))
}
