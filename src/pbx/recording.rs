//! What a PBX says to the agent, for a recording.

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, unfold};

use crate::wire::{Events, Item};

/// One connection to a PBX that sets nothing and answers nothing.
pub struct Recording {
    counts: BoxStream<'static, u64>,
    goodbye: BoxFuture<'static, ()>,
}

impl Recording {
    pub(super) fn new<E: Send + 'static>(
        events: Events<E>,
        goodbye: impl Future<Output = ()> + Send + 'static,
    ) -> Recording {
        let counts = unfold(events, async |mut events| {
            let count = match events.next().await? {
                Item::Event(_) => 1,
                Item::Lost(lost) => lost,
            };
            Some((count, events))
        });
        Recording { counts: counts.fuse().boxed(), goodbye: Box::pin(goodbye) }
    }

    /// Reads the next event; how many there were (some may have been lost), or none when the
    /// connection is over. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<u64> {
        self.counts.next().await
    }

    /// Says goodbye.
    pub async fn close(self) {
        self.goodbye.await;
    }
}
