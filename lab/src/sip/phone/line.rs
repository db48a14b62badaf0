//! A phone's line: its socket, its transactions, and all its calls behind one lock.

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::dialog::{Dialog, Draft, Due, Phase, with_body};
use super::media::{Media, Sound};
use super::{Habit, digest};
use crate::sip::message::now;
use crate::{LabError, Result, SipMessage, wait_until};

/// T1 of RFC 3261: the first repetition comes so long after.
const T1: Duration = Duration::from_millis(500);
/// Timer B of RFC 3261: how long a request is repeated.
const GIVES_UP: Duration = Duration::from_secs(32);
/// How often the line looks at its clock.
const TICK: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Party {
    pub number: String,
    /// What stands behind the `@`.
    pub domain: String,
    pub pbx: SocketAddr,
    pub local: SocketAddr,
    pub sound: Sound,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(super) party: Arc<Party>,
    state: Mutex<State>,
    changed: Condvar,
    open: AtomicBool,
}

/// Something that is sent again until it is answered.
#[derive(Debug)]
struct Pending {
    /// Branch and method of a request, or the call whose ACK is waited for.
    key: String,
    text: String,
    to: SocketAddr,
    /// `None`: a provisional response stopped it.
    next: Option<Instant>,
    pause: Duration,
    until: Instant,
    request: Option<Draft>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(super) party: Arc<Party>,
    socket: UdpSocket,
    /// Where the last message came from: responses go there (RFC 3261 §18.2.2).
    source: SocketAddr,
    /// The media of all calls of a plain phone.
    plain: Option<Media>,
    pub(crate) messages: Vec<SipMessage>,
    pub(crate) dialogs: Vec<Dialog>,
    /// Calls that came in and wait to be taken.
    pub(super) incoming: VecDeque<usize>,
    pub(super) habit: Habit,
    /// The registrar's final answer.
    pub(super) registered: Option<u16>,
    pending: Vec<Pending>,
    /// Responses by branch and method, for repeated requests.
    replies: HashMap<String, String>,
}

impl Line {
    pub(super) fn open(party: Party, habit: Habit) -> Result<Line> {
        let mut socket = UdpSocket::bind(party.local);
        // A phone that was dropped a moment ago may still have the address.
        wait_until(T1, || {
            if socket.is_err() {
                socket = UdpSocket::bind(party.local);
            }
            socket.is_ok()
        });
        let socket = socket.map_err(LabError::io("a phone's port"))?;
        socket.set_read_timeout(Some(TICK)).map_err(LabError::io("a phone's port"))?;
        let plain = if party.sound.is_plain() { Some(Media::open(party.local.ip(), party.sound)?) } else { None };
        let party = Arc::new(party);
        let state = State {
            party: Arc::clone(&party),
            socket,
            source: party.pbx,
            plain,
            messages: Vec::new(),
            dialogs: Vec::new(),
            incoming: VecDeque::new(),
            habit,
            registered: None,
            pending: Vec::new(),
            replies: HashMap::new(),
        };
        Ok(Line { party, state: Mutex::new(state), changed: Condvar::new(), open: AtomicBool::new(true) })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a phone's state")
    }

    /// Waits until `test` finds something; `None` after `limit`.
    pub(crate) fn wait<T>(&self, limit: Duration, mut test: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        loop {
            if let Some(found) = test(&mut state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self.changed.wait_timeout(state, left.min(T1)).expect("a phone's state").0;
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    /// Receives until the phone is dropped.
    pub(super) fn serve(&self) {
        let socket = self.lock().socket.try_clone().expect("a phone's socket");
        let mut buffer = vec![0; 65_536];
        while self.is_open() {
            let received = socket.recv_from(&mut buffer).ok();
            let at = now();
            let mut state = self.lock();
            if let Some((length, from)) = received {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if let Some(message) = SipMessage::parse(at, true, &text) {
                    state.source = from;
                    state.messages.push(message.clone());
                    match message.status() {
                        Some(status) => state.response(status, &message),
                        None => state.request(message),
                    }
                }
            }
            state.repeat();
            state.act();
            drop(state);
            self.changed.notify_all();
        }
        // The sound ends with the phone.
        self.lock().dialogs.iter_mut().for_each(|dialog| dialog.end(None));
    }
}

impl State {
    pub(super) fn put(&mut self, to: SocketAddr, text: &str) {
        self.messages.extend(SipMessage::parse(now(), false, text));
        let _ = self.socket.send_to(text.as_bytes(), to);
    }

    /// The media of a new call: its own, or the one that all calls of a plain phone share.
    pub(super) fn media(&self) -> Media {
        let open = || Media::open(self.party.local.ip(), self.party.sound).expect("a port for RTP");
        self.plain.clone().unwrap_or_else(open)
    }

    /// True once none of its calls is up or being set up, and every request of its own is answered.
    pub(crate) fn is_idle(&self) -> bool {
        self.dialogs.iter().all(Dialog::is_over) && self.pending.iter().all(|pending| pending.request.is_none())
    }

    /// Sends a request and repeats it until it is answered. Its branch.
    pub(super) fn send(&mut self, draft: Draft) -> String {
        let branch = format!("z9hG4bK{:016x}", rand::random::<u64>());
        self.send_in(&branch, draft);
        branch
    }

    pub(super) fn send_in(&mut self, branch: &str, draft: Draft) {
        // A phone that anybody may call has no PBX of its own.
        let to = if self.party.pbx.port() == 0 { self.source } else { self.party.pbx };
        let text = draft.text(&self.party, branch);
        self.put(to, &text);
        self.keep(format!("{branch} {}", draft.method), text, to, Some(draft));
    }

    fn keep(&mut self, key: String, text: String, to: SocketAddr, request: Option<Draft>) {
        let now = Instant::now();
        self.pending.push(Pending { key, text, to, next: Some(now + T1), pause: T1, until: now + GIVES_UP, request });
    }

    /// What hasn't been answered goes out again (RFC 3261 §17.1.1.2).
    fn repeat(&mut self) {
        let now = Instant::now();
        for over in self.pending.extract_if(.., |pending| now >= pending.until) {
            if let Some(id) = over.request.filter(|draft| draft.method == "INVITE").and_then(|draft| draft.dialog) {
                self.dialogs[id].end(None);
            }
        }
        let mut again = Vec::new();
        for pending in self.pending.iter_mut().filter(|pending| pending.next.is_some_and(|next| next <= now)) {
            pending.pause = (pending.pause * 2).min(T1 * 8);
            pending.next = Some(now + pending.pause);
            again.push((pending.to, pending.text.clone()));
        }
        again.into_iter().for_each(|(to, text)| self.put(to, &text));
    }

    fn act(&mut self) {
        let now = Instant::now();
        for id in 0..self.dialogs.len() {
            let Some((_, due)) = self.dialogs[id].due.take_if(|(at, _)| *at <= now) else { continue };
            match due {
                Due::Answer { talk_ms } => {
                    self.answer(id);
                    let end = talk_ms.map(|ms| (now + Duration::from_millis(ms), Due::HangUp));
                    self.dialogs[id].due = end;
                }
                Due::HangUp => self.hang_up(id),
            }
        }
    }

    fn response(&mut self, status: u16, message: &SipMessage) {
        let branch = message.header("Via").and_then(|via| via.split("branch=").nth(1)).unwrap_or_default();
        let branch = branch.split(';').next().unwrap_or_default();
        let method = message.cseq().1;
        let key = format!("{branch} {method}");
        let Some(at) = self.pending.iter().position(|pending| pending.key == key) else {
            // A 200 that comes again: its ACK was lost.
            let call = self.dialogs.iter().find(|d| d.call_id == message.call_id() && !d.ack.is_empty());
            if let Some(ack) = call.filter(|_| method == "INVITE" && status == 200).map(|d| d.ack.clone()) {
                self.put(self.party.pbx, &ack);
            }
            return;
        };
        if status < 200 {
            self.pending[at].next = None;
            self.pending[at].until += Duration::from_secs(300);
            let id = self.pending[at].request.as_ref().and_then(|draft| draft.dialog);
            if let Some(dialog) = id.map(|id| &mut self.dialogs[id]).filter(|d| status > 100 && d.phase < Phase::Up) {
                dialog.provisional.push(status);
                dialog.phase = Phase::Ringing;
                dialog.take_media(&message.body);
            }
            return;
        }
        let Some(draft) = self.pending.swap_remove(at).request else { return };
        if method == "INVITE" && status >= 300 {
            self.acknowledge(&draft, message.header("To").unwrap_or_default(), Some(branch));
        }
        let authorized = draft.headers.iter().any(|(name, _)| name.ends_with("uthorization"));
        let challenge = message.header("WWW-Authenticate").or(message.header("Proxy-Authenticate"));
        match challenge.filter(|_| matches!(status, 401 | 407) && !authorized) {
            Some(challenge) => self.authorize(draft, status, challenge),
            None => self.outcome(&draft, status, message),
        }
    }

    fn authorize(&mut self, mut draft: Draft, status: u16, challenge: &str) {
        let name = if status == 401 { "Authorization" } else { "Proxy-Authorization" };
        let value = digest::answer(challenge, &self.party.number, super::PASSWORD, draft.method, &draft.uri);
        draft.headers.push((name.to_owned(), value));
        draft.cseq += 1;
        let branch = self.send(draft.clone());
        let Some(dialog) = draft.dialog.map(|id| &mut self.dialogs[id]) else { return };
        dialog.cseq = dialog.cseq.max(draft.cseq);
        if let Some(out) = dialog.out.as_mut().filter(|_| draft.method == "INVITE") {
            *out = (draft, branch);
            dialog.invite.at = now();
        }
    }

    /// A final response to one of our requests.
    fn outcome(&mut self, draft: &Draft, status: u16, message: &SipMessage) {
        let Some(id) = draft.dialog else {
            self.registered = Some(status);
            return;
        };
        let dialog = &mut self.dialogs[id];
        dialog.outcomes.push((draft.asked, status));
        if draft.method != "INVITE" {
            return;
        }
        let first = dialog.status.is_none();
        if first {
            dialog.status = Some(status);
            dialog.out = None;
            dialog.took = Some(message.at.saturating_sub(dialog.invite.at));
        }
        if status >= 300 {
            if first {
                dialog.end(Some(message));
            }
            return;
        }
        dialog.establish(message);
        dialog.phase = dialog.phase.max(Phase::Up);
        dialog.take_media(&message.body);
        if let Some(talk) = dialog.talk.filter(|_| first) {
            dialog.due = Some((Instant::now() + talk, Due::HangUp));
        }
        let (uri, to, cancelled) = (dialog.target.clone(), dialog.remote.clone(), dialog.cancelled && first);
        let headers = dialog.routes.iter().map(|route| ("Route".to_owned(), route.clone())).collect();
        self.acknowledge(&Draft { uri, headers, ..draft.clone() }, &to, None);
        if cancelled {
            self.dialogs[id].phase = Phase::Up;
            self.hang_up(id);
        }
    }

    /// ACK: with the branch of the INVITE for a refusal, else with a new one.
    fn acknowledge(&mut self, invite: &Draft, to: &str, branch: Option<&str>) {
        let ack = Draft { method: "ACK", to: to.to_owned(), body: String::new(), ..invite.clone() };
        let own = format!("z9hG4bK{:016x}", rand::random::<u64>());
        let text = ack.text(&self.party, branch.unwrap_or(&own));
        self.put(self.party.pbx, &text);
        if let Some(id) = invite.dialog.filter(|_| branch.is_none()) {
            self.dialogs[id].ack = text;
        }
    }

    /// Any response; kept, in case the request comes again.
    pub(super) fn reply(
        &mut self,
        request: &SipMessage,
        to: Option<&str>,
        status: &str,
        headers: &[(&str, String)],
        body: &str,
    ) {
        let text = self.response_to(request, to, status, headers, body);
        self.put(self.source, &text);
        if request.method() == "INVITE" && !status.starts_with('1') {
            self.keep(awaited(request), text.clone(), self.source, None);
        }
        self.replies.insert(transaction(request), text);
    }

    /// 200 after so long, and again for each time that the request comes.
    pub(super) fn reply_after(&mut self, request: &SipMessage, wait: Duration) {
        let text = self.response_to(request, None, "200 OK", &[], "");
        let next = Instant::now() + wait;
        let until = next + T1 / 2;
        let key = transaction(request);
        self.pending.push(Pending { key, text, to: self.source, next: Some(next), pause: T1, until, request: None });
    }

    fn response_to(
        &self,
        request: &SipMessage,
        to: Option<&str>,
        status: &str,
        headers: &[(&str, String)],
        body: &str,
    ) -> String {
        let value = |name: &str| request.header(name).unwrap_or_default();
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route"] {
            text.extend(request.all(name).map(|via| format!("{name}: {via}\r\n")));
        }
        let to = to.unwrap_or_else(|| value("To"));
        text += &format!("From: {}\r\nTo: {to}\r\nCall-ID: {}\r\n", value("From"), value("Call-ID"));
        text += &format!("CSeq: {}\r\n", value("CSeq"));
        if headers.iter().all(|(name, _)| *name != "Contact") {
            text += &format!("Contact: <sip:{}@{}>\r\n", self.party.number, self.party.local);
        }
        text.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
        text + &with_body(body, self.party.sound)
    }

    /// True if the request was answered before: the answer goes out again.
    pub(super) fn answered_before(&mut self, request: &SipMessage) -> bool {
        let known = self.replies.get(&transaction(request)).cloned();
        if let Some(text) = &known {
            self.put(self.source, text);
        }
        known.is_some()
    }

    pub(super) fn acknowledged(&mut self, ack: &SipMessage) {
        let key = awaited(ack);
        self.pending.retain(|pending| pending.key != key);
    }
}

/// Call and CSeq number, of an INVITE and of its ACK.
fn awaited(message: &SipMessage) -> String {
    format!("ack {} {}", message.call_id(), message.cseq().0)
}

fn transaction(request: &SipMessage) -> String {
    format!("{} {}", request.header("Via").unwrap_or_default(), request.method())
}
