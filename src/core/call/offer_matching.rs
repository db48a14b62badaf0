//! Matches other nodes' offers with inbound calls (B11).
//!
//! A trunk that strips headers leaves calling number, called number and time. Each offer and each call is matched once;
//! ambiguous ones are not matched.
//!
//! | likeness | the voice call | and |
//! |---|---|---|
//! | address | brought the offer's address in its signalling | |
//! | number | has the offer's calling number | of several the newest with the newest; one that came before the offer was made only if there is no other |
//! | digits | has a calling number that ends in the same digits: a national format | only one offer and one call are so alike |
//! | alone | has no calling number, or another one of the offering peer's that isn't ours | somebody has answered it, it didn't come before the offer was made, and there is no other offer and no other call |
//!
//! "Alone" waits for the answer: by then a call with the right number would have arrived and taken its offer. A complete
//! number that is not the peer's belongs to a stranger, for whom no peer speaks. A call whose remote address is already
//! known, or that was answered before the offer was made, takes no offer.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::core::address::Address;
use crate::core::base::name::{CallId, PeerName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::numbering::number_prefix::{NumberPrefix, longest};

/// Maximum delay of a voice call after the other side began it.
const LATE: Duration = Duration::from_secs(180);
/// Maximum difference of two nodes' clocks if the numbers agree.
const SKEW: Duration = Duration::from_secs(60);
/// The same if they don't: an earlier voice call is another one.
const SKEW_ALONE: Duration = Duration::from_secs(5);
/// Minimum number of trailing digits that identify a subscriber.
const DIGITS: usize = 7;

/// An offer's id: the node that made it, and that node's call.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OfferId {
    /// The node that made it.
    pub peer: PeerName,
    /// Its call.
    pub call: CallId,
}

/// An offer that is not matched yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOffer {
    /// Its id.
    pub id: OfferId,
    /// The calling number, if the offer has one.
    pub calling: Option<Number>,
    /// The called number, and the extensions behind it.
    pub called: Arc<BTreeSet<Number>>,
    /// The caller's client.
    pub address: Address,
    /// The ranges that the peer speaks for.
    pub prefixes: Arc<[NumberPrefix]>,
    /// When the call began there.
    pub at: UnixMillis,
}

/// An inbound call that is not matched yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmatchedCall {
    /// Its id.
    pub call: CallId,
    /// The calling number from the trunk.
    pub calling: Option<Number>,
    /// Whether this node serves that number. Then no trunk has rewritten it.
    pub ours: bool,
    /// The called number.
    pub called: Number,
    /// The address of the caller's client, if known from the signalling or a message.
    pub received: Option<Address>,
    /// When it arrived, by our clock.
    pub at: UnixMillis,
    /// When it was answered.
    pub answered: Option<UnixMillis>,
}

/// What an offer and a call were matched by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchKind {
    /// The same address.
    Address,
    /// The same calling number.
    Number,
    /// The same trailing digits.
    Digits,
    /// There is no other candidate.
    Alone,
}

impl MatchKind {
    /// The word in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            MatchKind::Address => "address",
            MatchKind::Number => "number",
            MatchKind::Digits => "digits",
            MatchKind::Alone => "alone",
        }
    }
}

/// The matches, and the ambiguous offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OfferMatches {
    /// Each offer and each call at most once.
    pub found: Vec<(OfferId, CallId, MatchKind)>,
    /// Offers with several candidate calls, or whose call has several candidate offers.
    pub ambiguous: BTreeSet<OfferId>,
}

/// Matches offers with calls.
pub fn match_offers(offers: &[OpenOffer], calls: &[UnmatchedCall]) -> OfferMatches {
    let mut rest = Rest { offers: offers.iter().collect(), calls: calls.iter().collect() };
    // The newest first; ids make the order independent of the input's.
    rest.offers.sort_by(|a, b| (b.at, &b.id).cmp(&(a.at, &a.id)));
    rest.calls.sort_by(|a, b| (b.at, &b.call).cmp(&(a.at, &a.call)));
    let mut matches = OfferMatches::default();
    rest.take_first(MatchKind::Address, same_address, &mut matches);
    // A call that carried its own address takes no other.
    let known: Vec<&UnmatchedCall> = rest.calls.extract_if(.., |call| call.received.is_some()).collect();
    rest.take_first(MatchKind::Number, |offer, call| same_number(offer, call, SKEW_ALONE), &mut matches);
    rest.take_first(MatchKind::Number, |offer, call| same_number(offer, call, SKEW), &mut matches);
    // But an offer that may be for such a call is not guessed to be for another.
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
