//! An agent's link against a scripted FreeSWITCH and a scripted node: what happens in the wrong moment.

#![allow(clippy::unwrap_used, reason = "what a script can't do fails its test")]

mod scripted;

use std::time::Duration;

use scripted::{Freeswitch, Heard, Node, agent};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Waits for something that is said.
async fn until<T>(heard: &mut Heard<T>, wanted: impl Fn(&T) -> bool) -> T {
    let find = async {
        loop {
            let (_, said) = heard.recv().await.unwrap();
            if wanted(&said) {
                return said;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), find).await.expect("it was not said")
}

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
