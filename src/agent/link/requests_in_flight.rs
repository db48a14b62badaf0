//! What a session has asked for and waits for: at most one of each kind.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::ownership::Ownership;
use super::session::{LinkInput, SnapshotError};
use crate::agent::call::live_calls;
use crate::agent::link::context::LinkContext;
use crate::core::base::name::LegId;
use crate::pbx::PbxCommands;

type Later = Option<Pin<Box<dyn Future<Output = LinkInput> + Send>>>;

#[derive(Default)]
pub(super) struct RequestsInFlight {
    attachment: Later,
    snapshot: Later,
    claims: Later,
    check: Later,
}

impl RequestsInFlight {
    /// Waits for the next of them, for ever if there is none. If several are there, they come in this order. Giving up the
    /// wait loses nothing.
    pub(super) async fn next(&mut self) -> LinkInput {
        tokio::select! {
            biased;
            input = done(&mut self.attachment) => input,
            input = done(&mut self.snapshot) => input,
            input = done(&mut self.claims) => input,
            input = done(&mut self.check) => input,
        }
    }

    pub(super) fn attach(&mut self, ownership: &Arc<Mutex<Ownership>>) {
        let ownership = Arc::clone(ownership);
        self.attachment = Some(Box::pin(async move {
            let attached = ownership.lock().await.attach().await;
            LinkInput::Attached(attached.map_err(|error| error.to_string()))
        }));
    }

    /// From here on, nothing of it is said to the PBX.
    pub(super) fn give_up_attaching(&mut self) {
        self.attachment = None;
    }

    pub(super) fn take_snapshot(&mut self, commands: &Arc<dyn PbxCommands>, known: &[LegId]) {
        let (commands, known) = (Arc::clone(commands), known.to_vec());
        self.snapshot = Some(Box::pin(async move {
            LinkInput::Snapshot(
                commands
                    .snapshot(&known)
                    .await
                    .map(Arc::new)
                    .map_err(|error| SnapshotError { why: error.to_string(), disconnected: error.is_disconnect() }),
            )
        }));
    }

    /// The answer to an earlier question doesn't come any more.
    pub(super) fn ask_claims(&mut self, context: &Arc<LinkContext>) {
        let context = Arc::clone(context);
        self.claims = Some(Box::pin(async move { LinkInput::Claims(live_calls(context).await) }));
    }

    pub(super) fn check(&mut self, ownership: &Arc<Mutex<Ownership>>) {
        let ownership = Arc::clone(ownership);
        self.check = Some(Box::pin(async move {
            let checked = ownership.lock().await.check().await;
            LinkInput::Checked(checked.map_err(|error| error.to_string()))
        }));
    }
}

async fn done(later: &mut Later) -> LinkInput {
    let input = match later {
        Some(future) => future.await,
        None => std::future::pending().await,
    };
    *later = None;
    input
}
