//! Work that goes on when nobody waits for it any more.

use tokio::task::JoinError;

use crate::monitor::panicked;

/// Runs to completion even if the caller is dropped. A request is dropped with its connection, between any two steps, and
/// what it has begun must not stay half done.
pub(in crate::node) async fn run_to_completion<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(work).await.map_err(JoinError::try_into_panic) {
        Ok(done) => done,
        Err(Ok(panic)) => {
            panicked("request", &*panic);
            std::panic::resume_unwind(panic)
        }
        // The runtime ends, and this with it.
        Err(Err(_)) => std::future::pending().await,
    }
}
