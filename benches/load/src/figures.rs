//! What a step has measured.

use std::time::Duration;

use serde::Serialize;

use crate::children::{Readings, StoreReadings, Usage};

/// What became of a call.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// How late it was announced.
    pub late: Duration,
    /// From the announcement to the decision, if that came within the hold.
    pub decision: Option<Duration>,
    /// From the answer to the second of both clients being told.
    pub told: Option<Duration>,
}

/// Some of the times, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// CPU time in milliseconds per call, and resident memory in megabytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Cost {
    pub cpu_ms: f64,
    pub memory_mb: f64,
}

/// What one rate has shown.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Step {
    /// Calls per second that were asked for.
    pub rate: f64,
    pub calls: usize,
    /// Calls per second that were decided.
    pub decided_per_second: f64,
    pub decision_ms: Option<Quantiles>,
    /// From the answer to the second of both clients being told.
    pub pair_ms: Option<Quantiles>,
    /// How late calls were announced: the generator's own fault.
    pub late_ms: Option<Quantiles>,
    /// Calls that got no decision within the hold.
    pub undecided: usize,
    /// Calls of which a client was not told.
    pub unpaired: usize,
    /// Calls that were not made, since no client was free.
    pub unmade: usize,
    /// Times that a client was told of a number that it does not talk with.
    pub strangers: u64,
    pub streams_ended: u64,
    /// The process that has ended, with the last lines of its log.
    pub ended: Option<String>,
    /// The active node.
    pub node: Cost,
    pub stand_bys: Cost,
    /// None if the data are in a file. Memory that its processes share counts for each.
    pub database: Option<Cost>,
    pub agents: Cost,
    pub generator: Cost,
    pub store: StoreCost,
}

/// What a call costs at the database. By the node's metrics, which it updates each second: short steps are inexact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct StoreCost {
    pub reads_per_call: Option<f64>,
    pub writes_per_call: Option<f64>,
    /// Transactions that commit them.
    pub commits_per_call: Option<f64>,
}

impl Quantiles {
    fn of(times: impl Iterator<Item = Duration>) -> Option<Quantiles> {
        let mut times: Vec<Duration> = times.collect();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        let at = |share: f64| round(times[(last as f64 * share).ceil() as usize].as_secs_f64() * 1e3);
        Some(Quantiles { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) })
    }
}

impl StoreCost {
    fn new(calls: f64, before: &StoreReadings, after: &StoreReadings) -> StoreCost {
        let per_call = |before: Option<u64>, after: Option<u64>| {
            before.zip(after).map(|(before, after)| round(after.saturating_sub(before) as f64 / calls))
        };
        StoreCost {
            reads_per_call: per_call(before.reads, after.reads),
            writes_per_call: per_call(before.writes, after.writes),
            commits_per_call: per_call(before.commits, after.commits),
        }
    }
}

impl Step {
    pub fn new(rate: f64, length: Duration, outcomes: &[Outcome], before: &Readings, after: &Readings) -> Step {
        let count = outcomes.len().max(1) as f64;
        let cost = |before: &Usage, after: &Usage| Cost {
            cpu_ms: round(after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e3 / count),
            memory_mb: round(after.memory as f64 / 1024.0),
        };
        let decided = outcomes.iter().filter(|outcome| outcome.decision.is_some()).count();
        let paired = outcomes.iter().filter(|outcome| outcome.told.is_some()).count();
        Step {
            rate: round(rate),
            calls: outcomes.len(),
            decided_per_second: round(decided as f64 / length.as_secs_f64()),
            decision_ms: Quantiles::of(outcomes.iter().filter_map(|outcome| outcome.decision)),
            pair_ms: Quantiles::of(outcomes.iter().filter_map(|outcome| outcome.told)),
            late_ms: Quantiles::of(outcomes.iter().map(|outcome| outcome.late)),
            undecided: outcomes.len() - decided,
            unpaired: outcomes.len() - paired,
            node: cost(&before.node, &after.node),
            stand_bys: cost(&before.stand_bys, &after.stand_bys),
            database: before.database.zip(after.database).map(|(before, after)| cost(&before, &after)),
            agents: cost(&before.agents, &after.agents),
            generator: cost(&before.generator, &after.generator),
            store: StoreCost::new(count, &before.store, &after.store),
            ..Step::default()
        }
    }

    /// What is broken at this rate; nothing if it holds.
    pub fn broken(&self, limit: f64) -> Vec<String> {
        let p99 = |times: Option<Quantiles>| times.map_or(0.0, |times| times.p99);
        let (decision, late) = (p99(self.decision_ms), p99(self.late_ms));
        let found = [
            self.ended.clone(),
            (late > limit / 2.0).then(|| format!("the generator: its p99 is {late} ms late, so the rest says little")),
            (self.unmade > 0)
                .then(|| format!("the generator: no client was free for {} calls (--clients)", self.unmade)),
            (self.undecided > 0).then(|| format!("{} calls got no decision within the hold", self.undecided)),
            (decision > limit).then(|| format!("the decision: p99 is {decision} ms, and the limit {limit} ms")),
            (self.unpaired > 0).then(|| format!("of {} calls a client was not told within 5 s", self.unpaired)),
            (self.strangers > 0).then(|| format!("{} times a client was told of a stranger", self.strangers)),
            (self.streams_ended > 0).then(|| format!("{} clients lost their stream", self.streams_ended)),
        ];
        found.into_iter().flatten().collect()
    }
}

/// To two places behind the point.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(decision: Option<u64>, told: Option<u64>) -> Outcome {
        let ms = Duration::from_millis;
        Outcome { late: ms(1), decision: decision.map(ms), told: told.map(ms) }
    }

    fn readings(cpu: u64, reads: Option<u64>) -> Readings {
        let usage = Usage { cpu: Duration::from_millis(cpu), memory: 2048 };
        let store = StoreReadings { reads, commits: None, writes: reads.map(|reads| 2 * reads) };
        Readings { node: usage, stand_bys: Usage::default(), database: None, agents: usage, generator: usage, store }
    }

    #[test]
    fn quantiles_are_those_of_the_sorted_times() {
        let times = (1..=1000).rev().map(Duration::from_millis);
        let expected = Quantiles { p50: 501.0, p99: 991.0, p999: 1000.0, max: 1000.0 };
        assert_eq!(Quantiles::of(times), Some(expected));
        assert_eq!(Quantiles::of([].into_iter()), None);
    }

    #[test]
    fn a_step_says_what_a_call_cost_and_what_is_broken() {
        let outcomes =
            [outcome(Some(10), Some(5)), outcome(Some(60), None), outcome(None, Some(5)), outcome(Some(4), Some(5))];
        let step = Step::new(2.0, Duration::from_secs(2), &outcomes, &readings(100, Some(7)), &readings(120, Some(15)));
        assert_eq!((step.decided_per_second, step.undecided, step.unpaired), (1.5, 1, 1));
        assert_eq!((step.node, step.database), (Cost { cpu_ms: 5.0, memory_mb: 2.0 }, None));
        let store = StoreCost { reads_per_call: Some(2.0), writes_per_call: Some(4.0), commits_per_call: None };
        assert_eq!(step.store, store);
        assert_eq!(step.broken(50.0).len(), 3);
        let held = Step { undecided: 0, unpaired: 0, ..step };
        assert!(held.broken(60.0).is_empty());
        assert_eq!(Step { unmade: 1, strangers: 2, ..held.clone() }.broken(60.0).len(), 2);
        assert!(held.broken(1.5)[0].starts_with("the generator"));
    }
}
