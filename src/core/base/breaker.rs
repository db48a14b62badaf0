//! The circuit breaker before the node: after some failures, calls don't wait at all.

use std::ops::Add;
use std::time::{Duration, Instant};

/// Closed → (failures in a row reach the limit) → open → (rest is over) → half-open: one trial →
/// closed if it succeeds, open again if it fails.
///
/// | state | event | next |
/// |---|---|---|
/// | closed | success | closed, count 0 |
/// | closed | failure | closed, count + 1; open at the limit |
/// | open | asked before the rest is over | open, refused |
/// | open | asked after | half-open, let through |
/// | half-open | asked | half-open, refused (until the trial's own deadline is long past) |
/// | half-open | success | closed |
/// | half-open | failure | open |
#[derive(Debug, Clone)]
pub struct Breaker<T = Instant> {
    limit: u32,
    rest: Duration,
    state: State<T>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State<T> {
    Closed { failures: u32 },
    Open { until: T },
    Trial { since: T },
}

impl<T: Copy + Ord + Add<Duration, Output = T>> Breaker<T> {
    /// Opens after `limit` failures in a row and stays open for `rest`.
    pub fn new(limit: u32, rest: Duration) -> Breaker<T> {
        Breaker { limit: limit.max(1), rest, state: State::Closed { failures: 0 } }
    }

    /// Whether to ask now. The first request after the rest is the trial.
    pub fn allows(&mut self, now: T) -> bool {
        if self.rests(now) {
            return false;
        }
        if self.is_open() {
            self.state = State::Trial { since: now };
        }
        true
    }

    /// Whether no request may be made now, not even a trial. This begins no trial.
    pub fn rests(&self, now: T) -> bool {
        match self.state {
            State::Closed { .. } => false,
            State::Open { until } => now < until,
            // A trial whose result never came must not keep the breaker half-open for ever.
            State::Trial { since } => now < since + self.rest,
        }
    }

    /// Records an answer in time. True if that closed the breaker.
    pub fn succeeded(&mut self) -> bool {
        let was_open = self.is_open();
        self.state = State::Closed { failures: 0 };
        was_open
    }

    /// Records a failure or a timeout. True if that opened the breaker.
    pub fn failed(&mut self, now: T) -> bool {
        let failures = match self.state {
            State::Closed { failures } => failures + 1,
            State::Trial { .. } => self.limit,
            // A request that was in flight when the breaker opened.
            State::Open { .. } => return false,
        };
        let opens = failures >= self.limit;
        self.state = if opens { State::Open { until: now + self.rest } } else { State::Closed { failures } };
        opens
    }

    /// Whether the breaker is open, or on trial.
    pub fn is_open(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_rests_tries_once_and_closes() {
        let (t0, second) = (Duration::ZERO, Duration::from_secs(1));
        let mut breaker = Breaker::new(3, second);
        assert!(!breaker.failed(t0) && !breaker.failed(t0));
        assert!(breaker.allows(t0));
        assert!(breaker.failed(t0), "the third opens");
        assert!(breaker.rests(t0 + second / 2) && !breaker.allows(t0 + second / 2));
        assert!(!breaker.rests(t0 + second) && !breaker.rests(t0 + second), "looking is no trial");
        assert!(breaker.allows(t0 + second), "one trial");
        assert!(breaker.rests(t0 + second) && !breaker.allows(t0 + second), "and one only");
        assert!(breaker.failed(t0 + second));
        assert!(breaker.allows(t0 + second * 2));
        assert!(breaker.succeeded());
        assert!(breaker.allows(t0 + second * 2) && !breaker.is_open());
    }

    #[test]
    fn a_success_between_failures_starts_the_count_again() {
        let now = Duration::ZERO;
        let mut breaker = Breaker::new(2, Duration::from_secs(1));
        breaker.failed(now);
        breaker.succeeded();
        assert!(!breaker.failed(now));
    }

    #[test]
    fn a_lost_trial_is_not_for_ever() {
        let (now, second) = (Duration::ZERO, Duration::from_secs(1));
        let mut breaker = Breaker::new(1, second);
        breaker.failed(now);
        assert!(breaker.allows(now + second));
        assert!(breaker.allows(now + second * 2));
    }
}
