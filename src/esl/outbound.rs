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
//! In the synchronous form the channel waits for us, for good: whoever accepts must be sure to
//! [`exit`](Session::exit) or drop the session. When the socket closes, the dialplan goes on.

use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_util::codec::Framed;
use tokio_util::task::AbortOnDropHandle;

use super::auth::say;
use super::client::{Client, Options, client};
use super::codec::Codec;
use super::command::Command;
use super::error::Error;
use super::event::Event;
use super::frame::Kind;
use super::reply::Reply;
use crate::wire::Tapped;

/// One call's outbound socket. Dropping it closes the socket.
#[derive(Debug)]
pub struct Session {
    client: Client,
    _driver: AbortOnDropHandle<Result<(), Error>>,
}

/// Sends `connect` on a connection that FreeSWITCH made to us, and reads the channel data. Must be
/// called within a Tokio runtime, which the session's task is spawned on.
///
/// # Errors
///
/// [`Error::is_timeout`] after [`Options::connect_timeout`], [`Error::is_disconnect`] if the caller
/// hung up meanwhile, [`Error::Refused`] if FreeSWITCH says so.
pub async fn accept<S>(stream: S, options: Options) -> Result<(Event, Session), Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let tap = options.tap.clone();
    let stream = Tapped::new(stream, tap.clone());
    let mut framed = Framed::new(stream, Codec::new(options.limits));
    let reply = timeout(options.connect_timeout, async {
        say(&mut framed, &Command::connect(), tap.as_ref()).await?;
        while let Some(frame) = framed.next().await {
            let frame = frame?;
            if frame.kind() == Kind::CommandReply {
                return Reply::new(frame).accepted();
            }
        }
        Err(Error::Disconnected("before the channel data".to_owned()))
    })
    .await
    .map_err(|_| Error::Timeout)??;
    let (client, _events, connection) = client(framed, &options);
    let session = Session { client, _driver: AbortOnDropHandle::new(tokio::spawn(connection.run())) };
    Ok((reply.into_channel_data(), session))
}

impl Session {
    /// Runs an application on the channel.
    ///
    /// # Errors
    ///
    /// As [`Command::execute`] and [`Client::send`]; [`Error::Refused`].
    pub async fn execute(&self, application: &str, argument: &str) -> Result<Reply, Error> {
        let command = Command::execute(application, argument)?;
        self.client.send(command).await?.accepted()
    }

    /// For commands other than these.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Says goodbye; the dialplan goes on.
    ///
    /// # Errors
    ///
    /// As [`Client::send`]. The socket is closed all the same.
    pub async fn exit(self) -> Result<(), Error> {
        self.client.exit().await
    }
}
