//! Claims of invitations, under the lock of their call: a claim never outlives it.

use super::{GRACE, LiveCalls};
use crate::core::base::name::{CallId, ClientId, InvitationId};
use crate::core::base::time::UnixMillis;
use crate::core::call::claims::{TooManyClaims, Winner};
use crate::core::numbering::number::Number;

/// Why an invitation can't be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::node) enum ClaimRefusal {
    /// The number isn't reachable in the call, or the call is unknown.
    #[error("the number is not reachable in this call")]
    Unreachable,
    /// The number has claimed too many.
    #[error(transparent)]
    TooMany(#[from] TooManyClaims),
}

impl LiveCalls {
    /// Claims an invitation for a client of a number that is reachable in the call. The client replaces `gone`, if that one
    /// has it.
    ///
    /// # Errors
    /// If the number isn't reachable there, or has claimed too many invitations.
    pub(in crate::node) fn claim(
        &self,
        call: &CallId,
        number: &Number,
        invitation: &InvitationId,
        client: &ClientId,
        gone: Option<&ClientId>,
        now: UnixMillis,
    ) -> Result<Winner, ClaimRefusal> {
        self.locked(|calls| {
            if !calls.exchange.reachable(call, now, GRACE).contains(number) {
                return Err(ClaimRefusal::Unreachable);
            }
            Ok(calls.claims.claim(call, number, invitation, client, gone)?)
        })
    }
}
