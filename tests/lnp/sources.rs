//! Order, cache, deadline, breaker: what stands before a source, whatever its kind.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{
    ALICE, BOB, NEVER, Relay, Service, TO_B, alice_ported, ask, dns_source, http_source, lnp, peer_b, served, unknown,
    until,
};
use lab::net::knot::{Knot, Records};

#[tokio::test]
async fn sources_are_asked_in_order_and_the_first_that_says_something_counts() {
    let Some(knot) = Knot::or_skip(&alice_ported(), 60) else { return };
    let service =
        Service::start(json!({ALICE: {"operator": "a.example"}, BOB: {"operator": "a.example"}}), Duration::ZERO).await;
    let (dns, http) = (dns_source("dns", knot.address()), http_source("http", &service));
    let dns_first = lnp(&[dns.clone(), http.clone()], Value::Null);
    assert_eq!((served(&dns_first, ALICE).await, service.asked()), (peer_b(), 0));
    assert_eq!((served(&dns_first, BOB).await.0.as_str(), service.asked()), ("ours", 1));
    let http_first = lnp(&[http, dns], Value::Null);
    assert_eq!(served(&http_first, ALICE).await.0, "ours");
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time() {
    let records = Records::default().naptr(ALICE, (100, 10), 1, "E2U+pstn:tel", TO_B);
    let Some(knot) = Knot::or_skip(&records, 60) else { return };
    let relay = Relay::start(knot.address(), 0).await;
    let lnp = lnp(&[dns_source("dns", relay.address)], Value::Null);
    let begun = Instant::now();
    assert_eq!(served(&lnp, ALICE).await, peer_b());
    assert_eq!((served(&lnp, ALICE).await, relay.asked()), (peer_b(), 1));
    until(async || served(&lnp, ALICE).await == peer_b() && relay.asked() == 2).await;
    assert!(begun.elapsed() >= Duration::from_millis(990), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn that_nothing_is_known_is_kept_as_the_zone_says() {
    let Some(mut knot) = Knot::or_skip(&alice_ported(), 60) else { return };
    let first = lnp(&[dns_source("dns", knot.address())], Value::Null);
    assert_eq!(served(&first, BOB).await, unknown());
    assert_eq!(served(&first, ALICE).await, peer_b());
    knot.stop();
    // Both are known without the server; a third would fail.
    let begun = Instant::now();
    assert_eq!(served(&first, BOB).await, unknown());
    assert_eq!(served(&first, ALICE).await, peer_b());
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert!(first.explain(&BOB.parse().unwrap()).await[0].said.is_err());
}

#[tokio::test]
async fn that_nothing_is_known_is_not_kept_longer_than_allowed() {
    let Some(knot) = Knot::or_skip(&alice_ported(), 60) else { return };
    let relay = Relay::start(knot.address(), 0).await;
    let lnp = lnp(&[dns_source("dns", relay.address)], json!({"negative_ttl": 1}));
    ask(&lnp, BOB).await;
    ask(&lnp, BOB).await;
    assert_eq!(relay.asked(), 1);
    until(async || {
        ask(&lnp, BOB).await;
        relay.asked() == 2
    })
    .await;
}

#[tokio::test]
async fn the_deadline_is_kept_and_a_late_answer_is_there_for_the_next_call() {
    let Some(knot) = Knot::or_skip(&alice_ported(), 60) else { return };
    let relay = Relay::start(knot.address(), 400).await;
    let lnp = lnp(&[dns_source("dns", relay.address)], json!({"deadline_ms": 100}));
    let begun = Instant::now();
    assert_eq!(served(&lnp, ALICE).await, unknown());
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(95) && took < Duration::from_millis(390), "{took:?}");
    until(async || served(&lnp, ALICE).await == peer_b()).await;
    // A resolver may repeat a datagram that seems lost; it is one question all the same.
    assert!(relay.asked() <= 3, "{}", relay.asked());
}

#[tokio::test]
async fn a_silent_source_leaves_time_for_those_behind_it() {
    let silent = Relay::start("127.0.0.1:9".parse().unwrap(), NEVER).await;
    let service = Service::start(json!({ALICE: {"rn": "+13035559999"}}), Duration::ZERO).await;
    let sources = [dns_source("dns", silent.address), http_source("http", &service)];
    let lnp = lnp(&sources, json!({"deadline_ms": 600}));
    let begun = Instant::now();
    assert_eq!(served(&lnp, ALICE).await, peer_b());
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(295) && took < Duration::from_millis(600), "{took:?}");
}

#[tokio::test]
async fn a_silent_source_is_left_alone_after_some_failures() {
    let relay = Relay::start("127.0.0.1:9".parse().unwrap(), NEVER).await;
    let lnp = lnp(&[dns_source("dns", relay.address)], json!({"deadline_ms": 300, "breaker_rest_ms": 60_000}));
    for n in 0..3 {
        assert_eq!(served(&lnp, &format!("+1212555020{n}")).await, unknown());
    }
    // Nor is the last question waited for again, which is still under way.
    for number in [ALICE, "+12125550202"] {
        let begun = Instant::now();
        assert_eq!(served(&lnp, number).await, unknown());
        assert!(begun.elapsed() < Duration::from_millis(250), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_server_that_was_dead_is_found_again() {
    let Some(mut knot) = Knot::or_skip(&alice_ported(), 60) else { return };
    knot.stop();
    let lnp = lnp(&[dns_source("dns", knot.address())], json!({"deadline_ms": 100, "breaker_rest_ms": 500}));
    for n in 0..4 {
        assert_eq!(served(&lnp, &format!("+1212555020{n}")).await, unknown());
    }
    knot.restart().unwrap();
    let begun = Instant::now();
    until(async || served(&lnp, ALICE).await == peer_b()).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn calls_to_one_number_share_a_question() {
    let Some(knot) = Knot::or_skip(&alice_ported(), 60) else { return };
    let relay = Relay::start(knot.address(), 100).await;
    let lnp = lnp(&[dns_source("dns", relay.address)], Value::Null);
    // One first: a resolver learns from it how long a server takes before a datagram is repeated.
    ask(&lnp, BOB).await;
    let before = relay.asked();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            tokio::spawn({
                let lnp = lnp.clone();
                async move { served(&lnp, ALICE).await }
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), peer_b());
    }
    assert!(relay.asked() - before <= 2, "{} questions", relay.asked() - before);
}

#[tokio::test]
async fn questions_under_way_are_bounded() {
    let service = Service::start(json!({}), Duration::from_secs(5)).await;
    let lnp = lnp(&[http_source("http", &service)], json!({"breaker_failures": 1000}));
    let calls: Vec<_> = (0..64)
        .map(|n| {
            tokio::spawn({
                let lnp = lnp.clone();
                async move { served(&lnp, &format!("+121255501{n:02}")).await }
            })
        })
        .collect();
    until(async || service.asked() == 64).await;
    let begun = Instant::now();
    assert_eq!(served(&lnp, "+442071838750").await, unknown());
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
    assert_eq!(service.asked(), 64);
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn without_sources_nobody_is_asked() {
    let lnp = lnp(&[], Value::Null);
    assert!(!lnp.is_configured());
    assert_eq!(served(&lnp, ALICE).await, unknown());
}
