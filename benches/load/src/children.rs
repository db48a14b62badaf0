//! The processes that are measured: nodes, of which one is active, their database, and agents that share the PBXs.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::ops::Add;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use lab::net::ports;
use lab::{Child, Postgres};
use serde_json::Value;
use tempfile::TempDir;

use crate::clients::{credential, number};
use crate::options::Options;
use crate::pbx::LoadPbx;

const ADMIN: &str = "admin-token-of-the-load-generator";
const AGENT: &str = "agent-token-of-the-load-generator";

/// How long a process may take until it is ready, and an agent until it has attached its PBXs.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// `USER_HZ`: the unit of CPU time in /proc. It is 100 on every architecture that this may run on.
const TICKS: u64 = 100;
/// The place of `utime` among the [`numbers`] of a process.
const UTIME: usize = 10;

/// Dropping it kills the processes and removes their folder.
pub struct Children {
    agents: Vec<Child>,
    /// The first one is active.
    nodes: Vec<Child>,
    addresses: Vec<SocketAddr>,
    http: reqwest::Client,
    /// None if the data are in a file.
    database: Option<Postgres>,
    folder: TempDir,
}

/// What processes have used since they started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    pub cpu: Duration,
    /// Resident memory, in kB.
    pub memory: u64,
}

/// All that is read before and after a step.
#[derive(Debug, Clone, Copy)]
pub struct Readings {
    pub node: Usage,
    pub stand_bys: Usage,
    pub database: Option<Usage>,
    pub agents: Usage,
    pub generator: Usage,
    pub store: StoreReadings,
}

/// What the active node counts of its database. `None` if its metrics don't have it.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoreReadings {
    /// Queries.
    pub reads: Option<u64>,
    pub writes: Option<u64>,
    /// Transactions that committed them.
    pub commits: Option<u64>,
}

impl Children {
    /// Starts the active node, fills its directory, and starts the other nodes and the agents. Returns when every PBX has its
    /// agent.
    pub async fn start(options: &Options, pbxs: &[Arc<LoadPbx>]) -> anyhow::Result<Children> {
        let folder = tempfile::Builder::new().prefix("sidecall-load-").tempdir()?;
        let addresses: Vec<SocketAddr> = (0..options.nodes).map(|_| ports::local()).collect();
        for (name, text) in [("admin.token", ADMIN), ("agent.token", AGENT), ("pbx.password", "of-a-scripted-pbx")] {
            fs::write(folder.path().join(name), text)?;
        }
        let program = options.program()?;
        let database = options.postgres.then(Postgres::durable).transpose()?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut children = Children { agents: Vec::new(), nodes: Vec::new(), addresses, http, database, folder };
        for n in 0..children.addresses.len() {
            let config = node_config(children.addresses[n], children.database.as_ref());
            children.nodes.push(start(&program, children.folder.path(), &format!("node-{n}"), "node", &config)?);
            let what = format!("node {n} does not answer");
            children.wait(&what, async |own| own.get(n, "/healthz").await.is_ok()).await?;
            if n == 0 {
                children.import(options).await?;
            }
        }
        for n in 0..options.agents as usize {
            let own = pbxs.iter().skip(n).step_by(options.agents as usize);
            let config = agent_config(options, &children.addresses, own);
            children.agents.push(start(&program, children.folder.path(), &format!("agent-{n}"), "agent", &config)?);
        }
        children.wait("not every PBX has its agent", async |own| own.attached().await == pbxs.len()).await?;
        Ok(children)
    }

    async fn wait(&mut self, what: &str, ready: impl AsyncFn(&Children) -> bool) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while !ready(self).await {
            if let Some(ended) = self.ended() {
                bail!("{ended}");
            }
            ensure!(Instant::now() < until, "{what} within {} s", PATIENCE.as_secs());
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Which process has ended, and the last lines of its log.
    pub fn ended(&mut self) -> Option<String> {
        let (name, log) = self.first_ended()?;
        let tail: Vec<_> = log.lines().rev().take(5).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        Some(format!("{name} has ended:\n{tail}"))
    }

    fn first_ended(&mut self) -> Option<(String, String)> {
        if let Some(database) = self.database.as_mut()
            && database.has_ended()
        {
            return Some(("PostgreSQL".to_owned(), database.log()));
        }
        let nodes = self.nodes.iter_mut().enumerate().map(|(n, child)| (format!("node {n}"), child));
        let agents = self.agents.iter_mut().enumerate().map(|(n, child)| (format!("agent {n}"), child));
        nodes.chain(agents).find_map(|(name, child)| child.wait(Duration::ZERO).map(|_| (name, child.log())))
    }

    /// The address of the active node.
    pub fn active(&self) -> SocketAddr {
        self.addresses[0]
    }

    async fn get(&self, node: usize, path: &str) -> anyhow::Result<String> {
        let answer = self.http.get(format!("http://{}{path}", self.addresses[node])).bearer_auth(ADMIN).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// How many PBXs have an agent.
    async fn attached(&self) -> usize {
        let status = self.get(0, "/v1/status").await.unwrap_or_default();
        let status: Value = serde_json::from_str(&status).unwrap_or_default();
        status["pbxs"].as_array().map_or(0, |pbxs| pbxs.iter().filter(|pbx| pbx["link"] == "up").count())
    }

    async fn import(&self, options: &Options) -> anyhow::Result<()> {
        let mut csv = "number,pbx,credential\n".to_owned();
        for pbx in 0..options.pbxs as usize {
            for n in 0..options.numbers as usize {
                let number = number(options, pbx, n);
                let credential = if n < options.clients as usize { credential(&number) } else { String::new() };
                writeln!(csv, "{number},pbx-{pbx},{credential}")?;
            }
        }
        let request = self.http.post(format!("http://{}/v1/numbers:import", self.active())).bearer_auth(ADMIN);
        let answer = request.header("content-type", "text/csv").body(csv).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "the directory is not imported: {status} {}", answer.text().await?);
        Ok(())
    }

    pub async fn readings(&self) -> anyhow::Result<Readings> {
        let metrics = self.get(0, "/metrics").await.unwrap_or_default();
        let store = StoreReadings {
            reads: value(&metrics, "sidecall_store_reads_total"),
            writes: value(&metrics, "sidecall_store_writes_total"),
            commits: value(&metrics, "sidecall_store_commits_total"),
        };
        Ok(Readings {
            node: usage(self.nodes[0].pid())?,
            stand_bys: usage_of_all(&self.nodes[1..])?,
            database: self.database.as_ref().map(|database| usage_of_server(database.pid())).transpose()?,
            agents: usage_of_all(&self.agents)?,
            generator: usage(std::process::id())?,
            store,
        })
    }
}

/// Starts a role with this configuration. Its log is beside it.
fn start(program: &Path, folder: &Path, name: &str, role: &str, config: &str) -> anyhow::Result<Child> {
    let file = folder.join(format!("{name}.toml"));
    fs::write(&file, config)?;
    let mut command = Command::new(program);
    command.arg("--config").arg(&file).arg(role);
    Ok(Child::spawn(&mut command, folder.join(format!("{name}.log")))?)
}

/// The value of a metric without labels.
fn value(metrics: &str, name: &str) -> Option<u64> {
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// What a process has used, from /proc.
fn usage(pid: u32) -> anyhow::Result<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("a process that runs")?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let memory = resident.and_then(|kilobytes| kilobytes.parse().ok()).unwrap_or(0);
    // `utime` and `stime` (proc(5)).
    Ok(Usage { cpu: cpu(numbers(&stat).skip(UTIME).take(2)), memory })
}

fn usage_of_all(children: &[Child]) -> anyhow::Result<Usage> {
    children.iter().try_fold(Usage::default(), |all, child| Ok(all + usage(child.pid())?))
}

/// What a server with one process per connection has used: the first process, its children that have ended, and those that
/// run. Shared memory counts once for each process.
fn usage_of_server(pid: u32) -> anyhow::Result<Usage> {
    let mut all = usage(pid)?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // `cutime` and `cstime`.
    all.cpu += cpu(numbers(&stat).skip(UTIME + 2).take(2));
    for process in fs::read_dir("/proc")?.flatten() {
        let Some(child) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end meanwhile.
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        if numbers(&stat).next() == Some(u64::from(pid)) {
            all = all + usage(child).unwrap_or_default();
        }
    }
    Ok(all)
}

/// The numbers of `/proc/PID/stat` behind the name, which may have spaces, and the state: the parent comes first.
fn numbers(stat: &str) -> impl Iterator<Item = u64> {
    let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
    behind.split(' ').skip(1).map(|number| number.parse().unwrap_or(0))
}

fn cpu(ticks: impl Iterator<Item = u64>) -> Duration {
    Duration::from_millis(ticks.sum::<u64>() * 1_000 / TICKS)
}

impl Add for Usage {
    type Output = Usage;

    fn add(self, other: Usage) -> Usage {
        Usage { cpu: self.cpu + other.cpu, memory: self.memory + other.memory }
    }
}

fn node_config(address: SocketAddr, database: Option<&Postgres>) -> String {
    let database = database.map_or("load.db".to_owned(), Postgres::url);
    format!(
        "[node]\nlisten = \"{address}\"\ndatabase = \"{database}\"\nadmin_token_file = \"admin.token\"\n\
         agent_token_file = \"agent.token\"\n"
    )
}

fn agent_config<'a>(options: &Options, nodes: &[SocketAddr], pbxs: impl Iterator<Item = &'a Arc<LoadPbx>>) -> String {
    let deadline = options.hold * 4 / 5;
    let nodes: Vec<String> = nodes.iter().map(|node| format!("\"http://{node}\"")).collect();
    let nodes = nodes.join(", ");
    let mut config = format!("[agent]\nnodes = [{nodes}]\ntoken_file = \"agent.token\"\ndeadline_ms = {deadline}\n");
    for pbx in pbxs {
        let (name, (kind, address)) = (&pbx.name, pbx.endpoint());
        config += &format!(
            "[[pbx]]\nname = \"{name}\"\nkind = \"{kind}\"\naddress = \"{address}\"\npassword_file = \"pbx.password\"\n\
             context = \"{name}.load.example\"\nregion = \"US\"\n"
        );
    }
    config
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_process_has_used_something() {
        let used = usage(std::process::id()).unwrap();
        assert!(used.memory > 0);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(50) {}
        assert!(usage(std::process::id()).unwrap().cpu > used.cpu);
    }

    #[test]
    fn a_server_has_used_what_its_processes_have() {
        // One child that works and has ended, and one that runs until its input ends.
        let script = "(n=0; while [ $n -lt 300000 ]; do n=$((n + 1)); done); cat; true";
        let mut sh = Command::new("sh");
        let mut server = sh.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        server.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        server.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let (all, first) = (usage_of_server(server.id()).unwrap(), usage(server.id()).unwrap());
        server.wait().unwrap();
        assert!(all.cpu > first.cpu && all.memory > first.memory, "{all:?}, {first:?}");
    }

    #[test]
    fn a_metric_is_read_by_its_whole_name() {
        let metrics = "# HELP a_total x\na_total_more 5\na_total 7\n";
        assert_eq!(value(metrics, "a_total"), Some(7));
        assert_eq!(value(metrics, "b_total"), None);
    }
}
