//! Logs in, before any other command.
//!
//! ```text
//! ← Content-Type: auth/request
//! → auth ClueCon
//! ← Content-Type: command/reply
//!   Reply-Text: +OK accepted
//! ```

use std::fmt;

use super::command::Command;
use super::connection::EslSocket;
use super::error::EslError;
use super::frame::EslFrameKind;
use super::reply::EslReply;
use super::scrub::scrub;
use crate::wire::CommandError;

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
    pub(super) fn command(&self) -> Result<Command, CommandError> {
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
pub(super) async fn login(socket: &mut EslSocket, auth: &EslAuth) -> Result<(), EslError> {
    let command = auth.command()?;
    while let Some(frame) = socket.frame().await? {
        match frame.kind() {
            EslFrameKind::AuthRequest => socket.send(command.as_bytes(), scrub),
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
