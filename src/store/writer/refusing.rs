//! The task of a store that only reads: another process makes the writes.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{Job, State, Writer};
use crate::store::StoreError;

/// Maximum number of writes that wait to be refused.
const QUEUE: usize = 64;

impl Writer {
    /// Starts a task that fails each write. It ends when the store is closed, or dropped.
    pub(in crate::store) fn refusing() -> Writer {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let state = Arc::<State>::default();
        tokio::spawn(refuse(queue, state.clone()));
        Writer { jobs, state }
    }
}

async fn refuse(mut queue: mpsc::Receiver<Job>, state: Arc<State>) {
    let _closed = state.closed.clone().drop_guard();
    loop {
        tokio::select! {
            job = queue.recv() => {
                let Some(job) = job else { return };
                let _ = job.done.send(Err(StoreError::Unavailable("another process writes to it".into())));
            }
            () = state.closing.cancelled() => return,
        }
    }
}
