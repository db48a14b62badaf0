//! How often, and after which pauses, work is made again that another transaction or a lost connection has undone.
//!
//! An engine that is distributed undoes transactions more often than one server does: also reads, and also while nobody else
//! writes.

use std::time::{Duration, Instant};

use crate::store::StoreError;

/// The pauses before the attempts after the first one.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(40), Duration::from_millis(160)];

/// The attempts that are left.
pub(in crate::store) struct Retries {
    pauses: std::array::IntoIter<Duration, 4>,
    deadline: Option<Instant>,
}

impl Retries {
    /// For work that nobody waits for.
    pub(in crate::store) fn patient() -> Retries {
        Retries { pauses: PAUSES.into_iter(), deadline: None }
    }

    /// For work that must be done by then.
    pub(in crate::store) fn until(deadline: Instant) -> Retries {
        Retries { deadline: Some(deadline), ..Retries::patient() }
    }

    /// What came of an attempt, if it is the last one. Otherwise waits until the next attempt.
    pub(in crate::store) async fn last<T>(&mut self, done: Result<T, StoreError>) -> Option<Result<T, StoreError>> {
        let Err(error) = &done else { return Some(done) };
        let is_in_time = |pause: &Duration| self.deadline.is_none_or(|deadline| Instant::now() + *pause < deadline);
        let pause = if error.is_transient() { self.pauses.next().filter(is_in_time) } else { None };
        let Some(pause) = pause else { return Some(done) };
        tracing::debug!(%error, "what was undone is made again");
        tokio::time::sleep(pause).await;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of attempts of work that always fails so.
    async fn attempts(mut retries: Retries, error: StoreError) -> usize {
        let mut attempts = 1;
        while retries.last(Err::<(), _>(error.clone())).await.is_none() {
            attempts += 1;
        }
        attempts
    }

    #[tokio::test]
    async fn what_was_undone_is_made_again_a_few_times() {
        assert_eq!(attempts(Retries::patient(), StoreError::Contended("".into())).await, PAUSES.len() + 1);
        assert_eq!(attempts(Retries::patient(), StoreError::Disconnected("".into())).await, PAUSES.len() + 1);
    }

    #[tokio::test]
    async fn what_is_late_or_refused_is_not_made_again() {
        for error in [StoreError::Late("".into()), StoreError::Rejected("".into()), StoreError::Fenced] {
            assert_eq!(attempts(Retries::patient(), error).await, 1);
        }
        let over = Retries::until(Instant::now());
        assert_eq!(attempts(over, StoreError::Contended("".into())).await, 1);
        assert!(Retries::patient().last(Ok(())).await.is_some_and(|done| done.is_ok()));
    }
}
