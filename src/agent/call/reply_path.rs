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
        match self {
            // If it is too late, the dialplan has gone on by itself, or is about to.
            ReplyPath::Commands(commands) => {
                write_in_time(held.hold, arrived, left, commands.answer(held, answer)).await
            }
            // Nothing goes on there before we say so, or close.
            ReplyPath::Direct(session) => Some(session.answer(answer).await),
        }
    }
}

/// Writes to a channel that is held for so long, whose announcement `arrived` then and left so much time; none if it is too
/// late.
pub(in crate::agent) async fn write_in_time(
    held_for: Duration,
    arrived: Instant,
    left: Option<Duration>,
    write: impl Future<Output = Result<(), PbxError>>,
) -> Option<Result<(), PbxError>> {
    let until = hold::write_within(held_for, left?);
    // The check stands right before the write: this process may have been stopped meanwhile.
    if arrived.elapsed() > until {
        return None;
    }
    // Given up before it is written, a command is never written: one that is stuck in a queue can't come late. The
    // replies have a little more time than the write.
    let end = tokio::time::Instant::from_std(arrived + until) + REPLIES_WITHIN;
    Some(tokio::time::timeout_at(end, write).await.unwrap_or(Err(PbxError::Unanswered)))
}
