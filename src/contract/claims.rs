//! `/v1/calls/{call}/claims`: which of a number's clients accepts an invitation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::base::name::{ClientId, InvitationId};

/// `POST /v1/calls/{call}/claims`: a client accepts an invitation that all clients of its number got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewClaim {
    /// The client, of the token's number.
    pub client: ClientId,
    /// What the invitation is called in the message that brought it: 1 to 64 letters, digits, `.`, `_` and `-`.
    #[schema(value_type = String, min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9._-]+$")]
    pub invitation: InvitationId,
}

/// The answer to `POST /v1/calls/{call}/claims`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClaimOutcome {
    /// The client that the invitation belongs to.
    pub client: ClientId,
    /// Whether that is the client of this request.
    pub won: bool,
}
