//! How old an event is, though the PBX's clock and ours may differ.
//!
//! An announcement that waited in a socket while this process was stopped must not be answered as
//! if it were fresh: `uuid_break` or `Redirect` would then hit whatever the channel does by now. So
//! the PBX is asked for its time every few seconds, and its time stamps are read against that. The
//! two clocks may differ on one machine too: FreeSWITCH counts on from its own start
//! (`switch_micro_time_now` in `switch_time.c`), and a stepped clock leaves it behind.

use std::time::Duration;

/// A question for the time that took longer says too little, and perhaps this process was stopped
/// in between.
pub const ROUND_TRIP_MAX: i64 = 100_000;

/// The PBX's clock as we see it. All times are microseconds since the epoch of the clock in question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clock {
    offset: Option<i64>,
}

impl Clock {
    /// The PBX said `pbx` when asked at `asked`, and that arrived at `arrived`. True if it was taken.
    pub fn set(&mut self, pbx: i64, asked: i64, arrived: i64) -> bool {
        let round_trip = arrived.saturating_sub(asked);
        let taken = (0..=ROUND_TRIP_MAX).contains(&round_trip);
        if taken {
            self.offset = Some((asked + round_trip / 2).saturating_sub(pbx));
        }
        taken
    }

    /// The age of an event that the PBX stamped `sent` and that arrived at `arrived`, to within half
    /// a round trip; none as long as the PBX's clock is unknown.
    pub fn age(&self, sent: i64, arrived: i64) -> Option<Duration> {
        let age = arrived.saturating_sub(sent).saturating_sub(self.offset?);
        Some(Duration::from_micros(u64::try_from(age).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SKEW: i64 = 3_600_000_000;

    #[test]
    fn skew_is_not_age() {
        let mut clock = Clock::default();
        assert_eq!(clock.age(0, 0), None);
        assert!(clock.set(SKEW + 500, 0, 1_000));
        assert_eq!(clock.age(SKEW + 10_000, 10_300), Some(Duration::from_micros(300)));
        assert_eq!(clock.age(SKEW + 10_000, 2_010_000), Some(Duration::from_secs(2)));
        assert_eq!(clock.age(SKEW + 10_000, 9_000), Some(Duration::ZERO));
    }

    #[test]
    fn a_question_during_which_we_were_stopped_does_not_count() {
        let mut clock = Clock::default();
        clock.set(0, 0, 0);
        assert!(!clock.set(10_000_000, 10_000_000, 13_000_000));
        assert_eq!(clock.age(12_000_000, 13_000_000), Some(Duration::from_secs(1)));
    }

    #[test]
    fn a_stepped_clock_is_followed() {
        let mut clock = Clock::default();
        clock.set(0, 0, 0);
        clock.set(0, 5_000_000, 5_000_000);
        assert_eq!(clock.age(0, 5_000_000), Some(Duration::ZERO));
    }
}
