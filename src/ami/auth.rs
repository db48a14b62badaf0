//! Logs in, before any other action.
//!
//! ```text
//! ← Asterisk Call Manager/11.0.0
//! → Action: Challenge             (Method::Md5 only)
//!   AuthType: MD5
//! ← Response: Success
//!   Challenge: 840415273
//! → Action: Login
//!   Username: sidecall
//!   Secret: …                     (or AuthType: MD5, Key: md5(challenge + secret) in hex)
//!   Events: call,user
//! ← Response: Success
//!   Message: Authentication accepted
//! ```

use std::fmt;

use md5::{Digest, Md5};

use super::command::Action;
use super::connection::AmiSocket;
use super::error::AmiError;
use super::reply::AmiReply;
use super::scrub::scrub;

/// Our credentials for Asterisk.
#[derive(Clone, PartialEq, Eq)]
pub struct AmiAuth {
    /// The section's name in `manager.conf`.
    pub user: String,
    /// Its `secret`.
    pub secret: String,
    /// How to authenticate.
    pub method: Method,
}

/// How to authenticate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// Sends the secret. For loopback and TLS.
    Plain,
    /// Answers a challenge without sending the secret.
    #[default]
    Md5,
}

impl fmt::Debug for AmiAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmiAuth").field("user", &self.user).field("method", &self.method).finish_non_exhaustive()
    }
}

/// Waits for the greeting, logs in, and subscribes to the given classes of events.
pub(super) async fn login(socket: &mut AmiSocket, auth: &AmiAuth, events: &str) -> Result<(), AmiError> {
    let login = Action::new("Login")?.with("Username", &auth.user)?;
    let login = match auth.method {
        Method::Plain => login.with("Secret", &auth.secret)?,
        Method::Md5 => {
            let ask = Action::new("Challenge")?.with("AuthType", "MD5")?;
            let challenge = say(socket, &ask, "challenge").await?;
            let challenge = challenge
                .get("Challenge")
                .ok_or_else(|| AmiError::AuthRejected(format!("no challenge: {}", challenge.message())))?;
            login.with("AuthType", "MD5")?.with("Key", &answer(&challenge, &auth.secret))?
        }
    };
    let reply = say(socket, &login.with("Events", events)?, "login").await?;
    match reply.is_ok() {
        true => Ok(()),
        false => Err(AmiError::AuthRejected(reply.message().into_owned())),
    }
}

/// Sends one action before clients are served, and waits for its reply.
async fn say(socket: &mut AmiSocket, action: &Action, id: &str) -> Result<AmiReply, AmiError> {
    socket.send(&action.to_bytes(id), scrub);
    while let Some(frame) = socket.frame().await? {
        if let Some(reply) = frame.into_reply() {
            return Ok(reply);
        }
    }
    Err(AmiError::Disconnected("before log-in".to_owned()))
}

/// `Key`, as `authenticate()` in `manager.c` computes it.
fn answer(challenge: &str, secret: &str) -> String {
    let mut digest = Md5::new();
    digest.update(challenge);
    digest.update(secret);
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_answered_with_the_md5_of_both() {
        // md5("840415273" + "secret")
        assert_eq!(answer("840415273", "secret"), "81c3ab5534a432bec402f6d988ee45b4");
        assert_eq!(answer("", ""), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let auth = AmiAuth { user: "sidecall".to_owned(), secret: "hush".to_owned(), method: Method::Plain };
        assert!(!format!("{auth:?}").contains("hush"));
    }
}
