//! Two nodes on one PostgreSQL, an agent that knows both, and both real PBXs. Things break as a plan says while many calls are
//! made, and what became of each call is recorded.
//!
//! ```text
//!  Asterisk ──┐              ┌─ proxy ─ node 0 ─ proxy ─┐
//!             ├─── agent ────┤                          ├─ PostgreSQL
//!  FreeSWITCH ┘              └─ proxy ─ node 1 ─ proxy ─┘
//!                 clients ──── proxy ─ the active node
//! ```

pub mod check;
mod faults;
mod front;
mod load;
mod places;
pub mod plan;

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use check::{CallRecord, Evidence, FaultRecord, PeerRecord};
use faults::{Links, Operator};
use front::Front;
use places::Place;
use plan::{Dice, PlannedFault};

use crate::net::ports;
use crate::sidecall::{PBX, pbx_entry};
use crate::{
    ChaosProxy, Hosted, Kind, LabError, Postgres, Result, Sidecall, SidecallConfig, Surroundings, Webhook, wait_until,
};

/// The longest round. Each has new phones, since phones remember all their calls.
pub const ROUND: Duration = Duration::from_secs(60);
/// The PBXs, as the configuration names them.
const NAMES: [&str; 2] = [PBX, "other"];
/// How long anything may take.
const SOON: Duration = Duration::from_secs(15);

/// All of it. Dropping it ends everything.
#[derive(Debug)]
pub struct Chaos {
    // Dropped in this order.
    /// Who calls has a connected client. By number.
    callers: Vec<(String, Hosted)>,
    agent: Sidecall,
    nodes: [Sidecall; 2],
    front: Front,
    links: Links,
    /// The client of everybody who is called.
    webhook: Webhook,
    places: [Place; 2],
    database: Postgres,
}

impl Chaos {
    /// Starts everything, and waits until it works.
    pub fn start() -> Result<Chaos> {
        let (database, at) = Postgres::on_port_and_disk()?;
        let places = [Place::start(Kind::Asterisk)?, Place::start(Kind::FreeSwitch)?];
        let http = [ports::local(), ports::local()];
        let front = Front::start(http)?;
        let proxy = |to| ChaosProxy::start(to).map_err(LabError::io("a proxy"));
        let links = Links { agent: [proxy(http[0])?, proxy(http[1])?], database: [proxy(at)?, proxy(at)?] };
        let config = SidecallConfig {
            nodes: links.agent.iter().map(ChaosProxy::addr).collect(),
            node_lines: format!("public_url = \"{}\"\n", front.proxy.url()),
            more: pbx_entry(NAMES[1], &places[1].pbx, &SidecallConfig::default()),
            ..SidecallConfig::default()
        };
        let node = |n: usize| {
            let config = SidecallConfig {
                http: Some(http[n]),
                database: Some(Postgres::url_at(links.database[n].addr())),
                surroundings: Surroundings { clock: true, ..Surroundings::default() },
                ..config.clone()
            };
            Sidecall::launch(&places[0].pbx, &config, "node")
        };
        let first = node(0)?;
        ready(&first, 200)?;
        let second = node(1)?;
        ready(&second, 503)?;
        let agent = Sidecall::launch(&places[0].pbx, &config, "agent")?;
        attached(&first, &agent)?;
        let webhook = Webhook::start()?;
        for n in 0..load::CALLED {
            let number = load::called(n);
            first.number(&number, "Called", false);
            webhook.bind_at(&first, &number, &number.replace('+', "/"));
        }
        let mut callers = Vec::new();
        for (place, name) in places.iter().zip(NAMES) {
            for n in 0..load::CALLERS {
                let number = place.number(&place.extension(n));
                first.entry(&number, json!({"pbx": name}));
                callers.push((number.clone(), Hosted::behind(&front.proxy, &first, &number)?));
            }
        }
        Ok(Chaos { callers, agent, nodes: [first, second], front, links, webhook, places, database })
    }

    /// Makes calls for so long while things break as planned, and waits until the calls are over. What was recorded.
    pub fn round(&mut self, (seed, round): (u64, u64), length: Duration, plan: &[PlannedFault]) -> Result<Evidence> {
        self.places.iter_mut().try_for_each(Place::renew)?;
        self.webhook.drain();
        let told: Vec<usize> = self.callers.iter().map(|(_, client)| client.events("peer").len()).collect();
        let (calls, faults) = self.call_and_break((seed, round), length, plan)?;
        let rows = self.places.iter_mut().zip(&calls);
        let rows =
            rows.flat_map(|(place, calls)| place.rows(calls.iter().filter(|call| call.answered.is_some()).count()));
        let rows = rows.collect();
        Ok(Evidence { calls: calls.concat(), peers: self.peers(&told), faults, rows })
    }

    /// The calls of each PBX, and the faults.
    fn call_and_break(
        &mut self,
        (seed, round): (u64, u64),
        length: Duration,
        plan: &[PlannedFault],
    ) -> Result<([Vec<CallRecord>; 2], Vec<FaultRecord>)> {
        let Chaos { nodes, front, links, places, database, .. } = self;
        let (front, places) = (&*front, &*places);
        let operator = Operator { nodes, database, links, front, broken: [false; 2] };
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| front.follow(&done));
            let faults = scope.spawn(|| operator.run(plan, &done));
            let loads = [(&places[0], 1), (&places[1], 2)].map(|(place, n)| {
                let dice = Dice::of(seed.wrapping_add(n), round);
                scope.spawn(move || load::run(place, dice, length))
            });
            let calls = loads.map(thread::ScopedJoinHandle::join);
            // Before anything else: the others end by it.
            done.store(true, Ordering::Relaxed);
            let faults = faults.join().expect("the faults of a round")?;
            let [one, other] = calls.map(|calls| calls.expect("the calls of a round"));
            Ok(([one?, other?], faults))
        })
    }

    /// What all clients were told since they had been told so much.
    fn peers(&self, before: &[usize]) -> Vec<PeerRecord> {
        let hosted = self.callers.iter().zip(before).flat_map(|((number, client), before)| {
            let events = client.events("peer").into_iter().skip(*before);
            events.map(move |event| peer_record(number.clone(), &event))
        });
        let posted = self.webhook.drain().into_iter().filter(|message| message["type"] == "peer");
        let posted = posted.map(|message| peer_record(text(&message["path"]).replace('/', "+"), &message));
        hosted.chain(posted).collect()
    }

    /// Copies the logs of the agent and of both nodes, one for each time that they were started.
    pub fn keep_logs(&self, to: &Path) -> Result<()> {
        let [first, second] = &self.nodes;
        fs::create_dir_all(to).map_err(LabError::io("a folder for logs"))?;
        for (name, sidecall) in [("agent", &self.agent), ("node-0", first), ("node-1", second)] {
            let files = fs::read_dir(sidecall.dir()).map_err(LabError::io("a folder with logs"))?;
            let logs =
                files.flatten().map(|file| file.path()).filter(|path| path.extension().is_some_and(|e| e == "log"));
            for (n, log) in logs.enumerate() {
                fs::copy(&log, to.join(format!("{name}-{n}.log"))).map_err(LabError::io("a log"))?;
            }
        }
        Ok(())
    }
}

fn ready(node: &Sidecall, status: u16) -> Result<()> {
    let is_so = wait_until(SOON, || node.readiness().0 == status);
    if is_so { Ok(()) } else { Err(LabError::late(format!("/readyz doesn't say {status}"), SOON, node.log())) }
}

/// The agent has told the node that both PBXs are attached.
fn attached(node: &Sidecall, agent: &Sidecall) -> Result<()> {
    let up = || {
        let status = node.get("/v1/status");
        status["pbxs"].as_array().is_some_and(|all| all.iter().filter(|pbx| pbx["link"] == "up").count() == NAMES.len())
    };
    if wait_until(SOON, up) { Ok(()) } else { Err(LabError::late("the PBXs are not attached", SOON, agent.log())) }
}

/// `told` is an event of a hosted client or a message to a webhook: for what matters here they are the same.
fn peer_record(client: String, told: &Value) -> PeerRecord {
    PeerRecord {
        at: Duration::from_millis(told["at"].as_u64().unwrap_or_default()),
        client,
        peer: text(&told["peer"]["number"]),
        message: text(&told["id"]),
        call: text(&told["call"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
