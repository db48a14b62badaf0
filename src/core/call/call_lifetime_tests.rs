//! How long a call and its addresses last: ends, restarts, lost calls, and limits of its legs.

use super::*;

#[test]
fn no_call_ends_before_it_is_answered() {
    let mut exchange = Exchange::new(8);
    exchange.open(call("c", "A", Some("+1"), "+2"));
    let later = T + Duration::from_secs(5);
    exchange.apply(&id("c"), by(1), later, &LegEvent::Answered { leg: leg("A") }).unwrap();
    exchange.apply(&id("c"), by(2), T, &LegEvent::Ended { leg: leg("A"), cause: None }).unwrap();
    assert_eq!(exchange.call(&id("c")).unwrap().ended, Some(later));
}

#[test]
fn an_address_is_good_while_its_number_talks_and_a_little_longer() {
    let grace = Duration::from_secs(60);
    let mut script = Script::new([call("c", "A", Some("+1"), "+5")]);
    let good = |script: &Script, now: UnixMillis| {
        let numbers = script.exchange.reachable(&id("c"), now, grace);
        numbers.iter().map(Number::to_string).collect::<Vec<_>>()
    };
    // The caller's travels in the signalling: it is good before the answer.
    assert_eq!(good(&script, T), ["+1", "+5"]);
    script.bridged("c", "A", "B");
    let later = T + Duration::from_secs(3600);
    assert_eq!(good(&script, later), ["+1", "+5"]);
    // +5 hands +1 over to +9.
    let mut script = Script::new([script.exchange.forget(&id("c")).unwrap(), call("d", "P", Some("+5"), "+9")]);
    script.seq = 10;
    script.dialled("d", "Q");
    script.unbridged("c", "A", "B");
    script.bridged("c", "A", "Q");
    assert_eq!(good(&script, T + Duration::from_secs(59)), ["+1", "+5", "+9"]);
    assert_eq!(good(&script, T + grace), ["+1", "+9"]);
    script.ended("c", "A");
    assert_eq!(good(&script, T + grace), Vec::<String>::new());
    assert!(script.exchange.reachable(&id("x"), T, grace).is_empty());
}

#[test]
fn a_call_of_which_nothing_is_heard_is_lost() {
    let day = Duration::from_secs(24 * 3600);
    let mut script = Script::new([call("c", "A", Some("+1"), "+2"), call("d", "X", Some("+3"), "+4")]);
    script.dialled("c", "B");
    let later = T + Duration::from_secs(3600);
    let bridged = LegEvent::Bridged { legs: [leg("A"), leg("B")] };
    script.exchange.apply(&id("c"), by(2), later, &bridged).unwrap();
    assert_eq!(script.exchange.lost(T + day, day), [id("d")]);
    assert_eq!(script.exchange.lost(T + (day - Duration::from_millis(1)), day), []);
    let unbridged = LegEvent::Unbridged { legs: [leg("A"), leg("B")] };
    script.exchange.apply(&id("c"), by(3), later + day, &unbridged).unwrap();
    script.ended("d", "X");
    assert_eq!(script.exchange.lost(later + day, day), []);
    assert_eq!(script.exchange.lost(later + day + day, day), [id("c")]);
}

#[test]
fn after_the_end_nothing_is_taken_and_the_call_can_be_forgotten() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.ended("c", "A");
    let late = script.exchange.apply(&id("c"), by(99), T, &LegEvent::Answered { leg: leg("A") });
    assert_eq!(late, Err(EventRefusal::Ended));
    assert!(script.exchange.forget(&id("c")).is_some());
    assert_eq!(
        script.exchange.apply(&id("c"), by(100), T, &LegEvent::Answered { leg: leg("A") }),
        Err(EventRefusal::UnknownCall)
    );
    assert!(script.exchange.call_of(&"pbx".parse().unwrap(), &leg("A")).is_none());
}

#[test]
fn a_restart_keeps_the_pairs() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.bridged("c", "A", "B");
    let mut again = Script::new([script.exchange.call(&id("c")).unwrap().clone()]);
    again.seq = script.seq;
    assert_eq!(again.exchange.pairs_of(&number("+1")), [pair("c", "+1", "+2")]);
    assert_eq!(again.ended("c", "A"), [Effect::Parted(pair("c", "+1", "+2"))]);
}

#[test]
fn a_restart_leaves_a_leg_in_the_call_where_it_is_now() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+5")]);
    script.bridged("c", "A", "B");
    script.exchange.open(call("d", "A", Some("+1"), "+9"));
    script.bridged("d", "A", "Q");
    let now = |exchange: &Exchange| ["c", "d"].map(|name| exchange.call(&id(name)).unwrap().clone());
    let before = now(&script.exchange);
    for order in [[0, 1], [1, 0]] {
        let mut again = Exchange::new(8);
        let left: Vec<_> = order.iter().flat_map(|n| again.open(before[*n].clone())).collect();
        assert!(left.iter().all(|(_, effects)| effects.is_empty()), "{order:?}: {left:?}");
        assert_eq!(now(&again), before, "{order:?}");
        assert_eq!(again.pairs_of(&number("+1")), [pair("d", "+1", "+9")], "{order:?}");
        let mut again = Script { exchange: again, seq: script.seq };
        again.ended("c", "B");
        again.exchange.forget(&id("c"));
        assert_eq!(again.ended("d", "Q"), [Effect::Parted(pair("d", "+1", "+9"))], "{order:?}");
    }
}

#[test]
fn a_flood_of_legs_is_refused() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    for n in 1..LEGS_MAX {
        script.dialled("c", &format!("B{n}"));
    }
    let more = LegEvent::Dialled { leg: leg("more"), party: None, trunk: None };
    assert_eq!(script.exchange.apply(&id("c"), by(u64::MAX), T, &more), Err(EventRefusal::TooManyLegs(LEGS_MAX)));
}

#[test]
fn who_rang_in_vain_makes_room_for_who_answers_at_last() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    for n in 1..2 * LEGS_MAX {
        script.dialled("c", &format!("B{n}"));
        script.ended("c", &format!("B{n}"));
        let legs = &script.exchange.call(&id("c")).unwrap().legs;
        assert!(legs.len() <= GONE_MAX + 2 && legs.contains_key(&leg("A")), "{}", legs.len());
    }
    assert!(script.exchange.legs.len() <= GONE_MAX + 2);
    let last = format!("B{}", 2 * LEGS_MAX - 1);
    assert_eq!(script.bridged("c", "A", &last), [], "it is still known as gone");
    assert_eq!(script.bridged("c", "A", "B"), [Effect::Paired(pair("c", "+1", "+2"))]);
}

#[test]
fn the_cause_is_what_the_announced_leg_says() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B");
    script.say("c", LegEvent::Ended { leg: leg("A"), cause: Some("USER_BUSY".into()) });
    script.say("c", LegEvent::Ended { leg: leg("B"), cause: Some("ORIGINATOR_CANCEL".into()) });
    assert_eq!(script.exchange.call(&id("c")).unwrap().cause.as_deref(), Some("USER_BUSY"));

    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B");
    script.say("c", LegEvent::Ended { leg: leg("A"), cause: None });
    script.say("c", LegEvent::Ended { leg: leg("B"), cause: Some("LOSE_RACE".into()) });
    assert_eq!(script.exchange.call(&id("c")).unwrap().cause.as_deref(), Some("LOSE_RACE"), "better than none");
}
