//! An agent that knows two nodes: one is killed, falls silent, or comes back.

use std::time::{Duration, Instant};

use lab::ChaosProxy;
use serde_json::{Value, json};
use sidecall::agent::{NodeClient, NodeClientError};
use sidecall::contract::{CallDecision, CallRequest};

use crate::is;
use crate::scripted::node::live;
use crate::scripted::{Freeswitch, Heard, Node, Running, agent_of, config, until, until_within};

/// How long the snippet lets a call wait.
const HOLD: Duration = Duration::from_millis(500);

/// How long calls may go without decisions when a node dies: less than a report waits for an answer.
const SWITCHED: Duration = Duration::from_secs(4);

/// How long a decision may take where no call waits: time that a busy machine keeps, too.
const DEADLINE: Duration = Duration::from_millis(2_500);

/// What the first node that is asked has of it.
const FIRST_SHARE: Duration = Duration::from_millis(1_500);

/// How a node is lost.
#[derive(Debug, Clone, Copy)]
enum Loss {
    Killed,
    /// It accepts connections and never answers, as after SIGSTOP.
    Silent,
}

/// Two scripted nodes, and the proxies by which they are reached.
struct Nodes {
    nodes: [Node; 2],
    proxies: [ChaosProxy; 2],
}

impl Nodes {
    async fn start() -> Nodes {
        let nodes = [Node::start().await, Node::start().await];
        let proxies = [0, 1].map(|n: usize| ChaosProxy::start(nodes[n].address).unwrap());
        Nodes { nodes, proxies }
    }

    fn client(&self) -> NodeClient {
        let addresses = self.proxies.each_ref().map(ChaosProxy::addr);
        NodeClient::new(&config(&addresses), "agent".to_owned()).unwrap()
    }

    fn lose(&self, node: usize, loss: Loss) {
        match loss {
            Loss::Killed => {
                self.proxies[node].refuse(true);
                self.proxies[node].cut();
            }
            Loss::Silent => self.proxies[node].pause(),
        }
    }

    fn url(&self, node: usize) -> String {
        format!("http://{}", self.proxies[node].addr())
    }
}

/// Asks for the decision of a call, and says how long that took.
async fn decide(client: &NodeClient, leg: &str) -> (Result<CallDecision, NodeClientError>, Duration) {
    let request = json!({ "pbx": "office", "leg": leg, "called": "+12125550100", "side": "originating" });
    let request: CallRequest = serde_json::from_value(request).unwrap();
    let asked = Instant::now();
    let answer = client.decide(&request, DEADLINE).await;
    (answer, asked.elapsed())
}

/// An agent between a scripted FreeSWITCH and two nodes. It uses the first.
struct Site {
    freeswitch: Freeswitch,
    known: Nodes,
    agent: Running,
}

impl Site {
    async fn start() -> Site {
        let freeswitch = Freeswitch::start().await;
        let mut known = Nodes::start().await;
        let addresses = known.proxies.each_ref().map(ChaosProxy::addr);
        let agent = Running::start(agent_of(freeswitch.address, &addresses, json!({})));
        until(&mut known.nodes[0].links, is("up")).await;
        Site { freeswitch, known, agent }
    }

    /// Announces a call, and says what its dialplan is told, and how long after the announcement.
    async fn call(&mut self, leg: &str) -> (String, Duration) {
        let announced = self.freeswitch.announce(leg, "2125550100");
        let set = format!("api uuid_setvar_multi {leg} ");
        let said = until(&mut self.freeswitch.commands, |said| said.starts_with(&set)).await;
        (said, announced.elapsed())
    }

    /// A call that is up, and was decided by the first node.
    async fn call_at_first_node(&mut self, leg: &str) {
        self.freeswitch.channel(leg, "2125550100");
        self.call(leg).await;
        until(&mut self.known.nodes[0].decisions, of(leg)).await;
    }
}

fn of(leg: &str) -> impl Fn(&(Value, Instant)) -> bool {
    move |(request, _)| request["leg"] == leg
}

/// How much was said until now.
fn count<T>(heard: &mut Heard<T>) -> usize {
    std::iter::from_fn(|| heard.try_recv().ok()).count()
}

#[tokio::test]
async fn a_call_that_meets_a_lost_node_is_decided_by_the_next() {
    for loss in [Loss::Killed, Loss::Silent] {
        let mut site = Site::start().await;
        site.known.lose(0, loss);
        for leg in ["leg-1", "leg-2"] {
            let (said, took) = site.call(leg).await;
            assert!(said.contains("sidecall_route=packet"), "{loss:?}, {leg}: {said}");
            assert!(took < HOLD, "{loss:?}, {leg}: {took:?}");
            until(&mut site.known.nodes[1].decisions, of(leg)).await;
        }
        let url = site.known.url(1);
        let moved = |report: &Value| report["link"] == "up" && report["node"] == url.as_str();
        until(&mut site.known.nodes[1].links, moved).await;
        site.agent.stop().await;
    }
}

#[tokio::test]
async fn no_decision_takes_longer_than_its_deadline() {
    let known = Nodes::start().await;
    let client = known.client();
    known.lose(0, Loss::Silent);
    known.lose(1, Loss::Silent);
    let (answer, took) = decide(&client, "leg-1").await;
    assert!(matches!(answer, Err(NodeClientError::Late(_))), "{answer:?}");
    assert!((DEADLINE..DEADLINE + FIRST_SHARE).contains(&took), "{took:?}");
    // Both have just failed, and are asked all the same.
    known.lose(0, Loss::Killed);
    known.proxies[1].resume();
    let (answer, _) = decide(&client, "leg-2").await;
    assert!(answer.is_ok(), "{answer:?}");
}

#[tokio::test]
async fn only_one_decision_waits_for_a_silent_node() {
    let known = Nodes::start().await;
    let client = known.client();
    known.lose(0, Loss::Silent);
    let (first, waited) = decide(&client, "leg-1").await;
    let (next, took) = decide(&client, "leg-2").await;
    assert!(first.is_ok() && next.is_ok(), "{first:?} {next:?}");
    assert!(waited >= FIRST_SHARE && took < FIRST_SHARE, "{waited:?} {took:?}");
}

/// Nobody has asked the other one before.
#[tokio::test]
async fn one_slow_decision_leads_no_call_to_a_node_that_is_dead() {
    let known = Nodes::start().await;
    let client = known.client();
    known.lose(1, Loss::Silent);
    let (answer, _) = decide(&client, "leg-1").await;
    assert!(answer.is_ok(), "{answer:?}");
    known.lose(0, Loss::Silent);
    let (answer, _) = decide(&client, "leg-2").await;
    assert!(matches!(answer, Err(NodeClientError::Late(_))), "{answer:?}");
    known.proxies[0].resume();
    for n in 3..13 {
        let (answer, took) = decide(&client, &format!("leg-{n}")).await;
        assert!(answer.is_ok() && took < FIRST_SHARE, "{took:?}: {answer:?}");
    }
}

/// The first one is silent from the beginning.
#[tokio::test]
async fn a_stand_by_that_becomes_ready_decides_the_next_call() {
    let known = Nodes::start().await;
    let client = known.client();
    known.nodes[1].stand_by(true);
    known.lose(0, Loss::Silent);
    let (answer, took) = decide(&client, "leg-1").await;
    assert!(matches!(answer, Err(NodeClientError::Late(_))) && took < DEADLINE, "{took:?}: {answer:?}");
    known.nodes[1].stand_by(false);
    let (answer, _) = decide(&client, "leg-2").await;
    assert!(answer.is_ok(), "{answer:?}");
}

#[tokio::test]
async fn a_node_that_is_back_is_used_again_only_when_the_other_one_fails() {
    let mut known = Nodes::start().await;
    let client = known.client();
    known.lose(0, Loss::Killed);
    let (answer, _) = decide(&client, "leg-1").await;
    assert!(answer.is_ok(), "{answer:?}");
    known.proxies[0].refuse(false);
    for leg in ["leg-2", "leg-3", "leg-4"] {
        let (answer, _) = decide(&client, leg).await;
        assert!(answer.is_ok(), "{answer:?}");
        until(&mut known.nodes[1].decisions, of(leg)).await;
    }
    assert_eq!(count(&mut known.nodes[0].decisions), 0, "the second one answers");
    known.lose(1, Loss::Killed);
    let (answer, _) = decide(&client, "leg-5").await;
    assert!(answer.is_ok(), "{answer:?}");
    until(&mut known.nodes[0].decisions, of("leg-5")).await;
}

#[tokio::test]
async fn reports_that_a_lost_node_did_not_answer_are_repeated_at_the_next() {
    for loss in [Loss::Killed, Loss::Silent] {
        let mut site = Site::start().await;
        site.call_at_first_node("leg-1").await;
        site.known.lose(0, loss);
        site.freeswitch.hang_up("leg-1");
        let ended = |(_, told): &(String, Value)| told["events"][0]["event"] == "ended";
        let (call, _) = until_within(SWITCHED, &mut site.known.nodes[1].events, ended).await;
        assert_eq!(call, "leg-1", "{loss:?}");
        site.agent.stop().await;
    }
}

/// Nobody calls, and nothing happens to the call that is up.
#[tokio::test]
async fn a_node_that_falls_silent_while_a_call_is_up_is_noticed() {
    let mut site = Site::start().await;
    site.call_at_first_node("leg-1").await;
    site.known.lose(0, Loss::Silent);
    until_within(SWITCHED, &mut site.known.nodes[1].links, is("up")).await;
    site.agent.stop().await;
}

/// The first one decided it and died while its dialplan was being told.
#[tokio::test]
async fn a_call_that_is_being_answered_is_told_to_the_next_node_too() {
    let mut site = Site::start().await;
    site.freeswitch.slow("uuid_setvar_multi", Duration::from_secs(10));
    site.call_at_first_node("leg-1").await;
    site.known.nodes[1].lose("leg-1");
    site.known.lose(0, Loss::Killed);
    // This one finds out.
    site.freeswitch.channel("leg-2", "2125550100");
    site.freeswitch.announce("leg-2", "2125550100");
    let (request, _) = until_within(SWITCHED, &mut site.known.nodes[1].decisions, of("leg-1")).await;
    assert_eq!(request["routed"], "called-has-client", "{request}");
    site.agent.abort();
}

/// The first one had not written it down when it died.
#[tokio::test]
async fn a_call_that_the_next_node_does_not_know_is_registered_there() {
    let mut site = Site::start().await;
    site.call_at_first_node("leg-1").await;
    site.known.nodes[1].lose("leg-1");
    site.known.lose(0, Loss::Killed);
    let (request, _) = until_within(SWITCHED, &mut site.known.nodes[1].decisions, of("leg-1")).await;
    assert_eq!(request["routed"], "called-has-client", "{request}");
    site.agent.stop().await;
}

/// The first one was told that this call is over, and died before it wrote that down.
#[tokio::test]
async fn the_next_node_is_asked_which_calls_it_takes_for_live() {
    let mut site = Site::start().await;
    site.call_at_first_node("leg-1").await;
    site.known.nodes[1].claim(vec![live("call-of-over", "+12125550100", &["over"], 1)]);
    site.known.lose(0, Loss::Killed);
    let is_over = |(call, told): &(String, Value)| call == "call-of-over" && told["events"][0]["event"] == "ended";
    until(&mut site.known.nodes[1].events, is_over).await;
    site.agent.stop().await;
}

/// It may not have written down all that it was told.
#[tokio::test]
async fn a_node_that_was_started_again_is_told_its_calls() {
    let mut site = Site::start().await;
    site.call_at_first_node("leg-1").await;
    site.known.nodes[0].lose("leg-1");
    site.known.nodes[0].restart();
    let (request, _) = until(&mut site.known.nodes[0].decisions, of("leg-1")).await;
    assert_eq!(request["routed"], "called-has-client", "{request}");
    site.agent.stop().await;
}

/// The reports of the link find out that the first one is gone.
#[tokio::test]
async fn nodes_are_asked_for_a_sign_of_life_while_none_works_and_no_call_is_up() {
    let mut site = Site::start().await;
    site.known.nodes[1].stand_by(true);
    site.known.lose(0, Loss::Killed);
    until(&mut site.known.nodes[1].probes, |()| true).await;
    site.known.nodes[1].stand_by(false);
    until_within(SWITCHED, &mut site.known.nodes[1].links, is("up")).await;
    site.agent.stop().await;
}
