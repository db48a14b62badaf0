//! Two nodes on one PostgreSQL, an agent that knows both, and both real PBXs. A plan of faults is carried out while many calls
//! are made, and everything that happens to the calls is recorded.
//!
//! ```text
//!  Asterisk ──┐              ┌─ proxy ─ node 0 ─ proxy ─┐
//!             ├─── agent ────┤                          ├─ PostgreSQL
//!  FreeSWITCH ┘              └─ proxy ─ node 1 ─ proxy ─┘
//!                 clients ──── proxy ─ the active node
//! ```

pub mod check;
pub mod evidence;
mod faults;
mod load;
mod load_balancer;
pub mod plan;
mod trunked_pbx;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use evidence::{CallRecord, Evidence, ExitRecord, PeerRecord, Process};
use faults::{Links, Operator, OperatorLog};
use load_balancer::LoadBalancer;
use plan::{PlannedFault, Random};
use trunked_pbx::TrunkedPbx;

use crate::net::ports;
use crate::pbx::conf;
use crate::sidecall::{PBX, pbx_entry};
use crate::sip::message::now;
use crate::{
    ChaosProxy, Hosted, Kind, LabError, Postgres, Result, Sidecall, SidecallConfig, Surroundings, Webhook, quiet,
    wait_until,
};

/// The longest round. Each has new phones, since phones remember all their calls.
pub const ROUND: Duration = Duration::from_secs(60);
/// Calls per second on each PBX.
pub const CALLS_PER_SECOND: u32 = load::RATE;
/// The names of the PBXs in the configuration.
const NAMES: [&str; 2] = [PBX, "other"];
/// How long anything may take.
const SOON: Duration = Duration::from_secs(15);

/// All processes and phones. Dropping it ends them.
#[derive(Debug)]
pub struct Chaos {
    // Dropped in this order.
    callers: Vec<HostedCaller>,
    agent: Sidecall,
    nodes: [Sidecall; 2],
    balancer: LoadBalancer,
    links: Links,
    /// The client of all called numbers.
    webhook: Webhook,
    pbxs: [TrunkedPbx; 2],
    database: Postgres,
}

/// An extension that calls, with its connected client.
#[derive(Debug)]
struct HostedCaller {
    number: String,
    client: Hosted,
    /// The number of its events that were read.
    read: usize,
}

impl Chaos {
    /// Starts everything, and waits until it works.
    pub fn start() -> Result<Chaos> {
        let (database, at) = Postgres::on_port()?;
        let pbxs = [TrunkedPbx::start(Kind::Asterisk)?, TrunkedPbx::start(Kind::FreeSwitch)?];
        let http = [ports::local(), ports::local()];
        let balancer = LoadBalancer::start(http)?;
        let proxy = |to| ChaosProxy::start(to).map_err(LabError::io("a proxy"));
        let links = Links { agent: [proxy(http[0])?, proxy(http[1])?], database: [proxy(at)?, proxy(at)?] };
        let config = SidecallConfig {
            nodes: links.agent.iter().map(ChaosProxy::addr).collect(),
            node_lines: format!("public_url = \"{}\"\n", balancer.proxy.url()),
            more: pbx_entry(NAMES[1], &pbxs[1].pbx, &SidecallConfig::default()),
            ..SidecallConfig::default()
        };
        let node = |n: usize| {
            let config = SidecallConfig {
                http: Some(http[n]),
                database: Some(database.url_at(links.database[n].addr())),
                surroundings: Surroundings { clock: true, ..Surroundings::default() },
                ..config.clone()
            };
            Sidecall::launch(&pbxs[0].pbx, &config, "node")
        };
        let first = node(0)?;
        ready(&first, 200)?;
        let second = node(1)?;
        ready(&second, 503)?;
        let agent = Sidecall::launch(&pbxs[0].pbx, &config, "agent")?;
        attached(&first, &agent)?;
        let webhook = Webhook::start()?;
        for n in 0..load::NUMBERS {
            let number = load::called(n);
            first.number(&number, "Called", false);
            webhook.bind_at(&first, &number, &number.replace('+', "/"));
        }
        let mut callers = Vec::new();
        for (pbx, name) in pbxs.iter().zip(NAMES) {
            for n in 0..load::CALLERS {
                let number = pbx.number(&pbx.extension(n));
                first.entry(&number, json!({"pbx": name}));
                let client = Hosted::behind(&balancer.proxy, &first, &number)?;
                callers.push(HostedCaller { number, client, read: 0 });
            }
        }
        Ok(Chaos { callers, agent, nodes: [first, second], balancer, links, webhook, pbxs, database })
    }

    /// Whether the disk of PostgreSQL can be filled.
    pub fn has_small_disk(&self) -> bool {
        self.database.has_small_disk()
    }

    /// Makes calls for this long, and the faults of a plan, and waits until all are over. Returns the records since the last
    /// round.
    pub fn round(&mut self, (seed, round): (u64, u64), length: Duration, plan: &[PlannedFault]) -> Result<Evidence> {
        self.pbxs.iter_mut().try_for_each(TrunkedPbx::renew)?;
        let (calls, OperatorLog { faults, mut exits }) = self.call_and_break((seed, round), length, plan)?;
        let channels = self.pbxs.iter().filter_map(TrunkedPbx::channels).collect();
        let answered = |calls: &[CallRecord]| calls.iter().filter(|call| call.answered.is_some()).count();
        let rows = self.pbxs.iter_mut().zip(&calls).flat_map(|(pbx, calls)| pbx.rows(answered(calls))).collect();
        // Messages to wrong clients, and second messages, arrive by then.
        thread::sleep(quiet());
        exits.extend(self.agent_exit());
        let (calls, peers, panics) = (calls.concat(), self.peers(), self.panics()?);
        Ok(Evidence { calls, peers, faults, rows, channels, exits, panics })
    }

    /// Waits until the active node lists itself, and one that stands by.
    pub fn wait_until_listed(&self) -> Result<()> {
        let node = &self.nodes[self.balancer.active()];
        let mut roles: Vec<String> = Vec::new();
        let are_listed = wait_until(SOON, || {
            let status = node.get("/v1/status");
            roles = status["nodes"].as_array().into_iter().flatten().map(|node| text(&node["role"])).collect();
            roles == ["active", "stand_by"]
        });
        if are_listed { Ok(()) } else { Err(LabError::late(format!("the nodes are {roles:?}"), SOON, node.log())) }
    }

    /// Returns the calls of each PBX, and the operator's records.
    fn call_and_break(
        &mut self,
        (seed, round): (u64, u64),
        length: Duration,
        plan: &[PlannedFault],
    ) -> Result<([Vec<CallRecord>; 2], OperatorLog)> {
        let Chaos { nodes, balancer, links, pbxs, database, .. } = self;
        let (balancer, pbxs) = (&*balancer, &*pbxs);
        let operator = Operator::new(nodes, database, links, balancer);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| balancer.follow(&done));
            let operator = scope.spawn(|| operator.run(plan, &done));
            let loads = [(&pbxs[0], 1), (&pbxs[1], 2)].map(|(pbx, n)| {
                let random = Random::of(seed.wrapping_add(n), round);
                scope.spawn(move || load::run(pbx, round, random, length))
            });
            let calls = loads.map(thread::ScopedJoinHandle::join);
            // Before anything else: the other threads wait for it.
            done.store(true, Ordering::Relaxed);
            let log = operator.join().expect("the faults of a round")?;
            let [one, other] = calls.map(|calls| calls.expect("the calls of a round"));
            Ok(([one?, other?], log))
        })
    }

    /// The peers that clients were told of since the last time.
    fn peers(&mut self) -> Vec<PeerRecord> {
        let mut peers: Vec<_> = self.callers.iter_mut().flat_map(HostedCaller::new_peers).collect();
        let posted = self.webhook.drain().into_iter().filter(|message| message["type"] == "peer");
        peers.extend(posted.map(|message| peer_record(text(&message["path"]).replace('/', "+"), &message)));
        peers
    }

    fn agent_exit(&mut self) -> Option<ExitRecord> {
        let status = self.agent.child().wait(Duration::ZERO)?;
        Some(ExitRecord { process: Process::Agent, at: now(), code: status.code() })
    }

    /// The lines of all logs that report a panic.
    fn panics(&self) -> Result<Vec<String>> {
        let mut panics = Vec::new();
        for (name, folder) in self.folders() {
            for log in logs(folder)? {
                let text = fs::read(&log).map_err(LabError::io("a log"))?;
                let text = String::from_utf8_lossy(&text);
                panics.extend(text.lines().filter(|l| l.contains("panicked at")).map(|l| format!("{name}: {l}")));
            }
        }
        Ok(panics)
    }

    /// Copies the logs of all processes, those of one process in the order of their last lines.
    pub fn keep_logs(&self, to: &Path) -> Result<()> {
        fs::create_dir_all(to).map_err(LabError::io("a folder for logs"))?;
        for (name, folder) in self.folders() {
            for (n, log) in logs(folder)?.iter().enumerate() {
                fs::copy(log, to.join(format!("{name}-{n}.log"))).map_err(LabError::io("a log"))?;
            }
        }
        for TrunkedPbx { pbx, .. } in &self.pbxs {
            conf::write(&to.join(format!("{}.log", pbx.kind().word())), &pbx.log())?;
        }
        Ok(())
    }

    /// The folders with logs, and the names of their processes.
    fn folders(&self) -> Vec<(String, &Path)> {
        let [first, second] = &self.nodes;
        let servers = [("agent", self.agent.dir()), ("node-0", first.dir()), ("node-1", second.dir())];
        let servers = servers.map(|(name, folder)| (name.to_owned(), folder));
        let clients = self.callers.iter().enumerate().map(|(n, caller)| (format!("client-{n}"), caller.client.dir()));
        let database = ("postgres".to_owned(), self.database.socket());
        servers.into_iter().chain(clients).chain([database]).collect()
    }
}

impl HostedCaller {
    /// The peers that its client was told of since the last time.
    fn new_peers(&mut self) -> Vec<PeerRecord> {
        let events = self.client.events("peer");
        let new = events.iter().skip(self.read).map(|event| peer_record(self.number.clone(), event)).collect();
        self.read = events.len();
        new
    }
}

/// The logs in a folder, in the order of their last lines. A process has one for each time that it was started.
fn logs(folder: &Path) -> Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder).map_err(LabError::io("a folder with logs"))?;
    let files = files.flatten().map(|file| file.path());
    let mut logs: Vec<PathBuf> = files.filter(|file| file.extension().is_some_and(|e| e == "log")).collect();
    logs.sort_by_cached_key(|log| fs::metadata(log).and_then(|log| log.modified()).ok());
    Ok(logs)
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

/// `told` is an event of a hosted client or a message to a webhook: the fields that matter here are the same.
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
