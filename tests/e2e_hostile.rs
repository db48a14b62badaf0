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

/// Asterisk prints the user part of an address into its manager events as it decodes it. `X: ` takes up the rest of the line.
#[test]
fn asterisk_events_have_no_line_of_a_caller() {
    let kind = Kind::Asterisk;
    let Some(mut site) = lab::or_skip(kind, Site::ready(kind, PbxConfig::default(), &SidecallConfig::default())) else {
        return;
    };
    let file = site.pbx.dir().join("etc/pjsip.conf");
    let trusting =
        lab::pbx::conf::read(&file).unwrap().replace("direct_media=no", "direct_media=no\ntrust_id_inbound=yes");
    lab::pbx::conf::write(&file, &trusting).unwrap();
    let _ = site.pbx.console("pjsip reload");
    let address = "Received%3A%20046874%3Bencoding%3Dhex";
    let written = [
        "%0D%0ACalling%3A%20+13015550777",
        "%0ACalling%3A%20+13015550777",
        "%0D%0ACallerIDName%3A%20x%0D%0ACalling%3A%20+13015550777",
        "%0D%0ACalled%3A%20+13015550777",
        "%0D%0ASide%3A%20originating%0D%0ACalling%3A%201000",
        &format!("%0D%0A{address}"),
        "%0D%0AUniqueid%3A%20forged.1",
        "%0D%0AChannel%3A%20PJSIP/forged-1%0D%0AExten%3A%20x",
        // What stands behind an empty line is another event, or an answer.
        "%0D%0A%0D%0AEvent%3A%20FullyBooted%0D%0AX%3A%20",
        "%0D%0A%0D%0AResponse%3A%20Follows%0D%0AX%3A%20",
        "%0D%0A%0D%0AEvent%3A%20UserEvent%0D%0AChannel%3A%20PJSIP/forged-1%0D%0AX%3A%20",
    ];
    for text in written {
        let from = format!("+13015550199{text}");
        let by_name = Calls::new(&from, "1001").via(PSTN);
        let by_header = Calls::new("+13015550199", "1001")
            .via(PACKET)
            .header(&format!("P-Asserted-Identity: \"x\" <sip:{from}@127.0.0.1>"));
        for call in [by_name, by_header] {
            assert_eq!(call.place(site.pbx.trunk_sip()).unwrap().statuses(), [Some(200)], "{text}");
        }
        try_call(&Calls::new(ALICE.dialled, &format!("+12125550102{text}")), &site);
    }
    let mut named = Calls::new("+13015550199", "1001").via(PSTN);
    named.display = "\"x%0D%0ACalling: +13015550777\" ".to_owned();
    assert_eq!(named.place(site.pbx.trunk_sip()).unwrap().statuses(), [Some(200)]);
    // An ordinary call comes last, and is told of.
    let last = Calls::new("+13015550198", "1001").via(PSTN);
    assert_eq!(last.place(site.pbx.trunk_sip()).unwrap().statuses(), [Some(200)]);
    let sidecall = site.sidecall();
    let is_last = |call: &serde_json::Value| call["calling"] == "+13015550198";
    assert!(wait_until(Duration::from_secs(5), || sidecall.calls().iter().any(is_last)), "{}", sidecall.log());
    // A control character at the end of a number is no empty line: Asterisk still tells of the call.
    let before = sidecall.calls().len();
    let ended = Calls::new("+13015550199%09", "1001").via(PSTN);
    assert_eq!(ended.place(site.pbx.trunk_sip()).unwrap().statuses(), [Some(200)]);
    let sidecall = site.sidecall();
    assert!(wait_until(Duration::from_secs(5), || sidecall.calls().len() > before), "{}", sidecall.log());
    let is_true = |call: &serde_json::Value| {
        let text = |field: &str| call[field].as_str().unwrap_or_default().to_owned();
        matches!(&*text("calling"), "" | "+13015550198" | "+13015550199")
            && text("called").starts_with("1001;")
            && text("side") == "terminating"
            && !text("leg").contains("forged")
            && call["address"].is_null()
    };
    let forged: Vec<_> = sidecall.calls().into_iter().filter(|call| !is_true(call)).collect();
    assert!(forged.is_empty(), "{forged:#?}");
    let log = sidecall.log();
    assert!(!log.contains("the PBX closed the connection") && !log.contains("asking for a snapshot"), "{log}");
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
