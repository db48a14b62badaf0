//! How often somebody may post to one call-scoped address: a token bucket for each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Posts at once.
const BURST: f64 = 50.0;
/// Posts per second after that.
const RATE: f64 = 20.0;
/// A bucket that was not touched for so long is full again.
const IDLE: Duration = Duration::from_secs(10);

/// The buckets, by address.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<String, Bucket>>);

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Limits {
    /// Takes one; false if there is none left.
    pub(super) fn take(&self, key: &str, now: Instant) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key.to_owned()).or_insert(Bucket { left: BURST, at: now });
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + since * RATE).min(BURST);
        bucket.at = now;
        let allowed = bucket.left >= 1.0;
        if allowed {
            bucket.left -= 1.0;
        }
        allowed
    }

    /// Forgets those that are full again.
    pub(super) fn sweep(&self, now: Instant) {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < IDLE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_a_rate() {
        let (limits, start) = (Limits::default(), Instant::now());
        assert_eq!((0..100).filter(|_| limits.take("a", start)).count(), 50);
        assert!(limits.take("b", start));
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| limits.take("a", later)).count(), 20);
        limits.sweep(later + IDLE);
        assert!(limits.0.lock().unwrap().is_empty());
    }
}
