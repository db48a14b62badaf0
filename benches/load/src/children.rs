//! The processes that are measured: one node, and agents that share the PBXs.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use lab::Child;
use lab::net::ports;
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

/// Dropping it kills the processes and removes their folder.
pub struct Children {
    node: Child,
    agents: Vec<Child>,
    pub address: SocketAddr,
    http: reqwest::Client,
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
    pub agents: Usage,
    pub generator: Usage,
    /// Queries to the node's database.
    pub reads: Option<u64>,
}

impl Children {
    /// Starts the node, fills its directory, and starts the agents. Returns when every PBX has its agent.
    pub async fn start(options: &Options, pbxs: &[Arc<LoadPbx>]) -> anyhow::Result<Children> {
        let folder = tempfile::Builder::new().prefix("sidecall-load-").tempdir()?;
        let address = ports::local();
        for (name, text) in [("admin.token", ADMIN), ("agent.token", AGENT), ("pbx.password", "of-a-scripted-pbx")] {
            fs::write(folder.path().join(name), text)?;
        }
        let program = options.program()?;
        let node = start(&program, folder.path(), "node", "node", &node_config(address))?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let mut children = Children { node, agents: Vec::new(), address, http, folder };
        children.wait("the node does not answer", async |own| own.get("/healthz").await.is_ok()).await?;
        children.import(options).await?;
        for n in 0..options.agents as usize {
            let own = pbxs.iter().skip(n).step_by(options.agents as usize);
            let config = agent_config(options, address, own);
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
        let all = [&mut self.node].into_iter().chain(&mut self.agents);
        let (n, child) = all.enumerate().find_map(|(n, child)| child.wait(Duration::ZERO).map(|_| (n, child)))?;
        let log = child.log();
        let tail: Vec<_> = log.lines().rev().take(5).collect();
        let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        Some(match n {
            0 => format!("the node has ended:\n{tail}"),
            n => format!("agent {} has ended:\n{tail}", n - 1),
        })
    }

    async fn get(&self, path: &str) -> anyhow::Result<String> {
        let answer = self.http.get(format!("http://{}{path}", self.address)).bearer_auth(ADMIN).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// How many PBXs have an agent.
    async fn attached(&self) -> usize {
        let status = self.get("/v1/status").await.unwrap_or_default();
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
        let request = self.http.post(format!("http://{}/v1/numbers:import", self.address)).bearer_auth(ADMIN);
        let answer = request.header("content-type", "text/csv").body(csv).send().await?;
        let status = answer.status();
        ensure!(status.is_success(), "the directory is not imported: {status} {}", answer.text().await?);
        Ok(())
    }

    pub async fn readings(&self) -> anyhow::Result<Readings> {
        let agents = self.agents.iter().map(|agent| usage(agent.pid())).collect::<anyhow::Result<Vec<_>>>()?;
        let sum = |all: Usage, one: &Usage| Usage { cpu: all.cpu + one.cpu, memory: all.memory + one.memory };
        Ok(Readings {
            node: usage(self.node.pid())?,
            agents: agents.iter().fold(Usage::default(), sum),
            generator: usage(std::process::id())?,
            reads: self.get("/metrics").await.ok().and_then(|metrics| value(&metrics, "sidecall_store_reads_total")),
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
    // Behind the name, which may have spaces: the state, and 13th and 14th `utime` and `stime` (proc(5)).
    let fields = stat.rsplit_once(") ").map_or("", |(_, behind)| behind).split(' ');
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let memory = resident.and_then(|kilobytes| kilobytes.parse().ok()).unwrap_or(0);
    Ok(Usage { cpu: Duration::from_millis(ticks * 1_000 / TICKS), memory })
}

fn node_config(address: SocketAddr) -> String {
    format!(
        "[node]\nlisten = \"{address}\"\ndatabase = \"load.db\"\nadmin_token_file = \"admin.token\"\n\
         agent_token_file = \"agent.token\"\n"
    )
}

fn agent_config<'a>(options: &Options, node: SocketAddr, pbxs: impl Iterator<Item = &'a Arc<LoadPbx>>) -> String {
    let deadline = options.hold * 4 / 5;
    let mut config =
        format!("[agent]\nnode = \"http://{node}\"\ntoken_file = \"agent.token\"\ndeadline_ms = {deadline}\n");
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
    fn a_metric_is_read_by_its_whole_name() {
        let metrics = "# HELP a_total x\na_total_more 5\na_total 7\n";
        assert_eq!(value(metrics, "a_total"), Some(7));
        assert_eq!(value(metrics, "b_total"), None);
    }
}
