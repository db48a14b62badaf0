//! Followed calls against snapshots of the PBX and the calls that the node claims.

use super::*;
use crate::core::call::LegEvent;
use crate::pbx::{Device, LiveLeg};

#[path = "reconcile_late_tests.rs"]
mod late;
#[path = "reconcile_over_tests.rs"]
mod over;

const LAST: u64 = 7;

fn leg(text: &str) -> LegId {
    text.parse().unwrap()
}

fn number(text: &str) -> Number {
    text.parse().unwrap()
}

/// A call of leg X.
fn identity(called: &str, id: Option<&str>) -> CallIdentity {
    CallIdentity { leg: leg("X"), called: number(called), id: id.map(|id| id.parse().unwrap()) }
}

fn tags(called: &str, call: Option<&str>) -> CallTags {
    let call = call.map(|call| call.parse().unwrap());
    CallTags { call, ..CallTags::originating("+13105550100", called) }
}

fn live(name: &str, tags: Option<CallTags>) -> LiveLeg {
    LiveLeg { leg: leg(name), tags, by: None, device: Device::Unnamed, answered: false, hears: Vec::new() }
}

fn snapshot(legs: Vec<LiveLeg>) -> Snapshot {
    Snapshot { legs, ..Snapshot::default() }
}

/// A call of leg X that the node takes for live. Later calls have later ids.
fn view(call: &str, called: &str, legs: &[&str]) -> CallView {
    CallView { last_seq: LAST, ..CallView::live(call, "X", called, legs) }
}

#[derive(Default)]
struct Agent {
    tracker: Tracker,
    calls: HashMap<Key, CallIdentity>,
    last_seq: u64,
    /// Calls that are over for the node.
    over: Vec<Key>,
    told: Vec<TrackedEvent>,
    /// Ends of calls that are not followed.
    ended: Vec<(CallId, Vec<LegId>)>,
}

impl Agent {
    fn announce(&mut self, call: CallIdentity) -> Key {
        let (key, left) = self.tracker.announce(&call.leg);
        self.told.extend(left);
        self.calls.insert(key, call);
        key
    }

    fn ask(&self) -> Asked {
        Asked { legs: self.tracker.legs(), next: self.tracker.next(), listed: self.tracker.next() }
    }

    /// A snapshot that is asked for now.
    fn reconcile(&mut self, snapshot: &Snapshot, claimed: Vec<CallView>) {
        let asked = self.ask();
        reconcile(self, snapshot, &asked, claimed);
    }

    /// Which legs have ended in the call with this key.
    fn ended_in(&self, key: Key) -> Vec<&LegId> {
        let of_call = self.told.iter().filter(|said| said.key == key);
        of_call
            .filter_map(|said| if let LegEvent::Ended { leg, .. } = &said.event { Some(leg) } else { None })
            .collect()
    }
}

impl Calls for Agent {
    fn tracker(&mut self) -> &mut Tracker {
        &mut self.tracker
    }

    fn identities(&self) -> impl Iterator<Item = (Key, &CallIdentity)> {
        self.calls.iter().map(|(key, call)| (*key, call))
    }

    fn identity(&self, key: Key) -> Option<&CallIdentity> {
        self.calls.get(&key)
    }

    fn over(&mut self) -> Vec<Key> {
        std::mem::take(&mut self.over)
    }

    fn called(&self, tags: &CallTags) -> Option<Number> {
        tags.called.parse().ok()
    }

    fn reported(&mut self, last_seq: u64) {
        self.last_seq = self.last_seq.max(last_seq);
    }

    fn tell(&mut self, said: Vec<TrackedEvent>) {
        for said in said.into_iter().filter(|said| self.calls.contains_key(&said.key)).collect::<Vec<_>>() {
            if said.last {
                self.calls.remove(&said.key);
            }
            self.told.push(said);
        }
    }

    fn start(&mut self, key: Key, leg: LegId, tags: CallTags, called: Number) {
        self.calls.insert(key, CallIdentity { leg, called, id: tags.call });
    }

    fn adopt(&mut self, key: Key, view: &CallView) {
        let id = Some(view.call.clone());
        self.calls.insert(key, CallIdentity { leg: view.leg.clone(), called: view.called.clone(), id });
    }

    fn forget(&mut self, key: Key) {
        self.calls.remove(&key);
    }

    fn end(&mut self, view: &CallView, legs: Vec<LegId>) {
        self.ended.push((view.call.clone(), legs));
    }

    fn follow_main_callers(&mut self, _: &Snapshot) {}
}

const N: &str = "+12125550100";
const M: &str = "+12125550101";

#[test]
fn a_followed_call_goes_on_behind_what_the_node_has_of_it() {
    let mut agent = Agent::default();
    agent.announce(identity(N, None));
    agent.reconcile(&snapshot(vec![live("X", Some(tags(N, None)))]), vec![view("c", N, &["X"])]);
    assert_eq!(agent.last_seq, LAST);
    assert!(agent.told.is_empty() && agent.ended.is_empty());
}

/// The node may have lost the call, and got to know it again.
#[test]
fn an_id_that_the_node_does_not_claim_tells_no_two_calls_apart() {
    let mut agent = Agent::default();
    agent.announce(identity(N, Some("lost")));
    let there = snapshot(vec![live("X", Some(tags(N, Some("lost"))))]);
    agent.reconcile(&there, vec![view("again", N, &["X"])]);
    assert!(agent.told.is_empty() && agent.ended.is_empty(), "{:?} {:?}", agent.told, agent.ended);
}

/// The agent stood by when the leg was transferred.
#[test]
fn a_leg_goes_over_to_the_later_call_that_its_mark_names() {
    for (called, of_tags) in [(M, Some("d")), (M, None), (N, Some("d"))] {
        let mut agent = Agent::default();
        let old = agent.announce(identity(N, Some("c")));
        agent.tracker.adopt(&[leg("X"), leg("Y")], |key| key == old);
        let there = snapshot(vec![live("X", Some(tags(called, of_tags))), live("Y", None)]);
        let claimed = vec![view("c", N, &["X"]), view("d", called, &["X", "Y"])];
        agent.reconcile(&there, claimed);
        let new = agent.tracker.call_of(&leg("X")).unwrap();
        assert!(new > old, "{called} {of_tags:?}");
        assert_eq!(agent.tracker.call_of(&leg("Y")), Some(new));
        assert_eq!((agent.ended_in(old), agent.ended_in(new)), (vec![&leg("X")], vec![]), "{called} {of_tags:?}");
        assert!(agent.told.iter().any(|said| said.key == old && said.last) && agent.ended.is_empty());
    }
}

/// The agent stood by when the leg was transferred, and when it was transferred again no agent was there.
#[test]
fn a_leg_goes_over_to_the_latest_call_that_the_node_knows() {
    for knows_the_old_one in [true, false] {
        let mut agent = Agent::default();
        let old = agent.announce(identity(N, Some("c")));
        let there = snapshot(vec![live("X", Some(tags("+12125550102", None)))]);
        let old_one = knows_the_old_one.then(|| view("c", N, &["X"]));
        agent.reconcile(&there, old_one.into_iter().chain([view("d", M, &["X"])]).collect());
        let new = agent.tracker.call_of(&leg("X")).unwrap();
        assert_eq!(agent.identity(new).and_then(|call| call.id.clone()), Some("d".parse().unwrap()));
        assert_eq!((agent.ended_in(old), agent.ended_in(new), agent.ended.len()), (vec![&leg("X")], vec![], 0));
    }
}

/// The snapshot is older than the announcement.
#[test]
fn a_leg_announced_since_stays_in_the_later_call() {
    let mut agent = Agent::default();
    let asked = agent.ask();
    let new = agent.announce(identity(M, None));
    let there = snapshot(vec![live("X", Some(tags(N, Some("c"))))]);
    reconcile(&mut agent, &there, &asked, vec![view("c", N, &["X"])]);
    assert_eq!(agent.tracker.call_of(&leg("X")), Some(new));
    assert!(agent.told.is_empty());
    assert_eq!(agent.ended, [("c".parse().unwrap(), vec![leg("X")])]);
}

#[test]
fn a_leg_that_a_later_call_to_the_same_number_has_announced_left_the_earlier_one() {
    let mut agent = Agent::default();
    let new = agent.announce(identity(N, Some("e")));
    let there = snapshot(vec![live("X", Some(tags(N, Some("e"))))]);
    agent.reconcile(&there, vec![view("c", N, &["X"]), view("e", N, &["X"])]);
    assert_eq!(agent.tracker.call_of(&leg("X")), Some(new));
    assert!(agent.told.is_empty());
    assert_eq!(agent.ended, [("c".parse().unwrap(), vec![leg("X")])]);
}

/// An attendant's caller has no tags that say whom they call.
#[test]
fn no_leg_ends_in_a_call_that_may_be_the_later_one() {
    let mut agent = Agent::default();
    agent.announce(identity(N, None));
    agent.reconcile(&snapshot(vec![live("X", Some(tags("", None)))]), vec![view("d", M, &["X"])]);
    assert!(agent.told.is_empty() && agent.ended.is_empty(), "{:?} {:?}", agent.told, agent.ended);
}

#[test]
fn legs_that_are_gone_end_in_every_call_that_the_node_takes_them_for() {
    let mut agent = Agent::default();
    let key = agent.announce(identity(N, None));
    let claimed = vec![view("c", N, &["X", "Y"]), view("d", M, &["X", "Z"])];
    agent.reconcile(&snapshot(Vec::new()), claimed);
    assert_eq!(agent.ended_in(key), [&leg("Y"), &leg("X")], "its own report of the last leg is the last one");
    assert_eq!(agent.ended, [("d".parse().unwrap(), vec![leg("X"), leg("Z")])]);
}

#[test]
fn a_leg_announced_since_and_gone_ends_in_both_calls() {
    let mut agent = Agent::default();
    let mut asked = agent.ask();
    asked.legs.push(leg("X"));
    let new = agent.announce(identity(M, None));
    reconcile(&mut agent, &snapshot(Vec::new()), &asked, vec![view("c", N, &["X"])]);
    assert_eq!(agent.ended_in(new), [&leg("X")]);
    assert_eq!(agent.ended, [("c".parse().unwrap(), vec![leg("X")])]);
}

/// X dialled Y for another agent. Before this one could ask the node, it took Y for part of the later call of X.
#[test]
fn a_leg_goes_back_to_the_call_that_the_node_has_it_in() {
    let mut agent = Agent::default();
    let new = agent.announce(identity(M, None));
    let there = snapshot(vec![live("X", Some(tags(M, None))), LiveLeg { by: Some(leg("X")), ..live("Y", None) }]);
    let asked = agent.ask();
    reconcile(&mut agent, &there, &asked, Vec::new());
    assert_eq!(agent.tracker.call_of(&leg("Y")), Some(new));
    let (asked, told) = (agent.ask(), agent.told.len());
    reconcile(&mut agent, &there, &asked, vec![view("c", N, &["X", "Y"]), view("d", M, &["X"])]);
    let old = agent.tracker.call_of(&leg("Y")).unwrap();
    assert_eq!(agent.tracker.call_of(&leg("X")), Some(new));
    assert_eq!(agent.identity(old).unwrap().id, Some("c".parse().unwrap()));
    assert_eq!(agent.told[told..], [TrackedEvent::ended(old, &leg("X"), None)]);
}

/// X has been announced once more since.
#[test]
fn a_call_of_which_the_node_has_no_leg_is_dropped() {
    let mut agent = Agent::default();
    let wrong = agent.announce(identity(M, None));
    let by = leg("X");
    agent.tracker.apply(&crate::pbx::PbxEvent::Dialled { leg: leg("Y"), by, device: Device::Unnamed, trunk: None });
    let new = agent.announce(identity("+12125550102", None));
    assert_eq!((agent.ended_in(wrong), agent.tracker.call_of(&leg("Y"))), (vec![&leg("X")], Some(wrong)));
    let (asked, told) = (agent.ask(), agent.told.len());
    let there = snapshot(vec![live("X", Some(tags("+12125550102", None))), live("Y", None)]);
    reconcile(&mut agent, &there, &asked, vec![view("c", N, &["Y"]), view("e", "+12125550102", &["X"])]);
    assert!(agent.identity(wrong).is_none() && agent.told.len() == told, "{:?}", agent.told);
    assert_eq!(agent.tracker.call_of(&leg("X")), Some(new));
    assert!(agent.tracker.call_of(&leg("Y")).is_some_and(|old| old > new));
}

/// The earlier one has yet to report that the leg has left it.
#[test]
fn a_leg_that_two_calls_claim_stays_in_the_later_one() {
    let mut agent = Agent::default();
    let new = agent.announce(identity(M, Some("d")));
    agent.tracker.adopt(&[leg("X"), leg("Y")], |key| key == new);
    let there = snapshot(vec![live("X", Some(tags(M, Some("d")))), live("Y", None)]);
    agent.reconcile(&there, vec![view("c", N, &["Y"]), view("d", M, &["X", "Y"])]);
    assert_eq!(agent.tracker.call_of(&leg("Y")), Some(new));
}

/// The report of its own call is late, and all that the node has heard is that it is bridged.
#[test]
fn a_stranger_to_the_call_that_claims_it_stays_where_it_is() {
    let mut agent = Agent::default();
    let other = agent.announce(CallIdentity { leg: leg("A"), ..identity(M, Some("d")) });
    let own = agent.announce(identity(N, Some("c")));
    agent.tracker.adopt(&[leg("X"), leg("Y")], |key| key == own);
    let there = snapshot(vec![live("A", None), live("X", None), live("Y", None)]);
    let claimed =
        vec![view("c", N, &["X"]), CallView { leg: leg("A"), strangers: vec![leg("Y")], ..view("d", M, &["A", "Y"]) }];
    agent.reconcile(&there, claimed);
    assert_eq!((agent.tracker.call_of(&leg("A")), agent.tracker.call_of(&leg("Y"))), (Some(other), Some(own)));
}

#[test]
fn a_number_near_the_largest_holds_up_no_other_call() {
    let mut agent = Agent::default();
    let poisoned = CallView { last_seq: CallReport::SEQ_MAX - 1, ..view("d", M, &[]) };
    agent.reconcile(&snapshot(vec![]), vec![poisoned, view("c", N, &[])]);
    assert_eq!(agent.last_seq, LAST);
}
