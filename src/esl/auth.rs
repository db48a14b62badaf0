//! Log-in, before anything else is said.
//!
//! ```text
//! ← Content-Type: auth/request
//! → auth ClueCon
//! ← Content-Type: command/reply
//!   Reply-Text: +OK accepted
//! ```

use std::fmt;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::Framed;

use super::codec::Codec;
use super::command::Command;
use super::error::Error;
use super::frame::Kind;
use super::reply::Reply;
use super::scrub::scrub;
use crate::wire::Tap;

/// Who we are to FreeSWITCH.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// The event socket's own password.
    Password(String),
    /// A directory user's `esl-password`; the user is `name@domain`.
    User {
        /// `name@domain`
        user: String,
        /// The password.
        password: String,
    },
}

impl Auth {
    pub(super) fn command(&self) -> Result<Command, Error> {
        match self {
            Self::Password(password) => Command::auth(password),
            Self::User { user, password } => Command::userauth(user, password),
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password(_) => f.write_str("Password(***)"),
            Self::User { user, .. } => write!(f, "User({user}, ***)"),
        }
    }
}

/// Answers `auth/request` and waits for the verdict.
pub(super) async fn login<S: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<S, Codec>,
    auth: &Auth,
    tap: Option<&Arc<dyn Tap>>,
) -> Result<(), Error> {
    let command = auth.command()?;
    while let Some(frame) = framed.next().await {
        let frame = frame?;
        match frame.kind() {
            Kind::AuthRequest => say(framed, &command, tap).await?,
            Kind::CommandReply => {
                let reply = Reply::new(frame);
                return match reply.is_ok() {
                    true => Ok(()),
                    false => Err(Error::AuthRejected(reply.text().into_owned())),
                };
            }
            // Content-Type: text/rude-rejection
            // Content-Length: 24
            //
            // Access Denied, go away.
            Kind::RudeRejection => return Err(Error::AccessDenied),
            _ => {}
        }
    }
    Err(Error::Disconnected("before log-in".to_owned()))
}

/// Sends one command while there is no connection task yet.
pub(super) async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<S, Codec>,
    command: &Command,
    tap: Option<&Arc<dyn Tap>>,
) -> Result<(), Error> {
    if let Some(tap) = tap {
        tap.sent(&scrub(command.as_bytes()));
    }
    framed.send(command).await
}
