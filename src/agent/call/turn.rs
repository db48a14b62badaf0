//! When a call's task speaks to the node again. Not all calls do so at once.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::agent::nodes::Handovers;
use crate::core::base::backoff::Backoff;
use crate::core::base::node_list::InUse;

/// The time in which all calls have spoken after a signal.
const SPREAD: Duration = Duration::from_millis(500);

/// The part of each wait that no signal shortens: a node that refuses some requests and answers others must not be asked
/// without end.
const LEAST: Duration = Duration::from_secs(1);

/// How long a report of a call that is over is tried again.
const KEPT_AFTER_END: Duration = Duration::from_secs(20 * 60);

/// Waits until calls must be told again, and for this one's turn.
pub(super) async fn in_turn(handovers: &mut Handovers) {
    handovers.next().await;
    sleep(SPREAD.mul_f64(rand::random())).await;
}

/// Waits before a request is repeated that has failed so many times. If the wait is a long one, a node that works again ends
/// it, also if it has done so since the request was made. `before` is how many recoveries came before that.
pub(super) async fn pause(failures: u32, before: u32, in_use: &mut watch::Receiver<InUse>) {
    let wait = Backoff::HTTP.wait(failures, rand::random());
    sleep(wait.min(LEAST)).await;
    let recovers = async {
        // Without a sender, the agent is over.
        let _ = in_use.wait_for(|now| now.recoveries != before).await;
        sleep(SPREAD.mul_f64(rand::random())).await;
    };
    tokio::select! {
        () = sleep(wait.saturating_sub(LEAST)) => {}
        () = recovers => {}
    }
}

/// How long reports of a call are tried: while it is up, and for a time after its end.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Since when the call is known to be over.
    over: Option<Instant>,
}

impl Patience {
    /// Whether to try again.
    pub(super) fn lasts(&mut self, is_over: bool) -> bool {
        !is_over || self.over.get_or_insert_with(Instant::now).elapsed() < KEPT_AFTER_END
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_USE: InUse = InUse { node: 0, is_well: true, handovers: 0, recoveries: 0 };

    /// Says without end that a node works again.
    async fn recover(in_use: &watch::Sender<InUse>) {
        loop {
            in_use.send_modify(|now| now.recoveries += 1);
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn paused(failures: u32, in_use: &watch::Sender<InUse>) -> Duration {
        let (begun, mut seen) = (Instant::now(), in_use.subscribe());
        tokio::select! {
            () = pause(failures, IN_USE.recoveries, &mut seen) => {}
            () = recover(in_use) => {}
        }
        begun.elapsed()
    }

    #[tokio::test]
    async fn a_node_that_works_again_ends_long_waits_and_no_short_ones() {
        let in_use = watch::Sender::new(IN_USE);
        let (short, long) = tokio::join!(paused(2, &in_use), paused(20, &in_use));
        assert!(short >= Backoff::HTTP.first, "{short:?}");
        assert!((LEAST..Duration::from_secs(10)).contains(&long), "{long:?}: its back-off is 15 s or more");
    }

    /// A node that hung refuses the request after another one has taken over.
    #[tokio::test]
    async fn a_node_that_has_worked_since_the_request_was_made_ends_a_long_wait() {
        let in_use = watch::Sender::new(InUse { recoveries: 1, ..IN_USE });
        let begun = Instant::now();
        pause(20, IN_USE.recoveries, &mut in_use.subscribe()).await;
        let took = begun.elapsed();
        assert!((LEAST..Duration::from_secs(10)).contains(&took), "{took:?}: its back-off is 15 s or more");
    }

    #[test]
    fn how_long_a_call_that_is_over_is_told_has_nothing_to_do_with_attempts() {
        let mut patience = Patience::default();
        assert!((0..1_000).all(|_| patience.lasts(false)) && patience.over.is_none());
        assert!((0..1_000).all(|_| patience.lasts(true)));
        patience.over = patience.over.and_then(|at| at.checked_sub(KEPT_AFTER_END));
        assert!(!patience.lasts(true));
    }
}
