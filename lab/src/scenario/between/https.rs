//! B11 and B7 over HTTPS: every request between nodes, agents and clients goes over TLS, and each node's
//! certificate is signed by a CA that only those know who were told of it.

use super::*;
use crate::scenario::pair::Known;

/// The nodes know each other by the tokens that they show.
pub(super) fn by_token(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Https(Known::ByToken), "")?;
    offered::offered_and_paired(theatre, CallerId::AsIs, told)
}

/// The nodes know each other by their certificates; and B's answers for a softphone, at an https address.
pub(super) fn by_certificate(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    let between = Between::Https(Known::ByCertificate);
    theatre.raise(between, "")?;
    offered::offered_and_paired(theatre, CallerId::AsIs, told)?;
    second_side::softphone_between(between, theatre, told)
}
