use super::*;
use crate::core::route::{Reason, Route, Side};
use proptest::prelude::*;

const T: UnixMillis = UnixMillis(1_000);

fn id(text: &str) -> CallId {
    text.parse().unwrap()
}

fn leg(text: &str) -> LegId {
    text.parse().unwrap()
}

fn number(text: &str) -> Number {
    text.parse().unwrap()
}

fn call(name: &str, announced: &str, calling: Option<&str>, called: &str) -> Call {
    let calling = calling.map(number);
    Call {
        id: id(name),
        pbx: "pbx".parse().unwrap(),
        leg: leg(announced),
        legs: Call::announced_leg(&leg(announced), calling.as_ref(), T),
        calling,
        called: number(called),
        side: Side::Originating,
        route: Route::Local,
        trunk: None,
        reason: Reason::CalledHasClient,
        carried: None,
        decided: T,
        answered: None,
        ended: None,
        cause: None,
        phase: Phase::Decided,
        parted: Default::default(),
        far: Default::default(),
        last_seq: 0,
    }
}

struct Story {
    exchange: Exchange,
    seq: u64,
}

impl Story {
    fn new(calls: impl IntoIterator<Item = Call>) -> Story {
        let mut exchange = Exchange::default();
        for call in calls {
            exchange.open(call);
        }
        Story { exchange, seq: 0 }
    }

    fn say(&mut self, call: &str, event: Event) -> Vec<Effect> {
        self.seq += 1;
        self.exchange.apply(&id(call), self.seq, T, &event).unwrap()
    }

    fn dialled(&mut self, call: &str, a: &str) -> Vec<Effect> {
        self.say(call, Event::Dialled { leg: leg(a) })
    }

    fn answered(&mut self, call: &str, a: &str) -> Vec<Effect> {
        self.say(call, Event::Answered { leg: leg(a) })
    }

    fn bridged(&mut self, call: &str, a: &str, b: &str) -> Vec<Effect> {
        self.say(call, Event::Bridged { legs: [leg(a), leg(b)] })
    }

    fn unbridged(&mut self, call: &str, a: &str, b: &str) -> Vec<Effect> {
        self.say(call, Event::Unbridged { legs: [leg(a), leg(b)] })
    }

    fn ended(&mut self, call: &str, a: &str) -> Vec<Effect> {
        self.say(call, Event::Ended { leg: leg(a), cause: Some("NORMAL_CLEARING".into()) })
    }
}

fn pair(call: &str, first: &str, second: &str) -> Pair {
    Pair { call: id(call), first: number(first), second: number(second) }
}

#[test]
fn an_ordinary_call_pairs_at_the_bridge_and_parts_at_the_end() {
    let mut story = Story::new([call("c", "A", Some("+1"), "+2")]);
    assert_eq!(story.dialled("c", "B"), []);
    assert_eq!(story.answered("c", "B"), []);
    assert_eq!(story.answered("c", "A"), []);
    // Whichever leg the PBX names first, the caller is first.
    assert_eq!(story.bridged("c", "B", "A"), [Effect::Paired(pair("c", "+1", "+2"))]);
    assert_eq!(story.exchange.call(&id("c")).unwrap().phase, Phase::Talking);
    assert_eq!(story.exchange.pairs_of(&number("+2")), [pair("c", "+1", "+2")]);
    assert_eq!(story.ended("c", "B"), [Effect::Parted(pair("c", "+1", "+2"))]);
    assert_eq!(story.ended("c", "A"), [Effect::Ended(id("c"))]);
    assert!(story.exchange.pairs_of(&number("+1")).is_empty());
}

#[test]
fn lost_events_before_the_bridge_do_not_matter() {
    let mut story = Story::new([call("c", "A", Some("+1"), "+2")]);
    assert_eq!(story.bridged("c", "A", "B"), [Effect::Paired(pair("c", "+1", "+2"))]);
    assert!(story.exchange.call(&id("c")).unwrap().answered.is_some());
}

#[test]
fn a_repeated_bridge_pairs_once() {
    let mut story = Story::new([call("c", "A", Some("+1"), "+2")]);
    story.bridged("c", "A", "B");
    assert_eq!(story.bridged("c", "A", "B"), []);
    assert_eq!(story.bridged("c", "B", "A"), []);
}

#[test]
fn a_repeated_event_changes_nothing() {
    let mut exchange = Exchange::default();
    exchange.open(call("c", "A", Some("+1"), "+2"));
    let bridged = Event::Bridged { legs: [leg("A"), leg("B")] };
    assert_eq!(exchange.apply(&id("c"), 7, T, &bridged).unwrap().len(), 1);
    assert_eq!(exchange.apply(&id("c"), 7, T, &bridged), Ok(Vec::new()));
    assert_eq!(exchange.apply(&id("c"), 6, T, &Event::Ended { leg: leg("A"), cause: None }), Ok(Vec::new()));
}

#[test]
fn hold_and_resume_part_and_pair_again() {
    let mut story = Story::new([call("c", "A", Some("+1"), "+2")]);
    story.bridged("c", "A", "B");
    assert_eq!(story.unbridged("c", "A", "B"), [Effect::Parted(pair("c", "+1", "+2"))]);
    assert_eq!(story.exchange.call(&id("c")).unwrap().phase, Phase::Answered);
    assert_eq!(story.bridged("c", "A", "B"), [Effect::Paired(pair("c", "+1", "+2"))]);
}

#[test]
fn a_withheld_caller_pairs_with_nobody() {
    let mut story = Story::new([call("c", "A", None, "+2")]);
    assert_eq!(story.bridged("c", "A", "B"), []);
    assert_eq!(story.ended("c", "A"), []);
    assert_eq!(story.ended("c", "B"), [Effect::Ended(id("c"))]);
}

#[test]
fn a_fork_pairs_with_the_leg_that_answered() {
    let mut story = Story::new([call("c", "A", Some("+1"), "+2")]);
    story.dialled("c", "B1");
    story.dialled("c", "B2");
    assert_eq!(story.ended("c", "B1"), []);
    assert_eq!(story.bridged("c", "A", "B2"), [Effect::Paired(pair("c", "+1", "+2"))]);
}

#[test]
fn an_attended_transfer_pairs_the_two_who_are_left() {
    // +1 calls the attendant +5, who calls +9 and connects the two.
    let mut story = Story::new([call("c", "A", Some("+1"), "+5"), call("d", "P", Some("+5"), "+9")]);
    story.bridged("c", "A", "B");
    story.bridged("d", "P", "Q");
    assert_eq!(story.ended("c", "B"), [Effect::Parted(pair("c", "+1", "+5"))]);
    assert_eq!(story.ended("d", "P"), [Effect::Parted(pair("d", "+5", "+9"))]);
    assert_eq!(story.bridged("d", "A", "Q"), [Effect::Paired(pair("d", "+1", "+9"))]);
    assert_eq!(story.exchange.pairs_of(&number("+1")), [pair("d", "+1", "+9")]);
}

#[test]
fn after_a_transfer_the_pair_parts_whichever_leg_goes_first() {
    for (call_told, goes) in [("c", "A"), ("d", "Q")] {
        let mut story = Story::new([call("c", "A", Some("+1"), "+5"), call("d", "P", Some("+5"), "+9")]);
        story.bridged("c", "A", "B");
        story.bridged("d", "P", "Q");
        story.ended("c", "B");
        story.ended("d", "P");
        let made = story.bridged("d", "A", "Q");
        assert_eq!(made, [Effect::Paired(pair("d", "+1", "+9"))]);
        let parted = story.ended(call_told, goes);
        assert_eq!(parted[0], Effect::Parted(pair("d", "+1", "+9")), "{goes}");
    }
}

#[test]
fn an_address_is_good_while_its_number_talks_and_a_little_longer() {
    let grace = Duration::from_secs(60);
    let mut story = Story::new([call("c", "A", Some("+1"), "+5")]);
    let good = |story: &Story, now: UnixMillis| {
        let numbers = story.exchange.reachable(&id("c"), now, grace);
        numbers.iter().map(Number::to_string).collect::<Vec<_>>()
    };
    // The caller's travels in the signalling: it is good before the answer.
    assert_eq!(good(&story, T), ["+1", "+5"]);
    story.bridged("c", "A", "B");
    let later = T + Duration::from_secs(3600);
    assert_eq!(good(&story, later), ["+1", "+5"]);
    // +5 hands +1 over to +9.
    let mut story = Story::new([story.exchange.forget(&id("c")).unwrap(), call("d", "P", Some("+5"), "+9")]);
    story.seq = 10;
    story.dialled("d", "Q");
    story.unbridged("c", "A", "B");
    story.bridged("c", "A", "Q");
    assert_eq!(good(&story, T + Duration::from_secs(59)), ["+1", "+5", "+9"]);
    assert_eq!(good(&story, T + grace), ["+1", "+9"]);
    story.ended("c", "A");
    assert_eq!(good(&story, T + grace), Vec::<String>::new());
    assert!(story.exchange.reachable(&id("x"), T, grace).is_empty());
}

#[test]
fn a_call_of_which_nothing_is_heard_is_lost() {
    let day = Duration::from_secs(24 * 3600);
    let mut story = Story::new([call("c", "A", Some("+1"), "+2"), call("d", "X", Some("+3"), "+4")]);
    story.seq = 1;
    let later = T + Duration::from_secs(3600);
    let bridged = Event::Bridged { legs: [leg("A"), leg("B")] };
    story.exchange.apply(&id("c"), 2, later, &bridged).unwrap();
    assert_eq!(story.exchange.lost(T + day, day), [id("d")]);
    assert_eq!(story.exchange.lost(T + (day - Duration::from_millis(1)), day), []);
    let unbridged = Event::Unbridged { legs: [leg("A"), leg("B")] };
    story.exchange.apply(&id("c"), 3, later + day, &unbridged).unwrap();
    story.ended("d", "X");
    assert_eq!(story.exchange.lost(later + day, day), []);
    assert_eq!(story.exchange.lost(later + day + day, day), [id("c")]);
}

#[test]
fn a_leg_that_calls_somewhere_else_ends_its_old_call_alone() {
    let mut story = Story::new([call("c", "A", Some("+1"), "+5")]);
    story.bridged("c", "A", "B");
    story.ended("c", "B");
    // The attendant has found +9: the same leg is announced again.
    story.exchange.open(call("d", "A", Some("+1"), "+9"));
    assert_eq!(story.ended("c", "A"), [Effect::Ended(id("c"))]);
    assert_eq!(story.bridged("d", "A", "Q"), [Effect::Paired(pair("d", "+1", "+9"))]);
    story.exchange.forget(&id("c"));
    assert_eq!(story.ended("d", "Q"), [Effect::Parted(pair("d", "+1", "+9"))]);
}

#[test]
fn after_the_end_nothing_is_taken_and_the_call_can_be_forgotten() {
    let mut story = Story::new([call("c", "A", Some("+1"), "+2")]);
    story.ended("c", "A");
    let late = story.exchange.apply(&id("c"), 99, T, &Event::Answered { leg: leg("A") });
    assert_eq!(late, Err(Refused::Ended));
    assert!(story.exchange.forget(&id("c")).is_some());
    assert_eq!(story.exchange.apply(&id("c"), 100, T, &Event::Answered { leg: leg("A") }), Err(Refused::UnknownCall));
    assert!(story.exchange.call_of(&"pbx".parse().unwrap(), &leg("A")).is_none());
}

#[test]
fn a_restart_keeps_the_pairs() {
    let mut story = Story::new([call("c", "A", Some("+1"), "+2")]);
    story.bridged("c", "A", "B");
    let written = serde_json::to_string(story.exchange.call(&id("c")).unwrap()).unwrap();
    let mut again = Story::new([serde_json::from_str(&written).unwrap()]);
    again.seq = story.seq;
    assert_eq!(again.exchange.pairs_of(&number("+1")), [pair("c", "+1", "+2")]);
    assert_eq!(again.ended("c", "A"), [Effect::Parted(pair("c", "+1", "+2"))]);
}

#[test]
fn a_flood_of_legs_is_refused() {
    let mut story = Story::new([call("c", "A", Some("+1"), "+2")]);
    for n in 1..LEGS_MAX {
        story.dialled("c", &format!("B{n}"));
    }
    let more = Event::Dialled { leg: leg("more") };
    assert_eq!(story.exchange.apply(&id("c"), u64::MAX, T, &more), Err(Refused::TooManyLegs(LEGS_MAX)));
}

#[derive(Debug, Clone)]
enum Step {
    Dialled(u8),
    Answered(u8),
    Bridged(u8, u8),
    Unbridged(u8, u8),
    Ended(u8),
}

fn step() -> impl Strategy<Value = (bool, Step)> {
    let n = 0u8..5;
    let step = prop_oneof![
        n.clone().prop_map(Step::Dialled),
        n.clone().prop_map(Step::Answered),
        (n.clone(), n.clone()).prop_map(|(a, b)| Step::Bridged(a, b)),
        (n.clone(), n.clone()).prop_map(|(a, b)| Step::Unbridged(a, b)),
        n.prop_map(Step::Ended),
    ];
    (any::<bool>(), step)
}

#[test]
fn the_cause_is_what_the_announced_leg_says() {
    let mut story = Story::new([call("c", "A", Some("+1"), "+2")]);
    story.say("c", Event::Dialled { leg: leg("B") });
    story.say("c", Event::Ended { leg: leg("A"), cause: Some("USER_BUSY".into()) });
    story.say("c", Event::Ended { leg: leg("B"), cause: Some("ORIGINATOR_CANCEL".into()) });
    assert_eq!(story.exchange.call(&id("c")).unwrap().cause.as_deref(), Some("USER_BUSY"));

    let mut story = Story::new([call("c", "A", Some("+1"), "+2")]);
    story.say("c", Event::Dialled { leg: leg("B") });
    story.say("c", Event::Ended { leg: leg("A"), cause: None });
    story.say("c", Event::Ended { leg: leg("B"), cause: Some("LOSE_RACE".into()) });
    assert_eq!(story.exchange.call(&id("c")).unwrap().cause.as_deref(), Some("LOSE_RACE"), "better than none");
}

proptest! {
    /// Whatever the PBX says: a pair is parted at most as often as it was made, and at the end of
    /// both calls nobody is paired.
    #[test]
    fn pairs_and_partings_balance(steps in prop::collection::vec(step(), 0..60)) {
        let mut exchange = Exchange::default();
        exchange.open(call("c", "L0", Some("+1"), "+2"));
        exchange.open(call("d", "L1", Some("+3"), "+4"));
        let mut open = std::collections::HashMap::<(Number, Number), i32>::new();
        let key = |pair: Pair| {
            let (a, b) = (pair.first, pair.second);
            if a < b { (a, b) } else { (b, a) }
        };
        let name = |n: u8| leg(&format!("L{n}"));
        let ends = (0..5).flat_map(|n| [(true, Step::Ended(n)), (false, Step::Ended(n))]);
        for (seq, (which, step)) in steps.into_iter().chain(ends).enumerate() {
            let event = match step {
                Step::Dialled(n) => Event::Dialled { leg: name(n) },
                Step::Answered(n) => Event::Answered { leg: name(n) },
                Step::Bridged(a, b) | Step::Unbridged(a, b) if a == b => Event::Answered { leg: name(a) },
                Step::Bridged(a, b) => Event::Bridged { legs: [name(a), name(b)] },
                Step::Unbridged(a, b) => Event::Unbridged { legs: [name(a), name(b)] },
                Step::Ended(n) => Event::Ended { leg: name(n), cause: None },
            };
            let which = id(if which { "c" } else { "d" });
            for effect in exchange.apply(&which, seq as u64 + 1, T, &event).unwrap_or_default() {
                match effect {
                    Effect::Paired(pair) => *open.entry(key(pair)).or_default() += 1,
                    Effect::Parted(pair) => {
                        let count = open.entry(key(pair)).or_default();
                        *count -= 1;
                        prop_assert!(*count >= 0);
                    }
                    Effect::Ended(_) => {}
                }
            }
        }
        for n in 1..5 {
            let paired = exchange.pairs_of(&number(&format!("+{n}")));
            prop_assert!(paired.is_empty());
        }
    }
}
