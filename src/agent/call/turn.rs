//! When a call's task speaks to the node again. Not all calls do so at once.

use std::time::Duration;

use tokio::sync::watch;

use crate::core::base::backoff::Backoff;

/// The time within which all calls have spoken after a signal.
const WITHIN: Duration = Duration::from_millis(500);

/// Waits for a signal to all calls, and for this one's turn.
pub(super) async fn in_turn(signal: &mut watch::Receiver<()>) {
    let _ = signal.changed().await;
    tokio::time::sleep(WITHIN.mul_f64(rand::random())).await;
}

/// Waits before a request is repeated that has failed so many times, but no longer than until a node works again.
pub(super) async fn pause(failures: u32, recoveries: &mut watch::Receiver<()>) {
    tokio::select! {
        () = tokio::time::sleep(Backoff::HTTP.wait(failures, rand::random())) => {}
        () = in_turn(recoveries) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_report_waits_no_longer_than_until_a_node_works_again() {
        let sender = watch::Sender::new(());
        let mut recoveries = sender.subscribe();
        let waits = pause(20, &mut recoveries);
        let (waited, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(10), waits), async {
            sender.send_replace(());
        });
        assert!(waited.is_ok(), "it waits for its back-off, which is 15 s or more");
    }
}
