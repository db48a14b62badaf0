//! The outbound socket: the dialplan's `socket` application connects to us, one connection per
//! call.
//!
//! ```text
//! → connect
//! ← Event-Name: CHANNEL_DATA
//!   …some 200 lines of channel data…
//!   Content-Type: command/reply
//! ```
//!
//! In the synchronous form the channel waits for us indefinitely: always [`finish`](Session::finish) or drop
//! the session. When the socket closes, the dialplan continues.

use tokio_util::task::AbortOnDropHandle;

use super::client::{EslClient, EslOptions, open, within};
use super::command::Command;
use super::error::EslError;
use super::event::EslEvent;
use super::frame::EslFrameKind;
use super::reply::EslReply;
use super::scrub::scrub;
use crate::wire::ByteStream;

/// One call's outbound socket. Dropping it closes the socket.
#[derive(Debug)]
pub struct Session {
    client: EslClient,
    _driver: AbortOnDropHandle<Result<(), EslError>>,
}

/// Sends `connect` on a connection from FreeSWITCH, and reads the channel data. Must be called within a Tokio
/// runtime, since it spawns the session's task.
pub async fn accept(stream: impl ByteStream + 'static, options: EslOptions) -> Result<(EslEvent, Session), EslError> {
    let (client, _events, mut connection) = open(stream, &options);
    connection.socket.send(Command::connect().as_bytes(), scrub);
    let reply = within(options.connect_timeout, async {
        while let Some(frame) = connection.socket.frame().await? {
            if frame.kind() == EslFrameKind::CommandReply {
                return EslReply::new(frame).accepted();
            }
        }
        Err(EslError::Disconnected("before the channel data".to_owned()))
    })
    .await?;
    let session = Session { client, _driver: AbortOnDropHandle::new(tokio::spawn(connection.run())) };
    Ok((reply.into_channel_data(), session))
}

impl Session {
    /// Runs an application on the channel and ends the session, in one write; the dialplan continues. Returns once
    /// FreeSWITCH has taken both, which says nothing of how the application went.
    pub async fn finish(self, application: &str, argument: &str) -> Result<(), EslError> {
        let commands = [Command::execute(application, argument)?, Command::exit()];
        for reply in self.client.pipeline(commands).await? {
            reply.accepted()?;
        }
        Ok(())
    }
}
