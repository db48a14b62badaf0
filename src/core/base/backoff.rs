//! Back-off: how long to wait before trying again, as a pure function of the attempt.

use std::time::Duration;

/// Exponential with full jitter, and a ceiling low enough that nobody waits for hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait before the second attempt.
    pub first: Duration,
    /// The longest wait.
    pub ceiling: Duration,
}

impl Backoff {
    /// For links to a PBX: 100 ms to 10 s.
    pub const LINK: Backoff = Backoff { first: Duration::from_millis(100), ceiling: Duration::from_secs(10) };
    /// For deliveries and reports over HTTP: 250 ms to 30 s.
    pub const HTTP: Backoff = Backoff { first: Duration::from_millis(250), ceiling: Duration::from_secs(30) };

    /// The wait after `attempt` failures (from 1), between half of the exponential step and the
    /// whole of it; `random` in 0..1 picks the place.
    pub fn wait(&self, attempt: u32, random: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(20);
        let step = self.first.saturating_mul(1 << doublings).min(self.ceiling);
        step.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
    }

    /// As [`Backoff::wait`], where the other side has said `after` what time it wants to be asked again: not sooner
    /// than we would, and not later than we ever do.
    pub fn wait_for(&self, attempt: u32, random: f64, after: Option<Duration>) -> Duration {
        let wait = self.wait(attempt, random);
        after.map_or(wait, |after| after.clamp(wait, self.ceiling))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn grows_and_stops_growing() {
        let ms = |attempt| Backoff::LINK.wait(attempt, 1.0).as_millis();
        assert_eq!((ms(1), ms(2), ms(3)), (100, 200, 400));
        assert_eq!(ms(20), 10_000);
        assert_eq!(ms(u32::MAX), 10_000);
        let after = |seconds| Backoff::LINK.wait_for(3, 1.0, Some(Duration::from_secs(seconds))).as_millis();
        assert_eq!((after(0), after(5), after(3600)), (400, 5000, 10_000));
    }

    proptest! {
        #[test]
        fn never_zero_and_never_above_the_ceiling(attempt in 0u32.., random in 0.0f64..1.0) {
            let wait = Backoff::LINK.wait(attempt, random);
            prop_assert!(wait >= Backoff::LINK.first / 2 && wait <= Backoff::LINK.ceiling);
        }
    }
}
