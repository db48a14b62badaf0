//! What a list of the channels tells of calls that the agent knows nothing of, or no longer.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::scripted::node::live;
use crate::scripted::{Freeswitch, Node, Running, agent, linked, until, until_within};
use crate::{is, tomorrow};

#[tokio::test]
async fn a_call_that_a_snapshot_shows_before_its_announcement_is_answered() {
    let mut freeswitch = Freeswitch::start().await;
    freeswitch.channel("leg-1", "2125550100");
    let mut node = Node::start().await;
    let agent = Running::start(agent(freeswitch.address, node.address));
    until(&mut node.links, is("up")).await;
    freeswitch.announce("leg-1", "2125550100");
    until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-1 ")).await;
    until(&mut freeswitch.commands, |said| said == "api uuid_break leg-1 all").await;
    agent.stop().await;
}

#[tokio::test]
async fn a_call_whose_announcement_was_lost_is_registered() {
    let freeswitch = Freeswitch::start().await;
    freeswitch.channel("leg-1", "2125550100");
    let mut node = Node::start().await;
    let agent = Running::start(agent(freeswitch.address, node.address));
    let (request, _) = until(&mut node.decisions, |_| true).await;
    assert_eq!((&request["leg"], &request["routed"]), (&"leg-1".into(), &"not-announced".into()));
    assert!(request["announced"].is_null(), "nobody knows when: {request}");
    agent.stop().await;
}

/// FreeSWITCH writes its list of channels with a delay: a call that came just before the agent is in the next list.
#[tokio::test]
async fn a_call_that_the_first_list_of_channels_lacks_is_found_in_the_second() {
    let (freeswitch, mut node, agent) = linked().await;
    freeswitch.channel("leg-1", "2125550100");
    let (request, _) = until(&mut node.decisions, |_| true).await;
    assert_eq!((&request["leg"], &request["routed"]), (&"leg-1".into(), &"not-announced".into()));
    agent.stop().await;
}

/// The two rows of the failure table that nobody sees on a PBX that works.
#[tokio::test]
async fn after_a_gap_a_snapshot_says_what_was_lost_and_a_failed_one_says_nothing() {
    let (mut freeswitch, mut node, agent) = linked().await;
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
    agent.stop().await;
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
    let agent = Running::start(agent(freeswitch.address, node.address));
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
    agent.stop().await;
}
