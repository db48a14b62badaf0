//! How nodes are asked, and what their answers mean, by real connections.

use std::net::SocketAddr;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

fn client_of(nodes: &[SocketAddr]) -> NodeClient {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let nodes = nodes.iter().map(|address| format!("http://{address}").parse().unwrap()).collect();
    NodeClient::new(&AgentConfig { nodes, ..AgentConfig::default() }, "agent".to_owned()).unwrap()
}

/// A client of so many nodes that listen, and do no more by themselves.
async fn client_of_silent(nodes: usize) -> (NodeClient, Vec<TcpListener>) {
    let mut listeners = Vec::new();
    for _ in 0..nodes {
        listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
    }
    let addresses: Vec<SocketAddr> = listeners.iter().map(|node| node.local_addr().unwrap()).collect();
    (client_of(&addresses), listeners)
}

/// Asks all of them for a sign of life.
async fn probe(client: &NodeClient) {
    join_all((0..client.count()).map(|node| client.probe(node))).await;
}

/// Answers the next request with this.
async fn answer(node: &TcpListener, status: &str, body: &str) {
    let asked = timeout(REPORT_WITHIN, node.accept()).await;
    answer_on(asked.expect("nobody asks this node").unwrap().0, status, body).await;
}

/// Answers the request on this connection.
async fn answer_on(mut asked: TcpStream, status: &str, body: &str) {
    let _ = asked.read(&mut [0; 4096]).await.unwrap();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    asked.write_all(head.as_bytes()).await.unwrap();
    // It may be more than is read.
    let _ = asked.write_all(body.as_bytes()).await;
}

fn request() -> CallRequest {
    let request = r#"{ "pbx": "office", "leg": "leg-1", "called": "+12125550100", "side": "originating" }"#;
    serde_json::from_str(request).unwrap()
}

const DECISION: &str = r#"{ "call": "call-1", "route": "packet", "reason": "called-has-client" }"#;

/// Registers a call at a node that answers like this.
async fn register(client: &NodeClient, node: &TcpListener, status: &str) -> Result<CallDecision, NodeClientError> {
    let request = request();
    tokio::join!(client.register(&request), answer(node, status, DECISION)).0
}

#[tokio::test]
async fn calls_are_told_again_to_another_process_and_what_waits_also_to_one_that_works_again() {
    let (client, nodes) = client_of_silent(1).await;
    let repeats = || (client.watch().borrow().handovers, client.watch().borrow().recoveries);
    let process = |n: u128| format!("200 OK\r\n{NODE_PROCESS}: {}", Uuid::from_u128(n));
    let (one, another) = (process(1), process(2));
    let works = [(&*one, (0, 0)), (&*one, (0, 1)), (&*another, (1, 2)), (&*another, (1, 3))];
    for (n, (works, expected)) in works.into_iter().enumerate() {
        assert!(register(&client, &nodes[0], works).await.is_ok());
        assert_eq!(repeats(), expected, "{n}");
        assert!(register(&client, &nodes[0], "502 Bad Gateway").await.is_err());
    }
}

/// A report to a node that refuses once, to one that is silent, and to the first one again, which then is well and answers so.
async fn report_that_goes_back(status: &str, body: &str) -> Result<EventsReply, NodeClientError> {
    let (client, nodes) = client_of_silent(2).await;
    let (call, events) = ("call-1".parse().unwrap(), CallEvents { events: Vec::new() });
    let answers = async {
        answer(&nodes[0], "502 Bad Gateway", "").await;
        let _silent = nodes[1].accept().await.unwrap();
        client.nodes.is_alive(0);
        answer(&nodes[0], status, body).await;
    };
    let told = async { tokio::join!(client.report(&call, &events), answers).0 };
    timeout(REPORT_WITHIN - Duration::from_secs(1), told).await.unwrap()
}

#[tokio::test]
async fn a_report_goes_back_to_the_node_in_use_once_that_is_well_again() {
    let told = report_that_goes_back("200 OK", r#"{ "over": false, "messages": [] }"#).await;
    assert!(told.is_ok(), "{told:?}");
}

/// It gives signs of life while its work fails.
#[tokio::test]
async fn a_report_that_fails_everywhere_is_repeated_once_at_a_node_that_is_well_and_no_more() {
    let told = report_that_goes_back("502 Bad Gateway", "").await;
    assert!(matches!(told, Err(NodeClientError::NotANode(_))), "{told:?}");
}

/// The first one answers while its work fails. The third one works.
#[tokio::test]
async fn a_report_stays_where_it_is_if_the_better_node_has_failed_twice() {
    let (client, nodes) = client_of_silent(3).await;
    let (call, events) = ("call-1".parse().unwrap(), CallEvents { events: Vec::new() });
    let works = async {
        answer(&nodes[0], "502 Bad Gateway", "").await;
        let _silent = nodes[1].accept().await.unwrap();
        client.nodes.is_alive(0);
        answer(&nodes[0], "502 Bad Gateway", "").await;
        let (asked, _) = nodes[2].accept().await.unwrap();
        client.nodes.is_alive(0);
        // The client has learnt of that before it has the answer.
        tokio::task::yield_now().await;
        answer_on(asked, "200 OK", r#"{ "over": false, "messages": [] }"#).await;
    };
    let (told, ()) =
        timeout(REPORT_WITHIN - Duration::from_secs(1), async { tokio::join!(client.report(&call, &events), works) })
            .await
            .unwrap();
    assert!(told.is_ok(), "{told:?}");
}

#[tokio::test]
async fn a_call_is_unknown_only_if_the_node_says_so() {
    let (client, nodes) = client_of_silent(1).await;
    let (call, events) = ("call-1".parse().unwrap(), CallEvents { events: Vec::new() });
    for (problem, is_unknown) in [(r#"{ "field": "call" }"#, true), (r#"{ "field": "code" }"#, false), ("[]", false)] {
        let (told, ()) = tokio::join!(client.report(&call, &events), answer(&nodes[0], "404 Not Found", problem));
        let error = told.unwrap_err();
        let what = (error.is_unknown_call(), error.is_final(), error.is_absent());
        assert_eq!(what, (is_unknown, is_unknown, !is_unknown), "{problem}");
    }
}

#[tokio::test]
async fn of_an_answer_that_is_too_long_nothing_is_taken() {
    let (client, nodes) = client_of_silent(1).await;
    let (call, events) = ("call-1".parse().unwrap(), CallEvents { events: Vec::new() });
    let long = format!(r#"{{ "field": "call", "detail": "{}" }}"#, "x".repeat(ERROR_MAX));
    let (told, ()) = tokio::join!(client.report(&call, &events), answer(&nodes[0], "404 Not Found", &long));
    assert!(!told.unwrap_err().is_unknown_call());
    client.nodes.is_alive(0);
    tokio::join!(client.probe(0), answer(&nodes[0], "200 OK", &long));
    assert!(client.has_failed());
    // The most SIP messages that a node hands out at once fit.
    let messages = format!(r#"{{ "over": false, "messages": [], "more": "{}" }}"#, "x".repeat(256 * 4_500));
    let (told, ()) = tokio::join!(client.report(&call, &events), answer(&nodes[0], "200 OK", &messages));
    assert!(told.is_ok(), "{told:?}");
    // Only lists may be longer.
    let calls = format!(r#"{{ "calls": [], "messages": [], "more": "{}" }}"#, "x".repeat(ANSWER_MAX));
    let pbx = "office".parse().unwrap();
    let (listed, ()) = tokio::join!(client.live_calls(&pbx), answer(&nodes[0], "200 OK", &calls));
    assert!(listed.is_ok(), "{listed:?}");
    let (told, ()) = tokio::join!(client.report(&call, &events), answer(&nodes[0], "200 OK", &calls));
    assert!(matches!(told, Err(NodeClientError::NotANode(_))), "{told:?}");
}

/// A proxy says that.
#[tokio::test]
async fn what_no_node_says_leads_to_the_next_one() {
    for (status, body) in
        [("302 Found", ""), ("200 OK", "<html>"), ("500 Internal Server Error", "<html>"), ("403 Forbidden", "")]
    {
        let (client, nodes) = client_of_silent(2).await;
        client.nodes.is_alive(1);
        let request = request();
        let (told, ()) = tokio::join!(client.register(&request), async {
            answer(&nodes[0], status, body).await;
            if !status.starts_with("403") {
                answer(&nodes[1], "200 OK", DECISION).await;
            }
        });
        assert_eq!(told.is_err(), status.starts_with("403"), "{status}: {told:?}");
        assert_eq!(client.nodes.in_use(), usize::from(told.is_ok()), "{status}");
    }
    // The node itself can't do this one thing.
    let (client, nodes) = client_of_silent(2).await;
    let (request, problem) = (request(), r#"{ "status": 500, "title": "Internal Server Error" }"#);
    let (told, ()) = tokio::join!(client.register(&request), answer(&nodes[0], "500 Internal Server Error", problem));
    assert!(matches!(told, Err(NodeClientError::Refused { status: 500, .. })) && !client.has_failed(), "{told:?}");
}

/// A proxy may answer for a node that is gone.
#[tokio::test]
async fn only_the_ok_of_a_node_is_a_sign_of_life() {
    let others = [("404 Not Found", "ok"), ("401 Unauthorized", ""), ("204 No Content", ""), ("302 Found", "")];
    for (status, body) in others.into_iter().chain([("200 OK", "<html>"), ("200 OK", "")]) {
        let (client, nodes) = client_of_silent(2).await;
        let answers = async { tokio::join!(answer(&nodes[0], status, body), answer(&nodes[1], "200 OK", "ok\n")) };
        tokio::join!(probe(&client), answers);
        assert_eq!(client.nodes.in_use(), 1, "{status}: {body}");
    }
}

/// A proxy limits them.
#[tokio::test]
async fn a_sign_of_life_that_is_refused_says_nothing() {
    let problem = r#"{ "status": 500, "title": "Internal Server Error" }"#;
    for (status, body) in [("429 Too Many Requests", ""), ("403 Forbidden", ""), ("500 Internal Server Error", problem)]
    {
        let (client, nodes) = client_of_silent(2).await;
        client.nodes.is_alive(1);
        tokio::join!(client.probe(0), answer(&nodes[0], status, body));
        assert!(client.nodes.in_use() == 0 && !client.has_failed(), "{status}");
    }
}

#[tokio::test]
async fn a_node_that_stands_by_is_left_once_another_one_gives_a_sign_of_life() {
    let (client, nodes) = client_of_silent(2).await;
    let stand_by = answer(&nodes[0], "200 OK", STANDS_BY);
    tokio::join!(probe(&client), stand_by, answer(&nodes[1], "200 OK", STANDS_BY));
    assert!(client.nodes.in_use() == 0 && client.has_failed());
    let stand_by = answer(&nodes[0], "200 OK", STANDS_BY);
    tokio::join!(probe(&client), stand_by, answer(&nodes[1], "200 OK", "ok\n"));
    assert!(client.nodes.in_use() == 1 && !client.has_failed());
}

#[tokio::test]
async fn an_answer_that_the_agent_itself_is_late_for_says_nothing() {
    // The system accepts their connections, and nobody answers.
    let (client, _silent) = client_of_silent(2).await;
    client.nodes.is_alive(1);
    let mut probe = std::pin::pin!(probe(&client));
    assert_eq!(probe.as_mut().now_or_never(), None);
    // The agent is stopped meanwhile.
    std::thread::sleep(PROBE_WITHIN * 2);
    probe.await;
    assert_eq!(client.nodes.in_use(), 0);
    let request = request();
    let mut decision = Box::pin(client.decide(&request, PROBE_WITHIN));
    assert!(decision.as_mut().now_or_never().is_none());
    std::thread::sleep(PROBE_WITHIN * 2);
    assert!(matches!(decision.await, Err(NodeClientError::Late(_))));
    assert!(client.nodes.in_use() == 0 && !client.has_failed());
}

/// The agent is stopped while it waits.
#[tokio::test]
async fn a_report_that_the_agent_itself_is_late_for_says_nothing() {
    let (client, _silent) = client_of_silent(2).await;
    client.nodes.is_alive(1);
    let (call, events) = ("call-1".parse().unwrap(), CallEvents { events: Vec::new() });
    let mut report = Box::pin(client.report(&call, &events));
    assert!(report.as_mut().now_or_never().is_none());
    std::thread::sleep(REPORT_WITHIN + PROMPT * 2);
    assert!(matches!(report.await, Err(NodeClientError::Late(_))));
    assert!(client.nodes.in_use() == 0 && !client.has_failed());
}

#[tokio::test]
async fn each_node_is_asked_for_a_decision_while_there_is_time() {
    let (client, nodes) = client_of_silent(4).await;
    let stands_by = format!(r#"{{ "status": 503, "detail": "{STANDS_BY}" }}"#);
    let (request, refusal) = (request(), "503 Service Unavailable");
    let (decided, ..) = tokio::join!(
        client.decide(&request, Duration::from_secs(10)),
        answer(&nodes[0], refusal, &stands_by),
        answer(&nodes[1], "502 Bad Gateway", ""),
        answer(&nodes[2], refusal, &stands_by),
        answer(&nodes[3], "200 OK", DECISION),
    );
    assert!(decided.is_ok(), "{decided:?}");
    assert_eq!(client.nodes.in_use(), 3);
}
