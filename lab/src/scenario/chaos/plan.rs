//! The faults of a round and their times: a pure function of a seed.
//!
//! Two kinds of faults are left out, because `e2e_failures` has them: the agent is never killed, and its links to the PBXs are
//! never cut. Nodes have no link to each other.

use std::time::Duration;

/// The default seed. The first minute of its plan has a fault of each kind. The stepped clock, the full disk and a link
/// are alone, so that their effect is checked.
pub const SEED: u64 = 2_088_127;
/// The longest time for which a plan has both nodes down.
pub const BOTH_DOWN_MAX: Duration = Duration::from_secs(3);
/// The shortest time between the end of one fault and the start of the next, unless the two overlap.
pub const CALM_MIN: Duration = Duration::from_secs(7);
/// The longest such time.
const CALM_MAX: Duration = Duration::from_secs(10);

/// The node that a fault is for. It is chosen when the fault begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The node that works.
    Active,
    /// The other one.
    StandBy,
}

/// A link that has a proxy in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// From the agent to a node.
    Agent(Target),
    /// From a node to PostgreSQL.
    Database(Target),
    /// From all clients to the active node.
    Clients,
}

/// How a link is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFault {
    /// All connections break, and new ones are refused.
    Cut,
    /// Everything is late.
    Slow,
    /// Nothing arrives, and nothing is closed.
    Partition,
}

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A node is killed. At the end it is started again.
    Kill(Target),
    /// A node hangs (SIGSTOP). At the end it continues.
    Stop(Target),
    /// A link is broken. At the end it works again.
    Break(Link, LinkFault),
    /// PostgreSQL is stopped. At the end it is started again.
    RestartPostgres,
    /// No table of PostgreSQL can grow. At the end they can.
    FillDisk,
    /// The wall clock of the active node is so many seconds ahead of the real one. At the end it is right again.
    StepClock(i64),
}

/// A fault and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedFault {
    /// From the start of the round to its start.
    pub at: Duration,
    pub lasts: Duration,
    pub fault: Fault,
    /// No other fault overlaps it.
    pub alone: bool,
}

impl PlannedFault {
    /// From the begin of the round to its end.
    pub fn over(&self) -> Duration {
        self.at + self.lasts
    }
}

impl Fault {
    /// How many nodes don't work, at most, while it lasts.
    pub fn nodes_down(self) -> usize {
        match self {
            Fault::RestartPostgres => 2,
            Fault::Kill(_)
            | Fault::Stop(_)
            | Fault::Break(Link::Database(_), LinkFault::Cut | LinkFault::Partition) => 1,
            Fault::Break(..) | Fault::FillDisk | Fault::StepClock(_) => 0,
        }
    }

    /// Whether PostgreSQL itself breaks. The disk of a stopped server can't be filled.
    fn is_of_postgres(self) -> bool {
        matches!(self, Fault::RestartPostgres | Fault::FillDisk)
    }

    fn lasts(self, random: &mut Random) -> Duration {
        let [shortest, longest] = match self {
            // As long as systemd and a node take to start again, and longer.
            Fault::Kill(_) => [200, 4_000],
            // Shorter and longer than the lease.
            Fault::Stop(_) => [300, 5_000],
            Fault::Break(..) => [500, 4_000],
            Fault::RestartPostgres => [100, 2_000],
            // Long enough for a table to need another page.
            Fault::FillDisk => [2_000, 4_000],
            // Long enough for the node to notice: its clock is read once a second, twice over.
            Fault::StepClock(_) => [3_000, 6_000],
        };
        random.between(Duration::from_millis(shortest), Duration::from_millis(longest))
    }
}

/// The faults of a round of this length. Each is over [`CALM_MIN`] before the round is. The disk can be filled only if
/// PostgreSQL has a small one.
pub fn plan(seed: u64, round: u64, length: Duration, small_disk: bool) -> Vec<PlannedFault> {
    let mut random = Random::of(seed, round);
    let (mut faults, mut remaining) = (Vec::new(), Vec::new());
    let mut at = random.between(Duration::from_secs(2), Duration::from_secs(4));
    loop {
        let fault = next_fault(&mut remaining, small_disk, &mut random);
        let mut first = PlannedFault { at, lasts: fault.lasts(&mut random), fault, alone: true };
        // Every fourth one isn't alone.
        let second = (random.below(4) == 0).then(|| next_fault(&mut remaining, small_disk, &mut random));
        let second = second.filter(|second| !(first.fault.is_of_postgres() && second.is_of_postgres()));
        let second = second.map(|second| overlap(&first, second, &mut random));
        let over = second.map_or(first.over(), |second| second.over().max(first.over()));
        if over + CALM_MIN > length {
            return faults;
        }
        first.alone = second.is_none();
        faults.push(first);
        faults.extend(second);
        at = over + random.between(CALM_MIN, CALM_MAX);
    }
}

/// A second fault, which begins while the first one lasts.
fn overlap(first: &PlannedFault, fault: Fault, random: &mut Random) -> PlannedFault {
    let at = first.at + random.between(Duration::ZERO, first.lasts);
    let lasts = fault.lasts(random);
    let both = first.fault.nodes_down() + fault.nodes_down() >= 2;
    PlannedFault { at, lasts: if both { lasts.min(BOTH_DOWN_MAX) } else { lasts }, fault, alone: false }
}

/// Takes a random one of the remaining faults. Each fault comes once before any comes again.
fn next_fault(remaining: &mut Vec<Fault>, small_disk: bool, random: &mut Random) -> Fault {
    if remaining.is_empty() {
        *remaining = all_faults(random);
        remaining.retain(|fault| small_disk || *fault != Fault::FillDisk);
    }
    let n = random.below(remaining.len() as u64) as usize;
    remaining.swap_remove(n)
}

fn all_faults(random: &mut Random) -> Vec<Fault> {
    let mut all =
        vec![Fault::RestartPostgres, Fault::FillDisk, Fault::StepClock(step(random)), Fault::StepClock(-step(random))];
    for target in [Target::Active, Target::StandBy] {
        all.extend([Fault::Kill(target), Fault::Stop(target)]);
    }
    // The agent doesn't use its link to the stand-by.
    all.push(Fault::Break(Link::Database(Target::StandBy), LinkFault::Partition));
    for link_fault in [LinkFault::Cut, LinkFault::Slow, LinkFault::Partition] {
        let links = [Link::Agent(Target::Active), Link::Database(Target::Active), Link::Clients];
        all.extend(links.map(|link| Fault::Break(link, link_fault)));
    }
    all
}

/// The error of a clock without NTP, in seconds: up to ten minutes.
fn step(random: &mut Random) -> i64 {
    2 + random.below(599) as i64
}

/// Pseudorandom numbers (SplitMix64): no version of a library changes those of a seed.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The numbers of a round.
    pub fn of(seed: u64, round: u64) -> Random {
        let mut seeds = Random(seed);
        Random(seeds.draw() ^ Random(round).draw())
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// 0 to `n` - 1.
    pub fn below(&mut self, n: u64) -> u64 {
        self.draw() % n.max(1)
    }

    /// A time of whole milliseconds, both ends included.
    pub fn between(&mut self, shortest: Duration, longest: Duration) -> Duration {
        let width = longest.saturating_sub(shortest).as_millis() as u64;
        shortest + Duration::from_millis(self.below(width + 1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The longest time for which faults have both nodes down.
    fn longest_without_a_node(faults: &[PlannedFault]) -> Duration {
        let mut times: Vec<Duration> = faults.iter().flat_map(|fault| [fault.at, fault.over()]).collect();
        times.sort_unstable();
        let down = |at: Duration| -> usize {
            let active = faults.iter().filter(|fault| fault.at <= at && at < fault.over());
            active.map(|fault| fault.fault.nodes_down()).sum()
        };
        let (mut longest, mut since) = (Duration::ZERO, None);
        for at in times {
            since = if down(at) >= 2 { since.or(Some(at)) } else { None };
            let next = faults.iter().flat_map(|fault| [fault.at, fault.over()]).filter(|time| *time > at).min();
            longest = longest.max(since.zip(next).map_or(Duration::ZERO, |(since, next)| next - since));
        }
        longest
    }

    proptest! {
        #[test]
        fn every_fault_is_over_before_its_round_is(seed in any::<u64>(), round in 0_u64..100, seconds in 1_u64..200) {
            let length = Duration::from_secs(seconds);
            let faults = plan(seed, round, length, true);
            prop_assert!(faults.iter().all(|fault| fault.over() + CALM_MIN <= length), "{:?}", faults);
            prop_assert!(faults.iter().all(|fault| fault.lasts >= Duration::from_millis(100)), "{:?}", faults);
            prop_assert!(faults.is_sorted_by_key(|fault| fault.at), "{:?}", faults);
        }

        #[test]
        fn both_nodes_are_never_down_for_long(seed in any::<u64>(), round in 0_u64..100) {
            let faults = plan(seed, round, Duration::from_secs(200), true);
            prop_assert!(longest_without_a_node(&faults) <= BOTH_DOWN_MAX, "{:?}", faults);
        }

        #[test]
        fn a_fault_is_alone_or_overlaps_one_other_and_then_it_is_calm(seed in any::<u64>(), round in 0_u64..100) {
            let faults = plan(seed, round, Duration::from_secs(200), true);
            for (n, fault) in faults.iter().enumerate() {
                let others = faults.iter().enumerate().filter(|(other, _)| *other != n).map(|(_, other)| other);
                let near = |other: &&PlannedFault| {
                    other.at < fault.over() + CALM_MIN && fault.at < other.over() + CALM_MIN
                };
                let near = others.filter(near).count();
                prop_assert_eq!(near, usize::from(!fault.alone), "{:?}", faults);
            }
        }

        #[test]
        fn the_disk_of_a_stopped_server_is_left_alone(seed in any::<u64>(), round in 0_u64..100) {
            let faults = plan(seed, round, Duration::from_secs(200), true);
            let of_postgres: Vec<_> = faults.iter().filter(|fault| fault.fault.is_of_postgres()).collect();
            prop_assert!(of_postgres.windows(2).all(|two| two[0].over() < two[1].at), "{:?}", faults);
        }

        #[test]
        fn a_seed_makes_one_plan(seed in any::<u64>(), round in 0_u64..100) {
            let length = Duration::from_secs(60);
            prop_assert_eq!(plan(seed, round, length, true), plan(seed, round, length, true));
        }
    }

    #[test]
    fn the_first_minute_of_the_usual_seed_has_a_fault_of_each_kind() {
        let faults = plan(SEED, 0, Duration::from_secs(60), true);
        let faults: Vec<(Fault, bool)> = faults.iter().map(|fault| (fault.fault, fault.alone)).collect();
        let expected = [
            (Fault::StepClock(347), true),
            (Fault::Break(Link::Database(Target::Active), LinkFault::Partition), false),
            (Fault::Kill(Target::Active), false),
            (Fault::RestartPostgres, false),
            (Fault::Stop(Target::Active), false),
            (Fault::FillDisk, true),
            (Fault::Break(Link::Agent(Target::Active), LinkFault::Partition), true),
        ];
        assert_eq!(faults, expected);
    }

    #[test]
    fn without_a_small_disk_none_is_filled() {
        let faults = plan(1, 0, Duration::from_secs(600), false);
        assert!(faults.iter().all(|fault| fault.fault != Fault::FillDisk), "{faults:#?}");
    }

    #[test]
    fn a_long_round_has_every_fault() {
        let faults = plan(1, 0, Duration::from_secs(600), true);
        let mut random = Random::of(1, 0);
        for wanted in all_faults(&mut random) {
            let same = |fault: &PlannedFault| match (fault.fault, wanted) {
                (Fault::StepClock(a), Fault::StepClock(b)) => a.signum() == b.signum(),
                (a, b) => a == b,
            };
            assert!(faults.iter().any(same), "{wanted:?}: {faults:#?}");
        }
    }

    #[test]
    fn rounds_and_seeds_differ() {
        let plans = [(1, 0), (1, 1), (2, 0)].map(|(seed, round)| plan(seed, round, Duration::from_secs(60), true));
        assert!(plans[0] != plans[1] && plans[0] != plans[2], "{plans:#?}");
    }
}
