//! Numbers as the PBX has them and as the node gets them: extensions, tenants, emergency calls.

use serde_json::json;

use crate::scripted::{linked, linked_with, until};

/// From +12125551001, where the trunk's call comes in, to 1001, where the phone is.
#[tokio::test]
async fn a_leg_that_comes_to_its_extensions_context_is_still_the_same_call() {
    let map = json!({"map": [{"extension": "1XXX", "number": "+12125551XXX"}]});
    let (mut freeswitch, mut node, agent) = linked_with(map).await;
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
    agent.stop().await;
}

/// The trunk shows no more of a caller who withholds the number than the PBX does.
#[tokio::test]
async fn an_extension_has_its_outside_number_on_the_trunk_unless_it_is_withheld() {
    let map = json!({"map": [{"extension": "1XXX", "number": "+12125551XXX"}]});
    let (mut freeswitch, mut node, agent) = linked_with(map).await;
    freeswitch.announce("leg-1", "2125550100");
    let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-1 ")).await;
    assert!(said.contains("sidecall_caller=+12125551001"), "{said}");
    freeswitch.announce_with("leg-2", "2125550100", &[("withheld", "yes")]);
    let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-2 ")).await;
    assert!(!said.contains("sidecall_caller"), "{said}");
    let (request, _) = until(&mut node.decisions, |(request, _)| request["leg"] == "leg-2").await;
    assert_eq!((&request["calling"], &request["withheld"]), (&"+12125551001".into(), &true.into()));
    agent.stop().await;
}

#[tokio::test]
async fn tenants_with_the_same_extension_are_told_apart() {
    let tenants = json!({"outside_prefix": "9", "tenant": [
        {"name": "acme", "context": "acme.pbx.example"},
        {"name": "beta.example", "map": [{"extension": "1XXX", "number": "+12125551XXX"}]},
    ]});
    let (freeswitch, mut node, agent) = linked_with(tenants).await;
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
    agent.stop().await;
}

#[tokio::test]
async fn an_emergency_call_that_is_announced_is_released_at_once_and_nobody_is_asked() {
    let numbers = json!({"outside_prefix": "9", "extension_digits": 3});
    let (mut freeswitch, mut node, agent) = linked_with(numbers).await;
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
    agent.stop().await;
}

#[tokio::test]
async fn the_dialplan_gets_the_called_number_as_other_domains_write_it() {
    let (mut freeswitch, _node, agent) = linked().await;
    freeswitch.announce_with("leg-1", "(212)%20555-0100", &[]);
    let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-1 ")).await;
    assert!(said.contains(";sidecall_number=+12125550100;"), "{said}");
    freeswitch.announce_with("leg-2", "1002", &[]);
    let said = until(&mut freeswitch.commands, |said| said.starts_with("api uuid_setvar_multi leg-2 ")).await;
    assert!(!said.contains("sidecall_number"), "an extension is none: {said}");
    agent.stop().await;
}
