//! A token bucket: a burst, and then a rate.

use std::time::Instant;

/// The tokens that are left, and since when.
#[derive(Debug)]
pub struct TokenBucket {
    left: f64,
    at: Instant,
}

impl TokenBucket {
    /// A bucket that holds `burst` tokens.
    pub fn full(burst: f64, now: Instant) -> TokenBucket {
        TokenBucket { left: burst, at: now }
    }

    /// Refills the bucket, by `rate` tokens per second, and says whether enough tokens remain.
    pub fn holds(&mut self, wanted: f64, burst: f64, rate: f64, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + since * rate).min(burst);
        self.at = now;
        self.left >= wanted
    }

    /// Takes tokens if enough remain.
    pub fn take(&mut self, wanted: f64, burst: f64, rate: f64, now: Instant) -> bool {
        let allowed = self.holds(wanted, burst, rate, now);
        if allowed {
            self.left -= wanted;
        }
        allowed
    }

    /// Takes tokens even if too few remain; refilling then starts below zero.
    pub fn owe(&mut self, amount: f64) {
        self.left -= amount;
    }
}
