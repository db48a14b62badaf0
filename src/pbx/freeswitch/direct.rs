//! `direct` mode: the dialplan's `socket` application connects to us, synchronously.
//!
//! The fastest hold. If nothing listens the dialplan goes on at once; if we hang, the unit's watchdog
//! kills us, the socket closes and the dialplan goes on.

use std::time::Duration;

use tokio::net::TcpStream;

use super::translator::announcement;
use crate::esl::{EslError, EslOptions, outbound};
use crate::pbx::{Announcement, DialplanAnswer, PbxError};

/// The channel data come at once, or this is no FreeSWITCH.
pub const DATA_WITHIN: Duration = Duration::from_secs(1);

/// Here a call waits until we let it go: what bounds that is the agent's deadline.
const HOLD: Duration = Duration::from_secs(10);

/// A call that waits on its own socket.
#[derive(Debug)]
pub struct Held {
    session: outbound::Session,
}

/// Reads the channel data, within [`DATA_WITHIN`]. None if the channel has no tags: somebody else's `socket`.
pub async fn accept(stream: TcpStream) -> Result<Option<(Announcement, Held)>, PbxError> {
    stream.set_nodelay(true).map_err(EslError::from)?;
    let options = EslOptions { connect_timeout: DATA_WITHIN, ..EslOptions::default() };
    let (channel, session) = outbound::accept(stream, options).await?;
    let sent = channel.get("Event-Date-Timestamp").and_then(|s| s.parse().ok());
    Ok(announcement(&channel, sent, HOLD).map(|announcement| (announcement, Held { session })))
}

impl Held {
    /// Writes the answer and lets the dialplan go on.
    pub async fn answer(self, answer: &DialplanAnswer) -> Result<(), PbxError> {
        // `multiset` takes NAME=VALUE separated by blanks, which no value has.
        let variables: Vec<_> = answer.variables().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        Ok(self.session.finish("multiset", &variables.join(" ")).await?)
    }
}
