//! A scripted FreeSWITCH: its event socket.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};

use super::{BACKLOG, Heard, Subscription, micros, next_event};

/// An event socket that does as it is told.
pub struct Freeswitch {
    pub address: SocketAddr,
    /// All commands of all connections.
    pub commands: Heard<String>,
    /// The first command of each connection, and whether it came before the greeting.
    pub first: Heard<(String, bool)>,
    connections: Arc<Connections>,
}

#[derive(Default)]
struct Script {
    globals: HashMap<String, String>,
    /// How long it takes to reply to an `api`, by name: meanwhile it reads nothing more of that connection.
    slow: HashMap<String, Duration>,
    /// Channels and what `uuid_dump` says of them.
    channels: HashMap<String, String>,
    /// The list of channels comes without its rows.
    cut_short: bool,
}

struct Connections {
    script: Mutex<Script>,
    events: broadcast::Sender<Arc<str>>,
    /// Ends all connections.
    cut: broadcast::Sender<()>,
    /// How long a connection waits for its greeting.
    greeting: Duration,
    heard: mpsc::UnboundedSender<(Instant, String)>,
    first: mpsc::UnboundedSender<(Instant, (String, bool))>,
}

impl Freeswitch {
    pub async fn start() -> Freeswitch {
        Freeswitch::start_greeting_after(Duration::ZERO).await
    }

    /// One that takes so long to ask for the password.
    pub async fn start_greeting_after(greeting: Duration) -> Freeswitch {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (heard, commands) = mpsc::unbounded_channel();
        let (noted, first) = mpsc::unbounded_channel();
        let (script, events, cut) = (Mutex::default(), broadcast::channel(BACKLOG).0, broadcast::channel(1).0);
        let connections = Arc::new(Connections { script, events, cut, greeting, heard, first: noted });
        let shared = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connections = Arc::clone(&shared);
                tokio::spawn(async move { connections.serve(stream).await });
            }
        });
        Freeswitch { address, commands, first, connections }
    }

    /// The agent that has attached.
    pub fn owner(&self) -> String {
        self.connections.script().globals.get("sidecall_agent").cloned().unwrap_or_default()
    }

    /// Says this of a global variable from now on: its value, or a refusal.
    pub fn set_global(&self, name: &str, value: &str) {
        self.connections.script().globals.insert(name.to_owned(), value.to_owned());
    }

    /// Takes so long for each of these from now on.
    pub fn slow(&self, api: &str, by: Duration) {
        self.connections.script().slow.insert(api.to_owned(), by);
    }

    /// Ends all connections, as a restart does; it can be connected to again at once.
    pub fn cut(&self) {
        let _ = self.connections.cut.send(());
    }

    /// A channel is there from now on, and `uuid_dump` says this of it.
    pub fn list(&self, leg: &str, dump: String) {
        self.connections.script().channels.insert(leg.to_owned(), dump);
    }

    /// A channel that the snippet has marked, as a snapshot shows it.
    pub fn channel(&self, leg: &str, called: &str) {
        self.list(leg, format!("Unique-ID: {leg}\nAnswer-State: ringing\nCall-Direction: inbound\n{}", tags(called)));
    }

    /// A marked channel whose dialplan has been told the id of its call.
    pub fn decided(&self, leg: &str, called: &str, call: &str) {
        self.channel(leg, called);
        let mut script = self.connections.script();
        script.channels.entry(leg.to_owned()).or_default().push_str(&format!("variable_sidecall_call: {call}\n"));
    }

    /// A channel that no snippet has marked.
    pub fn unmarked(&self, leg: &str) {
        self.list(leg, format!("Unique-ID: {leg}\nAnswer-State: ringing\nCall-Direction: inbound\n"));
    }

    /// The channel is gone, and nobody says so.
    pub fn lose(&self, leg: &str) {
        self.connections.script().channels.remove(leg);
    }

    /// From now on the list of channels is cut short, or whole again.
    pub fn cut_short(&self, is_cut: bool) {
        self.connections.script().cut_short = is_cut;
    }

    /// A sign of life of a core; of another one than before, if it has restarted meanwhile.
    pub fn beat(&self, core: &str) {
        self.event(format!("Event-Name: HEARTBEAT\nCore-UUID: {core}\n\n"));
    }

    /// The snippet's announcement. When it was written.
    pub fn announce(&self, leg: &str, called: &str) -> Instant {
        let sent = micros();
        let owner = self.owner();
        let padding: String =
            (0..120).map(|n| format!("variable_padding_{n}: as%20long%20as%20real%20ones\n")).collect();
        self.event(format!(
            "Event-Name: CUSTOM\nEvent-Subclass: sidecall%3A%3Asetup\nEvent-Date-Timestamp: {sent}\n\
             sidecall_agent: {owner}\nsidecall_hold: 500\nUnique-ID: {leg}\n{padding}{}\n",
            tags(called)
        ))
    }

    /// The announcement of a call whose dialplan says more of it: `sidecall_…` without its prefix, and value.
    pub fn announce_with(&self, leg: &str, called: &str, fields: &[(&str, &str)]) {
        self.announce_at(micros(), leg, called, fields);
    }

    /// The same with this time on it, in microseconds since 1970.
    pub fn announce_at(&self, sent: u128, leg: &str, called: &str, fields: &[(&str, &str)]) {
        let owner = self.owner();
        let more: String = fields.iter().map(|(name, value)| format!("variable_sidecall_{name}: {value}\n")).collect();
        self.event(format!(
            "Event-Name: CUSTOM\nEvent-Subclass: sidecall%3A%3Asetup\nEvent-Date-Timestamp: {sent}\n\
             sidecall_agent: {owner}\nsidecall_hold: 500\nUnique-ID: {leg}\n{more}{}\n",
            tags(called)
        ));
    }

    /// The end of a leg.
    pub fn hang_up(&self, leg: &str) {
        self.event(format!("Event-Name: CHANNEL_HANGUP_COMPLETE\nUnique-ID: {leg}\nHangup-Cause: NORMAL_CLEARING\n\n"));
    }

    /// Whatever it tells its subscribers: `Name: value` lines and an empty one.
    pub fn event(&self, body: String) -> Instant {
        let frame = format!("Content-Length: {}\nContent-Type: text/event-plain\n\n{body}", body.len());
        let now = Instant::now();
        let _ = self.connections.events.send(frame.into());
        now
    }
}

fn tags(called: &str) -> String {
    format!(
        "variable_sidecall_side: originating\nvariable_sidecall_calling: 1001\nvariable_sidecall_called: {called}\n"
    )
}

impl Connections {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let (mut cut, mut events, mut first): (_, Subscription, _) = (self.cut.subscribe(), None, true);
        let early = tokio::time::timeout(self.greeting, lines.next_line()).await;
        if let Ok(Ok(Some(line))) = &early {
            let _ = self.first.send((Instant::now(), (line.clone(), true)));
        }
        if writer.write_all(b"Content-Type: auth/request\n\n").await.is_err() {
            return;
        }
        loop {
            tokio::select! {
                _ = cut.recv() => return,
                Some(event) = next_event(&mut events) => {
                    if writer.write_all(event.as_bytes()).await.is_err() {
                        return;
                    }
                }
                line = lines.next_line() => {
                    let Ok(Some(line)) = line else { return };
                    if line.is_empty() {
                        continue;
                    }
                    if line.starts_with("event ") && events.is_none() {
                        events = Some(self.events.subscribe());
                    }
                    let _ = self.heard.send((Instant::now(), line.clone()));
                    if std::mem::take(&mut first) {
                        let _ = self.first.send((Instant::now(), (line.clone(), false)));
                    }
                    let reply = match line.strip_prefix("api ") {
                        Some(api) => {
                            let takes = self.takes(api);
                            if !takes.is_zero() {
                                tokio::time::sleep(takes).await;
                            }
                            let body = self.api(api);
                            format!("Content-Type: api/response\nContent-Length: {}\n\n{body}", body.len())
                        }
                        None => "Content-Type: command/reply\nReply-Text: +OK accepted\n\n".to_owned(),
                    };
                    if writer.write_all(reply.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn takes(&self, api: &str) -> Duration {
        let name = api.split(' ').next().unwrap_or_default();
        self.script().slow.get(name).copied().unwrap_or_default()
    }

    fn api(&self, api: &str) -> String {
        let mut script = self.script();
        let (name, rest) = api.split_once(' ').unwrap_or((api, ""));
        match name {
            "strmicroepoch" => micros().to_string(),
            "global_getvar" => match script.globals.get(rest).filter(|value| !value.is_empty()) {
                Some(value) => value.clone(),
                None => "-ERR no reply\n".to_owned(),
            },
            "global_setvar" => {
                let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
                script.globals.insert(name.to_owned(), value.to_owned());
                "+OK\n".to_owned()
            }
            "show" => {
                let rows: Vec<_> = script.channels.keys().map(|leg| json!({ "uuid": leg })).collect();
                let shown = if script.cut_short { &[] } else { &rows[..] };
                json!({ "row_count": rows.len(), "rows": shown }).to_string()
            }
            "uuid_dump" => script.channels.get(rest).cloned().unwrap_or_else(|| "-ERR No such channel!\n".to_owned()),
            _ => "+OK\n".to_owned(),
        }
    }
}
