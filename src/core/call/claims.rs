//! Which of a number's clients has accepted an invitation in a call: the first one, as long as it is there.
//!
//! All clients of a number get an invitation to video, a screen or a file. Claims are kept with the live call alone.

use std::collections::HashMap;

use crate::core::base::name::{CallId, ClientId, InvitationId};
use crate::core::numbering::number::Number;

/// Maximum number of invitations that a number claims in one call.
const CLAIMS_MAX: usize = 256;

/// The claimed invitations of all live calls.
#[derive(Debug, Default)]
pub struct InvitationClaims(HashMap<CallId, HashMap<Number, HashMap<InvitationId, ClientId>>>);

/// The client that an invitation belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Winner {
    /// The client.
    pub client: ClientId,
    /// Whether it is the winner by this claim.
    pub is_new: bool,
}

/// A number has claimed as many invitations as it can in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number claims at most {} invitations in a call", CLAIMS_MAX)]
pub struct TooManyClaims;

impl InvitationClaims {
    /// Claims an invitation for a client of a number, unless another client of the number has it. The client replaces
    /// `gone`, if that one has it.
    ///
    /// # Errors
    /// If the invitation is new, and the number can claim no more in this call.
    pub fn claim(
        &mut self,
        call: &CallId,
        number: &Number,
        invitation: &InvitationId,
        client: &ClientId,
        gone: Option<&ClientId>,
    ) -> Result<Winner, TooManyClaims> {
        let claims = self.0.entry(call.clone()).or_default().entry(number.clone()).or_default();
        match claims.get(invitation) {
            Some(winner) if gone != Some(winner) => return Ok(Winner { client: winner.clone(), is_new: false }),
            None if claims.len() >= CLAIMS_MAX => return Err(TooManyClaims),
            _ => {}
        }
        claims.insert(invitation.clone(), client.clone());
        Ok(Winner { client: client.clone(), is_new: true })
    }

    /// Forgets the claims of a call.
    pub fn forget(&mut self, call: &CallId) {
        self.0.remove(call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOB: &str = "+12125550101";

    fn claim(
        claims: &mut InvitationClaims,
        call: &str,
        number: &str,
        invitation: &str,
        client: &str,
    ) -> Result<Winner, TooManyClaims> {
        let (call, number) = (call.parse().unwrap(), number.parse().unwrap());
        claims.claim(&call, &number, &invitation.parse().unwrap(), &client.parse().unwrap(), None)
    }

    fn winner(client: &str, is_new: bool) -> Result<Winner, TooManyClaims> {
        Ok(Winner { client: client.parse().unwrap(), is_new })
    }

    #[test]
    fn a_claim_is_one_numbers_in_one_call() {
        let mut claims = InvitationClaims::default();
        assert_eq!(claim(&mut claims, "1", BOB, "screen", "a"), winner("a", true));
        assert_eq!(claim(&mut claims, "1", BOB, "screen", "b"), winner("a", false));
        assert_eq!(claim(&mut claims, "1", BOB, "video", "b"), winner("b", true));
        assert_eq!(claim(&mut claims, "2", BOB, "screen", "b"), winner("b", true));
        assert_eq!(claim(&mut claims, "1", "+12125550100", "screen", "c"), winner("c", true));
        claims.forget(&"1".parse().unwrap());
        assert_eq!(claim(&mut claims, "1", BOB, "screen", "b"), winner("b", true));
        assert_eq!(claim(&mut claims, "2", BOB, "screen", "c"), winner("b", false));
        ["1", "2"].iter().for_each(|call| claims.forget(&call.parse().unwrap()));
        assert!(claims.0.is_empty());
    }

    #[test]
    fn a_client_that_is_gone_is_replaced_once() {
        let mut claims = InvitationClaims::default();
        let mut replace = |client: &str, gone: Option<&str>| {
            let (call, number, invitation) = ("1".parse().unwrap(), BOB.parse().unwrap(), "screen".parse().unwrap());
            let gone: Option<ClientId> = gone.map(|gone| gone.parse().unwrap());
            claims.claim(&call, &number, &invitation, &client.parse().unwrap(), gone.as_ref())
        };
        assert_eq!(replace("a", Some("x")), winner("a", true), "nobody had it");
        assert_eq!(replace("b", Some("x")), winner("a", false), "another one has it");
        assert_eq!(replace("b", Some("a")), winner("b", true));
        assert_eq!(replace("c", Some("a")), winner("b", false), "it has been replaced already");
        assert_eq!(replace("c", None), winner("b", false));
        for n in 1..CLAIMS_MAX {
            assert_eq!(claim(&mut claims, "1", BOB, &n.to_string(), "a"), winner("a", true));
        }
        let (call, number, invitation) = ("1".parse().unwrap(), BOB.parse().unwrap(), "screen".parse().unwrap());
        let gone = "b".parse().unwrap();
        let replaced = claims.claim(&call, &number, &invitation, &"c".parse().unwrap(), Some(&gone));
        assert_eq!(replaced, winner("c", true), "it is no further claim");
    }

    #[test]
    fn a_number_claims_so_many_and_keeps_those() {
        let mut claims = InvitationClaims::default();
        for n in 0..CLAIMS_MAX {
            assert_eq!(claim(&mut claims, "1", BOB, &n.to_string(), "a"), winner("a", true));
        }
        assert_eq!(claim(&mut claims, "1", BOB, "one-more", "a"), Err(TooManyClaims));
        assert_eq!(claim(&mut claims, "1", BOB, "0", "b"), winner("a", false));
        assert_eq!(claim(&mut claims, "1", "+12125550100", "one-more", "c"), winner("c", true));
    }

    proptest! {
        #[test]
        fn the_first_claim_wins_in_any_order(all in proptest::collection::vec(("[ab]", "[xyz]"), 1..40)) {
            let mut claims = InvitationClaims::default();
            for (n, (invitation, client)) in all.iter().enumerate() {
                let first = all.iter().position(|(other, _)| other == invitation).unwrap();
                prop_assert_eq!(claim(&mut claims, "1", BOB, invitation, client), winner(&all[first].1, first == n));
            }
        }
    }
}
