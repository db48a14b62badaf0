//! A phone's line: its socket, its transactions, and all its calls behind one lock.

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::dialog::{Dialog, Draft, Due, Phase, all, with_body};
use super::{Habit, digest, gives_up};
use crate::sip::message::now;
use crate::{LabError, Result, SipMessage};

/// T1 of RFC 3261: the first repetition comes so long after.
const T1: Duration = Duration::from_millis(500);
/// How often the line looks at its clock.
const TICK: Duration = Duration::from_millis(10);

/// Who the phone is.
#[derive(Debug)]
pub(super) struct Party {
    pub number: String,
    /// What stands behind the `@`.
    pub domain: String,
    pub password: String,
    pub pbx: SocketAddr,
    pub local: SocketAddr,
    /// Its tone in Hz.
    pub tone: u32,
}

#[derive(Debug)]
pub(super) struct Line {
    pub party: Party,
    socket: UdpSocket,
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
    /// `None`: a provisional response stopped it.
    next: Option<Instant>,
    pause: Duration,
    until: Instant,
    request: Option<Draft>,
}

#[derive(Debug)]
pub(super) struct State {
    pub messages: Vec<SipMessage>,
    pub dialogs: Vec<Dialog>,
    /// Calls that came in and wait to be taken.
    pub incoming: VecDeque<usize>,
    pub habit: Habit,
    /// The registrar's final answer.
    pub registered: Option<u16>,
    pending: Vec<Pending>,
    /// Responses by branch and method, for repeated requests.
    replies: HashMap<String, String>,
}

impl Line {
    pub(super) fn open(party: Party) -> Result<Line> {
        let socket = UdpSocket::bind(party.local).map_err(LabError::io("a phone's port"))?;
        socket.set_read_timeout(Some(TICK)).map_err(LabError::io("a phone's port"))?;
        let state = State {
            messages: Vec::new(),
            dialogs: Vec::new(),
            incoming: VecDeque::new(),
            habit: Habit::Wait,
            registered: None,
            pending: Vec::new(),
            replies: HashMap::new(),
        };
        Ok(Line { party, socket, state: Mutex::new(state), changed: Condvar::new(), open: AtomicBool::new(true) })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a phone's state")
    }

    /// Waits until `test` finds something; `None` after `limit`.
    pub(super) fn wait<T>(&self, limit: Duration, mut test: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
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

    pub(super) fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }

    /// Receives until the phone is dropped.
    pub(super) fn serve(&self) {
        let mut buffer = vec![0; 65_536];
        while self.open.load(Ordering::Relaxed) {
            let received = self.socket.recv_from(&mut buffer).ok();
            let mut state = self.lock();
            if let Some((length, _)) = received {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if let Some(message) = SipMessage::parse(now(), true, &text) {
                    state.messages.push(message.clone());
                    match message.status() {
                        Some(status) => state.response(self, status, &message),
                        None => state.request(self, message),
                    }
                }
            }
            state.repeat(self);
            state.act(self);
            drop(state);
            self.changed.notify_all();
        }
        // The sound ends with the phone.
        self.lock().dialogs.iter_mut().for_each(|dialog| dialog.end(None));
    }
}

impl State {
    pub(super) fn put(&mut self, line: &Line, to: SocketAddr, text: &str) {
        self.messages.extend(SipMessage::parse(now(), false, text));
        let _ = line.socket.send_to(text.as_bytes(), to);
    }

    /// Sends a request and repeats it until it is answered. Its branch.
    pub(super) fn send(&mut self, line: &Line, draft: Draft) -> String {
        let branch = format!("z9hG4bK{:016x}", rand::random::<u64>());
        let text = draft.text(line.party.local, &line.party.number, &branch);
        self.put(line, line.party.pbx, &text);
        let key = format!("{branch} {}", draft.method);
        self.keep(key, text, Some(draft));
        branch
    }

    pub(super) fn keep(&mut self, key: String, text: String, request: Option<Draft>) {
        let next = Some(Instant::now() + T1);
        self.pending.push(Pending { key, text, next, pause: T1, until: gives_up(), request });
    }

    /// What hasn't been answered goes out again (RFC 3261 §17.1.1.2).
    fn repeat(&mut self, line: &Line) {
        let now = Instant::now();
        self.pending.retain(|pending| now < pending.until);
        let mut again = Vec::new();
        for pending in &mut self.pending {
            if pending.next.is_some_and(|next| next <= now) {
                pending.pause = (pending.pause * 2).min(T1 * 8);
                pending.next = Some(now + pending.pause);
                again.push(pending.text.clone());
            }
        }
        for text in again {
            self.put(line, line.party.pbx, &text);
        }
    }

    /// What habits have come due.
    fn act(&mut self, line: &Line) {
        let now = Instant::now();
        for id in 0..self.dialogs.len() {
            let Some((_, due)) = self.dialogs[id].due.filter(|(at, _)| *at <= now) else { continue };
            self.dialogs[id].due = None;
            match due {
                Due::Answer { talk_ms } => {
                    self.answer(line, id);
                    let end = talk_ms.map(|ms| (now + Duration::from_millis(ms), Due::HangUp));
                    self.dialogs[id].due = end;
                }
                Due::HangUp => self.hang_up(line, id),
            }
        }
    }

    fn response(&mut self, line: &Line, status: u16, message: &SipMessage) {
        let branch = message.header("Via").and_then(|via| via.split("branch=").nth(1)).unwrap_or_default();
        let branch = branch.split(';').next().unwrap_or_default();
        let method = message.header("CSeq").and_then(|cseq| cseq.split(' ').nth(1)).unwrap_or_default();
        let key = format!("{branch} {method}");
        let Some(at) = self.pending.iter().position(|pending| pending.key == key) else {
            // A 200 that comes again: its ACK was lost.
            let call = self.dialogs.iter().find(|d| d.call_id == message.call_id() && !d.ack.is_empty());
            if let Some(ack) = call.filter(|_| method == "INVITE" && status == 200).map(|d| d.ack.clone()) {
                self.put(line, line.party.pbx, &ack);
            }
            return;
        };
        if status < 200 {
            self.pending[at].next = None;
            self.pending[at].until += Duration::from_secs(300);
            if let Some(id) = self.pending[at].request.as_ref().and_then(|draft| draft.dialog) {
                self.provisional(id, status, message);
            }
            return;
        }
        let Some(draft) = self.pending.swap_remove(at).request else { return };
        if method == "INVITE" && status >= 300 {
            self.acknowledge(line, &draft, message.header("To").unwrap_or_default(), Some(branch));
        }
        let authorized = draft.headers.iter().any(|(name, _)| name.ends_with("uthorization"));
        let challenge = message.header("WWW-Authenticate").or(message.header("Proxy-Authenticate"));
        match challenge.filter(|_| matches!(status, 401 | 407) && !authorized) {
            Some(challenge) => self.authorize(line, draft, status, challenge),
            None => self.outcome(line, &draft, status, message),
        }
    }

    fn provisional(&mut self, id: usize, status: u16, message: &SipMessage) {
        let dialog = &mut self.dialogs[id];
        if status > 100 && dialog.phase < Phase::Up {
            dialog.provisional.push(status);
            dialog.phase = Phase::Ringing;
            dialog.take_media(&message.body);
        }
    }

    fn authorize(&mut self, line: &Line, mut draft: Draft, status: u16, challenge: &str) {
        let Party { number, password, .. } = &line.party;
        let name = if status == 401 { "Authorization" } else { "Proxy-Authorization" };
        let value = digest::answer(challenge, number, password, draft.method, &draft.uri);
        draft.headers.push((name.to_owned(), value));
        draft.cseq += 1;
        let id = draft.dialog;
        if let Some(id) = id {
            self.dialogs[id].cseq = self.dialogs[id].cseq.max(draft.cseq);
        }
        let branch = self.send(line, draft.clone());
        if let Some(out) = id.filter(|_| draft.method == "INVITE").and_then(|id| self.dialogs[id].out.as_mut()) {
            *out = (draft, branch);
        }
    }

    /// A final response to one of our requests.
    fn outcome(&mut self, line: &Line, draft: &Draft, status: u16, message: &SipMessage) {
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
        }
        if status >= 300 {
            if first {
                dialog.end(Some(message));
            }
            return;
        }
        dialog.establish(message);
        if dialog.phase < Phase::Up {
            dialog.phase = Phase::Up;
        }
        dialog.take_media(&message.body);
        let (uri, to, cancelled) = (dialog.target.clone(), dialog.remote.clone(), dialog.cancelled && first);
        let mut ack = Draft { uri, headers: Vec::new(), body: String::new(), ..draft.clone() };
        ack.headers.extend(dialog.routes.iter().map(|route| ("Route".to_owned(), route.clone())));
        self.acknowledge(line, &ack, &to, None);
        if cancelled {
            self.dialogs[id].phase = Phase::Up;
            self.hang_up(line, id);
        }
    }

    /// ACK: with the branch of the INVITE for a refusal, else with a new one.
    fn acknowledge(&mut self, line: &Line, invite: &Draft, to: &str, branch: Option<&str>) {
        let ack = Draft { method: "ACK", to: to.to_owned(), body: String::new(), ..invite.clone() };
        let own = format!("z9hG4bK{:016x}", rand::random::<u64>());
        let text = ack.text(line.party.local, &line.party.number, branch.unwrap_or(&own));
        self.put(line, line.party.pbx, &text);
        if let Some(id) = invite.dialog.filter(|_| branch.is_none()) {
            self.dialogs[id].ack = text;
        }
    }

    /// Any response; kept, in case the request comes again.
    pub(super) fn reply(
        &mut self,
        line: &Line,
        request: &SipMessage,
        to: Option<&str>,
        status: &str,
        headers: &[(&str, String)],
        body: &str,
    ) {
        let value = |name: &str| request.header(name).unwrap_or_default().to_owned();
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route"] {
            text.extend(all(request, name).iter().map(|via| format!("{name}: {via}\r\n")));
        }
        text += &format!("From: {}\r\nTo: {}\r\n", value("From"), to.map_or_else(|| value("To"), str::to_owned));
        text += &format!("Call-ID: {}\r\nCSeq: {}\r\n", request.call_id(), value("CSeq"));
        if headers.iter().all(|(name, _)| *name != "Contact") {
            text += &format!("Contact: <sip:{}@{}>\r\n", line.party.number, line.party.local);
        }
        text.extend(headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")));
        text += &with_body(body);
        self.put(line, line.party.pbx, &text);
        if request.method() == "INVITE" && !status.starts_with('1') {
            self.keep(awaited(request), text.clone(), None);
        }
        self.replies.insert(transaction(request), text);
    }

    /// True if the request was answered before: the answer goes out again.
    pub(super) fn answered_before(&mut self, line: &Line, request: &SipMessage) -> bool {
        let known = self.replies.get(&transaction(request)).cloned();
        if let Some(text) = &known {
            self.put(line, line.party.pbx, text);
        }
        known.is_some()
    }

    /// An ACK has come.
    pub(super) fn acknowledged(&mut self, ack: &SipMessage) {
        let key = awaited(ack);
        self.pending.retain(|pending| pending.key != key);
    }
}

/// Call and CSeq number, of an INVITE and of its ACK.
fn awaited(message: &SipMessage) -> String {
    let number = message.header("CSeq").and_then(|cseq| cseq.split(' ').next()).unwrap_or_default();
    format!("ack {} {number}", message.call_id())
}

fn transaction(request: &SipMessage) -> String {
    format!("{} {}", request.header("Via").unwrap_or_default(), request.method())
}
