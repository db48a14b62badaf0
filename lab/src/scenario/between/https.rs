//! B11 and B7 over HTTPS: every request between nodes, agents and clients goes over TLS, and each node's
//! certificate is signed by a CA that only those know who were told of it.

use super::*;
use crate::scenario::sides::Known;

/// The nodes know each other by the tokens that they show.
pub(super) fn by_token(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Https(Known::ByToken), "")?;
    offered::offered_and_paired(domains, CallerId::AsIs, report)
}

/// The nodes know each other by their certificates; and B's answers for a softphone, at an https address.
pub(super) fn by_certificate(domains: &mut Domains, report: &mut Report) -> Result<()> {
    let between = Between::Https(Known::ByCertificate);
    domains.start_sidecall(between, "")?;
    offered::offered_and_paired(domains, CallerId::AsIs, report)?;
    second_side::softphone_between(between, domains, report)
}
