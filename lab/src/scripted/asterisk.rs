//! A scripted Asterisk: its manager interface.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, mpsc};

use super::{BACKLOG, Heard, Subscription, micros, next_event};

/// A manager interface that logs everybody in and says what it is told to.
pub struct Asterisk {
    pub address: SocketAddr,
    /// All actions of all sessions.
    pub actions: Heard<Action>,
    sessions: Arc<Sessions>,
}

/// An action: its fields as they came.
#[derive(Debug, Clone, Default)]
pub struct Action(Vec<(String, String)>);

struct Sessions {
    script: Mutex<Script>,
    events: broadcast::Sender<Arc<str>>,
    heard: mpsc::UnboundedSender<(Instant, Action)>,
}

#[derive(Default)]
struct Script {
    globals: HashMap<String, String>,
    /// Channels and their entries in the list of `Status`.
    channels: HashMap<String, String>,
}

impl Action {
    /// The field's value; the empty string if there is none.
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(own, _)| own == name).map_or("", |(_, value)| value)
    }
}

impl Asterisk {
    pub async fn start() -> Asterisk {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (heard, actions) = mpsc::unbounded_channel();
        let sessions = Arc::new(Sessions { script: Mutex::default(), events: broadcast::channel(BACKLOG).0, heard });
        let shared = Arc::clone(&sessions);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sessions = Arc::clone(&shared);
                tokio::spawn(async move { sessions.serve(stream).await });
            }
        });
        Asterisk { address, actions, sessions }
    }

    /// The agent that has attached.
    pub fn owner(&self) -> String {
        self.sessions.script().globals.get("SIDECALL_AGENT").cloned().unwrap_or_default()
    }

    /// A channel is there from now on: its `Event: Status`, without the empty line.
    pub fn list(&self, leg: &str, status: String) {
        self.sessions.script().channels.insert(leg.to_owned(), status);
    }

    /// The channel is gone, and nobody says so.
    pub fn lose(&self, leg: &str) {
        self.sessions.script().channels.remove(leg);
    }

    /// Whatever it tells its subscribers: events with their empty lines.
    pub fn event(&self, events: String) {
        let _ = self.sessions.events.send(events.into());
    }
}

impl Sessions {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let (mut events, mut action): (Subscription, _) = (None, Action::default());
        let mut text: Arc<str> = "Asterisk Call Manager/11.0.0\r\n".into();
        while writer.write_all(text.as_bytes()).await.is_ok() {
            text = tokio::select! {
                Some(event) = next_event(&mut events) => event,
                line = lines.next_line() => match line {
                    Ok(Some(line)) if line.is_empty() => {
                        let action = std::mem::take(&mut action);
                        if action.get("Action") == "Login" && action.get("Events") != "off" {
                            events = Some(self.events.subscribe());
                        }
                        let reply = self.reply(&action);
                        let _ = self.heard.send((Instant::now(), action));
                        reply.into()
                    }
                    Ok(Some(line)) => {
                        action.0.extend(line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())));
                        "".into()
                    }
                    Ok(None) | Err(_) => return,
                },
            };
        }
    }

    fn reply(&self, action: &Action) -> String {
        let mut script = self.script();
        let id = action.get("ActionID");
        let mut reply = format!("Response: Success\r\nActionID: {id}\r\n");
        let variable = action.get("Variable");
        match action.get("Action") {
            "Challenge" => reply += "Challenge: 840415273\r\n",
            "CoreSettings" => reply += "AsteriskVersion: 22.0.0\r\n",
            "Getvar" if variable.starts_with("STRFTIME") => {
                let now = micros();
                let _ = write!(reply, "Value: {}.{:06}\r\n", now / 1_000_000, now % 1_000_000);
            }
            "Getvar" => {
                let value = script.globals.get(variable).map_or("", String::as_str);
                let _ = write!(reply, "Value: {value}\r\n");
            }
            "Setvar" if action.get("Channel").is_empty() => {
                script.globals.insert(variable.to_owned(), action.get("Value").to_owned());
            }
            "Status" => reply += &list(id, "Status", script.channels.values()),
            "BridgeList" => reply += &list(id, "BridgeList", bridges(script.channels.values()).iter()),
            _ => {}
        }
        reply + "\r\n"
    }
}

/// An entry for each bridge that a channel is in.
fn bridges<'a>(channels: impl Iterator<Item = &'a String>) -> Vec<String> {
    let bridge = |channel: &'a String| channel.lines().find_map(|line| line.strip_prefix("BridgeID: "));
    let bridges: BTreeSet<&str> = channels.filter_map(bridge).filter(|bridge| !bridge.is_empty()).collect();
    let entry = |bridge: &str| {
        format!(
            "Event: BridgeListItem\r\nBridgeUniqueid: {bridge}\r\nBridgeType: basic\r\n\
             BridgeTechnology: simple_bridge\r\nBridgeCreator: <unknown>\r\nBridgeName: <unknown>\r\n\
             BridgeNumChannels: 2\r\nBridgeVideoSourceMode: none\r\n"
        )
    };
    bridges.into_iter().map(entry).collect()
}

/// A list behind the first lines of its reply, without the last empty line.
fn list<'a>(id: &str, name: &str, entries: impl ExactSizeIterator<Item = &'a String>) -> String {
    let count = entries.len();
    let mut text = "EventList: start\r\n\r\n".to_owned();
    for entry in entries {
        let _ = write!(text, "{entry}ActionID: {id}\r\n\r\n");
    }
    let _ = write!(text, "Event: {name}Complete\r\nActionID: {id}\r\nEventList: Complete\r\nListItems: {count}\r\n");
    text
}
