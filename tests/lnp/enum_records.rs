//! What real NAPTR records, over a real DNS, come to.

use serde_json::{Value, json};

use crate::support::{ALICE, BOB, CAROL, Relay, TO_B, TO_US, ask, awake, dns_source, lnp, peer_b, served, unknown};
use lab::net::knot::{Knot, Records};

async fn asked(records: Records, number: &str) -> Option<(String, Option<String>)> {
    let knot = Knot::or_skip(&records, 60)?;
    let lnp = lnp(&[dns_source("dns", knot.address())], Value::Null);
    awake(&lnp, number).await;
    Some(served(&lnp, number).await)
}

fn is(found: Option<(String, Option<String>)>, by: &str, trunk: Option<&str>) {
    let Some(found) = found else { return };
    assert_eq!(found, (by.to_owned(), trunk.map(str::to_owned)));
}

#[tokio::test]
async fn a_routing_number_says_who_serves_a_ported_number() {
    let records = Records::default()
        .naptr(ALICE, (100, 10), 60, "E2U+pstn:tel", TO_B)
        .naptr(BOB, (100, 10), 60, "E2U+pstn:tel", TO_US)
        .naptr(CAROL, (100, 10), 60, "E2U+pstn:tel", "!^(.*)$!tel:\\1;npdi!");
    let Some(knot) = Knot::or_skip(&records, 60) else { return };
    let lnp = lnp(&[dns_source("dns", knot.address())], Value::Null);
    assert_eq!(served(&lnp, ALICE).await, peer_b());
    let bob = ask(&lnp, BOB).await;
    assert!(bob.ported && served(&lnp, BOB).await.0 == "ours");
    let carol = ask(&lnp, CAROL).await;
    assert!(!carol.ported && served(&lnp, CAROL).await == unknown());
    // Neither a name that isn't there nor an extension is known to anybody.
    assert_eq!(served(&lnp, "+442071838750").await, unknown());
    assert_eq!(served(&lnp, "1001;phone-context=a.example").await, unknown());
}

#[tokio::test]
async fn a_routing_number_of_one_network_is_compared_there() {
    let records = |context: &str| {
        let text = format!("!^(.*)$!tel:\\1;npdi;rn=D015;rn-context={context}!");
        Records::default().naptr("+493012345", (100, 10), 60, "E2U+pstn:tel", &text)
    };
    is(asked(records("+49"), "+493012345").await, "other", Some("to-germany"));
    is(asked(records("+43"), "+493012345").await, "other", None);
}

#[tokio::test]
async fn pstn_sip_and_sip_name_the_operator() {
    let text = "!^(.*)$!sip:\\1;npdi;rn=+1-404-555-0000@sip.c.example;user=phone!";
    let sip = Records::default().naptr(ALICE, (100, 10), 60, "E2U+pstn:sip", text);
    is(asked(sip, ALICE).await, "other", Some("to-c"));
    let sip = Records::default().naptr(ALICE, (100, 10), 60, "E2U+sip", "!^.*$!sip:alice@sip.c.example!");
    is(asked(sip, ALICE).await, "other", Some("to-c"));
    let sip = Records::default().naptr(ALICE, (100, 10), 60, "E2U+sip", "!^.*$!sip:alice@nobody.example!");
    is(asked(sip, ALICE).await, "unknown", None);
}

#[tokio::test]
async fn a_node_is_believed_if_it_is_a_peers_and_a_client_is_there_anyhow() {
    let node =
        |url: &str| Records::default().naptr(ALICE, (100, 10), 60, "E2U+x-sidecall:https", &format!("!^.*$!{url}!"));
    for (url, by, trunk) in [
        ("https://node.b.example", "peer b", Some("to-b")),
        ("https://Node.B.example:443/", "peer b", Some("to-b")),
        ("https://node.a.example", "ours", None),
        ("https://node.evil.example", "unknown", None),
    ] {
        let Some(knot) = Knot::or_skip(&node(url), 60) else { return };
        let lnp = lnp(&[dns_source("dns", knot.address())], Value::Null);
        is(Some(served(&lnp, ALICE).await), by, trunk);
        assert_eq!(ask(&lnp, ALICE).await.has_client, Some(true), "{url}");
    }
}

#[tokio::test]
async fn the_lowest_order_then_the_lowest_preference_counts() {
    let records = Records::default()
        .naptr(ALICE, (200, 1), 60, "E2U+pstn:tel", TO_US)
        .naptr(ALICE, (100, 50), 60, "E2U+pstn:tel", TO_US)
        .naptr(ALICE, (100, 10), 60, "E2U+pstn:tel", TO_B)
        .naptr(ALICE, (50, 1), 60, "E2U+web:http", "!^.*$!http://alice.example!");
    is(asked(records, ALICE).await, "peer b", Some("to-b"));
}

#[tokio::test]
async fn hostile_records_say_nothing() {
    for (service, regexp) in [
        ("E2U+pstn:tel", "!^.*$!tel:+12125550199;npdi;rn=+13035559999!"),
        ("E2U+pstn:tel", "!^(([0-9+]+)+)+x$!tel:+12125550100;npdi;rn=+13035559999!"),
        ("E2U+pstn:tel", "!((.{255}){255}){255}!tel:+12125550100;npdi!"),
        ("E2U+pstn:tel", "!^.*$!tel:+12125550100;npdi;rn=${system(id)}!"),
        ("E2U+x-sidecall:https", "!^.*$!javascript:alert(1)!"),
        ("E2U+x-sidecall:https", "!^.*$!http://node.b.example!"),
        ("E2U+sip", "!^.*$!sip:a@sip.c.example|x!"),
    ] {
        is(asked(Records::default().naptr(ALICE, (100, 10), 60, service, regexp), ALICE).await, "unknown", None);
    }
}

#[tokio::test]
async fn an_alias_is_followed() {
    let records = Records::default()
        .naptr(ALICE, (100, 10), 60, "E2U+pstn:tel", "!^.*$!tel:+12125550101;npdi;rn=+13035559999!")
        .alias(BOB, 60, ALICE);
    is(asked(records, BOB).await, "peer b", Some("to-b"));
}

#[tokio::test]
async fn an_answer_that_is_too_large_for_udp_comes_over_tcp() {
    let mut records = Records::default().naptr(ALICE, (100, 99), 60, "E2U+pstn:tel", TO_B);
    for n in 0..20 {
        let text = format!("!^.*$!mailto:{}-{n}@a.example!", "x".repeat(150));
        records = records.naptr(ALICE, (100, n), 60, "E2U+email:mailto", &text);
    }
    let Some(knot) = Knot::or_skip(&records, 60) else { return };
    // A relay for UDP alone is not enough for it.
    let relay = Relay::start(knot.address(), 0).await;
    let (both, udp) = (dns_source("both", knot.address()), dns_source("udp", relay.address));
    assert!(lnp(&[udp], Value::Null).explain(&ALICE.parse().unwrap()).await[0].said.is_err());
    assert_eq!(served(&lnp(&[both], Value::Null), ALICE).await, peer_b());
}

#[tokio::test]
async fn a_server_that_is_not_responsible_is_no_answer() {
    let Some(knot) = Knot::or_skip(&Records::default(), 60) else { return };
    let source = json!({"name": "x", "kind": "enum", "suffix": "e164.arpa", "servers": [knot.address()]});
    let heard = lnp(&[source], Value::Null).explain(&ALICE.parse().unwrap()).await;
    assert!(heard[0].said.is_err(), "{heard:?}");
}
