//! Enrolment by dialling: what a page is told, and which phones may say whose it is.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{ADMIN, AGENT, ALICE, BOB, CAROL, TestNode, answer, credential};

async fn node() -> TestNode {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.number(BOB, json!({"pbx": "b"})).await;
    node
}

/// A page that shows a code.
struct Page {
    id: String,
    secret: String,
    digits: String,
    expires: i64,
}

async fn page(node: &TestNode) -> Page {
    let (status, made) = try_page(node, json!({"name": "Chrome, Linux"})).await;
    assert_eq!(status, 201, "{made}");
    let text = |key: &str| made[key].as_str().unwrap().to_owned();
    let digits = text("dial").strip_prefix("*7433").unwrap().to_owned();
    Page { id: text("id"), secret: text("secret"), digits, expires: made["expires"].as_i64().unwrap() }
}

async fn try_page(node: &TestNode, new: Value) -> (StatusCode, Value) {
    answer(node.http.post(node.url("/v1/dialled-enrolments")).json(&new)).await
}

async fn ask(node: &TestNode, page: &Page, secret: &str) -> (StatusCode, Value) {
    answer(node.request(Method::GET, &format!("/v1/dialled-enrolments/{}", page.id), secret)).await
}

async fn try_dial(node: &TestNode, pbx: &str, calling: &str, digits: &str) -> (StatusCode, Value) {
    let asked = json!({"pbx": pbx, "leg": "leg-1", "calling": calling, "digits": digits});
    node.send(Method::POST, "/v1/dialled-enrolments/confirm", AGENT, asked).await
}

/// Whether the phone hears that a page is enrolled.
async fn dial(node: &TestNode, calling: &str, digits: &str) -> bool {
    let (status, said) = try_dial(node, "a", calling, digits).await;
    assert_eq!(status, 200, "{said}");
    said["enrolled"].as_bool().unwrap()
}

/// Six digits that no page shows.
fn wrong(page: &Page) -> String {
    let digits: u32 = page.digits.parse().unwrap();
    format!("{:06}", (digits + 1) % 1_000_000)
}

async fn devices(node: &TestNode) -> usize {
    node.get("/v1/devices", ADMIN).await["devices"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_page_becomes_a_device_of_the_phone_that_dials_its_code() {
    let node = node().await;
    let page = page(&node).await;
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let left = page.expires - i64::try_from(since.as_millis()).unwrap();
    assert!((110_000..=130_000).contains(&left) && page.digits.len() == 6, "{left} {}", page.digits);
    let begun = Instant::now();
    let (told, enrolled) = tokio::join!(ask(&node, &page, &page.secret), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        dial(&node, ALICE, &page.digits).await
    });
    assert!(enrolled && begun.elapsed() < Duration::from_secs(5), "the page is told at once");
    let (status, told) = told;
    assert_eq!((status.as_u16(), &told["state"]), (200, &json!("enrolled")), "{told}");
    assert_eq!((&told["device"]["number"], &told["device"]["name"]), (&json!(ALICE), &json!("Chrome, Linux")));
    let own = node.get("/v1/devices", told["token"].as_str().unwrap()).await;
    assert_eq!(own["devices"], json!([told["device"]]));
    assert_eq!(ask(&node, &page, &page.secret).await.0, 404, "it was told once");
}

#[tokio::test]
async fn a_code_is_good_for_one_phone() {
    let node = node().await;
    let page = page(&node).await;
    assert!(dial(&node, ALICE, &page.digits).await);
    assert!(!dial(&node, ALICE, &page.digits).await);
    assert_eq!(
        (devices(&node).await, ask(&node, &page, &page.secret).await.1["state"].clone()),
        (1, json!("enrolled"))
    );
}

#[tokio::test]
async fn a_number_that_is_not_this_pbxs_enrols_nothing() {
    let node = node().await;
    let page = page(&node).await;
    assert!(!dial(&node, CAROL, &page.digits).await, "it is not in the directory");
    assert!(!dial(&node, BOB, &page.digits).await, "it is at home on another PBX");
    assert_eq!(devices(&node).await, 0);
    assert!(dial(&node, ALICE, &page.digits).await, "neither has used up the code");
    let asked = json!({"pbx": "a", "leg": "leg-1", "calling": ALICE, "digits": page.digits});
    for token in [ADMIN.to_owned(), credential(ALICE)] {
        let refused = node.send(Method::POST, "/v1/dialled-enrolments/confirm", &token, asked.clone()).await;
        assert_eq!(refused.0, 403, "{}", refused.1);
    }
    let (status, problem) = try_dial(&node, "a", ALICE, "12345").await;
    assert_eq!((status.as_u16(), &problem["field"]), (422, &json!("digits")), "{problem}");
}

#[tokio::test]
async fn wrong_codes_of_a_number_are_limited() {
    let node = node().await;
    node.number(CAROL, json!({})).await;
    let page = page(&node).await;
    for _ in 0..5 {
        assert!(!dial(&node, ALICE, &wrong(&page)).await);
    }
    assert!(!dial(&node, ALICE, &page.digits).await, "the right code could be the next guess");
    assert!(dial(&node, CAROL, &page.digits).await, "another number has its own");
}

#[tokio::test]
async fn a_full_number_enrols_nothing_and_the_page_asks_for_another_code() {
    let mut node = node().await;
    node.device(ALICE, "x").await;
    let more = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 63)
                INSERT INTO devices SELECT 'd-' || i, number, name, randomblob(32), enrolled FROM devices, n";
    node.stop().await;
    sqlx::query(more).execute(&mut node.database().await).await.unwrap();
    node.kill_and_restart().await;
    let page = page(&node).await;
    assert!(!dial(&node, ALICE, &page.digits).await);
    assert_eq!(ask(&node, &page, &page.secret).await.0, 404);
}

#[tokio::test]
async fn a_page_is_told_nothing_about_others() {
    let node = node().await;
    let (page, other) = (page(&node).await, page(&node).await);
    for secret in [other.secret.as_str(), "a-stranger's-token", ADMIN] {
        let (status, problem) = ask(&node, &page, secret).await;
        assert_eq!(status, 404, "{problem}");
    }
    let (status, _) = answer(node.http.get(node.url(&format!("/v1/dialled-enrolments/{}", page.id)))).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn a_request_that_nobody_reads_takes_nothing() {
    let node = node().await;
    let page = page(&node).await;
    let lost = tokio::time::timeout(Duration::from_millis(200), ask(&node, &page, &page.secret)).await;
    assert!(lost.is_err(), "{lost:?}");
    let (first, second, _) = tokio::join!(
        ask(&node, &page, &page.secret),
        async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            ask(&node, &page, &page.secret).await
        },
        async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert!(dial(&node, ALICE, &page.digits).await);
        }
    );
    assert_eq!((&first.1["state"], &second.1["state"]), (&json!("pending"), &json!("enrolled")));
}

#[tokio::test]
async fn a_stop_of_the_node_does_not_wait_for_pages() {
    let mut node = node().await;
    let page = page(&node).await;
    let url = node.url(&format!("/v1/dialled-enrolments/{}", page.id));
    let waiting = tokio::spawn(node.http.get(url).bearer_auth(&page.secret).send());
    tokio::time::sleep(Duration::from_millis(200)).await;
    node.stop().await;
    assert_eq!(waiting.await.unwrap().unwrap().json::<Value>().await.unwrap(), json!({"state": "pending"}));
}

#[tokio::test]
async fn an_address_gets_so_many_codes() {
    let node = node().await;
    for _ in 0..20 {
        page(&node).await;
    }
    let (status, problem) = try_page(&node, json!({"name": "x"})).await;
    assert_eq!(status, 429, "{problem}");
    for name in ["", "a\nb", "x\u{202e}y"] {
        assert_eq!(try_page(&node, json!({"name": name})).await.0, 422, "{name:?}");
    }
}

#[tokio::test]
async fn nobody_is_enrolled_by_dialling_where_that_is_off() {
    let node = TestNode::start_with(|config, _| config.feature_code = serde_json::from_value(json!("")).unwrap()).await;
    assert_eq!(try_page(&node, json!({"name": "x"})).await.0, 404);
}
