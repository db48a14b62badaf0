//! Announcements: in time or too late to be answered, with an address or for a main number.

use std::time::Duration;

use serde_json::Value;

use crate::is;
use crate::scripted::{Freeswitch, Node, Running, agent, linked, micros, until};

/// What is written can't be called back: behind a long list it would be carried out after the hold.
#[tokio::test]
async fn an_answer_does_not_wait_behind_a_snapshot() {
    let mut freeswitch = Freeswitch::start().await;
    freeswitch.slow("show", Duration::from_secs(2));
    let node = Node::start().await;
    let agent = Running::start(agent(freeswitch.address, node.address));
    until(&mut freeswitch.commands, |said| said == "api show channels as json").await;
    let announced = freeswitch.announce("leg-1", "2125550100");
    until(&mut freeswitch.commands, |said| said == "api uuid_break leg-1 all").await;
    assert!(announced.elapsed() < Duration::from_secs(1), "it came after {:?}", announced.elapsed());
    agent.abort();
}

/// Nothing is decided, and yet an answer that comes late would hit whatever the channel does by then.
#[tokio::test]
async fn an_answer_without_a_decision_is_given_up_with_the_hold_too() {
    let mut freeswitch = Freeswitch::start().await;
    freeswitch.slow("uuid_setvar_multi", Duration::from_secs(10));
    let mut node = Node::start().await;
    let agent = Running::start(agent(freeswitch.address, node.address));
    until(&mut node.links, is("up")).await;
    freeswitch.announce("leg-1", "nobody");
    until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-1 ")).await;
    // Whoever stops waits for the answers that are under way.
    tokio::time::timeout(Duration::from_millis(1_500), agent.stop()).await.expect("it is still waited for");
}

/// It may have waited anywhere for any time.
#[tokio::test]
async fn an_announcement_of_unknown_age_is_not_answered() {
    let mut freeswitch = Freeswitch::start().await;
    freeswitch.slow("strmicroepoch", Duration::from_millis(150));
    let mut node = Node::start().await;
    let agent = Running::start(agent(freeswitch.address, node.address));
    until(&mut node.links, is("up")).await;
    freeswitch.announce("leg-1", "2125550100");
    let (request, _) = until(&mut node.decisions, |_| true).await;
    assert_eq!((&request["leg"], &request["routed"]), (&"leg-1".into(), &"late".into()));
    agent.stop().await;
    while let Ok((_, said)) = freeswitch.commands.try_recv() {
        assert!(!said.contains("leg-1"), "{said}");
    }
}

#[tokio::test]
async fn an_address_from_where_none_is_believed_is_counted() {
    let (freeswitch, mut node, agent) = linked().await;
    freeswitch.announce_with("leg-1", "2125550100", &[("refused", "yes")]);
    let (request, _) = until(&mut node.decisions, |(request, _)| request["leg"] == "leg-1").await;
    assert!(request["received_address"].is_null(), "{request}");
    assert!(request["announced"].as_i64() > Some(1_700_000_000_000), "{request}");
    until(&mut node.links, |report| report["refused"] == 1).await;
    freeswitch.announce_with("leg-2", "2125550100", &[("received", "javascript%3Aalert")]);
    until(&mut node.links, |report| report["refused"] == 2).await;
    agent.stop().await;
}

/// The dialplan forwards a call, and in between the agent corrects what it knows of the PBX's clock.
#[tokio::test]
async fn the_later_call_of_a_leg_is_announced_no_earlier() {
    let (freeswitch, mut node, agent) = linked().await;
    let sent = micros();
    freeswitch.announce_at(sent, "leg-1", "2125550100", &[]);
    let (first, _) = until(&mut node.decisions, |_| true).await;
    freeswitch.announce_at(sent - 50_000, "leg-1", "2125550101", &[]);
    let (second, _) = until(&mut node.decisions, |(request, _)| request["called"] != first["called"]).await;
    let at = |request: &Value| request["announced"].as_i64().unwrap();
    assert!(at(&second) >= at(&first), "{first} {second}");
    agent.stop().await;
}

/// The caller is marked by the attendant's snippet, and not announced.
#[tokio::test]
async fn the_caller_of_a_main_number_is_followed_from_whom_they_hear() {
    let (freeswitch, mut node, agent) = linked().await;
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
    agent.stop().await;
}
