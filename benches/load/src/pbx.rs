//! One scripted PBX and its calls.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lab::scripted::{Action, Asterisk, Freeswitch, Heard, micros};
use tokio::sync::{mpsc, oneshot};

use crate::recording::{Recording, Template};

/// What is particular to a call. Of two, the first is the calling side's.
#[derive(Debug, Clone)]
pub struct Call {
    pub numbers: [String; 2],
    pub legs: [String; 2],
    /// How the PBX names the channels of the legs.
    pub channels: [String; 2],
    pub bridge: String,
    pub agent: String,
    pub hold: String,
    pub sent: String,
    /// As the node calls it; empty until it has decided.
    pub id: String,
}

impl Call {
    /// What stands in a slot of a [`Template`].
    pub fn value(&self, slot: &str) -> &str {
        match slot {
            "calling" => &self.numbers[0],
            "called" => &self.numbers[1],
            "calling_leg" => &self.legs[0],
            "called_leg" => &self.legs[1],
            "calling_channel" => &self.channels[0],
            "called_channel" => &self.channels[1],
            "bridge" => &self.bridge,
            "agent" => &self.agent,
            "hold" => &self.hold,
            "sent" => &self.sent,
            "id" => &self.id,
            other => unreachable!("no slot is called {other}"),
        }
    }
}

/// The dialplan may go on with a call.
#[derive(Debug)]
pub struct Decided {
    /// When the PBX had read that.
    pub at: Instant,
    /// The call's id.
    pub call: String,
}

pub struct LoadPbx {
    pub name: String,
    script: Script,
    recording: Recording,
    /// Calls that wait for their decision, by the channel that is held.
    held: Mutex<HashMap<String, Held>>,
    /// How many calls it has had.
    calls: AtomicU64,
    /// When it started, as Asterisk's ids begin.
    started: u128,
}

enum Script {
    Freeswitch(Freeswitch),
    Asterisk(Asterisk),
}

struct Held {
    id: String,
    decided: oneshot::Sender<Decided>,
}

/// What an agent's command does to a held channel.
enum Answer {
    /// Sets the call's id.
    Id(String),
    /// Ends the hold.
    Release,
}

impl LoadPbx {
    /// The n-th one. Every other is an Asterisk.
    pub async fn start(n: usize) -> Arc<LoadPbx> {
        match n % 2 {
            0 => {
                let mut script = Freeswitch::start().await;
                let commands = std::mem::replace(&mut script.commands, mpsc::unbounded_channel().1);
                let pbx = LoadPbx::new(n, Script::Freeswitch(script), Recording::freeswitch());
                tokio::spawn(Arc::clone(&pbx).listen(commands, |command| freeswitch_answer(command)));
                pbx
            }
            _ => {
                let mut script = Asterisk::start().await;
                let actions = std::mem::replace(&mut script.actions, mpsc::unbounded_channel().1);
                let pbx = LoadPbx::new(n, Script::Asterisk(script), Recording::asterisk());
                tokio::spawn(Arc::clone(&pbx).listen(actions, asterisk_answer));
                pbx
            }
        }
    }

    fn new(n: usize, script: Script, recording: Recording) -> Arc<LoadPbx> {
        let (held, calls, started) = (Mutex::default(), AtomicU64::new(0), micros() / 1_000_000);
        Arc::new(LoadPbx { name: format!("pbx-{n}"), script, recording, held, calls, started })
    }

    /// Its `kind` and `address` in `sidecall.toml`.
    pub fn endpoint(&self) -> (&'static str, SocketAddr) {
        match &self.script {
            Script::Freeswitch(script) => ("freeswitch", script.address),
            Script::Asterisk(script) => ("asterisk", script.address),
        }
    }

    /// Announces a call between two numbers, and says how to wait for the decision.
    pub fn announce(&self, numbers: [String; 2], hold: Duration) -> (Call, oneshot::Receiver<Decided>) {
        let call = self.new_call(numbers, hold);
        let (decided, decision) = oneshot::channel();
        self.held().insert(call.channels[0].clone(), Held { id: String::new(), decided });
        self.list(&call.legs[0], self.recording.held.fill(&call));
        self.say(&self.recording.announced, &call);
        (call, decision)
    }

    /// The hold is over: what is said of it from now on comes too late.
    pub fn stop_waiting(&self, call: &Call) {
        self.held().remove(&call.channels[0]);
    }

    /// The called phone answers, and both hear each other.
    pub fn answer(&self, call: &Call) {
        for (leg, status) in call.legs.iter().zip(&self.recording.talking) {
            self.list(leg, status.fill(call));
        }
        self.say(&self.recording.answered, call);
    }

    /// Both channels are gone.
    pub fn hang_up(&self, call: &Call) {
        for leg in &call.legs {
            match &self.script {
                Script::Freeswitch(script) => script.lose(leg),
                Script::Asterisk(script) => script.lose(leg),
            }
        }
        self.say(&self.recording.over, call);
    }

    fn new_call(&self, numbers: [String; 2], hold: Duration) -> Call {
        let n = self.calls.fetch_add(1, Ordering::Relaxed);
        let now = micros();
        let (legs, channels, agent, sent) = match &self.script {
            Script::Freeswitch(script) => {
                let legs = [0, 1].map(|side| format!("{n:08x}-0000-4000-8000-00000000000{side}"));
                (legs.clone(), legs, script.owner(), now.to_string())
            }
            Script::Asterisk(script) => {
                let legs = [2 * n, 2 * n + 1].map(|channel| format!("{}.{channel}", self.started));
                let channel = |side: usize| format!("PJSIP/{}-{:08x}", numbers[side], 2 * n + side as u64);
                let sent = format!("{}.{:06}", now / 1_000_000, now % 1_000_000);
                (legs, [channel(0), channel(1)], script.owner(), sent)
            }
        };
        let (bridge, hold) = (format!("{n:08x}-0000-4000-8000-000000000002"), hold.as_millis().to_string());
        Call { numbers, legs, channels, bridge, agent, hold, sent, id: String::new() }
    }

    fn say(&self, events: &[Template], call: &Call) {
        let events = events.iter().map(|event| event.fill(call));
        match &self.script {
            Script::Freeswitch(script) => events.for_each(|event| {
                script.event(event);
            }),
            Script::Asterisk(script) => script.event(events.collect()),
        }
    }

    fn list(&self, leg: &str, status: String) {
        match &self.script {
            Script::Freeswitch(script) => script.list(leg, status),
            Script::Asterisk(script) => script.list(leg, status),
        }
    }

    /// Reads what the agent says of held channels.
    async fn listen<T>(self: Arc<Self>, mut said: Heard<T>, read: fn(&T) -> Option<(&str, Answer)>) {
        while let Some((at, said)) = said.recv().await {
            let Some((channel, answer)) = read(&said) else { continue };
            let mut held = self.held();
            match answer {
                Answer::Id(id) => {
                    if let Some(held) = held.get_mut(channel) {
                        held.id = id;
                    }
                }
                Answer::Release => {
                    if let Some(Held { id, decided }) = held.remove(channel) {
                        // Whoever has stopped waiting needs no decision.
                        let _ = decided.send(Decided { at, call: id });
                    }
                }
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `api uuid_setvar_multi LEG sidecall_route=local;sidecall_call=…`, then `api uuid_break LEG all`.
fn freeswitch_answer(command: &str) -> Option<(&str, Answer)> {
    let mut words = command.strip_prefix("api ")?.splitn(3, ' ');
    let (name, leg, rest) = (words.next()?, words.next()?, words.next()?);
    match name {
        "uuid_setvar_multi" => {
            let id = rest.split(';').find_map(|variable| variable.strip_prefix("sidecall_call="))?;
            Some((leg, Answer::Id(id.to_owned())))
        }
        "uuid_break" => Some((leg, Answer::Release)),
        _ => None,
    }
}

/// `Setvar` of `SIDECALL_ANSWER=CALL|local|…`, then `Redirect`.
fn asterisk_answer(action: &Action) -> Option<(&str, Answer)> {
    let channel = action.get("Channel");
    match (action.get("Action"), action.get("Variable")) {
        ("Setvar", "SIDECALL_ANSWER") => {
            let id = action.get("Value").split('|').next()?;
            Some((channel, Answer::Id(id.to_owned())))
        }
        ("Redirect", _) => Some((channel, Answer::Release)),
        _ => None,
    }
}
