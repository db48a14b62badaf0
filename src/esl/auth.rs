//! Logs in, before any other command.
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

use super::codec::EslCodec;
use super::command::Command;
use super::error::EslError;
use super::frame::EslFrameKind;
use super::reply::EslReply;
use super::scrub::scrub;
use crate::wire::Tap;

/// Our credentials for FreeSWITCH.
#[derive(Clone, PartialEq, Eq)]
pub enum EslAuth {
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

impl EslAuth {
    pub(super) fn command(&self) -> Result<Command, EslError> {
        match self {
            Self::Password(password) => Command::auth(password),
            Self::User { user, password } => Command::userauth(user, password),
        }
    }
}

impl fmt::Debug for EslAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password(_) => f.write_str("Password(***)"),
            Self::User { user, .. } => write!(f, "User({user}, ***)"),
        }
    }
}

/// Answers `auth/request` and waits for the result.
pub(super) async fn login<S: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<S, EslCodec>,
    auth: &EslAuth,
    tap: Option<&Arc<dyn Tap>>,
) -> Result<(), EslError> {
    let command = auth.command()?;
    while let Some(frame) = framed.next().await {
        let frame = frame?;
        match frame.kind() {
            EslFrameKind::AuthRequest => say(framed, &command, tap).await?,
            EslFrameKind::CommandReply => {
                let reply = EslReply::new(frame);
                return match reply.is_ok() {
                    true => Ok(()),
                    false => Err(EslError::AuthRejected(reply.text().into_owned())),
                };
            }
            // Content-Type: text/rude-rejection
            // Content-Length: 24
            //
            // Access Denied, go away.
            EslFrameKind::RudeRejection => return Err(EslError::AccessDenied),
            _ => {}
        }
    }
    Err(EslError::Disconnected("before log-in".to_owned()))
}

/// Sends one command before the connection task exists.
pub(super) async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    framed: &mut Framed<S, EslCodec>,
    command: &Command,
    tap: Option<&Arc<dyn Tap>>,
) -> Result<(), EslError> {
    if let Some(tap) = tap {
        tap.sent(&scrub(command.as_bytes()));
    }
    framed.send(command).await
}
