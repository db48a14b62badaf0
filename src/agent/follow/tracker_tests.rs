//! Legs of followed calls: announced, bridged, replaced, and found in a snapshot.

use super::*;
use crate::agent::follow::told_bridges::HEARS_MAX;
use crate::pbx::LiveLeg;

fn leg(text: &str) -> LegId {
    text.parse().unwrap()
}

fn pair(a: &str, b: &str) -> [LegId; 2] {
    [leg(a), leg(b)]
}

fn tags() -> CallTags {
    CallTags::originating("1001", "1002")
}

fn live(name: &str, by: Option<&str>, hears: &[&str]) -> LiveLeg {
    LiveLeg {
        leg: leg(name),
        tags: by.is_none().then(tags),
        by: by.map(leg),
        device: Device::Unnamed,
        answered: !hears.is_empty(),
        hears: hears.iter().map(|h| leg(h)).collect(),
    }
}

fn snapshot(legs: Vec<LiveLeg>) -> Snapshot {
    Snapshot { legs, ..Snapshot::default() }
}

fn catch_up(tracker: &mut Tracker, snapshot: &Snapshot) -> Vec<TrackedEvent> {
    tracker.catch_up(snapshot, &snapshot.shown())
}

fn dial(tracker: &mut Tracker, name: &str, by: &str, device: Device) -> Vec<TrackedEvent> {
    tracker.apply(&PbxEvent::Dialled { leg: leg(name), by: leg(by), device, trunk: None })
}

fn answered_call(tracker: &mut Tracker) -> Key {
    let (key, _) = tracker.announce(&leg("A"));
    dial(tracker, "B", "A", Device::Unnamed);
    tracker.apply(&PbxEvent::Answered { leg: leg("B") });
    tracker.apply(&PbxEvent::bridged(pair("A", "B")));
    key
}

#[test]
fn a_call_from_announcement_to_end() {
    let mut tracker = Tracker::default();
    let key = answered_call(&mut tracker);
    let one = &tracker.apply(&PbxEvent::HungUp { leg: leg("B"), cause: Some("X".into()) })[0];
    assert_eq!((one.key, one.last), (key, false));
    assert!(tracker.apply(&PbxEvent::HungUp { leg: leg("A"), cause: None })[0].last);
    assert!(tracker.is_empty(), "{tracker:?}");
    assert!(tracker.apply(&PbxEvent::HungUp { leg: leg("A"), cause: None }).is_empty(), "hang-ups repeat");
}

#[test]
fn other_peoples_legs_are_not_followed() {
    let mut tracker = Tracker::default();
    assert!(tracker.apply(&PbxEvent::Answered { leg: leg("X") }).is_empty());
    assert!(tracker.apply(&PbxEvent::bridged(pair("X", "Y"))).is_empty());
    assert!(tracker.legs().is_empty());
}

#[test]
fn a_leg_that_calls_somewhere_else_leaves_its_call() {
    let mut tracker = Tracker::default();
    let (first, _) = tracker.announce(&leg("A"));
    let (second, left) = tracker.announce(&leg("A"));
    assert_eq!(left.iter().map(|said| (said.key, said.last)).collect::<Vec<_>>(), [(first, true)]);
    assert!(second > first);
}

#[test]
fn a_bridge_across_two_calls_is_told_to_the_younger() {
    let mut tracker = Tracker::default();
    tracker.announce(&leg("A"));
    let (second, _) = tracker.announce(&leg("P"));
    dial(&mut tracker, "Q", "P", Device::Unnamed);
    let said = tracker.apply(&PbxEvent::bridged(pair("A", "Q")));
    assert_eq!(said[0].key, second);
}

#[test]
fn who_joins_by_a_bridge_is_named_first() {
    let mut tracker = Tracker::default();
    tracker.announce(&leg("A"));
    let said = dial(&mut tracker, "B", "A", Device::named("1002"));
    assert_eq!(said[0].event, LegEvent::Dialled { leg: leg("B"), party: Device::named("1002"), trunk: None });
    let bridged = PbxEvent::Bridged { legs: pair("A", "P"), devices: [Device::named("1000"), Device::named("1003")] };
    let said = tracker.apply(&bridged);
    assert_eq!(said[0].event, LegEvent::Identified { leg: leg("P"), party: Device::named("1003") });
    assert_eq!(said[1].event, LegEvent::Bridged { legs: pair("A", "P") });
    assert_eq!(said.len(), 2, "who was announced needs no other name");
    assert!(tracker.apply(&bridged).is_empty());
}

#[test]
fn a_trunk_is_told_although_a_snapshot_came_first() {
    let mut tracker = Tracker::default();
    tracker.announce(&leg("A"));
    let shown =
        |name: Device| snapshot(vec![live("A", None, &[]), LiveLeg { device: name, ..live("B", Some("A"), &[]) }]);
    catch_up(&mut tracker, &shown(Device::named("1002")));
    let trunk: Option<TrunkName> = Some("carrier".parse().unwrap());
    let report = |device: Device| PbxEvent::Dialled { leg: leg("B"), by: leg("A"), device, trunk: trunk.clone() };
    let told = tracker.apply(&report(Device::named("1002")));
    let dialled = LegEvent::Dialled { leg: leg("B"), party: Device::named("1002"), trunk: trunk.clone() };
    assert_eq!(told.into_iter().map(|said| said.event).collect::<Vec<_>>(), [dialled]);
    assert!(tracker.apply(&report(Device::named("1002"))).is_empty(), "it has been told");
    catch_up(&mut tracker, &shown(Device::named("1003")));
    assert!(tracker.apply(&report(Device::named("1002"))).is_empty(), "who picked it up keeps the name");
    assert!(dial(&mut tracker, "B", "A", Device::named("1003")).is_empty(), "without a trunk it is a repeat");
    tracker.announce(&leg("P"));
    let other = PbxEvent::Dialled { leg: leg("B"), by: leg("P"), device: Device::named("1003"), trunk: trunk.clone() };
    assert!(tracker.apply(&other).is_empty(), "the leg stays in its call");
    for name in ["A", "B", "P"] {
        tracker.apply(&PbxEvent::HungUp { leg: leg(name), cause: None });
    }
    assert!(tracker.is_empty());
}

#[test]
fn a_pick_up_that_no_event_told_is_found() {
    let mut tracker = Tracker::default();
    tracker.announce(&leg("A"));
    dial(&mut tracker, "B", "A", Device::named("1002"));
    let mut legs = vec![live("A", None, &["B"]), live("B", Some("A"), &["A"])];
    (legs[0].device, legs[1].device) = (Device::named("1000"), Device::named("1003"));
    let told = catch_up(&mut tracker, &snapshot(legs.clone()));
    let identified = LegEvent::Identified { leg: leg("B"), party: Device::named("1003") };
    assert!(told.contains(&TrackedEvent::new(told[0].key, identified)));
    assert!(catch_up(&mut tracker, &snapshot(legs)).is_empty());
}

#[test]
fn calls_that_were_answered_meanwhile_are_found() {
    let mut tracker = Tracker::default();
    let now = snapshot(vec![live("A", None, &["B"]), live("B", Some("A"), &["A"])]);
    assert_eq!(tracker.found(&now), (vec![(&leg("A"), &tags())], false));
    tracker.announce(&leg("A"));
    let told: Vec<_> = catch_up(&mut tracker, &now).into_iter().map(|s| s.event).collect();
    assert!(told.contains(&LegEvent::Dialled { leg: leg("B"), party: Device::Unnamed, trunk: None }));
    assert!(told.contains(&LegEvent::Bridged { legs: pair("A", "B") }));
    assert!(catch_up(&mut tracker, &now).is_empty(), "a second look tells nothing new");
}

#[test]
fn answered_legs_without_a_bridge_are_doubted_once() {
    let mut tracker = Tracker::default();
    tracker.announce(&leg("A"));
    dial(&mut tracker, "B", "A", Device::Unnamed);
    tracker.apply(&PbxEvent::Answered { leg: leg("B") });
    assert!(!tracker.doubts(), "the caller's leg is not up yet");
    tracker.apply(&PbxEvent::Answered { leg: leg("A") });
    assert!(tracker.doubts());
    assert!(!tracker.doubts());
    let mut tracker = Tracker::default();
    answered_call(&mut tracker);
    tracker.apply(&PbxEvent::Answered { leg: leg("A") });
    assert!(!tracker.doubts());
}

#[test]
fn what_ended_meanwhile_has_ended() {
    let mut tracker = Tracker::default();
    answered_call(&mut tracker);
    let known = tracker.legs();
    let told = tracker.missing(&snapshot(vec![]).shown(), &known);
    assert_eq!(told.len(), 2);
    assert!(told[1].last);
}

#[test]
fn a_call_that_came_after_the_question_is_not_missing() {
    let mut tracker = Tracker::default();
    let known = tracker.legs();
    answered_call(&mut tracker);
    assert!(tracker.missing(&snapshot(vec![]).shown(), &known).is_empty());
    assert!(catch_up(&mut tracker, &snapshot(vec![])).is_empty(), "nor are its bridges over");
}

#[test]
fn a_bridge_that_ended_meanwhile_has_ended() {
    let mut tracker = Tracker::default();
    answered_call(&mut tracker);
    let told = catch_up(&mut tracker, &snapshot(vec![live("A", None, &[]), live("B", Some("A"), &[])]));
    assert!(matches!(&told[..], [TrackedEvent { event: LegEvent::Unbridged { .. }, .. }]));
}

#[test]
fn a_call_that_may_be_waiting_now_is_left_to_its_announcement() {
    let mut tracker = Tracker::default();
    let now = snapshot(vec![live("A", None, &[]), live("C", None, &[])]);
    assert_eq!(tracker.found(&now), (vec![], true));
    assert!(tracker.announce(&leg("A")).1.is_empty(), "it is new, and so it is answered");
    assert_eq!(tracker.found(&now), (vec![(&leg("C"), &tags())], false), "no announcement came");
    let mut decided = live("D", None, &[]);
    decided.tags = Some(CallTags { call: Some("c-1".parse().unwrap()), ..tags() });
    assert_eq!(tracker.found(&snapshot(vec![decided])).0.len(), 1, "a decided one waits no more");
}

#[test]
fn a_large_conference_does_not_cost_the_square_of_its_size() {
    let told = |people: usize| {
        let mut tracker = Tracker::default();
        let names: Vec<_> = (0..people).map(|n| format!("L{n:03}")).collect();
        names.iter().for_each(|name| drop(tracker.announce(&leg(name))));
        let meet = |tracker: &mut Tracker, a: &str, b: &str| tracker.apply(&PbxEvent::bridged(pair(a, b))).len();
        let mut told = 0;
        for (n, name) in names.iter().enumerate() {
            told += names[..n].iter().map(|other| meet(&mut tracker, name, other)).sum::<usize>();
        }
        (tracker, names, told)
    };
    // As many as a node may pair are told of all the others.
    assert_eq!(told(HEARS_MAX).2, HEARS_MAX * (HEARS_MAX - 1) / 2);
    let (mut tracker, names, many) = told(300);
    assert!(many <= 300 * HEARS_MAX, "{many}");
    // A snapshot, which shows them all, says nothing new; and all of it ends.
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let shown = all.iter().map(|name| live(name, None, &all)).collect();
    let news = catch_up(&mut tracker, &snapshot(shown));
    assert!(news.iter().all(|said| matches!(said.event, LegEvent::Answered { .. })), "{news:?}");
    assert_eq!(tracker.apply(&PbxEvent::Unbridged { legs: pair("L000", "L299") }).len(), 1, "told, so told again");
    names.iter().for_each(|name| drop(tracker.apply(&PbxEvent::HungUp { leg: leg(name), cause: None })));
    assert!(tracker.legs().is_empty() && tracker.told.is_empty(), "{:?}", tracker.told);
}

#[test]
fn what_another_agent_followed_is_taken_over() {
    let mut tracker = Tracker::default();
    let key = tracker.adopt(&[leg("B"), leg("C")], |_| false).unwrap();
    assert_eq!((tracker.call_of(&leg("B")), tracker.call_of(&leg("C"))), (Some(key), Some(key)));
    assert_eq!(tracker.adopt(&[leg("C"), leg("D")], |known| known == key), None, "it is the same call");
    assert_eq!(tracker.call_of(&leg("D")), Some(key));
    assert_eq!(tracker.adopt(&[], |_| false), None);
    // B heard C, and hears D instead; E is in no list, so nothing is known of it.
    let legs = snapshot(vec![live("B", None, &["D"]), live("C", None, &[]), live("D", None, &["B"])]);
    let told = tracker.apart(&legs.shown(), &[pair("B", "C"), pair("B", "D"), pair("B", "E")]);
    assert_eq!(told, [TrackedEvent::new(key, LegEvent::Unbridged { legs: pair("B", "C") })]);
}

#[test]
fn a_leg_that_called_somewhere_else_does_not_take_its_old_call_along() {
    let mut tracker = Tracker::default();
    // Another agent followed A and B in one call. A was announced to us, in another call, before we knew of that one.
    let (new, _) = tracker.announce(&leg("A"));
    let is_old = |key: Key| key != new;
    assert_eq!(tracker.known(&[leg("A"), leg("B")], is_old), None);
    let old = tracker.adopt(&[leg("A"), leg("B")], is_old).unwrap();
    assert_eq!((tracker.call_of(&leg("A")), tracker.call_of(&leg("B"))), (Some(new), Some(old)));
    // Its new call ends with A, and B's end is told to the old one.
    let ended = |tracker: &mut Tracker, name: &str| tracker.apply(&PbxEvent::HungUp { leg: leg(name), cause: None });
    let told: Vec<_> = ["A", "B"].iter().flat_map(|name| ended(&mut tracker, name)).collect();
    assert_eq!(told.iter().map(|said| (said.key, said.last)).collect::<Vec<_>>(), [(new, true), (old, true)]);
    tracker.announce(&leg("C"));
    assert_eq!(tracker.adopt(&[leg("C")], |_| false), None, "no leg of it is left");
}

/// The event of that was lost.
#[test]
fn a_leg_that_calls_somewhere_else_hears_nobody() {
    let mut tracker = Tracker::default();
    let key = answered_call(&mut tracker);
    let (_, left) = tracker.announce(&leg("A"));
    let unbridged = TrackedEvent::new(key, LegEvent::Unbridged { legs: pair("A", "B") });
    assert_eq!(left, [unbridged, TrackedEvent::ended(key, &leg("A"), Some("moved on"))]);
}

/// It was announced to another agent while this one stood by.
#[test]
fn a_leg_that_goes_over_to_a_later_call_hears_whom_it_heard() {
    let mut tracker = Tracker::default();
    let key = answered_call(&mut tracker);
    let (new, left) = tracker.announce_with(&leg("A"), &[]);
    assert_eq!(left, Some(TrackedEvent::ended(key, &leg("A"), Some("moved on"))));
    let still = snapshot(vec![live("A", None, &["B"]), live("B", None, &["A"])]);
    let answered = TrackedEvent::new(new, LegEvent::Answered { leg: leg("A") });
    let bridged = TrackedEvent::new(new, LegEvent::Bridged { legs: pair("A", "B") });
    assert_eq!(
        catch_up(&mut tracker, &still),
        [answered, bridged],
        "the old call may have been over when it told that"
    );
    assert_eq!(catch_up(&mut tracker, &still), []);
    let apart = snapshot(vec![live("A", None, &[]), live("B", None, &[])]);
    let told = catch_up(&mut tracker, &apart);
    assert_eq!(
        told.iter().map(|said| &said.event).collect::<Vec<_>>(),
        [&LegEvent::Unbridged { legs: pair("A", "B") }]
    );
}

/// The node has B in another call than the one in which it was followed when its phone changed.
#[test]
fn the_call_that_has_a_leg_is_told_of_its_new_phone() {
    for picked_up in [false, true] {
        let mut tracker = Tracker::default();
        tracker.announce(&leg("A"));
        dial(&mut tracker, "B", "A", Device::named("1001"));
        let now = Device::named(if picked_up { "1002" } else { "1001" });
        // Other events name the phone again.
        tracker.apply(&PbxEvent::Identified { leg: leg("B"), device: now.clone() });
        assert_eq!(tracker.release(&leg("B")), None);
        let home = tracker.adopt(&[leg("B")], |_| false).unwrap();
        let still = snapshot(vec![LiveLeg { device: now.clone(), ..live("B", Some("A"), &[]) }]);
        let told = TrackedEvent::new(home, LegEvent::Identified { leg: leg("B"), party: now });
        assert_eq!(catch_up(&mut tracker, &still), if picked_up { vec![told] } else { vec![] });
        assert_eq!(catch_up(&mut tracker, &still), []);
    }
}

/// A hears so many that B is not among those whom it is known to hear.
#[test]
fn what_a_leg_of_a_large_conference_hears_is_repeated_too() {
    let mut tracker = Tracker::default();
    answered_call(&mut tracker);
    tracker.apply(&PbxEvent::Unbridged { legs: pair("A", "B") });
    for n in 0..HEARS_MAX {
        tracker.apply(&PbxEvent::bridged(pair("A", &format!("X{n}"))));
    }
    tracker.apply(&PbxEvent::bridged(pair("A", "B")));
    assert_eq!(tracker.release(&leg("B")), None);
    let home = tracker.adopt(&[leg("B")], |_| false).unwrap();
    let still = snapshot(vec![live("A", None, &["B"]), live("B", None, &["A"])]);
    let bridged = LegEvent::Bridged { legs: pair("A", "B") };
    assert!(catch_up(&mut tracker, &still).contains(&TrackedEvent::new(home, bridged)));
}
