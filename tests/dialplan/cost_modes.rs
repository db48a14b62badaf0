//! What an announced call costs a FreeSWITCH in each of its modes, with what the real agent reads and writes for it.
//! `cost.txt` has the numbers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lab::{Calls, Habit, Kind, Pbx, PbxConfig, Phone};
use sidecall::core::routing::route::{Reason, Route};
use sidecall::pbx::freeswitch::{FreeswitchEndpoint, direct};
use sidecall::pbx::{DialStrings, DialplanAnswer, Pbx as _};
use sidecall::wire::Tap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::agent_double::{AgentDouble, Reply};
use crate::cost::{Event, Listener, TABLE, event_name};
use crate::{NUMBER, packet, pstn};

/// Counts what the agent's connection is sent, and what the agent writes to the sockets of calls.
#[derive(Debug, Default)]
struct Agent {
    events: AtomicUsize,
    commands: AtomicUsize,
}

impl Tap for Agent {
    fn received(&self, _: &[u8]) {}
    fn sent(&self, _: &[u8]) {}
}

impl Agent {
    /// Subscribes as the agent does.
    fn subscribe(self: &Arc<Agent>, runtime: &Runtime, pbx: &Pbx) {
        let secret = pbx.event_secret().to_owned();
        let endpoint = FreeswitchEndpoint::new(pbx.event_addr().to_string(), None, secret, String::new());
        let agent = Arc::clone(self);
        let mut recording = runtime.block_on(endpoint.record(agent.clone(), false)).unwrap();
        runtime.spawn(async move {
            while let Some(count) = recording.next().await {
                agent.events.fetch_add(usize::try_from(count).unwrap(), Ordering::Relaxed);
            }
        });
    }

    /// Answers the calls that come to this address, by the agent's own code.
    fn answer(self: &Arc<Agent>, runtime: &Runtime, address: SocketAddr, route: Route) -> tokio::task::JoinHandle<()> {
        let agent = Arc::clone(self);
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        runtime.spawn(async move {
            while let Ok((pbx, _)) = listener.accept().await {
                let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let theirs = TcpStream::connect(between.local_addr().unwrap()).await.unwrap();
                let (ours, _) = between.accept().await.unwrap();
                tokio::spawn(pass_on(pbx, ours, Arc::clone(&agent)));
                tokio::spawn(async move {
                    let (_, held) = direct::accept(theirs).await.unwrap().unwrap();
                    held.answer(&decision(route)).await.unwrap();
                });
            }
        })
    }

    fn counts(&self) -> [usize; 2] {
        [&self.events, &self.commands].map(|count| count.load(Ordering::Relaxed))
    }
}

/// Passes everything on, and counts the commands.
async fn pass_on(pbx: TcpStream, agent: TcpStream, counts: Arc<Agent>) {
    let (mut from_pbx, mut to_pbx) = pbx.into_split();
    let (mut from_agent, mut to_agent) = agent.into_split();
    let down = tokio::spawn(async move { tokio::io::copy(&mut from_pbx, &mut to_agent).await });
    let (mut written, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = from_agent.read(&mut piece).await {
        written.extend_from_slice(&piece[..n]);
        if to_pbx.write_all(&piece[..n]).await.is_err() {
            break;
        }
    }
    let text = String::from_utf8(written).unwrap();
    // A body has no end of line.
    let commands = ["connect\n\n", "sendmsg\n", "exit\n\n"].iter().map(|command| text.matches(command).count()).sum();
    counts.commands.fetch_add(commands, Ordering::Relaxed);
    drop(to_pbx);
    let _ = down.await;
}

fn decision(route: Route) -> DialplanAnswer {
    DialplanAnswer {
        call: Some("c-1".parse().unwrap()),
        route,
        trunk: Some("sidecall".parse().unwrap()),
        address: Some("https://node.example/a/T-1".parse().unwrap()),
        dial_strings: DialStrings::default(),
        reason: Reason::CalledHasClient,
    }
}

/// How often an application runs, and how often the dialplan is searched: for the call, and for each extension that is
/// executed.
fn applications_and_passes(events: &[Event]) -> [usize; 2] {
    let has = |event: &Event, field: &str, value: &str| event.get(field).is_some_and(|found| found == value);
    let applications: Vec<_> = events.iter().filter(|event| event_name(event) == "CHANNEL_EXECUTE").collect();
    // `unanswered%20none%20sidecall`: there is no dialplan `none`, and nothing is searched.
    let searches = |event: &&&Event| {
        let nowhere = event.get("Application-Data").is_some_and(|data| data.starts_with("unanswered%20none"));
        has(event, "Application", "execute_extension") && !nowhere
    };
    let executed = applications.iter().filter(searches).count();
    let routed = events.iter().filter(|event| {
        let caller = has(event, "Call-Direction", "inbound");
        caller && event_name(event) == "CHANNEL_STATE" && has(event, "Channel-State", "CS_ROUTING")
    });
    [applications.len(), executed + routed.count()]
}

fn median(mut values: [usize; 5]) -> usize {
    values.sort_unstable();
    values[2]
}

/// The median of five calls, column by column.
fn row(
    mode: &str,
    name: &str,
    listener: &Listener,
    calls: &Calls,
    pbx: &Pbx,
    agent: impl Fn() -> [usize; 2],
) -> String {
    let costs = [(); 5].map(|()| {
        let before = agent();
        let [applications, passes] = applications_and_passes(&listener.events_of(calls, pbx.sip()));
        let after = agent();
        [applications, passes, after[0] - before[0], after[1] - before[1]]
    });
    let [applications, passes, told, commands] = [0, 1, 2, 3].map(|column| median(costs.map(|cost| cost[column])));
    format!("{mode:<10}{name:<14}{applications:>12}{passes:>9}{told:>15}{commands:>10}")
}

fn start(mode: &str, at: SocketAddr) -> Pbx {
    let direct = (mode == "direct").then_some(at);
    let config = PbxConfig { snippets: mode != "without", direct, ..PbxConfig::patient() };
    Pbx::start_with(Kind::FreeSwitch, config).unwrap()
}

#[lab::needs_freeswitch]
#[test]
fn each_mode_of_freeswitch_costs_what_the_table_says() {
    let runtime = Runtime::new().unwrap();
    let mut rows = Vec::new();
    for mode in ["without", "hold", "direct"] {
        let at = lab::net::ports::local();
        let pbx = start(mode, at);
        let phone = Phone::register_plain(pbx.sip(), "1001", &Habit::at_once()).unwrap();
        let (_pstn, _packet, listener) = (pstn(&pbx), packet(&pbx), Listener::start(&pbx));
        let outside = Calls::new("1000", NUMBER);
        let ways = [
            ("own-route", &outside, Route::Pstn, Reply::Route("pstn")),
            ("packet-trunk", &outside, Route::Packet, Reply::Packet),
            ("local", &Calls::new("1000", "1001"), Route::Local, Reply::Route("local")),
        ];
        let agent = Arc::<Agent>::default();
        let double = (mode == "hold").then(|| AgentDouble::start(&pbx, Reply::Silence));
        if mode != "without" {
            agent.subscribe(&runtime, &pbx);
        }
        if mode == "direct" {
            pbx.attach("lab");
        }
        for (name, calls, route, reply) in ways {
            if mode == "without" && route == Route::Packet {
                continue;
            }
            if let Some(double) = &double {
                double.reply(reply);
            }
            let answering = (mode == "direct").then(|| agent.answer(&runtime, at, route));
            let counts = || {
                let [events, commands] = agent.counts();
                [events, commands + double.as_ref().map_or(0, AgentDouble::actions)]
            };
            rows.push(row(mode, name, &listener, calls, &pbx, counts));
            if let Some(answering) = answering {
                answering.abort();
                let _ = runtime.block_on(answering);
            }
        }
        drop(phone);
    }
    let written: Vec<_> = TABLE
        .lines()
        .filter(|line| ["without ", "hold ", "direct "].iter().any(|mode| line.starts_with(mode)))
        .collect();
    assert_eq!(rows, written, "tests/dialplan/cost.txt; measured:\n{}", rows.join("\n"));
}
