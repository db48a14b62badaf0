//! A token bucket: a burst, and then a rate.

use std::time::Instant;

/// How much is left of what may be taken.
#[derive(Debug)]
pub struct TokenBucket {
    left: f64,
    at: Instant,
}

impl TokenBucket {
    /// Begins with `burst` in it.
    pub fn full(burst: f64, now: Instant) -> TokenBucket {
        TokenBucket { left: burst, at: now }
    }

    /// Whether so much is in it, once it is filled up for the time that has passed: `rate` per second.
    pub fn holds(&mut self, wanted: f64, burst: f64, rate: f64, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since * rate).min(burst);
        self.at = now;
        self.left >= wanted
    }

    /// Takes so much, if there is.
    pub fn take(&mut self, wanted: f64, burst: f64, rate: f64, now: Instant) -> bool {
        let allowed = self.holds(wanted, burst, rate, now);
        if allowed {
            self.left -= wanted;
        }
        allowed
    }

    /// Takes more than may be in it; it is filled up again from below.
    pub fn owe(&mut self, amount: f64) {
        self.left -= amount;
    }
}
