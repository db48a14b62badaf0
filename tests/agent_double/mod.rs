//! A stand-in for the agent: reads announcements and gives one fixed answer. It is written against
//! the contract in `docs/FLOWS.md` alone, so that it can disagree with the real agent.

#![allow(dead_code)] // each test binary uses its own part of it

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lab::{Kind, Pbx, wait_until};

/// What the double answers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// Nothing.
    Silence,
    /// A route that adds nothing.
    Route(&'static str),
    /// The same, that long after the announcement. As the agent, it answers none without a hold.
    LateRoute(&'static str, Duration),
    /// The packet trunk, with an address.
    Packet,
    /// The packet trunk, where the first number calls the second.
    PacketBetween(&'static str, &'static str),
    /// Whether the code that was dialled is a page's: `yes` or `no`.
    Enrolled(&'static str),
}

/// The fields of an announcement, or the marks of a channel, by the contract's names in lower case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(BTreeMap<String, String>);

impl Fields {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug)]
struct Shared {
    reply: Reply,
    /// Answers as an agent of an earlier version does.
    earlier: bool,
    /// The actions that it has sent: Asterisk's, and FreeSWITCH's commands.
    actions: usize,
    announcements: Vec<Fields>,
    /// The PBX has said that it sends events.
    subscribed: bool,
}

/// The double, attached to a PBX.
pub(crate) struct AgentDouble {
    shared: Arc<Mutex<Shared>>,
    socket: TcpStream,
    legs: Mutex<Vec<Fields>>,
}

impl AgentDouble {
    /// Subscribes and sets the global that says that an agent is attached.
    pub(crate) fn start(pbx: &Pbx, reply: Reply) -> AgentDouble {
        let double = AgentDouble::subscribe(pbx, reply);
        pbx.attach("lab");
        double
    }

    /// Only listens: another agent is attached, and answers.
    pub(crate) fn listen(pbx: &Pbx) -> AgentDouble {
        AgentDouble::subscribe(pbx, Reply::Silence)
    }

    fn subscribe(pbx: &Pbx, reply: Reply) -> AgentDouble {
        let shared = Arc::new(Mutex::new(Shared {
            reply,
            earlier: false,
            actions: 0,
            announcements: Vec::new(),
            subscribed: false,
        }));
        let mut socket = TcpStream::connect(pbx.event_addr()).unwrap();
        socket.set_nodelay(true).unwrap();
        let kind = pbx.kind();
        let hello = match kind {
            Kind::FreeSwitch => {
                format!("auth {}\n\nevent plain CUSTOM sidecall::setup sidecall::enrol\n\n", pbx.event_secret())
            }
            Kind::Asterisk => format!(
                "Action: Login\r\nUsername: {}\r\nSecret: {}\r\nEvents: call,user\r\n\r\n",
                pbx.event_user().unwrap(),
                pbx.event_secret()
            ),
        };
        socket.write_all(hello.as_bytes()).unwrap();
        let (reader, state) = (socket.try_clone().unwrap(), Arc::clone(&shared));
        // Commands go over a connection of their own: FreeSWITCH serves a connection from one thread,
        // and at 20 calls/s events and commands on one fall behind on a busy machine.
        let mut commands = TcpStream::connect(pbx.event_addr()).unwrap();
        commands.set_nodelay(true).unwrap();
        if kind == Kind::FreeSwitch {
            commands.write_all(format!("auth {}\n\n", pbx.event_secret()).as_bytes()).unwrap();
        }
        let mut replies = commands.try_clone().unwrap();
        thread::spawn(move || std::io::copy(&mut replies, &mut std::io::sink()));
        thread::spawn(move || match kind {
            Kind::FreeSwitch => freeswitch(reader, commands, &state),
            Kind::Asterisk => asterisk(reader, &state),
        });
        assert!(wait_until(Duration::from_secs(10), || shared.lock().unwrap().subscribed), "no events: {}", pbx.log());
        AgentDouble { shared, socket, legs: Mutex::default() }
    }

    /// Changes the answer.
    pub(crate) fn reply(&self, reply: Reply) {
        self.shared.lock().unwrap().reply = reply;
    }

    /// On Asterisk: answers in several variables from now on, as an agent of an earlier version does.
    pub(crate) fn answers_as_before(&self) {
        self.shared.lock().unwrap().earlier = true;
    }

    /// How many actions its answers took so far.
    pub(crate) fn actions(&self) -> usize {
        self.shared.lock().unwrap().actions
    }

    /// What was announced so far.
    pub(crate) fn announcements(&self) -> Vec<Fields> {
        self.shared.lock().unwrap().announcements.clone()
    }

    /// What was announced, as soon as there are `n`: a call that isn't held can be over before its announcement is read.
    pub(crate) fn wait_for_announcements(&self, n: usize) -> Vec<Fields> {
        wait_until(Duration::from_secs(5), || self.announcements().len() >= n);
        self.announcements()
    }

    /// Forgets them.
    pub(crate) fn forget(&self) {
        self.shared.lock().unwrap().announcements.clear();
    }

    /// The marks of the two legs of the only call, as an agent that has just started finds them.
    pub(crate) fn legs(&self, pbx: &Pbx) -> (Fields, Fields) {
        let list = || match pbx.kind() {
            Kind::FreeSwitch => freeswitch_legs(pbx),
            Kind::Asterisk => asterisk_legs(pbx),
        };
        // FreeSWITCH writes its channel list with a delay.
        lab::wait_until(Duration::from_secs(1), || list().len() == 2);
        let mut legs = list();
        legs.sort_by_key(|leg| leg.get("side").is_empty());
        assert_eq!(legs.len(), 2, "{legs:?}");
        self.legs.lock().unwrap().clone_from(&legs);
        (legs[0].clone(), legs[1].clone())
    }
}

impl Drop for AgentDouble {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

/// The variables of the answer, with the contract's names.
fn answer(reply: Reply) -> Option<Vec<(&'static str, String)>> {
    let variables = match reply {
        Reply::Silence => return None,
        Reply::Route(route) | Reply::LateRoute(route, _) => vec![("route", route), ("call", "c-1")],
        Reply::Packet => vec![
            ("route", "packet"),
            ("call", "c-1"),
            ("trunk", "sidecall"),
            ("uui", super::UUI),
            ("uri", "https://node.example/a/T-1"),
        ],
        Reply::PacketBetween(caller, number) => {
            vec![("route", "packet"), ("call", "c-1"), ("number", number), ("caller", caller)]
        }
        Reply::Enrolled(enrolled) => vec![("enrolled", enrolled)],
    };
    Some(variables.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
}

/// One block of `Name: value` lines.
pub(crate) fn block(lines: &mut impl BufRead) -> Option<BTreeMap<String, String>> {
    let mut fields = BTreeMap::new();
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Some(fields);
        }
        if let Some((name, value)) = line.split_once(": ") {
            fields.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// Writes an announcement down; the variables that answer it.
fn note(
    state: &Mutex<Shared>,
    fields: &BTreeMap<String, String>,
    name: impl Fn(&str) -> String,
) -> Option<Vec<(&'static str, String)>> {
    let names =
        ["agent", "side", "calling", "withheld", "called", "hold", "received", "sent", "tenant", "refused", "digits"];
    let value = |field: &str| decode(fields.get(&name(field)).map_or("", String::as_str));
    let seen = names.iter().map(|field| ((*field).to_owned(), value(field))).collect();
    let mut state = state.lock().unwrap();
    state.announcements.push(Fields(seen));
    let reply = state.reply;
    drop(state);
    if let Reply::LateRoute(_, after) = reply {
        if value("hold") == "0" {
            return None;
        }
        thread::sleep(after);
    }
    let mut variables = answer(reply)?;
    // The lab's numbers: +12125551001 is 1001.
    if let Some(extension) = value("called").strip_prefix("+1212555") {
        variables.push(("extension", extension.to_owned()));
    }
    Some(variables)
}

/// The same in one variable.
fn joined_answer(variables: &[(&'static str, String)]) -> String {
    let fields = ["call", "route", "reason", "trunk", "number", "caller", "extension", "uui", "uri"];
    let value = |field: &str| variables.iter().find(|(name, _)| *name == field).map_or("", |(_, value)| value.as_str());
    fields.map(value).join("|")
}

fn freeswitch(socket: TcpStream, mut commands: TcpStream, state: &Mutex<Shared>) {
    let mut lines = BufReader::new(socket);
    while let Some(head) = block(&mut lines) {
        let length = head.get("Content-Length").and_then(|n| n.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        if lines.read_exact(&mut body).is_err() {
            return;
        }
        if head.get("Reply-Text").is_some_and(|text| text.contains("event listener enabled")) {
            state.lock().unwrap().subscribed = true;
        }
        let Some(event) = block(&mut &body[..]).filter(|event| event.contains_key("Event-Subclass")) else {
            continue;
        };
        let Some(variables) = note(state, &event, |field| format!("sidecall_{field}")) else {
            continue;
        };
        state.lock().unwrap().actions += 2;
        let uuid = &event["Unique-ID"];
        let set: Vec<String> = variables.iter().map(|(name, value)| format!("sidecall_{name}={value}")).collect();
        let answer = format!("api uuid_setvar_multi {uuid} {}\n\napi uuid_break {uuid} all\n\n", set.join(";"));
        if commands.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn asterisk(mut socket: TcpStream, state: &Mutex<Shared>) {
    let mut lines = BufReader::new(socket.try_clone().unwrap());
    while let Some(event) = block(&mut lines) {
        if event.get("Response").is_some_and(|response| response == "Success") {
            state.lock().unwrap().subscribed = true;
        }
        if !matches!(event.get("UserEvent").map(String::as_str), Some("SidecallSetup" | "SidecallEnrol")) {
            continue;
        }
        let capital = |field: &str| field[..1].to_uppercase() + &field[1..];
        let Some(variables) = note(state, &event, capital) else {
            continue;
        };
        let channel = &event["Channel"];
        let joined = event.get("Answer").is_some_and(|answer| answer == "1") && !state.lock().unwrap().earlier;
        let variables = if joined { vec![("answer", joined_answer(&variables))] } else { variables };
        state.lock().unwrap().actions += variables.len() + 1;
        let mut actions = String::new();
        for (name, value) in variables {
            let name = name.to_uppercase();
            actions +=
                &format!("Action: Setvar\r\nChannel: {channel}\r\nVariable: SIDECALL_{name}\r\nValue: {value}\r\n\r\n");
        }
        actions += &format!(
            "Action: Redirect\r\nChannel: {channel}\r\nContext: {}\r\nExten: {}\r\nPriority: sidecall-go\r\n\r\n",
            event["Context"], event["Exten"]
        );
        if socket.write_all(actions.as_bytes()).is_err() {
            return;
        }
    }
}

fn freeswitch_legs(pbx: &Pbx) -> Vec<Fields> {
    let channels = pbx.console("show channels as delim |");
    let uuids = channels.lines().skip(1).filter_map(|line| line.split_once('|')).map(|(uuid, _)| uuid);
    let read = |uuid: &str, name: &str| {
        let value = pbx.console(&format!("uuid_getvar {uuid} {name}"));
        if value == "_undef_" { String::new() } else { value }
    };
    uuids
        .filter(|uuid| uuid.len() == 36)
        .map(|uuid| {
            let mut leg: BTreeMap<String, String> = ["call", "calling", "called", "side"]
                .iter()
                .map(|name| ((*name).to_owned(), read(uuid, &format!("sidecall_{name}"))))
                .collect();
            leg.insert("mark".into(), read(uuid, "sidecall"));
            Fields(leg)
        })
        .collect()
}

/// From `Status`, which shows the variables that it is asked for.
fn asterisk_legs(pbx: &Pbx) -> Vec<Fields> {
    let mut socket = TcpStream::connect(pbx.event_addr()).unwrap();
    let login = format!(
        "Action: Login\r\nUsername: {}\r\nSecret: {}\r\nEvents: off\r\n\r\nAction: Status\r\n\
         Variables: SIDECALL,SIDECALL_ANSWER,SIDECALL_SIDE,SIDECALL_CALLING,SIDECALL_CALLED\r\n\r\n",
        pbx.event_user().unwrap(),
        pbx.event_secret()
    );
    socket.write_all(login.as_bytes()).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let mut lines = BufReader::new(socket);
    let mut legs = Vec::new();
    let mut leg = BTreeMap::new();
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|n| n > 0) && !line.contains("StatusComplete") {
        if let Some((name, value)) =
            line.trim_end().strip_prefix("Variable: SIDECALL").and_then(|text| text.split_once('='))
        {
            let (name, value) = match name.trim_start_matches('_').to_lowercase().as_str() {
                "" => ("mark".to_owned(), value),
                "answer" => ("call".to_owned(), value.split('|').next().unwrap_or_default()),
                name => (name.to_owned(), value),
            };
            leg.insert(name, value.to_owned());
        }
        if line.trim().is_empty() && !leg.is_empty() {
            legs.push(Fields(std::mem::take(&mut leg)));
        }
        line.clear();
    }
    legs
}

/// URL decoding, as `event plain` needs it.
fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let hex: Vec<u8> = bytes.by_ref().take(2).collect();
            let hex = String::from_utf8_lossy(&hex).into_owned();
            out.push(u8::from_str_radix(&hex, 16).unwrap_or(b'?'));
        } else {
            out.push(byte);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// FreeSWITCH's outbound socket: takes each call, sets the packet route and lets go.
pub(crate) fn listen_directly(addr: SocketAddr) -> thread::JoinHandle<()> {
    let listener = TcpListener::bind(addr).unwrap();
    thread::spawn(move || {
        for mut call in listener.incoming().take(1).flatten() {
            let mut lines = BufReader::new(call.try_clone().unwrap());
            call.write_all(b"connect\n\n").unwrap();
            let data = block(&mut lines).unwrap();
            eprintln!("direct: {:?}", data.iter().filter(|(name, _)| name.contains("sidecall")).collect::<Vec<_>>());
            for (name, value) in answer(Reply::Packet).unwrap() {
                let execute = format!(
                    "sendmsg\ncall-command: execute\nexecute-app-name: set\nexecute-app-arg: sidecall_{name}={value}\n\n"
                );
                call.write_all(execute.as_bytes()).unwrap();
                let _ = block(&mut lines);
            }
        }
        let _ = wait_until(Duration::from_millis(1), || true);
    })
}
