//! Two agents at one FreeSWITCH, and an agent that says goodbye.

use std::time::Duration;

use serde_json::Value;

use crate::scripted::node::live;
use crate::scripted::{Node, Running, agent, linked, until, until_within};
use crate::{is, tomorrow};

/// The host of the agent in charge has lost its power: nobody says goodbye.
#[tokio::test]
async fn who_stands_by_takes_over_from_one_that_is_dead() {
    let (freeswitch, mut node, first) = linked().await;
    let other_node = Node::start().await;
    let second = Running::start(agent(freeswitch.address, other_node.address));
    let standby = async { while node.links.recv().await.unwrap().1["link"] != "standby" {} };
    tokio::time::timeout(Duration::from_secs(10), standby).await.expect("it stands by");
    second.abort();
    let up = async { while node.links.recv().await.unwrap().1["link"] != "up" {} };
    tokio::time::timeout(Duration::from_secs(30), up).await.expect("it takes over");
    first.stop().await;
    assert_eq!(freeswitch.owner(), "", "it was in charge, and has said goodbye");
}

/// The agent that stands by doesn't see announcements to the other one: its idea of whose leg this is may be old.
#[tokio::test]
async fn a_call_announced_to_another_agent_goes_on_when_that_one_says_goodbye() {
    let (freeswitch, mut node, first) = linked().await;
    freeswitch.channel("leg-1", "2125550100");
    freeswitch.announce("leg-1", "2125550100");
    until(&mut node.decisions, |_| true).await;
    let other_node = Node::start().await;
    let second = Running::start(agent(freeswitch.address, other_node.address));
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
    second.stop().await;
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
    first.stop().await;
}

#[tokio::test]
async fn who_stops_says_goodbye_to_both() {
    let (freeswitch, mut node, agent) = linked().await;
    assert!(!freeswitch.owner().is_empty());
    agent.stop().await;
    assert_eq!(freeswitch.owner(), "");
    until(&mut node.links, is("down")).await;
}
