//! Codes: who gets one, and what it is good for.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Executor, Row};

use crate::support::{ADMIN, AGENT, ALICE, BOB, CAROL, TestNode, answer, credential};

async fn node() -> TestNode {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "a"})).await;
    node
}

async fn ask(node: &TestNode, number: &str, token: &str, wanted: Value) -> (StatusCode, Value) {
    node.send(Method::POST, &format!("/v1/numbers/{number}/enrolments"), token, wanted).await
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap().as_millis()).unwrap()
}

async fn run(node: &TestNode, sql: &'static str) -> u64 {
    node.database().await.execute(sql).await.unwrap().rows_affected()
}

#[tokio::test]
async fn a_code_enrols_a_device_of_its_number() {
    let node = node().await;
    let (status, made) = ask(&node, ALICE, ADMIN, json!({})).await;
    assert_eq!((status.as_u16(), &made["number"]), (201, &json!(ALICE)), "{made}");
    let in_a_day = made["expires"].as_i64().unwrap() - now() - 86_400_000;
    assert!((-10_000..10_000).contains(&in_a_day), "{made}");
    let code = made["code"].as_str().unwrap();
    assert_eq!(code.split('-').map(str::len).collect::<Vec<_>>(), [5, 5, 5, 5, 5, 1], "{code}");
    let (status, enrolled) = node.try_enrol(code, "Zoë's tablet").await;
    assert_eq!(status, 201, "{enrolled}");
    let device = &enrolled["device"];
    assert_eq!((&device["number"], &device["name"]), (&json!(ALICE), &json!("Zoë's tablet")));
    assert_eq!(device["connected"], false);
    assert!((now() - 10_000..now() + 10_000).contains(&device["enrolled"].as_i64().unwrap()), "{device}");
    let own = node.get("/v1/devices", enrolled["token"].as_str().unwrap()).await;
    assert_eq!(own["devices"], json!([device]));
}

#[tokio::test]
async fn a_client_adds_another_device_of_the_same_person() {
    let node = node().await;
    let [_, first] = node.device(ALICE, "first").await;
    for token in [&credential(ALICE), &first] {
        let (status, made) = ask(&node, ALICE, token, json!({})).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!(node.try_enrol(made["code"].as_str().unwrap(), "another").await.0, 201);
    }
    for token in [&credential(BOB), AGENT] {
        assert_eq!(ask(&node, ALICE, token, json!({})).await.0, 403);
    }
    assert_eq!(ask(&node, CAROL, ADMIN, json!({})).await.0, 404, "it is not in the directory");
    assert_eq!(node.get("/v1/devices", ADMIN).await["devices"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_code_is_read_however_it_is_typed() {
    let node = node().await;
    let typed: [fn(String) -> String; 3] =
        [|code| code.to_uppercase(), |code| format!(" {} ", code.replace('-', " ")), |code| code.replace('-', "")];
    for typed in typed {
        let code = typed(node.code(ALICE).await);
        assert_eq!(node.try_enrol(&code, "x").await.0, 201, "{code:?}");
    }
}

#[tokio::test]
async fn a_code_lasts_between_a_minute_and_a_week() {
    let node = node().await;
    for (seconds, expected) in [(59, 422), (60, 201), (604_800, 201), (604_801, 422)] {
        let (status, made) = ask(&node, ALICE, ADMIN, json!({"expires": seconds})).await;
        assert_eq!(status.as_u16(), expected, "{seconds}: {made}");
        match status.as_u16() {
            201 => {
                let wrong = made["expires"].as_i64().unwrap() - now() - seconds * 1000;
                assert!((-10_000..10_000).contains(&wrong), "{made}");
            }
            _ => assert_eq!(made["field"], "expires"),
        }
    }
}

#[tokio::test]
async fn a_code_that_enrols_nothing_is_answered_in_one_way_and_counted() {
    let node = TestNode::start_with(|config, _| config.connections.failed_logins = 5).await;
    node.number(ALICE, json!({})).await;
    let (used, expired) = (node.code(ALICE).await, node.code(ALICE).await);
    assert_eq!(node.try_enrol(&used, "x").await.0, 201);
    assert_eq!(run(&node, "UPDATE enrolments SET expires = 1").await, 1);
    let first = node.try_enrol("00000-00000-00000-00000-00000-0", "x").await;
    assert_eq!((first.0.as_u16(), &first.1["field"]), (404, &json!("code")), "{}", first.1);
    for code in [used.as_str(), &expired, "nonsense", ""] {
        assert_eq!(node.try_enrol(code, "x").await, first, "{code:?}");
    }
    // The address has used up its attempts, for tokens too.
    assert_eq!(node.try_enrol(&used, "x").await.0, 429);
    assert_eq!(answer(node.request(Method::GET, "/v1/clients", "a-wrong-token-0000")).await.0, 429);
    // Who is behind the same address with a good code goes on.
    let code = node.code(ALICE).await;
    assert_eq!(node.try_enrol(&code, "x").await.0, 201);
}

#[tokio::test]
async fn of_many_at_once_one_uses_the_code() {
    let node = node().await;
    let code = node.code(ALICE).await;
    let all = futures_util::future::join_all((0..8).map(|_| node.try_enrol(&code, "x"))).await;
    let mut statuses: Vec<u16> = all.iter().map(|(status, _)| status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 404, 404, 404, 404, 404, 404, 404], "{all:?}");
    assert_eq!(node.get("/v1/devices", ADMIN).await["devices"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_code_whose_device_is_not_made_can_still_be_used() {
    let node = node().await;
    let code = node.code(ALICE).await;
    run(&node, "CREATE TRIGGER broken BEFORE INSERT ON devices BEGIN SELECT RAISE(ABORT, 'broken'); END").await;
    assert_eq!(node.try_enrol(&code, "x").await.0, 503);
    run(&node, "DROP TRIGGER broken").await;
    for name in ["", "a\nb", "x\u{202e}y", &"x".repeat(65)] {
        let (status, problem) = node.try_enrol(&code, name).await;
        assert_eq!((status.as_u16(), &problem["field"]), (422, &json!("name")), "{name:?}: {problem}");
    }
    assert_eq!(node.try_enrol(&code, "x").await.0, 201);
}

#[tokio::test]
async fn a_number_has_so_many_unused_codes() {
    let node = node().await;
    for _ in 0..16 {
        node.code(ALICE).await;
    }
    let (status, problem) = ask(&node, ALICE, ADMIN, json!({})).await;
    assert!(status == 409 && problem["detail"].as_str().unwrap().contains("16 unused codes"), "{problem}");
    node.code(BOB).await;
    assert_eq!(run(&node, "UPDATE enrolments SET expires = 1 WHERE rowid = 1").await, 1);
    node.code(ALICE).await;
}

#[tokio::test]
async fn a_number_has_so_many_devices() {
    let mut node = node().await;
    let [device, _] = node.device(ALICE, "x").await;
    let [waiting, last] = [node.code(ALICE).await, node.code(ALICE).await];
    let more = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 62)
                INSERT INTO devices SELECT 'd-' || i, number, name, randomblob(32), enrolled FROM devices, n";
    node.stop().await;
    assert_eq!(run(&node, more).await, 62);
    node.kill_and_restart().await;
    assert_eq!(node.try_enrol(&last, "the last").await.0, 201);
    for (status, problem) in [node.try_enrol(&waiting, "x").await, ask(&node, ALICE, ADMIN, json!({})).await] {
        assert!(status == 409 && problem["detail"].as_str().unwrap().contains("64 devices"), "{problem}");
    }
    let revoked = answer(node.request(Method::DELETE, &format!("/v1/devices/{device}"), ADMIN)).await.0;
    assert_eq!((revoked.as_u16(), node.try_enrol(&waiting, "x").await.0.as_u16()), (204, 201));
}

#[tokio::test]
async fn neither_codes_nor_tokens_are_stored() {
    let mut node = node().await;
    let code = node.code(ALICE).await;
    let [_, token] = node.device(ALICE, "findable").await;
    node.stop().await;
    let files = std::fs::read_dir(node.folder.path()).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let stored: Vec<u8> = files.flatten().collect();
    let holds = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("findable"));
    for secret in [code.as_str(), &code.replace('-', ""), &token] {
        assert!(!holds(secret));
    }
}

#[tokio::test]
async fn expired_codes_are_dropped_and_the_others_outlive_a_restart() {
    let mut node = node().await;
    let (code, [_, token]) = (node.code(ALICE).await, node.device(ALICE, "x").await);
    node.code(BOB).await;
    assert_eq!(run(&node, "UPDATE enrolments SET expires = 1 WHERE number = '+12125550101'").await, 1);
    node.kill_and_restart().await;
    let begun = std::time::Instant::now();
    loop {
        let count = "SELECT COUNT(*) FROM enrolments";
        let left: i64 = node.database().await.fetch_one(count).await.unwrap().get(0);
        if left == 1 {
            break;
        }
        assert!(begun.elapsed().as_secs() < 10, "{left} codes are left");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(node.get("/v1/devices", &token).await["devices"].as_array().unwrap().len(), 1);
    assert_eq!(node.try_enrol(&code, "x").await.0, 201);
}
