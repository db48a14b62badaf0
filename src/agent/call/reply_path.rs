//! How the answer gets back to a held call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::hold;
use crate::pbx::freeswitch::direct::Held;
use crate::pbx::{Announcement, DialplanAnswer, PbxCommands, PbxError};

/// How much later than its last moment to be written an answer's replies may come: still inside the
/// hold (see [`hold`]).
const REPLIES_WITHIN: Duration = Duration::from_millis(20);

/// The connection by which a held call is answered.
#[derive(Debug)]
pub(in crate::agent) enum ReplyPath {
    /// The connection for answers.
    Commands(Arc<dyn PbxCommands>),
    /// The call's own socket.
    Direct(Held),
}

impl ReplyPath {
    /// Answers a call that `arrived` then and had so much `left` to be decided in; none if the answer comes too late.
    pub(in crate::agent) async fn answer(
        self,
        held: &Announcement,
        answer: &DialplanAnswer,
        arrived: Instant,
        left: Option<Duration>,
    ) -> Option<Result<(), PbxError>> {
        let until = left.map(|left| hold::write_within(held.hold, left));
        // The check stands right before the write: this process may have been stopped meanwhile.
        match (until.filter(|until| arrived.elapsed() <= *until), self) {
            // The dialplan has gone on by itself, or is about to.
            (None, ReplyPath::Commands(_)) => None,
            (Some(until), ReplyPath::Commands(commands)) => {
                // Given up before it is written, a command is never written: one that is stuck in a
                // queue can't come late. The replies have a little more time than the write.
                let end = tokio::time::Instant::from_std(arrived + until) + REPLIES_WITHIN;
                let answered = tokio::time::timeout_at(end, commands.answer(held, answer)).await;
                Some(answered.unwrap_or(Err(PbxError::Unanswered)))
            }
            // Nothing goes on there before we say so, or close.
            (_, ReplyPath::Direct(session)) => Some(session.answer(answer).await),
        }
    }
}
