//! What callers, phones and trunks may write: nothing is executed, nothing is lost, and whoever is
//! called is who was dialled.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::time::Duration;

use lab::scenario::calls::{ALICE, DAVE};
use lab::scenario::site::Site;
use lab::{Calls, Kind, PACKET, PSTN, PbxConfig, SidecallConfig, wait_until};
use serde_json::json;

fn hostile(kind: Kind) {
    let Some(mut site) = lab::or_skip(kind, Site::ready(kind, PbxConfig::default(), &SidecallConfig::default())) else {
        return;
    };
    let file = std::env::temp_dir().join(format!("sidecall-executed-{kind}-{}", std::process::id()));
    let (system, shell) =
        (format!("${{system(touch {})}}", file.display()), format!("${{SHELL(touch {})}}", file.display()));
    let froms = [
        "1000%0ACalled%3A%20666",
        "1000;x=1",
        "1000,sidecall_called=666",
        "1000%00",
        "%C3%A9%F0%9F%93%9E",
        "1000'",
        "1000}",
    ];
    for from in froms {
        try_call(&Calls::new(from, DAVE.dialled), &site);
    }
    for to in ["+1212555%2C0102", "+12125550102%0D%0ASide%3A%20x", "+12125550102$%7BEXTEN%7D", "+12125550102;api=x"] {
        try_call(&Calls::new(ALICE.dialled, to), &site);
    }
    // A display name that no PBX may read as anything but text.
    let mut named = Calls::new(ALICE.dialled, DAVE.dialled);
    named.display = format!("\"{system}; Called: 666|{shell} \u{e9}\u{1f4de}\" ");
    assert_eq!(named.place(site.pbx.sip()).unwrap().statuses(), [Some(200)]);
    // Addresses that nobody may send: from a phone, from an untrusted and from a trusted trunk.
    for header in [
        "User-to-User: 046a6176613a78;encoding=hex".to_owned(),
        format!("User-to-User: {system}"),
        "User-to-User: 04zz;encoding=hex".to_owned(),
        format!("User-to-User: 04{};encoding=hex", "61".repeat(4_00)),
        format!("Call-Info: <{system}>;purpose=impp"),
    ] {
        let phone = Calls::new(ALICE.dialled, DAVE.dialled).header(&header).place(site.pbx.sip()).unwrap();
        assert_eq!(phone.statuses(), [Some(200)], "{header}");
        for via in [PACKET, PSTN] {
            let call = Calls::new("+13015550199", "1001").via(via).header(&header);
            assert_eq!(call.place(site.pbx.trunk_sip()).unwrap().statuses(), [Some(200)], "{header}");
        }
    }
    let sidecall = site.sidecall();
    wait_until(Duration::from_secs(5), || sidecall.calls().iter().all(|c| c["phase"] == "ended"));
    let calls = sidecall.calls();
    assert!(calls.len() >= 16, "{} calls", calls.len());
    for call in &calls {
        let called = call["called"].as_str().unwrap();
        assert!(called == DAVE.dialled || called.starts_with("1001;"), "{call}");
        assert_eq!(call["phase"], "ended", "{call}");
        let address = call["address"].as_str().unwrap_or("https://");
        assert!(address.starts_with("http") && !address.contains(['$', '{', ' ', ';']), "{call}");
    }
    assert!(!file.exists(), "a caller ran a command");
    // Nor do clients and whoever posts get to write what is not theirs.
    let number = ALICE.number("pbx.example");
    let credential = lab::sidecall::credential(&number);
    for address in
        ["javascript:alert(1)", "http://example.com/hook", "sip:a@b?Subject=x", "https://a/\r\nX: y", "sip:a b@c"]
    {
        let (status, _) = sidecall.send("POST", "/v1/clients", &credential, &json!({"address": address}));
        assert!((400..500).contains(&status), "{address:?}: {status}");
    }
    assert!((400..500).contains(&sidecall.post(&sidecall.url("/a/AAAA"), &json!({"type": "text"}))));
    let log = sidecall.log();
    assert!(!log.contains(lab::sidecall::ADMIN) && !log.contains(site.pbx.event_secret()), "a secret is in the log");
}

fn try_call(calls: &Calls, site: &Site) {
    if let Ok(caller) = calls.start(site.pbx.sip()) {
        // Some of these no PBX takes; that is its answer, and the process ends all the same.
        let _ = caller.finish(Duration::from_secs(12));
    }
}

#[test]
fn asterisk_hostile_input_is_text_and_nothing_more() {
    hostile(Kind::Asterisk);
}

#[lab::needs_freeswitch]
#[test]
fn freeswitch_hostile_input_is_text_and_nothing_more() {
    hostile(Kind::FreeSwitch);
}
