//! How old an event is, though the PBX's clock and ours may differ.
//!
//! An announcement that waited in a socket while this process was stopped must not be answered as
//! if it were fresh: `uuid_break` or `Redirect` would then hit whatever the channel does by now. So
//! the PBX is asked for its time every few seconds, and its time stamps are read against that. The
//! two clocks may differ on one machine too: FreeSWITCH counts on from its own start
//! (`switch_micro_time_now` in `switch_time.c`), and a stepped clock leaves it behind.
//!
//! Our times are those of a clock that no step touches. When the wall clock of this machine is stepped, that of a PBX
//! on the same machine is stepped too, and that of another machine isn't. Until the PBX is asked again, an event is as old
//! as the likelier of the two makes it.

use std::time::Duration;

/// A question for the time that took longer says too little, and perhaps this process was stopped
/// in between.
pub const ROUND_TRIP_MAX: i64 = 100_000;

/// Events come within this time, by either clock (microseconds); a step that is as small as an event's age is read as age.
const PLAUSIBLE: std::ops::RangeInclusive<i64> = -1_000_000..=3_600_000_000;

/// The PBX's clock as we see it. All times are microseconds since the epoch of the clock in question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PbxClock {
    offset: Option<i64>,
    /// By how much the wall clock of this machine had been stepped by then.
    step: i64,
}

impl PbxClock {
    /// The PBX said `pbx` when asked at `asked`, and that arrived at `arrived`, when this machine's wall clock had been
    /// stepped by `step` in all. True if it was taken.
    pub fn set(&mut self, pbx: i64, asked: i64, arrived: i64, step: i64) -> bool {
        let round_trip = arrived.saturating_sub(asked);
        let taken = (0..=ROUND_TRIP_MAX).contains(&round_trip);
        if taken {
            self.offset = Some((asked + round_trip / 2).saturating_sub(pbx));
            self.step = step;
        }
        taken
    }

    /// The age of an event that the PBX stamped `sent` and that arrived at `arrived`, to within half
    /// a round trip; none as long as the PBX's clock is unknown.
    pub fn age(&self, sent: i64, arrived: i64, step: i64) -> Option<Duration> {
        let alone = arrived.saturating_sub(sent).saturating_sub(self.offset?);
        let with_us = alone.saturating_add(step.saturating_sub(self.step));
        // Of two likely ages the older: nothing is answered too late.
        let likely = [alone, with_us].into_iter().filter(|age| PLAUSIBLE.contains(age)).max();
        let age = likely.unwrap_or(alone);
        Some(Duration::from_micros(u64::try_from(age).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKEW: i64 = 3_600_000_000;

    #[test]
    fn skew_is_not_age() {
        let mut clock = PbxClock::default();
        assert_eq!(clock.age(0, 0, 0), None);
        assert!(clock.set(SKEW + 500, 0, 1_000, 0));
        assert_eq!(clock.age(SKEW + 10_000, 10_300, 0), Some(Duration::from_micros(300)));
        assert_eq!(clock.age(SKEW + 10_000, 2_010_000, 0), Some(Duration::from_secs(2)));
        assert_eq!(clock.age(SKEW + 10_000, 9_000, 0), Some(Duration::ZERO));
    }

    #[test]
    fn a_question_during_which_we_were_stopped_does_not_count() {
        let mut clock = PbxClock::default();
        clock.set(0, 0, 0, 0);
        assert!(!clock.set(10_000_000, 10_000_000, 13_000_000, 0));
        assert_eq!(clock.age(12_000_000, 13_000_000, 0), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_stepped_clock_is_followed() {
        let mut clock = PbxClock::default();
        clock.set(0, 0, 0, 0);
        clock.set(0, 5_000_000, 5_000_000, 0);
        assert_eq!(clock.age(0, 5_000_000, 0), Some(Duration::ZERO));
    }

    const DAY: i64 = 86_400_000_000;

    #[test]
    fn a_step_of_a_day_makes_no_event_old_or_young_whether_the_pbx_makes_it_or_not() {
        for step in [DAY, -DAY] {
            let mut clock = PbxClock::default();
            clock.set(SKEW, 0, 0, 0);
            for (moved, age) in [(0, 300), (0, 2_000_000), (step, 300), (step, 2_000_000)] {
                let sent = SKEW + 5_000_000 + moved;
                let found = clock.age(sent, 5_000_000 + age, step);
                assert_eq!(found, Some(Duration::from_micros(age.unsigned_abs())), "{step} {moved}");
            }
            // Asked again, it is known.
            clock.set(SKEW + 6_000_000 + step, 6_000_000, 6_000_000, step);
            assert_eq!(clock.age(SKEW + 7_000_000 + step, 9_000_000, step), Some(Duration::from_secs(2)));
        }
    }

    #[test]
    fn of_a_small_step_the_older_age_is_taken() {
        let mut clock = PbxClock::default();
        clock.set(0, 0, 0, 0);
        assert_eq!(clock.age(0, 1_000_000, 3_000_000), Some(Duration::from_secs(4)));
    }
}
