//! Portability answers from an HTTP source.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{
    ALICE, BOB, CAROL, Service, ask, config, http_source, lnp, lnp_of, peer_b, served, unknown, until,
};

#[tokio::test]
async fn an_answer_in_json_is_an_answer() {
    let answers = json!({
        ALICE: {"number": ALICE, "ported": true, "rn": "+13035559999", "operator": "b", "ttl": 60},
        BOB: {"node": "https://node.b.example", "client": false},
        CAROL: {"ported": true, "operator": "A.example"},
    });
    let service = Service::start(answers, Duration::ZERO).await;
    let lnp = lnp(&[http_source("http", &service)], Value::Null);
    assert_eq!(served(&lnp, ALICE).await, peer_b());
    let bob = ask(&lnp, BOB).await;
    assert_eq!((served(&lnp, BOB).await, bob.has_client), (peer_b(), Some(false)));
    assert_eq!(served(&lnp, CAROL).await.0, "ours");
    assert_eq!(served(&lnp, "+442071838750").await, unknown());
    // And each was asked for once: 404 is kept too.
    assert_eq!(served(&lnp, "+442071838750").await, unknown());
    assert_eq!(service.asked(), 4);
}

#[tokio::test]
async fn answers_are_kept_as_long_as_they_say_and_not_longer_than_allowed() {
    let service = Service::start(
        json!({ALICE: {"ported": false, "ttl": 0}, BOB: {"ported": false, "ttl": 9_999_999}}),
        Duration::ZERO,
    )
    .await;
    let lnp = lnp(&[http_source("http", &service)], json!({"max_ttl": 1}));
    ask(&lnp, ALICE).await;
    ask(&lnp, ALICE).await;
    assert_eq!(service.asked(), 2);
    ask(&lnp, BOB).await;
    ask(&lnp, BOB).await;
    assert_eq!(service.asked(), 3);
    until(async || {
        ask(&lnp, BOB).await;
        service.asked() == 4
    })
    .await;
}

#[tokio::test]
async fn errors_and_strange_answers_are_not_kept() {
    let strange = json!({"ported": "yes"}).to_string();
    let answers =
        json!({ALICE: 500, BOB: strange, CAROL: {"number": ALICE, "rn": "+13035559999"}, "+1": "x".repeat(20_000)});
    let service = Service::start(answers, Duration::ZERO).await;
    let lnp = lnp(&[http_source("http", &service)], json!({"breaker_failures": 100}));
    for number in [ALICE, BOB, CAROL, "+1", ALICE, BOB, CAROL, "+1"] {
        assert_eq!(served(&lnp, number).await, unknown());
    }
    assert_eq!(service.asked(), 8);
}

#[tokio::test]
async fn the_token_is_shown() {
    let service = Service::start(json!({"token": "s3cret", ALICE: {"rn": "+13035559999"}}), Duration::ZERO).await;
    let mut config = config(&[http_source("http", &service)], Value::Null);
    let without = lnp_of(&config);
    assert_eq!(served(&without, ALICE).await, unknown());
    config.source[0].token = Some("s3cret".into());
    let with = lnp_of(&config);
    assert_eq!(served(&with, ALICE).await, peer_b());
}
