//! Offers that wait, are used or withdrawn, and what is kept of each.

use super::*;

const MAIN: &str = "+13105550100";
const OTHER: &str = "+13105550200";

fn number(text: &str) -> Number {
    text.parse().unwrap()
}

fn list(numbers: &[&str]) -> BTreeSet<Number> {
    numbers.iter().copied().map(number).collect()
}

fn stored(peer: &str, n: u32, called: &str) -> StoredOffer {
    let offer = Offer {
        id: format!("o-{n}").parse().unwrap(),
        calling: None,
        called: number(called),
        address: format!("https://a.example/a/{n}").parse().unwrap(),
        name: None,
        capabilities: Vec::new(),
        at: UnixMillis(1),
        sent: UnixMillis(2),
        via: Vec::new(),
    };
    StoredOffer { peer: peer.parse().unwrap(), offer, received: UnixMillis(3) }
}

fn about(offers: &InboundOffers, called: &str) -> Vec<String> {
    let mut ids: Vec<_> =
        offers.about(&[number(called)]).0.iter().map(|kept| kept.stored.offer.id.to_string()).collect();
    ids.sort();
    ids
}

#[test]
fn offers_are_judged_with_all_that_share_a_number() {
    let mut offers = InboundOffers::default();
    offers.keep(stored("a", 1, MAIN), list(&[MAIN, "+13105550101", "+13105550102"]));
    offers.keep(stored("a", 2, OTHER), list(&[OTHER, "+13105550102", "+13105550103"]));
    offers.keep(stored("b", 3, "+13105550103"), list(&["+13105550103"]));
    offers.keep(stored("b", 4, "+13105550104"), list(&["+13105550104"]));
    for called in ["+13105550101", "+13105550102", "+13105550103", MAIN] {
        assert_eq!(about(&offers, called), ["o-1", "o-2", "o-3"], "{called}");
    }
    assert_eq!(about(&offers, "+13105550104"), ["o-4"]);
    assert_eq!(about(&offers, "+13105550199"), [""; 0]);
}

#[test]
fn offers_to_one_number_share_its_list() {
    let mut offers = InboundOffers::default();
    offers.keep(stored("a", 1, MAIN), list(&[MAIN, OTHER]));
    offers.keep(stored("a", 2, MAIN), list(&[MAIN, OTHER]));
    offers.keep(stored("b", 3, MAIN), list(&[MAIN]));
    let lists: BTreeSet<_> = offers.waiting.values().map(|kept| Arc::as_ptr(&kept.called)).collect();
    assert_eq!(lists.len(), 2);
    assert_eq!((offers.waiting_of(&"a".parse().unwrap()), offers.waiting_of(&"b".parse().unwrap())), (2, 1));
}

#[test]
fn of_a_used_one_enough_is_kept_to_tell_a_repeat() {
    let mut offers = InboundOffers::default();
    let first = stored("a", 1, MAIN);
    let call: CallId = "c-1".parse().unwrap();
    let used = |said| UsedOffer { received: first.received, call: call.clone(), said };
    offers.used.insert(first.id(), used(Some(said(&first.offer))));
    let again = Offer { sent: UnixMillis(9), ..first.offer.clone() };
    assert_eq!(offers.repeats(&first.id(), &again), Some(true));
    assert_eq!(offers.repeats(&first.id(), &Offer { called: number(OTHER), ..again }), Some(false));
    assert_eq!(offers.repeats(&stored("b", 1, MAIN).id(), &first.offer), None);
    assert_eq!(offers.waiting_of(&"a".parse().unwrap()), 0);
    // After a restart nobody knows what it said.
    offers.used.insert(first.id(), used(None));
    assert_eq!(offers.repeats(&first.id(), &first.offer), Some(true));
}
