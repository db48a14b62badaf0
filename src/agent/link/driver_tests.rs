//! The driver against a scripted PBX, without sockets: in which order it does what a session says.

use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures_util::Stream;
use serde_json::json;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::*;
use crate::agent::link::context::LinkContext;
use crate::agent::{Agent, AgentConfig};
use crate::contract::SipMessage;
use crate::core::base::name::LegId;
use crate::monitor::micros;
use crate::pbx::{
    Announcement, CallTags, DialplanAnswer, EnrolmentCall, PbxError, PbxEvent, PbxQuirks, Release, Slots, Snapshot,
};

/// What is said to the PBX, and what is done with its events, in order.
type TrackedEvent = mpsc::UnboundedSender<String>;

/// A PBX that does as its fields say.
#[derive(Debug)]
struct Script {
    said: TrackedEvent,
    /// Lets it say its version: attaching begins with that.
    version: Notify,
    owner: std::sync::Mutex<Option<String>>,
    /// The next lists of its channels.
    lists: Mutex<mpsc::UnboundedReceiver<Result<Snapshot, PbxError>>>,
    closed: Notify,
}

impl Script {
    fn say(&self, what: impl Into<String>) {
        let _ = self.said.send(what.into());
    }
}

#[async_trait]
impl PbxCommands for Script {
    async fn version(&self) -> Result<String, PbxError> {
        self.say("version");
        self.version.notified().await;
        Ok("1.0".to_owned())
    }

    async fn owner(&self) -> Result<Option<String>, PbxError> {
        Ok(self.owner.lock().unwrap().clone())
    }

    async fn set_owner(&self, agent: Option<&str>) -> Result<(), PbxError> {
        self.say(if agent.is_some() { "our name" } else { "no name" });
        *self.owner.lock().unwrap() = agent.map(str::to_owned);
        Ok(())
    }

    async fn heartbeat(&self) -> Result<Option<String>, PbxError> {
        Ok(Some(micros().to_string()))
    }

    async fn beat(&self, _: i64) -> Result<(), PbxError> {
        Ok(())
    }

    async fn clock(&self) -> Result<Option<i64>, PbxError> {
        Ok(Some(micros()))
    }

    async fn answer(&self, _: &Announcement, _: &DialplanAnswer) -> Result<(), PbxError> {
        Ok(())
    }

    async fn answer_enrolment(&self, _: &EnrolmentCall, _: bool) -> Result<(), PbxError> {
        Ok(())
    }

    async fn snapshot(&self, known: &[LegId]) -> Result<Snapshot, PbxError> {
        self.say(known.iter().fold("list".to_owned(), |said, leg| format!("{said} {leg}")));
        self.lists.lock().await.recv().await.unwrap()
    }

    async fn send_message(&self, _: &str, _: &SipMessage) -> Result<Instant, PbxError> {
        Err(PbxError::Unanswered)
    }

    fn close_messages(&self) {}

    async fn closed(&self) {
        self.closed.notified().await;
    }

    async fn ping(&self) -> Result<(), PbxError> {
        Ok(())
    }
}

/// Its events.
#[derive(Debug)]
struct ScriptedEvents {
    said: TrackedEvent,
    events: mpsc::UnboundedReceiver<Vec<PbxEvent>>,
    /// What has waited for the next snapshot.
    waited: Vec<PbxEvent>,
}

impl Stream for ScriptedEvents {
    type Item = Vec<PbxEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<PbxEvent>>> {
        let event = self.events.poll_recv(cx);
        if event.is_ready() {
            let _ = self.said.send("event".to_owned());
        }
        event
    }
}

impl PbxEvents for ScriptedEvents {
    fn hold(&mut self) {
        let _ = self.said.send("hold".to_owned());
    }

    fn release(&mut self, snapshot: Option<&Snapshot>) -> Vec<PbxEvent> {
        let _ = self.said.send(if snapshot.is_some() { "release" } else { "release unread" }.to_owned());
        std::mem::take(&mut self.waited)
    }
}

/// A link to a scripted PBX, and what scripts it.
struct Scripted {
    link: Supervised,
    connection: PbxLink,
    pbx: Arc<Script>,
    lists: mpsc::UnboundedSender<Result<Snapshot, PbxError>>,
    events: mpsc::UnboundedSender<Vec<PbxEvent>>,
    said: mpsc::UnboundedReceiver<String>,
}

impl Scripted {
    /// Nobody answers at the node's address.
    fn new(waited: Vec<PbxEvent>) -> Scripted {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = AgentConfig { node: Some("http://127.0.0.1:1".parse().unwrap()), ..AgentConfig::default() };
        let shared = Agent::new(config, Vec::new()).unwrap().shared;
        let pbx = json!({ "name": "office", "kind": "freeswitch", "address": "127.0.0.1:1", "context": "pbx.example" });
        let slots = Slots { total: 1, unproven: 1, failed: 1 };
        let quirks = PbxQuirks { lists_channels_late: false, trunks_name_numbers: false, slots };
        let context = LinkContext::new(shared, serde_json::from_value(pbx).unwrap(), quirks);
        let link = Supervised::new(Arc::new(context), mpsc::channel(1).1);
        let (say, said) = mpsc::unbounded_channel();
        let (lists, next_lists) = mpsc::unbounded_channel();
        let (events, next_events) = mpsc::unbounded_channel();
        let pbx = Arc::new(Script {
            said: say.clone(),
            version: Notify::new(),
            owner: std::sync::Mutex::default(),
            lists: Mutex::new(next_lists),
            closed: Notify::new(),
        });
        let connection = PbxLink {
            commands: pbx.clone(),
            events: Box::new(ScriptedEvents { said: say, events: next_events, waited }),
        };
        Scripted { link, connection, pbx, lists, events, said }
    }
}

/// A session under way.
struct Test {
    pbx: Arc<Script>,
    lists: mpsc::UnboundedSender<Result<Snapshot, PbxError>>,
    events: mpsc::UnboundedSender<Vec<PbxEvent>>,
    said: mpsc::UnboundedReceiver<String>,
    us: String,
    shutdown: CancellationToken,
    session: JoinSet<SessionEnd>,
}

impl Test {
    fn start(waited: Vec<PbxEvent>) -> Test {
        let Scripted { mut link, connection, pbx, lists, events, said } = Scripted::new(waited);
        let us = link.context.shared.id.clone();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        let mut session = JoinSet::new();
        session.spawn(async move { run(&mut link, connection, &stop).await });
        Test { pbx, lists, events, said, us, shutdown, session }
    }

    /// The next things that are said.
    async fn expect<const N: usize>(&mut self, expected: [&str; N]) {
        for expected in expected {
            let said = tokio::time::timeout(Duration::from_secs(10), self.said.recv()).await;
            assert_eq!(said.unwrap().as_deref(), Some(expected));
        }
    }

    async fn attach(&mut self) {
        self.expect(["version"]).await;
        self.pbx.version.notify_one();
        self.expect(["our name", "hold", "list"]).await;
    }

    async fn end(mut self) -> (SessionEnd, Vec<String>) {
        let end = tokio::time::timeout(Duration::from_secs(10), self.session.join_next()).await.unwrap();
        let mut said = self.said;
        (end.unwrap().unwrap(), std::iter::from_fn(|| said.try_recv().ok()).collect())
    }
}

fn gap() -> PbxEvent {
    PbxEvent::Gap { why: "a test" }
}

#[tokio::test]
async fn events_are_held_back_before_a_list_is_asked_for_and_read_after_it() {
    let mut test = Test::start(vec![gap()]);
    test.attach().await;
    // Announcements come out while the list is slow.
    test.events.send(Vec::new()).unwrap();
    test.expect(["event"]).await;
    test.lists.send(Ok(Snapshot::default())).unwrap();
    test.expect(["release"]).await;
    // The gap among them is heard of.
    test.expect(["hold", "list"]).await;
    test.lists.send(Ok(Snapshot::default())).unwrap();
    test.expect(["release"]).await;
    test.shutdown.cancel();
    assert_eq!(test.end().await, (SessionEnd::Shutdown, vec!["no name".to_owned()]));
}

#[tokio::test]
async fn a_gap_in_the_events_causes_another_list() {
    let mut test = Test::start(Vec::new());
    test.attach().await;
    test.lists.send(Ok(Snapshot::default())).unwrap();
    test.expect(["release"]).await;
    test.events.send(vec![gap()]).unwrap();
    test.expect(["event", "hold", "list"]).await;
}

#[tokio::test]
async fn after_a_failed_list_events_go_on_and_the_list_is_asked_for_again() {
    let mut test = Test::start(Vec::new());
    test.attach().await;
    test.lists.send(Err(PbxError::Unanswered)).unwrap();
    test.expect(["release unread", "hold", "list"]).await;
    test.events = mpsc::unbounded_channel().0;
    let (end, _) = test.end().await;
    assert_eq!(end, SessionEnd::Lost { why: "the PBX closed the connection".to_owned(), synced: false });
}

#[tokio::test]
async fn no_event_is_read_before_the_session_is_attached() {
    let mut test = Test::start(Vec::new());
    test.expect(["version"]).await;
    test.events.send(vec![gap()]).unwrap();
    test.pbx.closed.notify_one();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(test.said.try_recv().is_err() && test.session.try_join_next().is_none());
    test.pbx.version.notify_one();
    test.expect(["our name", "event"]).await;
    let (end, _) = test.end().await;
    assert_eq!(end, SessionEnd::Lost { why: "a command connection is gone".to_owned(), synced: false });
}

#[tokio::test]
async fn a_shutdown_while_attaching_gives_that_up_and_leaves_another_agents_name() {
    let mut test = Test::start(Vec::new());
    test.expect(["version"]).await;
    *test.pbx.owner.lock().unwrap() = Some("them".to_owned());
    test.shutdown.cancel();
    let pbx = Arc::clone(&test.pbx);
    assert_eq!(test.end().await, (SessionEnd::Shutdown, Vec::new()));
    assert_eq!(pbx.owner.lock().unwrap().as_deref(), Some("them"));
}

#[tokio::test]
async fn a_shutdown_while_attaching_takes_our_name_back() {
    let mut test = Test::start(Vec::new());
    test.expect(["version"]).await;
    *test.pbx.owner.lock().unwrap() = Some(test.us.clone());
    test.shutdown.cancel();
    assert_eq!(test.end().await, (SessionEnd::Shutdown, vec!["no name".to_owned()]));
}

#[tokio::test]
async fn a_list_is_asked_for_with_the_legs_that_are_followed_and_those_that_the_node_claims() {
    let mut scripted = Scripted::new(Vec::new());
    announce(&mut scripted, "followed");
    let (mut driver, _) = Driver::new(&mut scripted.link, scripted.connection);
    scripted.lists.send(Ok(Snapshot::default())).unwrap();
    driver.act(LinkAction::TakeSnapshot { claimed: vec!["claimed".parse().unwrap()] }).await;
    assert!(matches!(driver.pending.next().await, LinkInput::Snapshot(Ok(_))));
    let said = [scripted.said.recv().await.unwrap(), scripted.said.recv().await.unwrap()];
    assert_eq!(said, ["hold", "list followed claimed"]);
}

/// A call that the node lists is no later than the question.
#[tokio::test]
async fn it_is_noted_which_calls_are_followed_when_the_node_is_asked_for_its_own() {
    let mut scripted = Scripted::new(Vec::new());
    announce(&mut scripted, "followed");
    let before = scripted.link.follower.ask();
    assert!(before.listed < before.next);
    let (mut driver, _) = Driver::new(&mut scripted.link, scripted.connection);
    driver.act(LinkAction::AskClaims).await;
    let after = scripted.link.follower.ask();
    assert_eq!(after.listed, before.next);
}

/// Announces a call of this leg.
fn announce(scripted: &mut Scripted, leg: &str) {
    let Scripted { link, pbx, .. } = scripted;
    let tags = CallTags::originating("+12125550199", "+12125550100");
    let agent = link.context.shared.id.clone();
    let (hold, sent, release) = (Duration::from_secs(1), None, Release::Break);
    let held = Announcement { leg: leg.parse().unwrap(), tags, agent, hold, sent, release };
    link.follower.announced(held, ReplyPath::Commands(pbx.clone()));
}
