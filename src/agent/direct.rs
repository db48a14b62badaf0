//! FreeSWITCH's outbound sockets: `direct` mode.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::context::LinkContext;
use crate::esl;
use crate::monitor::brief;
use crate::pbx::Announcement;
use crate::pbx::freeswitch::direct::{Held, accept};

/// The channel data come at once, or this is no FreeSWITCH.
const DATA_WITHIN: Duration = Duration::from_secs(1);

/// Accepts sockets until it is dropped.
pub(super) fn listen(
    context: &LinkContext,
    listener: TcpListener,
    held: mpsc::Sender<(Announcement, Held)>,
) -> AbortOnDropHandle<()> {
    let name = format!("direct listener of {}", context.pbx.name);
    // It ends with the link alone, which drops it.
    let never = CancellationToken::new();
    AbortOnDropHandle::new(context.shared.tasks.spawn(name, &never, async move {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: the dialplan goes on, and so do we.
                    tracing::warn!(%error, "could not accept a call's socket");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let held = held.clone();
            tokio::spawn(brief("direct", async move {
                let options = esl::Options { connect_timeout: DATA_WITHIN, ..esl::Options::default() };
                match accept(stream, options).await {
                    Ok(Some(call)) => drop(held.send(call).await),
                    // Closing the socket lets the dialplan go on.
                    Ok(None) => tracing::debug!("a socket for a call that the snippet did not announce"),
                    Err(error) => tracing::debug!(%error, "a call's socket broke"),
                }
            }));
        }
    }))
}
