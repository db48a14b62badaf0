//! How many SIP MESSAGEs a number's clients are sent: a minute's worth at once, then as many as come back in time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::core::bucket::Bucket;
use crate::core::number::Number;

/// After this long without a message, a number's bucket is full again.
const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Allowance {
    per_minute: f64,
    taken: Mutex<HashMap<Number, (Bucket, Instant)>>,
}

impl Allowance {
    pub(super) fn new(per_minute: u32) -> Allowance {
        Allowance { per_minute: per_minute.into(), taken: Mutex::default() }
    }

    /// Takes one message to a number's clients; false if there is none left.
    pub(super) fn take(&self, number: &Number, now: Instant) -> bool {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if !taken.contains_key(number) {
            taken.retain(|_, (_, last)| now.saturating_duration_since(*last) < MINUTE);
            taken.insert(number.clone(), (Bucket::full(self.per_minute, now), now));
        }
        let Some((bucket, last)) = taken.get_mut(number) else { return false };
        *last = now;
        bucket.take(1.0, self.per_minute, self.per_minute / MINUTE.as_secs_f64(), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_a_minutes_worth_and_then_a_rate() {
        let (allowance, start) = (Allowance::new(60), Instant::now());
        let [bob, carol] = ["+12125550101", "+12125550102"].map(|text| text.parse().unwrap());
        let taken = |number, at| (0..100).filter(|_| allowance.take(number, at)).count();
        assert_eq!(taken(&bob, start), 60);
        assert_eq!(taken(&carol, start), 60);
        assert_eq!(taken(&bob, start + Duration::from_secs(5)), 5);
        assert_eq!(taken(&bob, start + Duration::from_secs(600)), 60);
        assert_eq!(allowance.taken.lock().unwrap().len(), 2);
        assert!(allowance.take(&"+12125550103".parse().unwrap(), start + Duration::from_secs(700)));
        assert_eq!(allowance.taken.lock().unwrap().len(), 1, "numbers that were quiet for a minute are forgotten");
    }
}
