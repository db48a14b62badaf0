//! What a run has shown, as a table and as JSON.

use std::fmt;

use serde::Serialize;

use crate::figures::{Quantiles, Step, StoreCost};
use crate::options::Options;

/// All steps, and where it broke.
#[derive(Debug, Serialize)]
pub struct Report {
    options: Options,
    cores: usize,
    steps: Vec<Step>,
    /// The highest rate at which nothing was broken.
    pub held: Option<f64>,
    broke: Option<Break>,
}

/// What broke first.
#[derive(Debug, Serialize)]
struct Break {
    rate: f64,
    why: Vec<String>,
}

impl Report {
    pub fn new(options: &Options) -> Report {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Report { options: options.clone(), cores, steps: Vec::new(), held: None, broke: None }
    }

    /// Adds a step. Returns whether that rate held.
    pub fn add(&mut self, step: Step) -> bool {
        let (rate, why) = (step.rate, step.broken(self.options.limit));
        self.steps.push(step);
        match why.is_empty() {
            true => self.held = Some(rate),
            false => self.broke = Some(Break { rate, why }),
        }
        self.broke.is_none()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { pbxs, numbers, clients, agents, nodes, seed, .. } = &self.options;
        let nodes = if *nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
        let database = if self.options.postgres { "PostgreSQL" } else { "SQLite" };
        writeln!(f, "{pbxs} PBXs with {numbers} numbers and {clients} clients each, {agents} agents")?;
        writeln!(f, "{nodes} on {database}; {} cores; seed {seed}\n", self.cores)?;
        let (rate, decided, undecided) = ("rate", "calls/s", "lost");
        writeln!(
            f,
            "{rate:>7} {decided:>8}   {:^26}   {:^26}   {undecided:>9}   {:^35}   {:^11}   {:^20}   {:>8}",
            "decision, ms", "answer to pair, ms", "CPU ms/call", "MB", "per call", "late, ms"
        )?;
        let quantiles = "p50      p99    p99.9";
        writeln!(
            f,
            "{:>16}   {quantiles:>26}   {quantiles:>26}   {:>9}   node stand-by    db agent generator   node  agent   reads writes commits",
            "", ""
        )?;
        for step in &self.steps {
            let Step { rate, decided_per_second, undecided, unpaired, node, stand_bys, agents, generator, .. } = step;
            let database = step.database.map_or("-".to_owned(), |database| format!("{:.1}", database.cpu_ms));
            let cpu = format!("{:>4.1} {:>8.1} {database:>5}", node.cpu_ms, stand_bys.cpu_ms);
            let cpu = format!("{cpu} {:>5.1} {:>9.1}", agents.cpu_ms, generator.cpu_ms);
            let memory = format!("{:>4.0} {:>6.0}", node.memory_mb, agents.memory_mb);
            let StoreCost { reads_per_call, writes_per_call, commits_per_call } = step.store;
            let [reads, writes, commits] = [reads_per_call, writes_per_call, commits_per_call].map(per_call);
            let late = step.late_ms.map_or("-".to_owned(), |late| format!("{:.1}", late.p99));
            let (decision, pair) = (shown(step.decision_ms), shown(step.pair_ms));
            let lost = format!("{undecided}/{unpaired}");
            writeln!(
                f,
                "{rate:>7.1} {decided_per_second:>8.1}   {decision}   {pair}   {lost:>9}   {cpu}   {memory}   {reads:>5} {writes:>6} {commits:>7}   {late:>8}"
            )?;
        }
        writeln!(f)?;
        match &self.broke {
            Some(Break { rate, why }) => writeln!(f, "broke first, at {rate} calls/s:\n  {}", why.join("\n  "))?,
            None => writeln!(f, "nothing broke")?,
        }
        match self.held {
            Some(held) => writeln!(f, "highest rate that held: {held} calls/s"),
            None => writeln!(f, "no rate held"),
        }
    }
}

fn per_call(number: Option<f64>) -> String {
    number.map_or("-".to_owned(), |number| format!("{number:.2}"))
}

/// p50, p99 and p99.9 in 26 columns.
fn shown(times: Option<Quantiles>) -> String {
    times
        .map_or(format!("{:>26}", "-"), |Quantiles { p50, p99, p999, .. }| format!("{p50:>8.1} {p99:>8.1} {p999:>8.1}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn the_first_rate_that_breaks_is_the_last_and_the_one_before_has_held() {
        let mut report = Report::new(&Options::parse_from(["sidecall-load", "--seed", "7"]));
        assert!(report.add(Step { rate: 20.0, ..Step::default() }));
        assert!(!report.add(Step { rate: 30.0, undecided: 2, ..Step::default() }));
        let text = report.to_string();
        assert!(text.contains("broke first, at 30 calls/s:\n  2 calls got no decision"), "{text}");
        assert!(text.ends_with("highest rate that held: 20 calls/s\n"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["held"], &json["options"]["seed"]), (&20.0.into(), &7.into()));
        assert_eq!(json["broke"]["rate"], 30.0);
    }
}
