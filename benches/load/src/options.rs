//! What can be asked for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use serde::Serialize;

/// Finds the call rate at which sidecall's agents and node are too slow.
///
/// Starts `sidecall node` and `sidecall agent` as child processes, and scripted PBXs around them: half of them speak the event
/// socket as a FreeSWITCH does, half the manager interface as an Asterisk does. Each call is a recorded one with other
/// numbers: it is announced, decided, answered, and over after --talk. Both of its numbers have a hosted client with an open
/// WebSocket, which must be told of the other one when the call is answered.
///
/// Calls come at random times, at --rate per second at first, and half as many again in each step, until one of these
/// breaks: the decision's p99 is above --limit, a call gets no decision within --hold, a client is not told of the other one,
/// a process ends, or the generator itself can't keep up. All traffic is on loopback.
#[derive(Debug, Clone, Parser, Serialize)]
#[command(name = "sidecall-load", after_help = AFTER)]
pub struct Options {
    /// Number of PBXs, at most 1,000
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub pbxs: u32,
    /// Numbers of each PBX in the directory; 10,000,000 in all at most
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub numbers: u32,
    /// Hosted clients of each PBX: every two make calls with each other, one at a time. Each is an open file, here and in the
    /// node (`ulimit -n`)
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=20_000))]
    pub clients: u32,
    /// Use a PostgreSQL server started for this run instead of an SQLite file. The files of either are in TMPDIR: it must be on
    /// the disk to measure
    #[arg(long)]
    pub postgres: bool,
    /// Number of nodes: one is active, the others stand by. More than one needs --postgres
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub nodes: u32,
    /// Agent processes, which share the PBXs
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub agents: u32,
    /// Calls per second in the first step
    #[arg(long, default_value_t = 20.0)]
    pub rate: f64,
    /// Highest rate to try
    #[arg(long, default_value_t = 5_000.0)]
    pub to: f64,
    /// Seconds of each step
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub step: u64,
    /// Seconds of all steps together; no step begins that would take longer
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub duration: u64,
    /// Milliseconds from answer to hang-up
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub talk: u64,
    /// Milliseconds that the p99 of the decision may take
    #[arg(long, default_value_t = 50.0)]
    pub limit: f64,
    /// Milliseconds that a PBX holds a call. The agent decides within four fifths of that
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(50..=10_000))]
    pub hold: u64,
    /// Chooses when calls come, and at which PBX
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The program to measure; if absent, the `sidecall` beside this program
    #[arg(long, env = "SIDECALL_BINARY")]
    #[serde(skip)]
    pub sidecall: Option<PathBuf>,
    /// Print one JSON object, not a table
    #[arg(long)]
    #[serde(skip)]
    pub json: bool,
}

const AFTER: &str = "\
Build both with: cargo build --release -p sidecall -p sidecall-load

Examples:
  sidecall-load                                  ten PBXs, until something breaks
  sidecall-load --pbxs 100 --agents 2            a hundred, shared by two agents
  sidecall-load --postgres --nodes 2             one node is active, one stands by
  sidecall-load --rate 50 --to 50 --step 60      one minute at 50 calls per second
  sidecall-load --seed 7 --json > load.json      figures for another program

What the table has, for each step:
  calls/s           calls that were decided, per second
  decision          from the announcement written to the release read, at the PBX
  answer to pair    from the answer written to the second of both clients being told
  lost              calls without a decision / with a client that was not told
  CPU ms/call       of the active node, of all nodes that stand by, of PostgreSQL, of all agents, and of this generator, from /proc
  MB                resident memory of the active node and of all agents
  per call          queries to the database, writes, and the transactions that committed them, from the node's metrics,
                    which it updates each second
  late              p99 of how late this generator wrote an announcement

The exit status is 0 if at least the first step held, and 1 if it did not or if something went wrong.";

/// Numbers begin with +1212, and seven digits follow.
const NUMBERS: u64 = 10_000_000;

impl Options {
    /// Refuses what no option alone shows.
    pub fn check(&self) -> anyhow::Result<()> {
        let numbers = u64::from(self.pbxs) * u64::from(self.numbers);
        ensure!(numbers <= NUMBERS, "--pbxs times --numbers is {numbers}, and at most {NUMBERS} numbers can be made");
        ensure!(self.clients <= self.numbers, "--clients: each needs a number, and --numbers is {}", self.numbers);
        ensure!(self.postgres || self.nodes == 1, "--nodes: several share a PostgreSQL, so add --postgres");
        ensure!(self.agents <= self.pbxs, "--agents: each needs a PBX, and --pbxs is {}", self.pbxs);
        ensure!((0.1..=self.to).contains(&self.rate), "--rate must be from 0.1 to --to, which is {}", self.to);
        ensure!(self.step <= self.duration, "--step is longer than --duration");
        Ok(())
    }

    /// The program to measure.
    pub fn program(&self) -> anyhow::Result<PathBuf> {
        let beside = || {
            let own = std::env::current_exe().context("the path of this program")?;
            Ok::<_, anyhow::Error>(own.parent().unwrap_or(Path::new(".")).join("sidecall"))
        };
        let program = self.sidecall.clone().map_or_else(beside, Ok)?;
        ensure!(program.is_file(), "{} is missing: cargo build --release -p sidecall", program.display());
        Ok(program)
    }

    pub fn talk(&self) -> Duration {
        Duration::from_millis(self.talk)
    }

    pub fn hold(&self) -> Duration {
        Duration::from_millis(self.hold)
    }
}
