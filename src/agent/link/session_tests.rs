//! Sessions with a PBX, in time that the tests move.

use super::LinkAction::*;
use super::*;

#[path = "session_claims_tests.rs"]
mod claims;
#[path = "session_random_tests.rs"]
mod random;

const US: &str = "us";
const MS: fn(u64) -> Duration = Duration::from_millis;

/// A session and its time.
struct Test {
    session: LinkSession,
    now: Instant,
}

impl Test {
    fn start(lists_late: bool) -> Test {
        let slots = crate::pbx::Slots { total: 1, unproven: 1, failed: 1 };
        let quirks = PbxQuirks { lists_channels_late: lists_late, trunks_name_numbers: false, slots };
        let now = Instant::now();
        let (session, actions) = LinkSession::start(now, US.to_owned(), quirks);
        assert_eq!(actions, [ReportSyncing, Attach]);
        Test { session, now }
    }

    /// Attached, and the node is asked for its claims.
    fn attached(lists_late: bool) -> Test {
        let mut test = Test::start(lists_late);
        let actions = test.tell(attached(None));
        assert_eq!(actions, [SetClock(None), ReportVersion("1.0".to_owned()), AskClaims]);
        test
    }

    /// In charge, with a snapshot of just now.
    fn owner() -> Test {
        let mut test = Test::attached(false);
        test.tell(LinkInput::Claims(Vec::new()));
        assert_eq!(test.pass(0), [take(&[])]);
        test.tell(snapshot());
        assert_eq!(test.session.phase, Phase::Owner);
        test
    }

    /// Another agent is in charge.
    fn standby() -> Test {
        let mut test = Test::owner();
        assert_eq!(test.check("them").last(), Some(&ReportOwnership(LinkState::Standby)));
        test
    }

    fn tell(&mut self, input: LinkInput) -> Vec<LinkAction> {
        self.session.handle(self.now, input)
    }

    /// Lets time pass; what is due by then is done when it is.
    fn pass(&mut self, ms: u64) -> Vec<LinkAction> {
        let end = self.now + MS(ms);
        let mut actions = Vec::new();
        while let Some(at) = self.session.wakes_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            actions.extend(self.tell(LinkInput::Due));
        }
        self.now = end;
        actions
    }

    /// A check that finds this agent in charge.
    fn check(&mut self, owner: &str) -> Vec<LinkAction> {
        assert_eq!(self.tell(tick(0)), [Check]);
        self.tell(checked(owner))
    }

    /// One session in each phase but the last.
    fn phases() -> [Test; 4] {
        [Test::start(false), Test::attached(false), Test::owner(), Test::standby()]
    }
}

fn attached(other: Option<&str>) -> LinkInput {
    LinkInput::Attached(Ok(Attachment { version: "1.0".to_owned(), other: other.map(str::to_owned), clock: None }))
}

fn checked(owner: &str) -> LinkInput {
    LinkInput::Checked(Ok(Checked { owner: owner.to_owned(), clock: Some((1, 2, 3)) }))
}

fn tick(followed: usize) -> LinkInput {
    LinkInput::Tick { followed, doubts: false }
}

fn snapshot() -> LinkInput {
    LinkInput::Snapshot(Ok(Arc::default()))
}

fn no_snapshot(disconnected: bool) -> LinkInput {
    LinkInput::Snapshot(Err(SnapshotError { why: "why".to_owned(), disconnected }))
}

fn take(claimed: &[&str]) -> LinkAction {
    TakeSnapshot { claimed: claimed.iter().map(|leg| leg.parse().unwrap()).collect() }
}

fn reconcile(claims: &[CallView]) -> LinkAction {
    Reconcile { snapshot: Arc::default(), claims: claims.to_vec() }
}

fn unread() -> LinkAction {
    ReleaseUnread { why: "why".to_owned() }
}

fn lost(why: &str, synced: bool) -> LinkAction {
    End(SessionEnd::Lost { why: why.to_owned(), synced })
}

/// A live call of one leg.
fn claim(leg: &str) -> CallView {
    CallView::live(&format!("call-of-{leg}"), leg, "+12125550100", &[leg])
}

#[test]
fn an_agent_before_us_is_named() {
    let mut test = Test::start(false);
    let actions = test.tell(attached(Some("them")));
    let took_over = LogTakeover("them".to_owned());
    assert_eq!(actions, [SetClock(None), took_over, ReportVersion("1.0".to_owned()), AskClaims]);
}

#[test]
fn an_attachment_that_fails_ends_the_session() {
    let mut test = Test::start(false);
    assert_eq!(test.pass(5_000), [], "nothing is done before");
    assert_eq!(test.tell(LinkInput::Attached(Err("refused".to_owned()))), [lost("refused", false)]);
}

#[test]
fn the_first_snapshot_is_taken_when_the_node_has_told_its_calls() {
    let mut test = Test::attached(false);
    assert_eq!(test.pass(300), []);
    test.tell(LinkInput::Claims(vec![claim("a"), claim("b")]));
    assert_eq!(test.pass(0), [take(&["a", "b"])]);
    let calls = [claim("a"), claim("b")];
    let first = [reconcile(&calls), LogAttached { channels: 0 }, ReportOwnership(LinkState::Up)];
    let expected = Vec::from_iter(first.into_iter().chain([Release(Arc::default())]));
    assert_eq!(test.tell(snapshot()), expected);
    assert_eq!(test.pass(59_000), [], "one is enough");
}

#[test]
fn calls_that_the_node_tells_late_cause_one_snapshot() {
    let mut test = Test::attached(false);
    assert_eq!(test.pass(999), [], "the first one waits for them, but not for long");
    assert_eq!(test.pass(1), [take(&[])]);
    test.tell(LinkInput::Claims(vec![claim("a")]));
    assert_eq!(test.pass(500), [], "the first one is under way");
    assert_eq!(test.tell(snapshot())[0], reconcile(&[]), "it was asked for before the node told them");
    assert_eq!(test.pass(1_000), [take(&["a"])]);
    assert_eq!(test.tell(snapshot()), [reconcile(&[claim("a")]), Release(Arc::default())]);
    assert_eq!(test.pass(10_000), []);
}

#[test]
fn a_node_without_live_calls_causes_none() {
    let mut test = Test::attached(false);
    assert_eq!(test.pass(1_000), [take(&[])]);
    test.tell(snapshot());
    test.tell(LinkInput::Claims(Vec::new()));
    assert_eq!(test.pass(10_000), []);
}

#[test]
fn a_pbx_that_lists_channels_late_is_asked_twice_when_the_session_begins() {
    let mut test = Test::attached(true);
    test.tell(LinkInput::Claims(Vec::new()));
    assert_eq!(test.pass(0), [take(&[])]);
    test.tell(snapshot());
    assert_eq!(test.pass(1_000), [take(&[])]);
    assert_eq!(test.tell(snapshot()), [reconcile(&[]), Release(Arc::default())]);
    assert_eq!(test.pass(10_000), []);
}

#[test]
fn between_two_snapshots_a_second_passes() {
    let mut test = Test::owner();
    test.tell(LinkInput::Suspicion);
    assert_eq!(test.pass(999), []);
    test.tell(LinkInput::Suspicion);
    assert_eq!(test.tell(LinkInput::Due), [], "not yet");
    assert_eq!(test.pass(1), [take(&[])]);
    assert_eq!(test.pass(5_000), [], "however long it takes");
    test.tell(snapshot());
    test.tell(LinkInput::Suspicion);
    assert_eq!(test.pass(999), [], "the second begins when it is here");
    assert_eq!(test.pass(1), [take(&[])]);
}

#[test]
fn a_suspicion_long_after_a_snapshot_causes_one_at_once() {
    let mut test = Test::owner();
    test.pass(5_000);
    test.tell(LinkInput::Suspicion);
    assert_eq!(test.pass(0), [take(&[])]);
}

#[test]
fn events_that_are_lost_during_a_snapshot_cause_one_afterwards() {
    let mut test = Test::attached(false);
    assert_eq!(test.pass(1_000), [take(&[])]);
    for _ in 0..3 {
        assert_eq!(test.tell(LinkInput::Suspicion), []);
        assert_eq!(test.pass(500), []);
    }
    test.tell(snapshot());
    assert_eq!(test.pass(1_000), [take(&[])]);
    test.tell(snapshot());
    assert_eq!(test.pass(10_000), []);
}

#[test]
fn from_a_failed_snapshot_nothing_is_concluded_and_it_is_taken_again() {
    let mut test = Test::attached(false);
    test.tell(LinkInput::Claims(vec![claim("a")]));
    assert_eq!(test.pass(0), [take(&["a"])]);
    assert_eq!(test.tell(no_snapshot(false)), [unread()]);
    assert_eq!(test.session.phase, Phase::Syncing);
    assert_eq!(test.pass(999), []);
    assert_eq!(test.pass(1), [take(&["a"])]);
    assert_eq!(test.tell(snapshot())[0], reconcile(&[claim("a")]), "for the same claims");
}

#[test]
fn claims_that_come_during_a_snapshot_that_fails_replace_those_it_was_taken_for() {
    let mut test = Test::standby();
    test.pass(5_000);
    test.check(US);
    test.tell(LinkInput::Claims(vec![claim("a")]));
    assert_eq!(test.pass(0), [take(&["a"])]);
    test.check("them");
    test.check(US);
    test.tell(LinkInput::Claims(vec![claim("b")]));
    test.tell(no_snapshot(false));
    assert_eq!(test.pass(1_000), [take(&["b"])]);
}

#[test]
fn a_snapshot_that_fails_with_the_link_ends_the_session() {
    for (mut test, synced) in [(Test::attached(false), false), (Test::owner(), true)] {
        test.tell(LinkInput::Suspicion);
        assert_eq!(test.pass(1_000), [take(&[])]);
        assert_eq!(test.tell(no_snapshot(true)), [lost("why", synced)]);
    }
}

#[test]
fn a_doubtful_call_causes_a_snapshot_before_its_minute() {
    let mut test = Test::owner();
    test.pass(5_000);
    test.tell(doubtful());
    assert_eq!(test.pass(1_000), [take(&[])]);
}

fn doubtful() -> LinkInput {
    LinkInput::Tick { followed: 1, doubts: true }
}

#[test]
fn one_check_is_made_at_a_time() {
    let mut test = Test::attached(false);
    assert_eq!(test.tell(tick(0)), [Check]);
    assert_eq!(test.tell(tick(0)), []);
    test.tell(checked(US));
    assert_eq!(test.tell(tick(0)), [Check]);
}

#[test]
fn a_check_that_fails_ends_the_session() {
    for (mut test, synced) in [(Test::attached(false), false), (Test::owner(), true), (Test::standby(), true)] {
        test.tell(tick(0));
        assert_eq!(test.tell(LinkInput::Checked(Err("silent".to_owned()))), [lost("silent", synced)]);
    }
}

#[test]
fn each_check_reports_who_is_in_charge_and_logs_a_change() {
    let clock = || SetClock(Some((1, 2, 3)));
    let mut test = Test::owner();
    assert_eq!(test.check(US), [clock(), ReportOwnership(LinkState::Up)]);
    let standby = || LinkState::Standby;
    assert_eq!(test.check("them"), [clock(), LogOwnership(standby()), ReportOwnership(standby())]);
    assert_eq!(test.check("others"), [clock(), ReportOwnership(standby())]);
    let up = LinkState::Up;
    assert_eq!(test.check(US), [clock(), LogOwnership(up), ReportOwnership(up), AskClaims]);
}

#[test]
fn before_the_first_snapshot_a_check_says_nothing_of_who_is_in_charge() {
    let mut test = Test::attached(false);
    assert_eq!(test.check("them"), [SetClock(Some((1, 2, 3)))]);
    assert_eq!(test.pass(1_000), [take(&[])]);
    assert!(test.tell(snapshot()).contains(&ReportOwnership(LinkState::Up)), "until the next check");
    assert_eq!(test.check("them").last(), Some(&ReportOwnership(LinkState::Standby)));
}

#[test]
fn who_takes_over_takes_a_snapshot_when_the_node_has_told_its_calls() {
    let mut test = Test::standby();
    test.pass(5_000);
    assert_eq!(test.check(US).last(), Some(&AskClaims));
    assert_eq!(test.pass(300), []);
    test.tell(LinkInput::Claims(Vec::new()));
    assert_eq!(test.pass(0), [take(&[])], "the calls that are up were another agent's");
}

#[test]
fn who_takes_over_waits_a_second_for_the_node_and_no_longer() {
    let mut test = Test::standby();
    test.pass(5_000);
    test.check(US);
    assert_eq!(test.pass(999), []);
    assert_eq!(test.pass(1), [take(&[])]);
    test.tell(snapshot());
    test.tell(LinkInput::Claims(vec![claim("a")]));
    assert_eq!(test.pass(1_000), [take(&["a"])]);
}

#[test]
fn who_stands_by_still_follows() {
    let mut test = Test::standby();
    test.tell(LinkInput::Suspicion);
    assert_eq!(test.pass(1_000), [take(&[])]);
    assert_eq!(test.tell(snapshot()), [reconcile(&[]), Release(Arc::default())]);
    assert_eq!(test.session.phase, Phase::Standby);
}

#[test]
fn a_shutdown_says_goodbye_once_in_every_phase() {
    for mut test in Test::phases() {
        assert_eq!(test.tell(LinkInput::Shutdown), [SayGoodbye, End(SessionEnd::Shutdown)]);
        assert_eq!(test.tell(LinkInput::Shutdown), []);
    }
}

#[test]
fn a_closed_connection_ends_the_session_without_a_goodbye() {
    for (mut test, synced) in Test::phases().into_iter().zip([false, false, true, true]) {
        assert_eq!(test.tell(LinkInput::EventsEnded), [lost("the PBX closed the connection", synced)]);
    }
    for (mut test, synced) in Test::phases().into_iter().zip([false, false, true, true]) {
        assert_eq!(test.tell(LinkInput::CommandsClosed), [lost("a command connection is gone", synced)]);
    }
}

#[test]
fn after_its_end_a_session_does_nothing() {
    let ends = || [LinkInput::Shutdown, LinkInput::EventsEnded, LinkInput::CommandsClosed];
    for n in 0..ends().len() {
        for mut test in Test::phases() {
            test.tell(LinkInput::Suspicion);
            test.tell(ends().into_iter().nth(n).unwrap());
            for input in ends().into_iter().chain([attached(None), checked(US), snapshot(), tick(1), LinkInput::Due]) {
                assert_eq!(test.tell(input), []);
                assert_eq!(test.pass(60_000), []);
            }
            assert!(!test.session.is_attached());
        }
    }
}
