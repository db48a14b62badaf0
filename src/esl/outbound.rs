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
//! In the synchronous form the channel waits for us indefinitely: always [`exit`](Session::exit) or drop the
//! session. When the socket closes, the dialplan continues.

use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::codec::Framed;
use tokio_util::task::AbortOnDropHandle;

use super::auth::say;
use super::client::{EslClient, EslOptions, client};
use super::codec::EslCodec;
use super::command::Command;
use super::error::EslError;
use super::event::EslEvent;
use super::frame::EslFrameKind;
use super::reply::EslReply;
use crate::wire::Tapped;

/// One call's outbound socket. Dropping it closes the socket.
#[derive(Debug)]
pub struct Session {
    client: EslClient,
    _driver: AbortOnDropHandle<Result<(), EslError>>,
}

/// Sends `connect` on a connection from FreeSWITCH, and reads the channel data. Must be called within a Tokio
/// runtime, since it spawns the session's task.
pub async fn accept<S>(stream: S, options: EslOptions) -> Result<(EslEvent, Session), EslError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let tap = options.tap.clone();
    let stream = Tapped::new(stream, tap.clone());
    let mut framed = Framed::new(stream, EslCodec::new(options.limits));
    let reply = timeout(options.connect_timeout, async {
        say(&mut framed, &Command::connect(), tap.as_ref()).await?;
        while let Some(frame) = framed.next().await {
            let frame = frame?;
            if frame.kind() == EslFrameKind::CommandReply {
                return EslReply::new(frame).accepted();
            }
        }
        Err(EslError::Disconnected("before the channel data".to_owned()))
    })
    .await
    .map_err(|_| EslError::Timeout)??;
    let (client, _events, connection) = client(framed, &options);
    let session = Session { client, _driver: AbortOnDropHandle::new(tokio::spawn(connection.run())) };
    Ok((reply.into_channel_data(), session))
}

impl Session {
    /// Runs an application on the channel.
    pub async fn execute(&self, application: &str, argument: &str) -> Result<EslReply, EslError> {
        let command = Command::execute(application, argument)?;
        self.client.send(command).await?.accepted()
    }

    /// The client, for other commands.
    pub fn client(&self) -> &EslClient {
        &self.client
    }

    /// Ends the session; the dialplan continues.
    pub async fn exit(self) -> Result<(), EslError> {
        self.client.exit().await
    }
}
