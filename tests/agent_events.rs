//! An agent's events against a scripted FreeSWITCH: each is reported once, and those of one call in their order.

#![allow(clippy::unwrap_used, reason = "what a script can't do fails its test")]

mod scripted;

use std::collections::HashMap;
use std::time::Duration;

use scripted::node::live;
use scripted::{Freeswitch, Node, Running, agent, until, until_within};
use serde_json::Value;

/// Its connections may each wait for a greeting.
async fn attached(node: &mut Node) {
    until_within(Duration::from_secs(20), &mut node.links, |report| report["link"] == "up").await;
}

fn bridge(freeswitch: &Freeswitch, word: &str, leg: &str, other: &str) {
    let legs = format!("Bridge-A-Unique-ID: {leg}\nBridge-B-Unique-ID: {other}");
    let up = "Answer-State: answered\nOther-Leg-Channel-Answered-Time: 1";
    freeswitch.event(format!("Event-Name: CHANNEL_{word}\nUnique-ID: {leg}\n{legs}\n{up}\n\n"));
}

/// A client that handles each event in a task of its own tells of the second bridge before the first one's end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_one_call_are_reported_in_their_order() {
    const CALLS: usize = 20;
    const TIMES: usize = 30;
    let freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    // Replies come back in any order: a report that overtook another would be seen.
    node.slow_up_to(Duration::from_millis(15));
    let agent = Running::start(agent(freeswitch.address, node.address));
    attached(&mut node).await;
    for call in 0..CALLS {
        freeswitch.announce(&format!("leg-{call}"), "2125550100");
    }
    for _ in 0..CALLS {
        until(&mut node.decisions, |_| true).await;
    }
    for time in 0..TIMES {
        for call in 0..CALLS {
            let (leg, other) = (format!("leg-{call}"), format!("other-{call}-{time}"));
            let dialled = format!("Other-Leg-Unique-ID: {leg}\nCall-Direction: outbound");
            freeswitch.event(format!("Event-Name: CHANNEL_ANSWER\nUnique-ID: {other}\n{dialled}\n\n"));
            bridge(&freeswitch, "BRIDGE", &leg, &other);
            bridge(&freeswitch, "UNBRIDGE", &leg, &other);
        }
    }
    for call in 0..CALLS {
        freeswitch.hang_up(&format!("leg-{call}"));
    }
    let mut told: HashMap<String, Vec<Value>> = HashMap::new();
    let mut over = 0;
    while over < CALLS {
        let (call, events) = until(&mut node.events, |_| true).await;
        let events = events["events"].as_array().unwrap().clone();
        over += events.iter().filter(|e| e["event"] == "ended" && e["leg"] == call).count();
        told.entry(call).or_default().extend(events);
    }
    for (call, events) in told {
        let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{call}: {numbers:?}");
        let number = call.trim_start_matches("leg-");
        let bridges: Vec<(String, String)> = events
            .iter()
            .filter(|event| event["event"].as_str().unwrap().ends_with("bridged"))
            .map(|event| (event["event"].as_str().unwrap().to_owned(), event["legs"].to_string()))
            .collect();
        let expected = (0..TIMES).flat_map(|time| {
            let legs = format!("[\"leg-{number}\",\"other-{number}-{time}\"]");
            [("bridged".to_owned(), legs.clone()), ("unbridged".to_owned(), legs)]
        });
        assert_eq!(bridges, expected.collect::<Vec<_>>(), "{call}");
        assert_eq!(events.last().unwrap()["event"], "ended", "{call}");
    }
    agent.stop().await;
}

/// After each reconnect it subscribes on the new connection alone, and an event is one report.
#[tokio::test]
async fn after_a_reconnect_it_subscribes_once_and_hears_each_event_once() {
    let mut freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    let agent = Running::start(agent(freeswitch.address, node.address));
    attached(&mut node).await;
    for n in 0..3 {
        while freeswitch.commands.try_recv().is_ok() {}
        freeswitch.cut();
        // A report that the link is up may still be one of the link that was cut.
        until(&mut freeswitch.commands, |said| said.starts_with("event ")).await;
        attached(&mut node).await;
        let leg = format!("leg-{n}");
        freeswitch.announce(&leg, "2125550100");
        assert_eq!(until(&mut node.decisions, |_| true).await.0["leg"], leg.as_str());
        until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi ")).await;
        freeswitch.hang_up(&leg);
        let (call, _) = until(&mut node.events, |_| true).await;
        assert_eq!(call, leg);
    }
    // What comes twice comes soon: the same event on a second subscription.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(node.decisions.try_recv().is_err() && node.events.try_recv().is_err());
    freeswitch.cut();
    let mut said = Vec::new();
    while let Ok(Some((_, line))) = tokio::time::timeout(Duration::from_secs(1), freeswitch.commands.recv()).await {
        said.push(line);
    }
    let subscriptions = said.iter().filter(|line| line.starts_with("event ")).count();
    assert_eq!(subscriptions, 1, "{said:?}");
    agent.stop().await;
}

/// A FreeSWITCH that takes its time to ask for the password is sent nothing meanwhile, and only the password then.
#[tokio::test]
async fn nothing_is_written_before_the_login_is_over() {
    let mut freeswitch = Freeswitch::start_greeting_after(Duration::from_secs(2)).await;
    let mut node = Node::start().await;
    let agent = Running::start(agent(freeswitch.address, node.address));
    attached(&mut node).await;
    let mut first = Vec::new();
    while let Ok((_, said)) = freeswitch.first.try_recv() {
        first.push(said);
    }
    assert!(first.len() >= 2 && first.iter().all(|said| *said == ("auth secret".to_owned(), false)), "{first:?}");
    agent.stop().await;
}

/// The node may have ended a call because the last leg that it knew of was gone. It drops what it is told of other legs.
#[tokio::test]
async fn a_call_that_is_over_for_the_node_is_registered_anew_by_its_leg() {
    let freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    freeswitch.decided("leg-1", "2125550100", "ended-call");
    node.end("ended-call");
    let agent = Running::start(agent(freeswitch.address, node.address));
    attached(&mut node).await;
    freeswitch.event("Event-Name: CHANNEL_ANSWER\nUnique-ID: leg-1\n\n".to_owned());
    until(&mut node.events, |(call, told)| call == "ended-call" && told["events"][0]["event"] == "answered").await;
    // It is looked at with the next check.
    let (request, _) = until_within(Duration::from_secs(10), &mut node.decisions, |_| true).await;
    assert_eq!((&request["leg"], &request["routed"]), (&"leg-1".into(), &"not-announced".into()));
    freeswitch.hang_up("leg-1");
    let (call, _) = until(&mut node.events, |(_, told)| told["events"][0]["event"] == "ended").await;
    assert_eq!(call, "leg-1", "the PBX still says the old one");
    agent.stop().await;
}

/// The node doesn't answer for a while, and then lists a call that is over on the PBX. What the call itself has yet to tell
/// comes first: an end with a higher number would make a repeat of it.
#[tokio::test]
async fn nobody_ends_a_call_whose_own_last_report_is_under_way() {
    let mut freeswitch = Freeswitch::start().await;
    let mut node = Node::start().await;
    freeswitch.decided("other", "2125550100", "ended-call");
    node.end("ended-call");
    node.stall("leg-1");
    let agent = Running::start(agent(freeswitch.address, node.address));
    // The second list of channels follows the first one.
    for _ in 0..2 {
        until(&mut freeswitch.commands, |said| said == "api show channels as json").await;
    }
    until(&mut freeswitch.commands, |said| said == "api uuid_dump other").await;
    freeswitch.channel("leg-1", "2125550100");
    freeswitch.announce("leg-1", "2125550100");
    until(&mut freeswitch.commands, |said| said == "api uuid_break leg-1 all").await;
    node.claim(vec![live("leg-1", "+12125550100", &["leg-1"], 1)]);
    freeswitch.lose("leg-1");
    freeswitch.hang_up("leg-1");
    let is_end = |(call, told): &(String, Value)| call == "leg-1" && told["events"][0]["event"] == "ended";
    let (_, own) = until(&mut node.events, is_end).await;
    // Another call makes the agent compare the node's list with the PBX.
    freeswitch.event("Event-Name: CHANNEL_ANSWER\nUnique-ID: other\n\n".to_owned());
    until_within(Duration::from_secs(10), &mut node.decisions, |(request, _)| request["leg"] == "other").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    while let Ok((_, (call, told))) = node.events.try_recv() {
        // It is sent again when the node has not answered for a while.
        assert!(call != "leg-1" || told == own, "{told}");
    }
    agent.stop().await;
}
