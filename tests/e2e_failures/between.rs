//! Two organisations whose trunk drops the header: the other one's node is down, hangs, or says no.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::NOISE;
use lab::Domains;
use lab::scenario::report::{SOON, calls_to};
use lab::scenario::sides::Between;
use lab::{Call, Hosted, Kind, Phone, wait_until};

/// The longest that a call waits for the agent.
fn hold(domains: &Domains) -> Duration {
    Duration::from_millis(domains.a.pbx.config().hold_ms.into())
}

/// What A's node has said to B's of its last call to a number.
fn offer(domains: &Domains, called: &str) -> Value {
    let a = domains.a.sidecall();
    let call = calls_to(a, called).first().and_then(|call| call["call"].as_str().map(str::to_owned)).unwrap();
    a.get(&format!("/v1/calls/{call}"))["remote"]["offer"].clone()
}

/// A's Alice calls an extension of B's, whose phone answers; how long that took.
fn talk(domains: &Domains, alice: &Phone, n: u8, there: &Phone) -> (Call, Call, Duration) {
    let begun = Instant::now();
    let call = alice.call(&domains.b.number(n));
    let answered = there.answer_next(SOON).unwrap_or_else(|| panic!("it doesn't ring\n{}", domains.log()));
    assert!(call.wait_answered(SOON), "{:?}", call.status());
    let took = begun.elapsed();
    assert!(call.wait_hears(there, SOON) && answered.wait_hears(alice, SOON), "no voice\n{}", domains.log());
    (call, answered, took)
}

fn hang_up(call: &Call, there: &Call) {
    call.hang_up();
    assert!(there.wait_ended(SOON));
}

/// How many peers both clients have been told of: Alice's and Bob's.
fn peers(domains: &Domains) -> [usize; 2] {
    let [alice, bob, _] = domains.clients();
    [alice, bob].map(|client| client.events("peer").len())
}

fn both_are_told(domains: &Domains, since: [usize; 2]) {
    let told = |client: &Hosted, since: usize, number: &str| {
        wait_until(SOON, || client.events("peer").iter().skip(since).any(|event| event["peer"]["number"] == number))
    };
    let (first, second) = (domains.a.number(1), domains.b.number(1));
    let [alice, bob, _] = domains.clients();
    assert!(told(bob, since[1], &first), "Bob's client was not told\n{}", domains.log());
    assert!(told(alice, since[0], &second), "Alice's client was not told\n{}", domains.log());
}

#[test]
fn while_the_peers_node_fails_the_voice_goes_on_and_the_pair_is_made_when_it_is_back() {
    // One of each, where both are here.
    let b = if Kind::FreeSwitch.find().is_ok() { Kind::FreeSwitch } else { Kind::Asterisk };
    let Some(mut domains) = lab::or_skip(Kind::Asterisk, Domains::start(Kind::Asterisk, b, None)) else { return };
    domains.start_sidecall(Between::Network, ["", ""]).unwrap();
    let (alice, bob) = (domains.a.phone(1).unwrap(), domains.b.phone(1).unwrap());
    let dora = domains.b.phone(3).unwrap();
    let second = domains.b.number(1);
    let decided = domains.a.sidecall().log().len();

    // Down when the call is made, and back while it lasts.
    domains.b.sidecall_mut().child().kill();
    let before = peers(&domains);
    let (call, there, took) = talk(&domains, &alice, 1, &bob);
    assert!(took <= hold(&domains) + NOISE, "{took:?}");
    assert!(wait_until(SOON, || offer(&domains, &second)["attempts"].as_u64() >= Some(2)), "{}", domains.log());
    assert_eq!(offer(&domains, &second)["state"], "pending");
    domains.b.sidecall_mut().restart().unwrap();
    domains.b.sidecall_mut().wait_until_attached().unwrap();
    both_are_told(&domains, before);
    assert_eq!(offer(&domains, &second)["state"], "accepted");
    assert!(call.is_up() && there.is_up(), "the voice was touched");
    hang_up(&call, &there);

    // It takes connections, and says nothing. Its own PBX waits for the hold; A's waits for nothing.
    domains.b.sidecall_mut().child().stop();
    for _ in 0..3 {
        let (call, there, took) = talk(&domains, &alice, 1, &bob);
        assert!(took <= hold(&domains) + NOISE, "{took:?}");
        hang_up(&call, &there);
        let over = || offer(&domains, &second)["state"] == "dropped";
        assert!(wait_until(SOON, over), "an offer outlives its call: {}", offer(&domains, &second));
    }
    domains.b.sidecall_mut().child().cont();
    // It hears of the calls that were meanwhile, and of their ends.
    let over = |call: &Value| call["phase"] == "ended";
    let caught_up = || calls_to(domains.b.sidecall(), &second).into_iter().filter(over).count() == 4;
    assert!(wait_until(SOON, caught_up), "{:#?}", calls_to(domains.b.sidecall(), &second));
    let before = peers(&domains);
    let (call, there, _) = talk(&domains, &alice, 1, &bob);
    both_are_told(&domains, before);
    hang_up(&call, &there);

    // Refused: Dora's number isn't in B's directory.
    let (call, there, _) = talk(&domains, &alice, 3, &dora);
    let third = domains.b.number(3);
    assert!(wait_until(SOON, || offer(&domains, &third)["state"] == "refused"), "{}", offer(&domains, &third));
    assert_eq!(offer(&domains, &third)["attempts"], 1, "a refusal is final");
    assert!(call.is_up() && there.is_up());
    hang_up(&call, &there);

    // None of A's decisions waited for the other node.
    let log = domains.a.sidecall().log();
    let times = log[decided..].lines().filter(|line| line.contains("INFO decided "));
    let times = times.filter_map(|line| line.rsplit_once(" ms=")?.1.parse::<f64>().ok()).collect::<Vec<_>>();
    assert!(times.len() == 6 && times.iter().all(|ms| *ms < 100.0), "{times:?}");
}
