//! How often, and after which pauses, work is retried that the server has aborted because of another transaction, or whose
//! connection was lost.
//!
//! A distributed engine aborts transactions more often than one server does: also reads, and also while nobody else writes.

use std::time::{Duration, Instant};

use super::postgres::LONG;
use crate::store::StoreError;

/// The pauses before the attempts after the first one.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(10), Duration::from_millis(40), Duration::from_millis(160)];

/// The attempts that are left.
pub(in crate::store) struct Retries {
    pauses: std::array::IntoIter<Duration, 4>,
    /// No attempt begins later.
    deadline: Instant,
}

impl Retries {
    /// For work at startup, which nobody waits for.
    pub(in crate::store) fn patient() -> Retries {
        Retries::until(Instant::now() + LONG)
    }

    /// For work that must be done by then.
    pub(in crate::store) fn until(deadline: Instant) -> Retries {
        Retries { pauses: PAUSES.into_iter(), deadline }
    }

    /// What came of an attempt, if it is the last one. Otherwise pauses, and returns none: the next attempt is due.
    pub(in crate::store) async fn result_or_pause<T>(
        &mut self,
        done: Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let Err(error) = &done else { return Some(done) };
        let is_in_time = |pause: &Duration| Instant::now() + *pause < self.deadline;
        let pause = if error.is_transient() { self.pauses.next().filter(is_in_time) } else { None };
        let Some(pause) = pause else { return Some(done) };
        tracing::debug!(%error, "retrying");
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
        while retries.result_or_pause(Err::<(), _>(error.clone())).await.is_none() {
            attempts += 1;
        }
        attempts
    }

    #[tokio::test]
    async fn what_was_aborted_is_retried_a_few_times() {
        for error in
            [StoreError::Contended("".into()), StoreError::Locked("".into()), StoreError::Disconnected("".into())]
        {
            assert_eq!(attempts(Retries::patient(), error).await, PAUSES.len() + 1);
        }
    }

    #[tokio::test]
    async fn what_is_late_or_refused_is_not_retried() {
        for error in [StoreError::Late("".into()), StoreError::Rejected("".into()), StoreError::Fenced] {
            assert_eq!(attempts(Retries::patient(), error).await, 1);
        }
        let over = Retries::until(Instant::now());
        assert_eq!(attempts(over, StoreError::Contended("".into())).await, 1);
        assert!(Retries::patient().result_or_pause(Ok(())).await.is_some_and(|done| done.is_ok()));
    }
}
