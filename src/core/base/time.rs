//! Times, as values that the caller has read from a clock.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

/// Maximum time a report may be in transit. A sender's clock that seems behind by less may be right.
const TRANSIT_MAX: i64 = 5_000;

impl UnixMillis {
    /// Converts a time from a clock that showed `sent` to ours, which shows `now`. A difference that the transit of the
    /// report explains is not corrected. The result is never later than `now`.
    #[must_use]
    pub fn by_clock(self, sent: Option<UnixMillis>, now: UnixMillis) -> UnixMillis {
        let ahead = sent.map_or(0, |sent| sent.0.saturating_sub(now.0));
        let ahead = if (-TRANSIT_MAX..=0).contains(&ahead) { 0 } else { ahead };
        UnixMillis(self.0.saturating_sub(ahead)).min(now)
    }
}

impl Add<Duration> for UnixMillis {
    type Output = UnixMillis;
    fn add(self, rest: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_add(i64::try_from(rest.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub for UnixMillis {
    type Output = Duration;
    /// The time since `earlier`; zero if that is later.
    fn sub(self, earlier: UnixMillis) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// What a clock showed, kept for the next process. All times are microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockReading {
    /// The boot of the machine.
    pub boot: String,
    /// Time since that boot.
    pub since_boot: i64,
    /// What the clock showed then, since 1970.
    pub at: i64,
}

impl ClockReading {
    /// What the clock shows now, unless the machine has restarted.
    pub fn reads(&self, boot: &str, since_boot: i64) -> Option<i64> {
        let passed = since_boot.checked_sub(self.since_boot)?;
        (!boot.is_empty() && self.boot == boot && passed >= 0).then(|| self.at.saturating_add(passed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_on_in_the_same_boot_alone() {
        let reading = ClockReading { boot: "a".into(), since_boot: 1_000, at: 5_000_000 };
        assert_eq!(reading.reads("a", 3_000), Some(5_002_000));
        assert_eq!(reading.reads("b", 3_000), None);
        assert_eq!(reading.reads("a", 999), None);
        assert_eq!(ClockReading { boot: String::new(), ..reading }.reads("", 3_000), None);
    }
}
