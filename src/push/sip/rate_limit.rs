//! Limits the SIP MESSAGEs to a number's clients and on their behalf: a burst of one minute's allowance, then a
//! constant rate.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::core::base::token_bucket::TokenBucket;
use crate::core::numbering::number::Number;

/// After this long without a message, a number's bucket is full again.
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(in crate::push) struct SipRateLimit {
    per_minute: f64,
    buckets: Mutex<HashMap<Number, (TokenBucket, Instant)>>,
}

impl SipRateLimit {
    pub(in crate::push) fn new(per_minute: u32) -> SipRateLimit {
        SipRateLimit { per_minute: per_minute.into(), buckets: Mutex::default() }
    }

    /// Takes one message from a number's allowance; false if it is used up. Messages that outsiders cause at will, posts
    /// and missed calls, can use only half of it, so that a flood of them doesn't suppress peer messages.
    pub(in crate::push) fn take(&self, number: &Number, may_flood: bool, now: Instant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !buckets.contains_key(number) {
            buckets.retain(|_, (_, last)| now.saturating_duration_since(*last) < MINUTE);
            buckets.insert(number.clone(), (TokenBucket::full(self.per_minute, now), now));
        }
        let Some((bucket, last)) = buckets.get_mut(number) else { return false };
        *last = now;
        let kept = if may_flood { self.per_minute / 2.0 } else { 0.0 };
        let left = bucket.holds(1.0 + kept, self.per_minute, self.per_minute / MINUTE.as_secs_f64(), now);
        if left {
            bucket.owe(1.0);
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_a_minutes_worth_and_then_a_rate() {
        let (allowance, start) = (SipRateLimit::new(60), Instant::now());
        let [bob, carol] = ["+12125550101", "+12125550102"].map(|text| text.parse().unwrap());
        let taken = |number, at| (0..100).filter(|_| allowance.take(number, false, at)).count();
        assert_eq!(taken(&bob, start), 60);
        assert_eq!(taken(&carol, start), 60);
        assert_eq!(taken(&bob, start + Duration::from_secs(5)), 5);
        assert_eq!(taken(&bob, start + Duration::from_secs(600)), 60);
        assert_eq!(allowance.buckets.lock().unwrap().len(), 2);
        assert!(allowance.take(&"+12125550103".parse().unwrap(), false, start + Duration::from_secs(700)));
        assert_eq!(allowance.buckets.lock().unwrap().len(), 1, "numbers that were quiet for a minute are forgotten");
    }

    #[test]
    fn posts_leave_half_for_those_who_are_on_the_phone() {
        let (allowance, now) = (SipRateLimit::new(60), Instant::now());
        let bob = "+12125550101".parse().unwrap();
        assert_eq!((0..100).filter(|_| allowance.take(&bob, true, now)).count(), 30);
        assert_eq!((0..100).filter(|_| allowance.take(&bob, false, now)).count(), 30);
    }
}
