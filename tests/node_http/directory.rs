//! Numbers, one by one and by the million.

use std::time::Duration;

use futures_util::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, ALICE, BOB, TestNode, answer, bridged, credential, dialled, ended};

#[tokio::test]
async fn an_entry_is_kept_shown_and_removed() {
    let node = TestNode::start().await;
    let local = "/v1/numbers/1001%3Bphone-context%3Dpbx.a.example";
    let entry = json!({"name": "Zoë <b>", "pbx": "a", "credential": "0123456789abcdef"});
    let (status, body) = node.send(Method::PUT, local, ADMIN, entry).await;
    assert_eq!(status, 200, "{body}");
    let expected = json!({"number": "1001;phone-context=pbx.a.example", "name": "Zoë <b>", "pbx": "a",
        "kind": "extension", "enabled": true, "has_credential": true});
    assert_eq!(body, expected);
    // An absent credential stays as it is; the rest is replaced.
    let (_, body) = node.send(Method::PUT, local, ADMIN, json!({"kind": "main", "extensions": [BOB]})).await;
    assert_eq!(
        (&body["has_credential"], &body["name"], &body["extensions"]),
        (&json!(true), &Value::Null, &json!([BOB]))
    );
    assert_eq!(answer(node.request(Method::DELETE, local, ADMIN)).await.0, 204);
    assert_eq!(answer(node.request(Method::GET, local, ADMIN)).await.0, 404);
    assert_eq!(answer(node.request(Method::DELETE, local, ADMIN)).await.0, 404);
}

#[tokio::test]
async fn a_credential_is_one_numbers_alone() {
    let node = TestNode::start().await;
    let entry = json!({"credential": "0123456789abcdef"});
    node.send(Method::PUT, &format!("/v1/numbers/{ALICE}"), ADMIN, entry.clone()).await;
    let (status, body) = node.send(Method::PUT, &format!("/v1/numbers/{BOB}"), ADMIN, entry).await;
    assert_eq!((status.as_u16(), &body["field"]), (409, &json!("credential")));
}

#[tokio::test]
async fn pages_go_through_the_whole_directory() {
    let node = TestNode::start().await;
    let csv: String = (0..25).map(|n| format!("+1212555{n:04}\n")).collect();
    import(&node, "skip-bad", &format!("number\n{csv}")).await;
    let (mut seen, mut path) = (Vec::new(), "/v1/numbers?limit=10".to_owned());
    loop {
        let page = node.get(&path, ADMIN).await;
        seen.extend(page["numbers"].as_array().unwrap().iter().map(|n| n["number"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/numbers?limit=10&after={}", next.replace('+', "%2B"));
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted());
}

async fn import(node: &TestNode, mode: &str, csv: &str) -> (u16, Value) {
    let request = node.request(Method::POST, &format!("/v1/numbers:import?mode={mode}"), ADMIN);
    let (status, body) = answer(request.header("content-type", "text/csv; charset=utf-8").body(csv.to_owned())).await;
    (status.as_u16(), body)
}

const BAD: &str = "number,name,pbx,kind,extensions,credential
+12125550100,\"Doe, Jane\",a,,,0123456789abcdef
1001,No context,a,,,
+12125550101,Bob,a b,,,
+12125550102,Carol,,robot,,
+12125550103,Main,,main,+12125550100 +12125550101,
+12125550104,Dave,,,,short
+12125550100,Twice,,,,
+12125550105,Eve,,,,0123456789abcdef
+12125550106,too,few
";

#[tokio::test]
async fn bad_lines_are_named_and_skipped() {
    let node = TestNode::start().await;
    let (status, report) = import(&node, "skip-bad", BAD).await;
    assert_eq!((status, &report["imported"], &report["bad"]), (200, &json!(2), &json!(7)), "{report}");
    let lines: Vec<u64> = report["errors"].as_array().unwrap().iter().map(|e| e["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [3, 4, 5, 7, 8, 9, 10]);
    let main = node.get("/v1/numbers/+12125550103", ADMIN).await;
    assert_eq!((&main["kind"], &main["extensions"]), (&json!("main"), &json!([ALICE, BOB])));
    assert_eq!(node.get("/v1/numbers/+12125550100", ADMIN).await["name"], "Doe, Jane");
}

#[tokio::test]
async fn one_bad_line_and_nothing_is_imported() {
    let node = TestNode::start().await;
    let (status, report) = import(&node, "all-or-nothing", BAD).await;
    assert_eq!((status, &report["imported"], &report["bad"]), (422, &json!(2), &json!(7)), "{report}");
    assert_eq!(report["errors"][0]["line"], 3);
    assert_eq!(node.get("/v1/numbers", ADMIN).await["numbers"], json!([]));
    let (status, report) = import(&node, "all-or-nothing", "number,name\n+12125550100,A\n+12125550101,B\n").await;
    assert_eq!((status, &report["imported"]), (200, &json!(2)), "{report}");
}

#[tokio::test]
async fn a_credential_of_another_number_is_a_bad_line() {
    let node = TestNode::start().await;
    node.send(Method::PUT, &format!("/v1/numbers/{ALICE}"), ADMIN, json!({"credential": "0123456789abcdef"})).await;
    for mode in ["skip-bad", "all-or-nothing"] {
        let csv = format!("number,credential\n{ALICE},0123456789abcdef\n{BOB},0123456789abcdef\n");
        let (_, report) = import(&node, mode, &csv).await;
        assert_eq!((&report["bad"], &report["errors"][0]["line"]), (&json!(1), &json!(3)), "{mode}: {report}");
    }
}

#[tokio::test]
async fn whoever_has_a_credential_of_before_an_import_is_not_left_inside() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({})).await;
    let client = node.client(ALICE, json!({})).await;
    let mut stream = node.websocket(&client, ALICE).await;
    let same = format!("number,credential\n{ALICE},{}\n", credential(ALICE));
    assert_eq!(import(&node, "skip-bad", &same).await.0, 200);
    stream.quiet().await;
    let other = format!("number,credential\n{ALICE},0123456789abcdef\n");
    assert_eq!(import(&node, "skip-bad", &other).await.0, 200);
    let next = tokio::time::timeout(Duration::from_secs(5), stream.0.next()).await.expect("it ends");
    assert!(next.is_none_or(|frame| frame.is_ok_and(|frame| frame.is_close())));
}

#[tokio::test]
async fn a_bad_header_is_named() {
    let node = TestNode::start().await;
    let (status, body) = import(&node, "skip-bad", "nummer,name\n+1,a\n").await;
    assert_eq!((status, &body["field"]), (422, &json!("header")));
    assert!(body["detail"].as_str().unwrap().contains("nummer"), "{body}");
}

/// Longer than the node takes to update its metrics.
const METRICS: Duration = Duration::from_secs(2);

/// Housekeeping reads now and then, and much less often than a test makes requests.
const HOUSEKEEPING: u64 = 20;

/// How often the node has read its database.
async fn reads(node: &TestNode) -> u64 {
    tokio::time::sleep(METRICS).await;
    let text = node.http.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix("sidecall_store_reads_total "));
    count.expect("it is counted").parse().unwrap()
}

#[tokio::test]
async fn calls_are_decided_and_paired_without_reading_the_database() {
    let node = TestNode::start().await;
    let mut streams = Vec::new();
    for number in [ALICE, BOB] {
        node.number(number, json!({"name": "Person", "pbx": "a"})).await;
        let client = node.client(number, json!({})).await;
        streams.push(node.websocket(&client, number).await);
    }
    let before = reads(&node).await;
    for n in 0..100 {
        let [out, there] = [format!("out-{n}"), format!("there-{n}")];
        let decision = node.decide(&out, ALICE, BOB).await;
        assert_eq!(decision["reason"], "called-has-client", "{decision}");
        let call = decision["call"].as_str().unwrap();
        node.events(call, 1, &[dialled(&there), bridged(&out, &there)]).await;
        for stream in &mut streams {
            let message = stream.next().await;
            assert_eq!((&message["type"], &message["call"]), (&json!("peer"), &json!(call)), "{message}");
        }
        node.events(call, 3, &[ended(&out), ended(&there)]).await;
        for stream in &mut streams {
            let message = stream.next().await;
            assert_eq!((&message["type"], &message["call"]), (&json!("ended"), &json!(call)), "{message}");
        }
    }
    assert!(reads(&node).await < before + HOUSEKEEPING);
}

#[tokio::test]
async fn a_login_reads_no_database() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    let [device, token] = node.device(ALICE, "tablet").await;
    let before = reads(&node).await;
    let status = async |path: &str, token: &str| answer(node.request(Method::GET, path, token)).await.0.as_u16();
    for _ in 0..20 {
        assert_eq!(status("/v1/clients", &credential(ALICE)).await, 200);
        assert_eq!(status("/v1/clients", &token).await, 200);
        assert_eq!(status(&format!("/v1/devices/{device}"), &token).await, 200);
        assert_eq!(status("/v1/clients", "a-stranger's-token").await, 401);
    }
    let after = reads(&node).await;
    assert!(after < before + HOUSEKEEPING);
    for _ in 0..HOUSEKEEPING {
        assert_eq!(status("/v1/numbers", ADMIN).await, 200);
    }
    assert!(reads(&node).await >= after + HOUSEKEEPING, "lists are read from it");
}

#[tokio::test]
async fn a_token_works_from_its_issue_until_its_revocation() {
    let node = TestNode::start().await;
    let number = format!("/v1/numbers/{ALICE}");
    let status = async |token: &str| answer(node.request(Method::GET, "/v1/clients", token)).await.0.as_u16();
    // Fewer failed logins than an address may have.
    for n in 0..10 {
        let [first, second] = ["first", "second"].map(|which| format!("{which}-credential-{n}"));
        for (given, void) in [(&first, &second), (&second, &first)] {
            let (put, body) = node.send(Method::PUT, &number, ADMIN, json!({"credential": given})).await;
            assert_eq!(put, 200, "{body}");
            assert_eq!([status(given).await, status(void).await], [200, 401]);
        }
        let [device, token] = node.device(ALICE, "tablet").await;
        assert_eq!(status(&token).await, 200);
        let (gone, spared) = if n % 2 == 0 { (number.clone(), 401) } else { (format!("/v1/devices/{device}"), 200) };
        assert_eq!(answer(node.request(Method::DELETE, &gone, ADMIN)).await.0, 204);
        assert_eq!([status(&token).await, status(&second).await], [401, spared]);
    }
}

#[tokio::test]
async fn a_change_counts_once_its_request_is_answered() {
    let node = TestNode::start().await;
    let reason = async |n: usize| node.decide(&format!("leg-{n}"), ALICE, BOB).await["reason"].clone();
    for n in 0..20 {
        node.number(ALICE, json!({"pbx": "a"})).await;
        assert_eq!(reason(4 * n).await, "caller-has-no-client");
        let client = node.client(ALICE, json!({})).await;
        assert_eq!(reason(4 * n + 1).await, "called-not-served");
        let switch = format!("/v1/numbers/{ALICE}/sidecall");
        let (status, body) = node.send(Method::PUT, &switch, ADMIN, json!({"enabled": false})).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(reason(4 * n + 2).await, "caller-has-no-client");
        let (status, body) = node.send(Method::PUT, &switch, ADMIN, json!({"enabled": true})).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(reason(4 * n + 3).await, "called-not-served");
        assert_eq!(answer(node.request(Method::DELETE, &format!("/v1/clients/{client}"), ADMIN)).await.0, 204);
    }
}
