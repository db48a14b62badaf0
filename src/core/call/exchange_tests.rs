//! Who is paired with whom: through bridges, holds, transfers, conferences, repeated and lost events.

use std::cell::Cell;
use std::time::Duration;

use super::*;
use crate::core::base::name::AgentId;
use crate::core::routing::route::{Reason, Route, Side};

#[path = "call_index_tests.rs"]
mod call_index;
#[path = "call_lifetime_tests.rs"]
mod call_lifetime;
#[path = "call_progress_tests.rs"]
mod call_progress;
#[path = "membership_tests.rs"]
mod membership;
#[path = "random_events_tests.rs"]
mod random_events;
#[path = "report_order_tests.rs"]
mod report_order;
#[path = "ringing_tests.rs"]
mod ringing;

const T: UnixMillis = UnixMillis(1_000);

thread_local! {
    static WALKS: Cell<usize> = const { Cell::new(0) };
}

/// Notes that somebody walks over all calls.
pub(super) fn note_walk() {
    WALKS.set(WALKS.get() + 1);
}

/// How many walks over all calls this makes.
fn walks(work: impl FnOnce()) -> usize {
    let before = WALKS.get();
    work();
    WALKS.get() - before
}

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
        withheld: false,
        called: number(called),
        side: Side::Originating,
        route: Route::Local,
        trunk: None,
        reason: Reason::CalledHasClient,
        alerting: Default::default(),
        carried: None,
        announced: None,
        decided: T,
        answered: None,
        ended: None,
        cause: None,
        phase: Phase::Decided,
        parted: Default::default(),
        talks: Default::default(),
        remote: Default::default(),
        last_seq: 0,
        last_by: None,
    }
}

/// A report's number, by an agent that doesn't say its id.
fn by(seq: u64) -> Serial<'static> {
    Serial { agent: None, seq }
}

struct Script {
    exchange: Exchange,
    seq: u64,
}

impl Script {
    fn new(calls: impl IntoIterator<Item = Call>) -> Script {
        let mut exchange = Exchange::new(8);
        for call in calls {
            exchange.open(call);
        }
        Script { exchange, seq: 0 }
    }

    fn say(&mut self, call: &str, event: LegEvent) -> Vec<Effect> {
        self.seq += 1;
        self.exchange.apply(&id(call), by(self.seq), T, &event).unwrap()
    }

    fn dialled(&mut self, call: &str, a: &str) -> Vec<Effect> {
        let number = self.exchange.call(&id(call)).map(|call| call.called.clone());
        self.say(call, LegEvent::Dialled { leg: leg(a), party: number, trunk: None })
    }

    fn answered(&mut self, call: &str, a: &str) -> Vec<Effect> {
        self.say(call, LegEvent::Answered { leg: leg(a) })
    }

    /// A leg of no call is dialled for this one first.
    fn bridged(&mut self, call: &str, a: &str, b: &str) -> Vec<Effect> {
        for name in [a, b] {
            if self.exchange.call_of(&"pbx".parse().unwrap(), &leg(name)).is_none() {
                self.dialled(call, name);
            }
        }
        self.say(call, LegEvent::Bridged { legs: [leg(a), leg(b)] })
    }

    fn unbridged(&mut self, call: &str, a: &str, b: &str) -> Vec<Effect> {
        self.say(call, LegEvent::Unbridged { legs: [leg(a), leg(b)] })
    }

    fn ended(&mut self, call: &str, a: &str) -> Vec<Effect> {
        self.say(call, LegEvent::Ended { leg: leg(a), cause: Some("NORMAL_CLEARING".into()) })
    }
}

fn pair(call: &str, first: &str, second: &str) -> Pair {
    Pair { call: id(call), first: number(first), second: number(second) }
}

#[test]
fn an_ordinary_call_pairs_at_the_bridge_and_parts_at_the_end() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    assert_eq!(script.dialled("c", "B"), []);
    assert_eq!(script.answered("c", "B"), []);
    assert_eq!(script.answered("c", "A"), []);
    // Whichever leg the PBX names first, the caller is first.
    assert_eq!(script.bridged("c", "B", "A"), [Effect::Paired(pair("c", "+1", "+2"))]);
    assert_eq!(script.exchange.call(&id("c")).unwrap().phase, Phase::Talking);
    assert_eq!(script.exchange.pairs_of(&number("+2")), [pair("c", "+1", "+2")]);
    assert_eq!(script.ended("c", "B"), [Effect::Parted(pair("c", "+1", "+2"))]);
    assert_eq!(script.ended("c", "A"), [Effect::Ended(id("c"))]);
    assert!(script.exchange.pairs_of(&number("+1")).is_empty());
}

#[test]
fn lost_events_before_the_bridge_do_not_matter() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    assert_eq!(script.bridged("c", "A", "B"), [Effect::Paired(pair("c", "+1", "+2"))]);
    assert!(script.exchange.call(&id("c")).unwrap().answered.is_some());
}

#[test]
fn a_repeated_bridge_pairs_once() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.bridged("c", "A", "B");
    assert_eq!(script.bridged("c", "A", "B"), []);
    assert_eq!(script.bridged("c", "B", "A"), []);
}

#[test]
fn hold_and_resume_part_and_pair_again() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.bridged("c", "A", "B");
    assert_eq!(script.unbridged("c", "A", "B"), [Effect::Parted(pair("c", "+1", "+2"))]);
    assert_eq!(script.exchange.call(&id("c")).unwrap().phase, Phase::Answered);
    assert_eq!(script.bridged("c", "A", "B"), [Effect::Paired(pair("c", "+1", "+2"))]);
}

#[test]
fn a_withheld_caller_pairs_with_nobody() {
    let mut script = Script::new([call("c", "A", None, "+2")]);
    assert_eq!(script.bridged("c", "A", "B"), []);
    assert_eq!(script.ended("c", "A"), []);
    assert_eq!(script.ended("c", "B"), [Effect::Ended(id("c"))]);
}

#[test]
fn a_fork_pairs_with_the_leg_that_answered() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.dialled("c", "B1");
    script.dialled("c", "B2");
    assert_eq!(script.ended("c", "B1"), []);
    assert_eq!(script.bridged("c", "A", "B2"), [Effect::Paired(pair("c", "+1", "+2"))]);
}

#[test]
fn an_attended_transfer_pairs_the_two_who_are_left() {
    // +1 calls the attendant +5, who calls +9 and connects the two.
    let mut script = Script::new([call("c", "A", Some("+1"), "+5"), call("d", "P", Some("+5"), "+9")]);
    script.bridged("c", "A", "B");
    script.bridged("d", "P", "Q");
    assert_eq!(script.ended("c", "B"), [Effect::Parted(pair("c", "+1", "+5"))]);
    assert_eq!(script.ended("d", "P"), [Effect::Parted(pair("d", "+5", "+9"))]);
    assert_eq!(script.bridged("d", "A", "Q"), [Effect::Paired(pair("d", "+1", "+9"))]);
    assert_eq!(script.exchange.pairs_of(&number("+1")), [pair("d", "+1", "+9")]);
}

#[test]
fn who_withholds_the_number_does_so_behind_a_transfer_too() {
    let withheld = Call { withheld: true, ..call("c", "A", Some("+1"), "+5") };
    let mut script = Script::new([withheld, call("d", "P", Some("+5"), "+9"), call("e", "X", Some("+1"), "+7")]);
    script.bridged("c", "A", "B");
    script.bridged("d", "P", "Q");
    assert!(script.exchange.withholds(&id("c"), &number("+1")) && !script.exchange.withholds(&id("c"), &number("+5")));
    assert!(!script.exchange.withholds(&id("d"), &number("+1")), "not there yet");
    script.ended("c", "B");
    script.ended("d", "P");
    script.bridged("d", "A", "Q");
    assert!(script.exchange.withholds(&id("d"), &number("+1")) && !script.exchange.withholds(&id("d"), &number("+9")));
    // Another call of the same number says it again, or doesn't.
    assert!(!script.exchange.withholds(&id("e"), &number("+1")));
}

#[test]
fn after_a_transfer_the_pair_parts_whichever_leg_goes_first() {
    for (call_told, goes) in [("c", "A"), ("d", "Q")] {
        let mut script = Script::new([call("c", "A", Some("+1"), "+5"), call("d", "P", Some("+5"), "+9")]);
        script.bridged("c", "A", "B");
        script.bridged("d", "P", "Q");
        script.ended("c", "B");
        script.ended("d", "P");
        let made = script.bridged("d", "A", "Q");
        assert_eq!(made, [Effect::Paired(pair("d", "+1", "+9"))]);
        let parted = script.ended(call_told, goes);
        assert_eq!(parted[0], Effect::Parted(pair("d", "+1", "+9")), "{goes}");
    }
}

#[test]
fn a_leg_that_turns_out_to_be_another_phone_moves_the_pair() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    let is = |who: Option<&str>| LegEvent::Identified { leg: leg("B"), party: who.map(number) };
    script.dialled("c", "B");
    assert_eq!(script.say("c", is(Some("+7"))), [], "nobody hears it yet");
    assert_eq!(script.bridged("c", "A", "B"), [Effect::Paired(pair("c", "+1", "+7"))]);
    assert_eq!(script.say("c", is(Some("+7"))), []);
    let (old, new) = (pair("c", "+1", "+7"), pair("c", "+1", "+9"));
    assert_eq!(script.say("c", is(Some("+9"))), [Effect::Parted(old), Effect::Paired(new.clone())]);
    assert_eq!(script.say("c", is(None)), [Effect::Parted(new)]);
    assert!(script.exchange.pairs_in(&id("c")).is_empty());
}

#[test]
fn a_leg_that_joins_by_a_bridge_is_whom_it_is_said_to_be() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.say("c", LegEvent::Identified { leg: leg("P"), party: Some(number("+3")) });
    assert_eq!(script.bridged("c", "A", "P"), [Effect::Paired(pair("c", "+1", "+3"))]);
    let mut script = Script::new([call("c", "A", Some("+1"), "+2")]);
    script.say("c", LegEvent::Identified { leg: leg("P"), party: None });
    assert_eq!(script.bridged("c", "A", "P"), []);
}

#[test]
fn in_a_conference_everyone_is_paired_with_everyone_up_to_its_size() {
    let people = ["A", "B", "C", "D", "E"];
    let calls = people.iter().zip(1..).map(|(l, n)| call(&l.to_lowercase(), l, Some(&format!("+{n}")), "+9"));
    let mut script = Script { exchange: Exchange::new(4), seq: 0 };
    calls.for_each(|call| drop(script.exchange.open(call)));
    let mut made = Vec::new();
    for (n, who) in people.iter().enumerate() {
        let told = who.to_lowercase();
        made.push(people[..n].iter().map(|other| script.bridged(&told, other, who).len()).sum::<usize>());
    }
    assert_eq!(made, [0, 1, 2, 3, 0], "who comes when it is full is paired with nobody");
    assert_eq!(script.exchange.pairs_of(&number("+5")), []);
    // The pairs stay, and so does who has none.
    assert_eq!(script.ended("b", "B").iter().filter(|e| matches!(e, Effect::Parted(_))).count(), 3);
    assert_eq!(script.exchange.pairs_of(&number("+1")).len(), 2);
    assert_eq!(script.exchange.pairs_of(&number("+5")), []);
    // Now there is room for one.
    for other in ["A", "C", "D"] {
        script.unbridged("e", other, "E");
    }
    assert_eq!(["A", "C", "D"].map(|other| script.bridged("e", other, "E").len()), [1, 1, 1]);
}

#[test]
fn a_leg_that_calls_somewhere_else_ends_its_old_call_alone() {
    let mut script = Script::new([call("c", "A", Some("+1"), "+5")]);
    script.bridged("c", "A", "B");
    script.ended("c", "B");
    // The attendant has found +9: the same leg is announced again.
    let left = script.exchange.open(call("d", "A", Some("+1"), "+9"));
    assert_eq!(left, [(id("c"), vec![Effect::Ended(id("c"))])]);
    let again = LegEvent::Ended { leg: leg("A"), cause: Some("moved on".into()) };
    assert_eq!(script.exchange.apply(&id("c"), by(9), T, &again), Err(EventRefusal::Ended), "the agent says so too");
    script.seq = 10;
    assert_eq!(script.bridged("d", "A", "Q"), [Effect::Paired(pair("d", "+1", "+9"))]);
    script.exchange.forget(&id("c"));
    assert_eq!(script.ended("d", "Q"), [Effect::Parted(pair("d", "+1", "+9"))]);
}
