//! What one call costs the PBX: the applications that run, the variables that are set, the events that name a channel, and
//! the agent's actions. `cost.txt` has the numbers; whoever changes one of them changes it there.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lab::{Calls, Changes, Kind, PSTN, Pbx, PbxConfig};

use crate::agent_double::{AgentDouble, Reply, block};
use crate::{NUMBER, packet, pstn};

pub(super) const TABLE: &str = include_str!("cost.txt");

/// A manager user who is told everything. The agent's is told nothing of applications and variables.
const COUNTER: &str = "counter";
const SECRET: &str = "counter-secret";

pub(super) type Event = BTreeMap<String, String>;

/// Somebody whom the PBX tells everything.
pub(super) struct Listener {
    kind: Kind,
    events: Arc<Mutex<Vec<Event>>>,
    socket: TcpStream,
}

#[derive(Debug, Clone, Copy)]
struct Cost {
    applications: usize,
    variables: usize,
    events: usize,
    actions: usize,
}

impl Listener {
    pub(super) fn start(pbx: &Pbx) -> Listener {
        let mut socket = TcpStream::connect(pbx.event_addr()).unwrap();
        let hello = match pbx.kind() {
            Kind::Asterisk => {
                format!("Action: Login\r\nUsername: {COUNTER}\r\nSecret: {SECRET}\r\nEvents: on\r\n\r\n")
            }
            Kind::FreeSwitch => format!("auth {}\n\nevent plain ALL\n\n", pbx.event_secret()),
        };
        socket.write_all(hello.as_bytes()).unwrap();
        let listener = Listener { kind: pbx.kind(), events: Arc::default(), socket };
        let events = Arc::clone(&listener.events);
        let mut lines = BufReader::new(listener.socket.try_clone().unwrap());
        std::thread::spawn(move || {
            while let Some(event) = next(&mut lines) {
                events.lock().unwrap().push(event);
            }
        });
        let is_subscribed = |fields: &Event| {
            fields.get("Response").is_some_and(|response| response == "Success")
                || fields.get("Reply-Text").is_some_and(|text| text.contains("event listener enabled"))
        };
        let subscribed = || listener.events.lock().unwrap().iter().any(is_subscribed);
        assert!(lab::wait_until(Duration::from_secs(10), subscribed), "no events: {}", pbx.log());
        listener
    }

    /// The median of five calls, column by column: now and then an Asterisk tells of one application less.
    fn cost(&self, agent: Option<&AgentDouble>, calls: &Calls, pbx: SocketAddr) -> Cost {
        let actions = || agent.map_or(0, AgentDouble::actions);
        let costs = [(); 5].map(|()| {
            let before = actions();
            let events = self.events_of(calls, pbx);
            Cost::of(self.kind, &events, actions() - before)
        });
        Cost::median(&costs)
    }

    /// Places a call, and waits for its last event.
    pub(super) fn events_of(&self, calls: &Calls, pbx: SocketAddr) -> Vec<Event> {
        self.events.lock().unwrap().clear();
        assert_eq!(calls.place(pbx).unwrap().statuses(), [Some(200)]);
        self.wait_until_idle();
        self.events.lock().unwrap().clone()
    }

    /// Waits until each channel is gone, and half a second has passed without an event of one.
    fn wait_until_idle(&self) {
        let (mut before, mut since) = (0, Instant::now());
        let idle = lab::wait_until(Duration::from_secs(20), || {
            let events = self.events.lock().unwrap();
            let count = |names: [&str; 2]| events.iter().filter(|event| names.contains(&event_name(event))).count();
            let up = count(["Newchannel", "CHANNEL_CREATE"]) != count(["Hangup", "CHANNEL_DESTROY"]);
            let now = events.iter().filter(|event| is_counted(event)).count();
            if up || now != before {
                (before, since) = (now, Instant::now());
            }
            since.elapsed() > Duration::from_millis(500)
        });
        assert!(idle, "the call isn't over");
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }
}

impl Cost {
    /// Asterisk tells of each variable that is set. FreeSWITCH doesn't: there, those that the caller has at the end count.
    fn of(kind: Kind, events: &[Event], actions: usize) -> Cost {
        let counted: Vec<_> = events.iter().filter(|event| is_counted(event)).collect();
        let count = |name: &str| counted.iter().filter(|event| event_name(event) == name).count();
        let (applications, variables) = match kind {
            Kind::Asterisk => (count("Newexten"), count("VarSet")),
            Kind::FreeSwitch => {
                let end = counted.iter().find(|event| {
                    let caller = event.get("Call-Direction").is_some_and(|direction| direction == "inbound");
                    caller && event_name(event) == "CHANNEL_HANGUP_COMPLETE"
                });
                let own = end.map(|end| end.keys().filter(|name| name.starts_with("variable_sidecall")).count());
                (count("CHANNEL_EXECUTE"), own.unwrap_or_default())
            }
        };
        Cost { applications, variables, events: counted.len(), actions }
    }

    fn median(costs: &[Cost; 5]) -> Cost {
        let median = |column: fn(&Cost) -> usize| {
            let mut values = costs.each_ref().map(column);
            values.sort_unstable();
            values[2]
        };
        Cost {
            applications: median(|cost| cost.applications),
            variables: median(|cost| cost.variables),
            events: median(|cost| cost.events),
            actions: median(|cost| cost.actions),
        }
    }

    fn row(self, kind: Kind, call: &str) -> String {
        let Cost { applications, variables, events, actions } = self;
        format!("{:<12}{call:<18}{applications:>12}{variables:>11}{events:>8}{actions:>9}", kind.word())
    }
}

/// The next event, or reply.
fn next(lines: &mut BufReader<TcpStream>) -> Option<Event> {
    let head = block(lines)?;
    let Some(length) = head.get("Content-Length").and_then(|length| length.parse().ok()) else { return Some(head) };
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    block(&mut &body[..])
}

pub(super) fn event_name(event: &Event) -> &str {
    event.get("Event").or_else(|| event.get("Event-Name")).map_or("", String::as_str)
}

/// It names a channel, and each such call has it as often.
fn is_counted(event: &Event) -> bool {
    !wavers(event) && ["Uniqueid", "DestUniqueid", "Unique-ID"].iter().any(|id| event.contains_key(*id))
}

/// What is said of the sound depends on how long the call took. Who is at the other side of a bridge is said anew whenever
/// the bridge becomes simpler.
fn wavers(event: &Event) -> bool {
    let starts = |field: &str, names: &[&str]| {
        event.get(field).is_some_and(|value| names.iter().any(|name| value.starts_with(name)))
    };
    event_name(event).contains("RTCP") || starts("Variable", &["RTPAUDIOQOS", "BRIDGEPEER", "BRIDGEPVTCALLID"])
}

fn start(kind: Kind, snippets: bool) -> Option<Pbx> {
    let changes = match kind {
        Kind::Asterisk => {
            let user = format!("\n[{COUNTER}]\nsecret={SECRET}\nread=all\nwrite=all\n");
            Changes::default().add("manager.conf", user)
        }
        Kind::FreeSwitch => Changes::default(),
    };
    lab::or_skip(kind, Pbx::start_with(kind, PbxConfig { snippets, changes, ..PbxConfig::patient() }))
}

pub(super) fn a_call_costs_what_the_table_says(kind: Kind) {
    let call = Calls::new("1000", NUMBER);
    let Some(plain) = start(kind, false) else { return };
    let mut rows = Vec::new();
    {
        let _pstn = pstn(&plain);
        let cost = Listener::start(&plain).cost(None, &call, plain.sip());
        rows.push(cost.row(kind, "without-sidecall"));
    }
    drop(plain);

    let Some(pbx) = start(kind, true) else { return };
    let (_pstn, _packet, listener) = (pstn(&pbx), packet(&pbx), Listener::start(&pbx));
    rows.push(listener.cost(None, &call, pbx.sip()).row(kind, "no-agent"));
    let agent = AgentDouble::start(&pbx, Reply::Route("pstn"));
    let emergency = Calls::new("1000", "911");
    rows.push(listener.cost(Some(&agent), &emergency, pbx.sip()).row(kind, "emergency"));
    rows.push(listener.cost(Some(&agent), &call, pbx.sip()).row(kind, "own-route"));
    let from_trunk = Calls::new("+13015550199", NUMBER).via(PSTN);
    rows.push(listener.cost(Some(&agent), &from_trunk, pbx.trunk_sip()).row(kind, "from-a-trunk"));
    agent.reply(Reply::Packet);
    rows.push(listener.cost(Some(&agent), &call, pbx.sip()).row(kind, "packet-trunk"));

    let written: Vec<_> = TABLE.lines().filter(|line| line.starts_with(kind.word())).collect();
    assert_eq!(rows, written, "tests/dialplan/cost.txt; measured:\n{}", rows.join("\n"));
}
