//! An agent's link against a scripted FreeSWITCH and a scripted node: what happens in the wrong moment.

#![allow(clippy::unwrap_used, reason = "what a script can't do fails its test")]

mod scripted;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use scripted::node::live;
use scripted::{Freeswitch, Node, agent, agent_with, until, until_within};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn is(link: &'static str) -> impl Fn(&Value) -> bool {
    move |report| report["link"] == link
}

#[tokio::test]
async fn a_call_that_a_snapshot_shows_before_its_announcement_is_answered() {
    let mut freeswitch = Freeswitch::start().await;
    freeswitch.channel("leg-1", "2125550100");
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    freeswitch.announce("leg-1", "2125550100");
    until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-1 ")).await;
    until(&mut freeswitch.commands, |said| said == "api uuid_break leg-1 all").await;
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_call_whose_announcement_was_lost_is_registered() {
    let freeswitch = Freeswitch::start().await;
    freeswitch.channel("leg-1", "2125550100");
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    let (request, _) = until(&mut node.decisions, |_| true).await;
    assert_eq!((&request["leg"], &request["routed"]), (&"leg-1".into(), &"not-announced".into()));
    assert!(request["announced"].is_null(), "nobody knows when: {request}");
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// FreeSWITCH writes its list of channels with a delay: a call that came just before the agent is in the next list.
#[tokio::test]
async fn a_call_that_the_first_list_of_channels_lacks_is_found_in_the_second() {
    let freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    freeswitch.channel("leg-1", "2125550100");
    let (request, _) = until(&mut node.decisions, |_| true).await;
    assert_eq!((&request["leg"], &request["routed"]), (&"leg-1".into(), &"not-announced".into()));
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// The two rows of the failure table that nobody sees on a PBX that works.
#[tokio::test]
async fn after_a_gap_a_snapshot_says_what_was_lost_and_a_failed_one_says_nothing() {
    let mut freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    freeswitch.beat("core-1");
    for leg in ["leg-1", "leg-2"] {
        freeswitch.channel(leg, "2125550100");
        freeswitch.announce(leg, "2125550100");
        until(&mut node.decisions, |(request, _)| request["leg"] == leg).await;
    }
    let lists = |said: &String| said == "api show channels as json";
    while freeswitch.commands.try_recv().is_ok() {}
    // The end of one and the announcement of another are lost, and the list is cut short.
    freeswitch.lose("leg-1");
    freeswitch.channel("leg-3", "2125550100");
    freeswitch.cut_short(true);
    freeswitch.beat("core-2");
    until(&mut freeswitch.commands, lists).await;
    // It is asked for again, and nothing was concluded meanwhile.
    until(&mut freeswitch.commands, lists).await;
    assert!(node.events.try_recv().is_err() && node.decisions.try_recv().is_err());
    freeswitch.cut_short(false);
    let (call, events) = until(&mut node.events, |_| true).await;
    assert_eq!((call.as_str(), &events["events"][0]["event"]), ("leg-1", &"ended".into()));
    let (request, _) = until(&mut node.decisions, |_| true).await;
    assert_eq!((&request["leg"], &request["routed"]), (&"leg-3".into(), &"not-announced".into()));
    // Who is up is still followed, and only the one that went was ended.
    freeswitch.hang_up("leg-2");
    let (call, events) = until(&mut node.events, |_| true).await;
    assert_eq!((call.as_str(), &events["events"][0]["cause"]), ("leg-2", &"NORMAL_CLEARING".into()));
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// A number of a report that no clock reaches today.
fn tomorrow() -> u64 {
    let tomorrow = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_secs(86_400);
    u64::try_from(tomorrow.as_micros()).unwrap()
}

/// The agent before this one ran under a clock that has been set back since. The node takes a report whose number is not
/// above the last one's for a repeat, and drops it.
#[tokio::test]
async fn reports_of_calls_from_before_a_restart_follow_those_the_node_has() {
    report_after_what_the_node_has(Duration::ZERO).await;
}

/// The first snapshot doesn't wait for such a node.
#[tokio::test]
async fn so_do_reports_of_calls_found_before_the_node_lists_its_calls() {
    report_after_what_the_node_has(Duration::from_secs(2)).await;
}

async fn report_after_what_the_node_has(listed_after: Duration) {
    let freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let last = tomorrow();
    node.list_after(listed_after);
    // The PBX has marked the first two, and knows the id of the second; the third was marked by somebody else, and the
    // others are over.
    let calls = ["marked", "decided", "adopted", "over"];
    let mut claimed = calls.map(|leg| live(&format!("call-of-{leg}"), "+12125550100", &[leg], last)).to_vec();
    claimed.push(live("call-of-endless", "+12125550100", &["endless"], u64::MAX));
    node.claim(claimed);
    freeswitch.channel("marked", "2125550100");
    freeswitch.decided("decided", "2125550100", "call-of-decided");
    freeswitch.unmarked("adopted");
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    let limit = Duration::from_secs(20);
    let first = until_within(limit, &mut node.events, |_| true).await;
    let mut over = BTreeMap::from([first, until_within(limit, &mut node.events, |_| true).await]);
    assert_eq!(over["call-of-endless"]["events"][0]["event"], "ended", "whatever the node says its last number is");
    let over = over.remove("call-of-over").unwrap();
    assert_eq!(over["events"][0]["event"], "ended");
    assert!(over["events"][0]["seq"].as_u64().unwrap() > last, "{over}");
    for leg in ["marked", "decided", "adopted"] {
        freeswitch.hang_up(leg);
        let (_, told) = until(&mut node.events, |(_, told)| told["events"][0]["leg"] == leg).await;
        let seqs: Vec<u64> = told["events"].as_array().unwrap().iter().map(|e| e["seq"].as_u64().unwrap()).collect();
        assert!(seqs[0] > last && seqs.is_sorted(), "{leg}: {told}");
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// What is written can't be called back: behind a long list it would be carried out after the hold.
#[tokio::test]
async fn an_answer_does_not_wait_behind_a_snapshot() {
    let mut freeswitch = Freeswitch::start().await;
    freeswitch.slow("show", Duration::from_secs(2));
    let node = Node::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    until(&mut freeswitch.commands, |said| said == "api show channels as json").await;
    let announced = freeswitch.announce("leg-1", "2125550100");
    until(&mut freeswitch.commands, |said| said == "api uuid_break leg-1 all").await;
    assert!(announced.elapsed() < Duration::from_secs(1), "it came after {:?}", announced.elapsed());
    running.abort();
}

/// Nothing is decided, and yet an answer that comes late would hit whatever the channel does by then.
#[tokio::test]
async fn an_answer_without_a_decision_is_given_up_with_the_hold_too() {
    let mut freeswitch = Freeswitch::start().await;
    freeswitch.slow("uuid_setvar_multi", Duration::from_secs(10));
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    freeswitch.announce("leg-1", "nobody");
    until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-1 ")).await;
    stop.cancel();
    // Whoever stops waits for the answers that are under way.
    let ended = tokio::time::timeout(Duration::from_millis(1_500), running).await;
    ended.expect("it is still waited for").unwrap().unwrap();
}

/// It may have waited anywhere for any time.
#[tokio::test]
async fn an_announcement_of_unknown_age_is_not_answered() {
    let mut freeswitch = Freeswitch::start().await;
    freeswitch.slow("strmicroepoch", Duration::from_millis(150));
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    freeswitch.announce("leg-1", "2125550100");
    let (request, _) = until(&mut node.decisions, |_| true).await;
    assert_eq!((&request["leg"], &request["routed"]), (&"leg-1".into(), &"late".into()));
    stop.cancel();
    running.await.unwrap().unwrap();
    while let Ok((_, said)) = freeswitch.commands.try_recv() {
        assert!(!said.contains("leg-1"), "{said}");
    }
}

/// The host of the agent in charge has lost its power: nobody says goodbye.
#[tokio::test]
async fn who_stands_by_takes_over_from_one_that_is_dead() {
    let freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let first = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    let other_node = Node::start().await;
    let second = tokio::spawn(agent(freeswitch.address, other_node.address).run(stop.clone()));
    let standby = async { while node.links.recv().await.unwrap().1["link"] != "standby" {} };
    tokio::time::timeout(Duration::from_secs(10), standby).await.expect("it stands by");
    second.abort();
    let up = async { while node.links.recv().await.unwrap().1["link"] != "up" {} };
    tokio::time::timeout(Duration::from_secs(30), up).await.expect("it takes over");
    stop.cancel();
    first.await.unwrap().unwrap();
    assert_eq!(freeswitch.owner(), "", "it was in charge, and has said goodbye");
}

/// The agent that stands by doesn't see announcements to the other one: its idea of whose leg this is may be old.
#[tokio::test]
async fn a_call_announced_to_another_agent_goes_on_when_that_one_says_goodbye() {
    let freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let first = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    freeswitch.channel("leg-1", "2125550100");
    freeswitch.announce("leg-1", "2125550100");
    until(&mut node.decisions, |_| true).await;
    let (other_node, other_stop) = (Node::start().await, CancellationToken::new());
    let second = tokio::spawn(agent(freeswitch.address, other_node.address).run(other_stop.clone()));
    until_within(Duration::from_secs(10), &mut node.links, is("standby")).await;
    // Transferred, it calls somebody else, who answers.
    freeswitch.decided("leg-1", "2125550101", "later");
    freeswitch.unmarked("leg-2");
    let answered =
        "Event-Name: CHANNEL_ANSWER\nUnique-ID: leg-2\nOther-Leg-Unique-ID: leg-1\nCall-Direction: outbound\n\n";
    freeswitch.event(answered.to_owned());
    let last = tomorrow();
    node.claim(vec![
        live("leg-1", "+12125550100", &["leg-1"], 0),
        live("later", "+12125550101", &["leg-1", "leg-2"], last),
    ]);
    other_stop.cancel();
    second.await.unwrap().unwrap();
    let ended = |(_, told): &(String, Value)| told["events"][0]["event"] == "ended";
    let told = |(call, told): (String, Value)| {
        let event = &told["events"][0];
        assert!(call != "later" || event["seq"].as_u64().unwrap() > last, "{told}");
        [call.as_str(), event["leg"].as_str().unwrap(), event["cause"].as_str().unwrap_or("none")].map(str::to_owned)
    };
    let left = until_within(Duration::from_secs(15), &mut node.events, ended).await;
    assert_eq!(told(left), ["leg-1", "leg-1", "moved on"]);
    // Nothing else has ended, and both legs are in the later call.
    for leg in ["leg-2", "leg-1"] {
        freeswitch.hang_up(leg);
        assert_eq!(told(until(&mut node.events, ended).await), ["later", leg, "NORMAL_CLEARING"]);
    }
    stop.cancel();
    first.await.unwrap().unwrap();
}

/// The caller is marked by the attendant's snippet, and not announced.
#[tokio::test]
async fn the_caller_of_a_main_number_is_followed_from_whom_they_hear() {
    let freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    let desk = "Call-Direction: outbound\nvariable_dialed_user: 1000\nvariable_dialed_domain: pbx.example\n";
    let talk_with = |caller: &str, marks: &str, desk: &str| {
        for (leg, more) in [(caller, marks), ("desk", desk)] {
            freeswitch.event(format!("Event-Name: CHANNEL_ANSWER\nUnique-ID: {leg}\n{more}\n"));
        }
        let legs = format!("Bridge-A-Unique-ID: {caller}\nBridge-B-Unique-ID: desk");
        freeswitch.event(format!("Event-Name: CHANNEL_BRIDGE\nUnique-ID: {caller}\n{legs}\n{marks}\n"));
    };
    let owner = freeswitch.owner();
    let marks = "Call-Direction: inbound\nvariable_sidecall_side: terminating\nvariable_sidecall_calling: %2B13105550100\n\
                 variable_sidecall_received: 0168747470733a2f2f622e6578616d706c652f612f58%3Bencoding%3Dhex\n";
    let talk = |caller: &str, marks: &str| talk_with(caller, marks, desk);
    // A call to 911, say: the snippet has looked at it, and left it alone.
    talk("leg-1", marks);
    // A trunk to a PBX behind this one, where the attendant is.
    let trunk = "Call-Direction: outbound\nCaller-Destination-Number: %2B12125552000\n";
    talk_with("leg-8", &format!("{marks}variable_sidecall: on\nvariable_sidecall_agent: {owner}\n"), trunk);
    // Of another agent.
    talk("leg-9", &format!("{marks}variable_sidecall: on\nvariable_sidecall_agent: somebody\n"));
    talk("leg-2", &format!("{marks}variable_sidecall: on\nvariable_sidecall_agent: {owner}\n"));
    let (request, _) = until(&mut node.decisions, |_| true).await;
    let said = ["leg", "calling", "called", "side", "routed"].map(|key| request[key].as_str().unwrap());
    assert_eq!(said, ["leg-2", "+13105550100", "1000;phone-context=pbx.example", "terminating", "attended"]);
    // Hearing others afterwards, they are in that call.
    talk("leg-2", "");
    freeswitch.announce("leg-3", "2125550100");
    assert_eq!(until(&mut node.decisions, |_| true).await.0["leg"], "leg-3");
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// From +12125551001, where the trunk's call comes in, to 1001, where the phone is.
#[tokio::test]
async fn a_leg_that_comes_to_its_extensions_context_is_still_the_same_call() {
    let mut freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let map = json!({"map": [{"extension": "1XXX", "number": "+12125551XXX"}]});
    let running = tokio::spawn(agent_with(freeswitch.address, node.address, map).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    freeswitch.announce("leg-1", "%2B12125551001");
    let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-1 ")).await;
    assert!(said.contains("sidecall_route=packet") && said.contains("sidecall_extension=1001"), "{said}");
    // The snippet knows by that; if it doesn't, it gets the same call again. It knows whether the trunk was tried.
    freeswitch.announce("leg-1", "1001");
    let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-1 ")).await;
    assert!(said.contains("sidecall_route=packet") && said.contains("sidecall_call=leg-1"), "{said}");
    freeswitch.announce("leg-1", "1002");
    let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-1 ")).await;
    assert!(said.contains("sidecall_route=packet") && said.contains("sidecall_extension=1002"), "{said}");
    for called in ["+12125551001", "+12125551001", "+12125551002"] {
        assert_eq!(until(&mut node.decisions, |_| true).await.0["called"], called);
    }
    // One call ended, and that is told once: when the leg calls somebody else.
    let (_, events) = until(&mut node.events, |_| true).await;
    assert_eq!(events["events"][0]["event"], "ended");
    assert!(node.events.try_recv().is_err());
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// The trunk shows no more of a caller who withholds the number than the PBX does.
#[tokio::test]
async fn an_extension_has_its_outside_number_on_the_trunk_unless_it_is_withheld() {
    let mut freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let map = json!({"map": [{"extension": "1XXX", "number": "+12125551XXX"}]});
    let running = tokio::spawn(agent_with(freeswitch.address, node.address, map).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    freeswitch.announce("leg-1", "2125550100");
    let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-1 ")).await;
    assert!(said.contains("sidecall_caller=+12125551001"), "{said}");
    freeswitch.announce_with("leg-2", "2125550100", &[("withheld", "yes")]);
    let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-2 ")).await;
    assert!(!said.contains("sidecall_caller"), "{said}");
    let (request, _) = until(&mut node.decisions, |(request, _)| request["leg"] == "leg-2").await;
    assert_eq!((&request["calling"], &request["withheld"]), (&"+12125551001".into(), &true.into()));
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_stops_says_goodbye_to_both() {
    let freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    assert!(!freeswitch.owner().is_empty());
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(freeswitch.owner(), "");
    until(&mut node.links, is("down")).await;
}

#[tokio::test]
async fn tenants_with_the_same_extension_are_told_apart() {
    let freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let tenants = json!({"outside_prefix": "9", "tenant": [
        {"name": "acme", "context": "acme.pbx.example"},
        {"name": "beta.example", "map": [{"extension": "1XXX", "number": "+12125551XXX"}]},
    ]});
    let running = tokio::spawn(agent_with(freeswitch.address, node.address, tenants).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    for (leg, called, fields, expected) in [
        (
            "leg-1",
            "1002",
            &[("tenant", "acme")][..],
            ["1001;phone-context=acme.pbx.example", "1002;phone-context=acme.pbx.example"],
        ),
        ("leg-2", "1002", &[("tenant", "beta.example")], ["+12125551001", "+12125551002"]),
        // Nobody's extension: the call is announced with what is the same for all.
        ("leg-3", "92125550100", &[("tenant", "gamma")], ["", "+12125550100"]),
        ("leg-4", "92125550100", &[], ["", "+12125550100"]),
    ] {
        freeswitch.announce_with(leg, called, fields);
        let (request, _) = until(&mut node.decisions, |(request, _)| request["leg"] == leg).await;
        let calling = request["calling"].as_str().unwrap_or_default();
        assert_eq!([calling, request["called"].as_str().unwrap()], expected, "{leg}");
    }
    // An extension of nobody is nothing to decide: the dialplan goes on at once.
    let mut freeswitch = freeswitch;
    freeswitch.announce_with("leg-5", "1002", &[]);
    let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-5 ")).await;
    assert!(said.contains("sidecall_reason=not-a-number"), "{said}");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_emergency_call_that_is_announced_is_released_at_once_and_nobody_is_asked() {
    let mut freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let numbers = json!({"outside_prefix": "9", "extension_digits": 3});
    let running = tokio::spawn(agent_with(freeswitch.address, node.address, numbers).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    for (n, called) in ["%2B1911", "9911", "0112", "911"].into_iter().enumerate() {
        freeswitch.announce_with(&format!("emergency-{n}"), called, &[]);
        let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi ")).await;
        assert!(said.contains("sidecall_route=pstn;sidecall_reason=emergency"), "{called}: {said}");
        assert!(!said.contains("sidecall_number") && !said.contains("sidecall_uui"), "{called}: {said}");
    }
    // Whatever the node was asked about these would have come first.
    freeswitch.announce_with("leg-1", "912125550100", &[]);
    let (request, _) = until(&mut node.decisions, |_| true).await;
    assert_eq!((&request["leg"], &request["called"]), (&"leg-1".into(), &"+12125550100".into()));
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_dialplan_gets_the_called_number_as_other_domains_write_it() {
    let mut freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    freeswitch.announce_with("leg-1", "(212)%20555-0100", &[]);
    let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-1 ")).await;
    assert!(said.contains(";sidecall_number=+12125550100;"), "{said}");
    freeswitch.announce_with("leg-2", "1002", &[]);
    let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-2 ")).await;
    assert!(!said.contains("sidecall_number"), "an extension is none: {said}");
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_address_from_where_none_is_believed_is_counted() {
    let freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(agent(freeswitch.address, node.address).run(stop.clone()));
    until(&mut node.links, is("up")).await;
    freeswitch.announce_with("leg-1", "2125550100", &[("refused", "yes")]);
    let (request, _) = until(&mut node.decisions, |(request, _)| request["leg"] == "leg-1").await;
    assert!(request["received_address"].is_null(), "{request}");
    assert!(request["announced"].as_i64() > Some(1_700_000_000_000), "{request}");
    until(&mut node.links, |report| report["refused"] == 1).await;
    freeswitch.announce_with("leg-2", "2125550100", &[("received", "javascript%3Aalert")]);
    until(&mut node.links, |report| report["refused"] == 2).await;
    stop.cancel();
    running.await.unwrap().unwrap();
}
