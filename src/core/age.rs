//! How old an event is, though the PBX's clock and ours may differ.
//!
//! An announcement that waited in a socket while this process was stopped must not be answered as
//! if it were fresh: `uuid_break` or `Redirect` would then hit whatever the channel does by now.
//! The smallest difference between arrival and the PBX's own time stamp is clock skew plus the
//! shortest way; what an event takes above that is its age.

use std::collections::VecDeque;
use std::time::Duration;

/// Samples kept: enough to span quiet minutes, few enough to follow a clock that is stepped.
const WINDOW: usize = 256;

/// The estimate for one PBX.
#[derive(Debug, Clone, Default)]
pub struct Ages {
    differences: VecDeque<i64>,
}

impl Ages {
    /// The age of an event stamped `sent` by the PBX that arrived at `arrived`, both in
    /// microseconds since the epoch of their own clock.
    ///
    /// The first event of all has nothing to be compared with, so the difference counts only if it
    /// is positive and the clocks are the same machine's; pass `same_clock` for that.
    pub fn age(&mut self, sent: i64, arrived: i64, same_clock: bool) -> Duration {
        let difference = arrived.saturating_sub(sent);
        if self.differences.len() == WINDOW {
            self.differences.pop_front();
        }
        self.differences.push_back(difference);
        let floor = if same_clock { 0 } else { self.differences.iter().copied().min().unwrap_or(0) };
        Duration::from_micros(u64::try_from(difference.saturating_sub(floor)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKEW: i64 = -3_600_000_000;

    #[test]
    fn skew_is_not_age() {
        let mut ages = Ages::default();
        for n in 0..10 {
            let sent = n * 1_000_000;
            assert_eq!(ages.age(sent, sent + SKEW + 300, false), Duration::ZERO);
        }
        let stale = ages.age(20_000_000, 20_000_000 + SKEW + 300 + 2_000_000, false);
        assert_eq!(stale, Duration::from_secs(2));
    }

    #[test]
    fn on_one_machine_the_first_event_has_an_age_too() {
        assert_eq!(Ages::default().age(1_000_000, 3_000_000, true), Duration::from_secs(2));
        assert_eq!(Ages::default().age(3_000_000, 1_000_000, true), Duration::ZERO);
    }

    #[test]
    fn a_stepped_clock_is_followed() {
        let mut ages = Ages::default();
        ages.age(0, 0, false);
        for n in 0..WINDOW as i64 {
            ages.age(n, n + 5_000_000, false);
        }
        assert_eq!(ages.age(0, 5_000_000, false), Duration::ZERO);
    }
}
