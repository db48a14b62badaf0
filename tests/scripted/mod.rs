//! A scripted FreeSWITCH and a scripted node, for what a real one does too seldom or too slowly. Used
//! by tests (`mod scripted;`) and by a bench (`#[path]`).

// Each user has its own part of this.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

pub mod node;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use node::Node;
use serde_json::{Value, json};
use sidecall::agent::{Agent, AgentConfig};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What was said to one of the two, and when.
pub type Heard<T> = mpsc::UnboundedReceiver<(Instant, T)>;

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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (heard, commands) = mpsc::unbounded_channel();
        let (noted, first) = mpsc::unbounded_channel();
        let (script, events, cut) = (Mutex::default(), broadcast::channel(10_000).0, broadcast::channel(1).0);
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
        self.connections.script.lock().unwrap().globals.get("sidecall_agent").cloned().unwrap_or_default()
    }

    /// Takes so long for each of these from now on.
    pub fn slow(&self, api: &str, by: Duration) {
        self.connections.script.lock().unwrap().slow.insert(api.to_owned(), by);
    }

    /// Ends all connections, as a restart does; it can be connected to again at once.
    pub fn cut(&self) {
        let _ = self.connections.cut.send(());
    }

    /// A channel that the snippet has marked, as a snapshot shows it.
    pub fn channel(&self, leg: &str, called: &str) {
        let dump = format!("Unique-ID: {leg}\nAnswer-State: ringing\nCall-Direction: inbound\n{}", tags(called));
        self.connections.script.lock().unwrap().channels.insert(leg.to_owned(), dump);
    }

    /// A marked channel whose dialplan has been told the id of its call.
    pub fn decided(&self, leg: &str, called: &str, call: &str) {
        self.channel(leg, called);
        let mut script = self.connections.script.lock().unwrap();
        script.channels.get_mut(leg).unwrap().push_str(&format!("variable_sidecall_call: {call}\n"));
    }

    /// A channel that no snippet has marked.
    pub fn unmarked(&self, leg: &str) {
        let dump = format!("Unique-ID: {leg}\nAnswer-State: ringing\nCall-Direction: inbound\n");
        self.connections.script.lock().unwrap().channels.insert(leg.to_owned(), dump);
    }

    /// The channel is gone, and nobody says so.
    pub fn lose(&self, leg: &str) {
        self.connections.script.lock().unwrap().channels.remove(leg);
    }

    /// From now on the list of channels is cut short, or whole again.
    pub fn cut_short(&self, is_cut: bool) {
        self.connections.script.lock().unwrap().cut_short = is_cut;
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

pub fn micros() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()
}

impl Connections {
    async fn serve(&self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let mut events = self.events.subscribe();
        let (mut cut, mut subscribed, mut first) = (self.cut.subscribe(), false, true);
        let early = tokio::time::timeout(self.greeting, lines.next_line()).await;
        if let Ok(Ok(Some(line))) = &early {
            let _ = self.first.send((Instant::now(), (line.clone(), true)));
        }
        writer.write_all(b"Content-Type: auth/request\n\n").await.unwrap();
        loop {
            tokio::select! {
                _ = cut.recv() => return,
                Ok(event) = events.recv(), if subscribed => {
                    if writer.write_all(event.as_bytes()).await.is_err() {
                        return;
                    }
                }
                line = lines.next_line() => {
                    let Ok(Some(line)) = line else { return };
                    if line.is_empty() {
                        continue;
                    }
                    let _ = self.heard.send((Instant::now(), line.clone()));
                    if std::mem::take(&mut first) {
                        let _ = self.first.send((Instant::now(), (line.clone(), false)));
                    }
                    subscribed |= line.starts_with("event ");
                    let reply = match line.strip_prefix("api ") {
                        Some(api) => {
                            tokio::time::sleep(self.takes(api)).await;
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
        self.script.lock().unwrap().slow.get(name).copied().unwrap_or_default()
    }

    fn api(&self, api: &str) -> String {
        let mut script = self.script.lock().unwrap();
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

/// Waits for something that is said.
pub async fn until<T>(heard: &mut Heard<T>, wanted: impl Fn(&T) -> bool) -> T {
    until_within(Duration::from_secs(5), heard, wanted).await
}

/// Waits so long for something that is said.
pub async fn until_within<T>(limit: Duration, heard: &mut Heard<T>, wanted: impl Fn(&T) -> bool) -> T {
    let find = async {
        loop {
            let (_, said) = heard.recv().await.unwrap();
            if wanted(&said) {
                return said;
            }
        }
    };
    tokio::time::timeout(limit, find).await.expect("it was not said")
}

/// An agent between the two.
pub fn agent(freeswitch: SocketAddr, node: SocketAddr) -> Agent {
    agent_with(freeswitch, node, json!({}))
}

/// An agent whose `[[pbx]]` has more keys.
pub fn agent_with(freeswitch: SocketAddr, node: SocketAddr, keys: Value) -> Agent {
    // As the binary does; it may have been done by another test.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = AgentConfig {
        node: format!("http://{node}").parse().unwrap(),
        token: Some("token".into()),
        ..AgentConfig::default()
    };
    let mut pbx = json!({ "name": "office", "kind": "freeswitch",
        "address": freeswitch.to_string(), "password": "secret", "context": "pbx.example", "region": "US" });
    for (key, value) in keys.as_object().unwrap() {
        pbx[key] = value.clone();
    }
    Agent::new(config, vec![serde_json::from_value(pbx).unwrap()]).unwrap()
}

/// An agent that runs.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    pub fn start(agent: Agent) -> Running {
        let stop = CancellationToken::new();
        Running { task: tokio::spawn(agent.run(stop.clone())), stop }
    }

    /// Waits for its goodbye.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Kills it.
    pub fn abort(self) {
        self.task.abort();
    }
}

/// An agent whose link to both is up.
pub async fn linked() -> (Freeswitch, Node, Running) {
    linked_with(json!({})).await
}

/// The same with more keys in its `[[pbx]]`.
pub async fn linked_with(keys: Value) -> (Freeswitch, Node, Running) {
    let freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let agent = Running::start(agent_with(freeswitch.address, node.address, keys));
    until(&mut node.links, |report| report["link"] == "up").await;
    (freeswitch, node, agent)
}
