//! Codes that phones dial: asked about in time, or left to the dialplan.

use std::time::Duration;

use serde_json::json;

use crate::scripted::{Freeswitch, linked, micros, until};

/// The announcement of the snippet.
fn dial(freeswitch: &Freeswitch, leg: &str, agent: &str, calling: &str, digits: &str) {
    freeswitch.event(format!(
        "Event-Name: CUSTOM\nEvent-Subclass: sidecall%3A%3Aenrol\nEvent-Date-Timestamp: {}\nsidecall_agent: {agent}\n\
         sidecall_calling: {calling}\nsidecall_tenant: pbx.example\nsidecall_digits: {digits}\nsidecall_hold: 500\n\
         Unique-ID: {leg}\n\n",
        micros()
    ));
}

#[tokio::test]
async fn the_dialplan_is_told_whether_a_code_is_right() {
    let (mut freeswitch, mut node, agent) = linked().await;
    let owner = freeswitch.owner();
    for (leg, digits, said) in [("leg-1", "123456", "yes"), ("leg-2", "654321", "no")] {
        dial(&freeswitch, leg, &owner, "1001", digits);
        let asked = until(&mut node.dialled, |_| true).await;
        let calling = "1001;phone-context=pbx.example";
        assert_eq!(asked, json!({"pbx": "office", "leg": leg, "calling": calling, "digits": digits}));
        let set = format!("api uuid_setvar_multi {leg} sidecall_enrolled={said}");
        until(&mut freeswitch.commands, |line| *line == set).await;
        until(&mut freeswitch.commands, |line| *line == format!("api uuid_break {leg} all")).await;
    }
    agent.stop().await;
}

#[tokio::test]
async fn nothing_is_said_after_the_hold_or_for_another_agent() {
    let (mut freeswitch, mut node, agent) = linked().await;
    dial(&freeswitch, "leg-1", "somebody", "1001", "123456");
    dial(&freeswitch, "leg-2", &freeswitch.owner(), "alice", "123456");
    node.slow_up_to(Duration::from_secs(1));
    dial(&freeswitch, "leg-3", &freeswitch.owner(), "1001", "123456");
    assert_eq!(until(&mut node.dialled, |_| true).await["leg"], "leg-3");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    agent.stop().await;
    while let Ok((_, said)) = freeswitch.commands.try_recv() {
        let is_released = ["leg-1", "leg-2"].iter().any(|leg| said.contains(leg));
        assert!(!is_released && said != "api uuid_setvar_multi leg-3 sidecall_enrolled=yes", "{said}");
    }
}
