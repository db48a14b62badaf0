//! How often somebody may post to one call-scoped address, and a peer make offers: a token bucket for each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Posts at once, and per second after that.
const POSTS: Limit = Limit { burst: 50.0, rate: 20.0 };
/// Offers of one peer: as many as it may have calls to us.
const OFFERS: Limit = Limit { burst: 500.0, rate: 200.0 };
/// A bucket that was not touched for so long is full again.
const IDLE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy)]
struct Limit {
    burst: f64,
    rate: f64,
}

/// The buckets, by address and by peer.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<(Kind, String), Bucket>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Post,
    Offer,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Limits {
    /// Takes one post to an address; false if there is none left.
    pub(super) fn take(&self, address: &str, now: Instant) -> bool {
        self.take_one((Kind::Post, address.to_owned()), POSTS, now)
    }

    /// Takes one offer of a peer; false if there is none left.
    pub(super) fn take_offer(&self, peer: &str, now: Instant) -> bool {
        self.take_one((Kind::Offer, peer.to_owned()), OFFERS, now)
    }

    fn take_one(&self, key: (Kind, String), Limit { burst, rate }: Limit, now: Instant) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.entry(key).or_insert(Bucket { left: burst, at: now });
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.left = (bucket.left + since * rate).min(burst);
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
        assert_eq!((0..1000).filter(|_| limits.take_offer("a", start)).count(), 500);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| limits.take("a", later)).count(), 20);
        limits.sweep(later + IDLE);
        assert!(limits.0.lock().unwrap().is_empty());
    }
}
