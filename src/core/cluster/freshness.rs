//! Whether a lease still holds, as far as its owner can know.

use std::time::Duration;

/// How long before the end of its lease an owner stops relying on it. What it has begun by then is done in time.
const MARGIN: Duration = Duration::from_millis(250);

/// How long the owner of a lease may rely on it.
///
/// Each renewal makes the lease last for its `life`, by the server's clock. The owner counts from the moment at which it asked
/// for the renewal, which came before. So it stops relying on the lease before anybody else can take it. The owner's times are
/// by a clock that nobody sets, and that doesn't stop with the process.
#[derive(Debug, Clone)]
pub struct Freshness {
    life: Duration,
    /// None once somebody else has the lease.
    until: Option<Duration>,
}

impl Freshness {
    /// Of a lease that the owner has got, and had asked for at this time.
    pub fn new(life: Duration, asked: Duration) -> Freshness {
        let mut freshness = Freshness { life, until: Some(Duration::ZERO) };
        freshness.renewed(asked);
        freshness
    }

    /// The lease was renewed, as the owner had asked at this time.
    pub fn renewed(&mut self, asked: Duration) {
        let until = asked + self.life.saturating_sub(MARGIN);
        self.until = self.until.map(|before| before.max(until));
    }

    /// Somebody else has the lease.
    pub fn lose(&mut self) {
        self.until = None;
    }

    /// Whether nobody else can have the lease.
    pub fn is_fresh(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const LIFE: u64 = 1_200;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn acquired_at_0() -> Freshness {
        Freshness::new(at(LIFE), at(0))
    }

    #[test]
    fn a_process_that_was_stopped_knows_it_at_its_first_question() {
        let mut freshness = acquired_at_0();
        freshness.renewed(at(300));
        assert!(freshness.is_fresh(at(1_000)));
        assert!(!freshness.is_fresh(at(61_000)));
        freshness.renewed(at(61_100));
        assert!(freshness.is_fresh(at(61_200)), "nobody wanted the lease");
    }

    #[test]
    fn a_lease_that_somebody_else_has_is_never_fresh_again() {
        let mut freshness = acquired_at_0();
        freshness.lose();
        freshness.renewed(at(10));
        assert!(!freshness.is_fresh(at(20)));
    }

    proptest! {
        /// Each renewal reaches the server late, and some answers never come, or come in another order.
        #[test]
        fn nobody_else_can_have_a_lease_that_is_fresh(
            renewals in vec((0..2_000u64, 0..1_500u64, any::<bool>()), 0..20),
            first in 0..1_000u64,
        ) {
            let (mut freshness, mut answers) = (acquired_at_0(), Vec::new());
            let (mut now, mut expires) = (first, first + LIFE);
            for (pause, delay, is_answered) in renewals {
                let asked = now + pause;
                let reached = asked + delay;
                if reached >= expires {
                    // Somebody else has it by then.
                    break;
                }
                (now, expires) = (reached, reached + LIFE);
                if is_answered {
                    answers.push(asked);
                }
            }
            for asked in answers.into_iter().rev() {
                freshness.renewed(at(asked));
            }
            prop_assert!(!freshness.is_fresh(at(expires)));
        }

        #[test]
        fn a_lease_that_is_renewed_in_time_stays_fresh(
            renewals in vec((0..300u64, 0..300u64), 1..20),
        ) {
            let (mut freshness, mut now) = (acquired_at_0(), 0);
            for (pause, answer) in renewals {
                let asked = now + pause;
                now = asked + answer;
                prop_assert!(freshness.is_fresh(at(now)));
                freshness.renewed(at(asked));
            }
        }
    }
}
