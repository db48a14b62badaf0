//! Offers and inbound calls that match, and those that must not.

use super::*;
use proptest::prelude::*;

const ALICE: &str = "+12125550100";
const BOB: &str = "+13105550100";
const EVE: &str = "+442071838750";

fn offer(n: u32, calling: Option<&str>, at: i64) -> OpenOffer {
    OpenOffer {
        id: OfferId { peer: "a".parse().unwrap(), call: format!("o-{n}").parse().unwrap() },
        calling: calling.map(|text| text.parse().unwrap()),
        called: Arc::new([BOB.parse().unwrap()].into()),
        prefixes: ["+1212".parse().unwrap()].into(),
        address: format!("https://a.example/a/{n}").parse().unwrap(),
        at: UnixMillis(at * 1000),
    }
}

fn call(n: u32, calling: Option<&str>, at: i64) -> UnmatchedCall {
    UnmatchedCall {
        call: format!("c-{n}").parse().unwrap(),
        calling: calling.map(|text| text.parse().unwrap()),
        ours: false,
        called: BOB.parse().unwrap(),
        received: None,
        at: UnixMillis(at * 1000),
        answered: Some(UnixMillis(at * 1000 + 500)),
    }
}

fn ringing(call: UnmatchedCall) -> UnmatchedCall {
    UnmatchedCall { answered: None, ..call }
}

/// `o-1 c-2 number`, …
fn said(offers: &[OpenOffer], calls: &[UnmatchedCall]) -> String {
    let matches = match_offers(offers, calls);
    let mut lines: Vec<_> =
        matches.found.iter().map(|(o, c, how)| format!("{} {c} {}", o.call, how.as_str())).collect();
    lines.extend(matches.ambiguous.iter().map(|o| format!("{} ?", o.call)));
    lines.join(", ")
}

#[test]
fn the_same_numbers_belong_together_whoever_comes_first() {
    for at in [-50, 0, 3, 170] {
        assert_eq!(said(&[offer(1, Some(ALICE), 1000)], &[ringing(call(1, Some(ALICE), 1000 + at))]), "o-1 c-1 number");
    }
    // Somebody talked there before the other side began.
    for at in [-70, -50, 190] {
        assert_eq!(said(&[offer(1, Some(ALICE), 1000)], &[call(1, Some(ALICE), 1000 + at)]), "");
    }
    let elsewhere = UnmatchedCall { called: EVE.parse().unwrap(), ..call(1, Some(ALICE), 1000) };
    assert_eq!(said(&[offer(1, Some(ALICE), 1000)], &[elsewhere]), "");
}

#[test]
fn of_several_the_newest_with_the_newest() {
    let offers = [offer(1, Some(ALICE), 1000), offer(2, Some(ALICE), 1020)];
    assert_eq!(said(&offers, &[call(1, Some(ALICE), 1021)]), "o-2 c-1 number");
    let calls = [call(1, Some(ALICE), 1001), call(2, Some(ALICE), 1021)];
    assert_eq!(said(&offers, &calls), "o-2 c-2 number, o-1 c-1 number");
}

#[test]
fn a_national_format_is_the_same_number_if_only_one_is() {
    for rewritten in
        ["2125550100;phone-context=pbx.b.example", "02125550100;phone-context=pbx.b.example", "+2125550100"]
    {
        assert_eq!(said(&[offer(1, Some(ALICE), 0)], &[ringing(call(1, Some(rewritten), 1))]), "o-1 c-1 digits");
    }
    let few = "0100;phone-context=pbx.b.example";
    assert_eq!(said(&[offer(1, Some(ALICE), 0)], &[ringing(call(1, Some(few), 1))]), "");
    // Two that end alike: nobody can tell.
    let offers = [offer(1, Some(ALICE), 0), offer(2, Some("+442125550100"), 0)];
    assert_eq!(said(&offers, &[call(1, Some("2125550100;phone-context=x.example"), 1)]), "o-1 ?, o-2 ?");
    let calls = [call(1, Some("2125550100;phone-context=x.example"), 1), call(2, Some("+2125550100"), 1)];
    assert_eq!(said(&offers[..1], &calls), "o-1 ?");
}

#[test]
fn a_withheld_caller_matches_alone_and_answered() {
    for calling in [None, Some("+12125550199")] {
        assert_eq!(said(&[offer(1, Some(ALICE), 0)], &[call(1, calling, 2)]), "o-1 c-1 alone");
        assert_eq!(said(&[offer(1, None, 0)], &[call(1, calling, 2)]), "o-1 c-1 alone");
        assert_eq!(said(&[offer(1, Some(ALICE), 0)], &[ringing(call(1, calling, 2))]), "");
        // It was there before the other side began.
        assert_eq!(said(&[offer(1, Some(ALICE), 100)], &[call(1, calling, 90)]), "");
        // Two offers, or two calls, answered or not.
        let two = [offer(1, Some(ALICE), 0), offer(2, Some("+12125550177"), 1)];
        assert_eq!(said(&two, &[call(1, calling, 2)]), "o-1 ?, o-2 ?");
        assert_eq!(said(&two[..1], &[call(1, calling, 2), ringing(call(2, None, 3))]), "o-1 ?");
    }
    // A number that we serve is nobody's rewritten one.
    let ours = UnmatchedCall { ours: true, ..call(1, Some("+12125550199"), 2) };
    assert_eq!(said(&[offer(1, Some(ALICE), 0)], &[ours]), "");
}

#[test]
fn a_strangers_call_is_no_peers() {
    for calling in [EVE, "+13035550100", "0100;phone-context=pbx.b.example"] {
        for offer in [offer(1, Some(ALICE), 0), offer(1, None, 0)] {
            assert_eq!(said(std::slice::from_ref(&offer), &[call(1, Some(calling), 2)]), "", "{calling}");
            // Nor does it make another's hard to tell.
            assert_eq!(said(&[offer], &[call(1, Some(calling), 2), call(2, None, 3)]), "o-1 c-2 alone", "{calling}");
        }
    }
    // A peer that is believed whatever it says has no numbers of its own.
    let anybody = OpenOffer { prefixes: [].into(), ..offer(1, Some(ALICE), 0) };
    assert_eq!(said(std::slice::from_ref(&anybody), &[call(1, Some(EVE), 2)]), "");
    assert_eq!(said(&[anybody], &[call(1, None, 2)]), "o-1 c-1 alone");
}

#[test]
fn an_older_call_leaves_the_offer_to_the_newer() {
    let offers = [offer(1, Some(ALICE), 1000), offer(2, Some(ALICE), 1060)];
    // The first one is in time for the first offer alone, if nobody's clock is wrong.
    let calls = [ringing(call(1, Some(ALICE), 1020))];
    assert_eq!(said(&offers, &calls), "o-1 c-1 number");
    assert_eq!(said(&offers[1..], &calls), "o-2 c-1 number");
    assert_eq!(said(&offers[1..], &[calls[0].clone(), call(2, Some(ALICE), 1062)]), "o-2 c-2 number");
    // One that was answered, or whose caller is known, is waiting for nothing.
    assert_eq!(said(&offers[1..], &[call(1, Some(ALICE), 1020)]), "");
    let known =
        UnmatchedCall { received: Some("https://a.example/a/9".parse().unwrap()), ..call(1, Some(ALICE), 1061) };
    assert_eq!(said(&offers[1..], &[known.clone(), call(2, Some(ALICE), 1062)]), "o-2 c-2 number");
    assert_eq!(said(&offers[1..], &[known, call(2, None, 1062)]), "");
}

#[test]
fn the_right_number_takes_its_offer_from_a_stranger() {
    let calls = [call(1, None, 1), ringing(call(2, Some(ALICE), 3))];
    assert_eq!(said(&[offer(1, Some(ALICE), 0)], &calls), "o-1 c-2 number");
}

#[test]
fn the_same_address_is_the_same_call() {
    let received = UnmatchedCall { received: Some("https://a.example/a/2".parse().unwrap()), ..call(1, None, 500) };
    let offers = [offer(1, Some(ALICE), 500), offer(2, Some(ALICE), 0)];
    assert_eq!(said(&offers, std::slice::from_ref(&received)), "o-2 c-1 address");
    // And a call that brought another takes nobody's by being alone.
    assert_eq!(said(&offers[..1], &[received]), "");
}

#[test]
fn extensions_behind_a_main_number() {
    let main =
        OpenOffer { called: Arc::new([BOB.parse().unwrap(), EVE.parse().unwrap()].into()), ..offer(1, Some(ALICE), 0) };
    let extension = UnmatchedCall { called: EVE.parse().unwrap(), ..call(1, Some(ALICE), 40) };
    assert_eq!(said(&[main], &[extension]), "o-1 c-1 number");
}

fn number() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![
        Just(None),
        Just(Some(ALICE)),
        Just(Some("+12125550199")),
        Just(Some(EVE)),
        Just(Some("2125550100;phone-context=x.example"))
    ]
}

proptest! {
    #[test]
    fn each_is_used_once_and_only_for_what_it_is_like(
        offers in proptest::collection::vec((number(), 0i64..300), 0..6),
        calls in proptest::collection::vec((number(), 0i64..300, any::<bool>()), 0..6),
    ) {
        let offers: Vec<_> = (0..).zip(&offers).map(|(n, (calling, at))| offer(n, *calling, *at)).collect();
        let calls: Vec<_> = (0..).zip(&calls)
            .map(|(n, (calling, at, answered))| if *answered { call(n, *calling, *at) } else { ringing(call(n, *calling, *at)) }).collect();
        let matches = match_offers(&offers, &calls);
        let (mut used, mut taken) = (BTreeSet::new(), BTreeSet::new());
        for (id, call, how) in &matches.found {
            prop_assert!(used.insert(id.clone()) && taken.insert(call.clone()));
            prop_assert!(!matches.ambiguous.contains(id));
            let offer = offers.iter().find(|o| o.id == *id).unwrap();
            let call = calls.iter().find(|c| c.call == *call).unwrap();
            prop_assert!(in_time(offer, call, SKEW));
            match how {
                MatchKind::Number => prop_assert_eq!(&offer.calling, &call.calling),
                MatchKind::Digits => prop_assert!(same_digits(offer, call)),
                MatchKind::Alone => {
                    prop_assert!(call.answered.is_some() && may_be(offer, call));
                    let rivals = |o: &&OpenOffer| !used.contains(&o.id) && may_be(o, call);
                    prop_assert_eq!(offers.iter().filter(rivals).count(), 0);
                }
                MatchKind::Address => prop_assert!(false, "none was received"),
            }
        }
        // The order in which they came makes no difference.
        let (mut again, mut back) = (offers.clone(), calls.clone());
        again.reverse();
        back.reverse();
        prop_assert_eq!(match_offers(&again, &back), matches);
    }
}
