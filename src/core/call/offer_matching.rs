//! Which offer of another node belongs to which call that has come in (B11).
//!
//! A trunk that strips headers leaves calling number, called number and time. Each offer and each call
//! is used once; what can't be told apart is left alone.
//!
//! | likeness | the voice call | and |
//! |---|---|---|
//! | address | brought the offer's address in its signalling | |
//! | number | has the offer's calling number | of several the newest with the newest; one that came before the offer was made only if there is no other |
//! | digits | has a calling number that ends in the same digits: a national format | only one offer and one call are so alike |
//! | alone | has no calling number, or another one of the offering peer's that isn't ours | somebody has answered it, it didn't come before the offer was made, and there is no other offer and no other call |
//!
//! "Alone" waits for the answer: by then a call of the right number would be there and would have taken
//! its offer. A whole number that is somebody else's is a stranger's call, and no peer speaks for strangers.
//! A call whose other side is known already by another address, or that was answered before an offer was made,
//! has no use for it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::core::address::Address;
use crate::core::base::name::{CallId, PeerName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::numbering::prefix::{NumberPrefix, longest};

/// A voice call arrives at most so long after the other side began it.
const LATE: Duration = Duration::from_secs(180);
/// What two nodes' clocks may differ by, if the numbers agree.
const SKEW: Duration = Duration::from_secs(60);
/// And if they don't: a voice call that was there before is another one.
const SKEW_ALONE: Duration = Duration::from_secs(5);
/// Digits that are significant enough to tell subscribers apart.
const DIGITS: usize = 7;

/// An offer, by who made it and which of their calls it is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfferId {
    /// The node that made it.
    pub peer: PeerName,
    /// Its call.
    pub call: CallId,
}

/// An offer that no call has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOffer {
    /// Which one.
    pub id: OfferId,
    /// Who calls; none if they don't say.
    pub calling: Option<Number>,
    /// Who is called, and the extensions behind it.
    pub called: Arc<BTreeSet<Number>>,
    /// The caller's client.
    pub address: Address,
    /// Whose numbers the peer speaks for.
    pub prefixes: Arc<[NumberPrefix]>,
    /// When the call began there.
    pub at: UnixMillis,
}

/// A call from a trunk that has used no offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmatchedCall {
    /// Which one.
    pub call: CallId,
    /// Who calls, as the trunk says.
    pub calling: Option<Number>,
    /// Whether that is a number that we serve: then nobody has rewritten it.
    pub ours: bool,
    /// Who is called.
    pub called: Number,
    /// The address of its caller's client, if that is known: as it came in the signalling, or by a message.
    pub received: Option<Address>,
    /// When it came, by our clock.
    pub at: UnixMillis,
    /// When somebody answered.
    pub answered: Option<UnixMillis>,
}

/// How an offer and a call belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchKind {
    /// By the same address.
    Address,
    /// By the same calling number.
    Number,
    /// By the same digits at its end.
    Digits,
    /// Since nothing else is there.
    Alone,
}

impl MatchKind {
    /// The word, as metrics and logs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            MatchKind::Address => "address",
            MatchKind::Number => "number",
            MatchKind::Digits => "digits",
            MatchKind::Alone => "alone",
        }
    }
}

/// What belongs together, and what can't be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfferMatches {
    /// Each offer and each call at most once.
    pub found: Vec<(OfferId, CallId, MatchKind)>,
    /// Offers that more than one call could use, or the other way round.
    pub ambiguous: BTreeSet<OfferId>,
}

/// Finds what belongs together now.
pub fn match_offers(offers: &[OpenOffer], calls: &[UnmatchedCall]) -> OfferMatches {
    let mut rest = Rest { offers: offers.iter().collect(), calls: calls.iter().collect() };
    // The newest first; ids make the order the same however they came.
    rest.offers.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    rest.calls.sort_by(|a, b| (b.at, &b.call).cmp(&(a.at, &a.call)));
    let mut matches = OfferMatches::default();
    rest.take_first(MatchKind::Address, same_address, &mut matches);
    // A call that brought its own address has no use for somebody else's.
    let known: Vec<&UnmatchedCall> = rest.calls.extract_if(.., |call| call.received.is_some()).collect();
    rest.take_first(MatchKind::Number, |offer, call| same_number(offer, call, SKEW_ALONE), &mut matches);
    rest.take_first(MatchKind::Number, |offer, call| same_number(offer, call, SKEW), &mut matches);
    // But an offer that may be meant for it isn't guessed to be another's.
    rest.offers.retain(|offer| !known.iter().any(|call| same_number(offer, call, SKEW)));
    rest.take_only(MatchKind::Digits, same_digits, &mut matches);
    rest.take_only(MatchKind::Alone, may_be, &mut matches);
    let OfferMatches { found, ambiguous } = &mut matches;
    ambiguous.retain(|offer| !found.iter().any(|(id, ..)| id == offer));
    matches
}

struct Rest<'a> {
    offers: Vec<&'a OpenOffer>,
    calls: Vec<&'a UnmatchedCall>,
}

impl Rest<'_> {
    fn take_first(
        &mut self,
        how: MatchKind,
        alike: impl Fn(&OpenOffer, &UnmatchedCall) -> bool,
        matches: &mut OfferMatches,
    ) {
        let Rest { offers, calls } = self;
        calls.retain(|call| {
            let Some(at) = offers.iter().position(|offer| alike(offer, call)) else { return true };
            matches.found.push((offers.remove(at).id.clone(), call.call.clone(), how));
            false
        });
    }

    fn take_only(
        &mut self,
        how: MatchKind,
        alike: impl Fn(&OpenOffer, &UnmatchedCall) -> bool,
        matches: &mut OfferMatches,
    ) {
        let mut taken = Vec::new();
        for call in &self.calls {
            let candidates: Vec<_> = self.offers.iter().filter(|offer| alike(offer, call)).collect();
            let [offer] = candidates[..] else {
                matches.ambiguous.extend(candidates.iter().map(|offer| offer.id.clone()));
                continue;
            };
            if self.calls.iter().filter(|other| alike(offer, other)).count() > 1 {
                matches.ambiguous.insert(offer.id.clone());
            } else if how != MatchKind::Alone || (call.answered.is_some() && !call.ours) {
                taken.push((offer.id.clone(), call.call.clone(), how));
            }
        }
        self.offers.retain(|offer| !taken.iter().any(|(id, ..)| *id == offer.id));
        self.calls.retain(|call| !taken.iter().any(|(_, id, _)| *id == call.call));
        matches.found.extend(taken);
    }
}

fn same_address(offer: &OpenOffer, call: &UnmatchedCall) -> bool {
    call.received.as_ref() == Some(&offer.address)
}

fn same_number(offer: &OpenOffer, call: &UnmatchedCall, skew: Duration) -> bool {
    call.calling.is_some() && call.calling == offer.calling && in_time(offer, call, skew)
}

fn same_digits(offer: &OpenOffer, call: &UnmatchedCall) -> bool {
    let (Some(a), Some(b)) = (&offer.calling, &call.calling) else { return false };
    // Trunk prefixes are zeros, or none.
    let (a, b) = (a.digits(), b.digits().trim_start_matches('0'));
    let enough = a.len().min(b.len()) >= DIGITS;
    enough && (a.ends_with(b) || b.ends_with(a)) && in_time(offer, call, SKEW)
}

fn may_be(offer: &OpenOffer, call: &UnmatchedCall) -> bool {
    let its = call.calling.as_ref().is_none_or(|calling| longest(&offer.prefixes, calling).is_some());
    its && in_time(offer, call, SKEW_ALONE)
}

fn in_time(offer: &OpenOffer, call: &UnmatchedCall, skew: Duration) -> bool {
    let answered_before = call.answered.is_some_and(|answered| answered + SKEW_ALONE < offer.at);
    let came = call.at + skew >= offer.at && call.at <= offer.at + LATE;
    came && !answered_before && offer.called.contains(&call.called)
}

#[cfg(test)]
#[path = "offer_matching_tests.rs"]
mod tests;
