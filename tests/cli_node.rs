//! A node and the commands that talk to it: client, number, calls and completions.

#![allow(clippy::unwrap_used)]

mod cli;
#[path = "cli/devices.rs"]
mod devices;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/receiving.rs"]
mod receiving;
#[path = "cli/second_process.rs"]
mod second_process;

use cli::{ALICE, BOB, Node, Typist, complaint, out, run};
use serde_json::{Value, json};

#[test]
fn clients_meet_when_a_call_is_answered_and_chat() {
    let node = Node::start();
    let (alice, bob) = (node.number(ALICE, "Alice"), node.number(BOB, "Bob"));
    let mut alice = Typist::start(&node, &alice, &["--number", ALICE]);
    let bob = Typist::start(&node, &bob, &["--json", "--auto-answer", "I am a machine", "--capability", "video"]);
    alice.types("too early");
    alice.wait_for("not on the phone");

    let call = node.call("leg", ALICE, BOB);
    let met = bob.event("peer", 1);
    assert_eq!((met["role"].as_str(), met["peer"]["number"].as_str()), (Some("second"), Some(ALICE)));
    assert_ne!(met["reply"].as_str().unwrap(), met["peer"]["address"]);
    assert!(met["at"].as_i64().unwrap() > 1_600_000_000_000 && met["call"] == call.as_str(), "{met}");
    alice.wait_for("[1] Bob +12125550101: the call is up, you called them");
    alice.wait_for("(video)");
    alice.wait_for("[1] Bob: I am a machine");
    assert_eq!(bob.event("sent", 1)["number"], ALICE);

    alice.types("hello \u{1b}[31mred");
    let heard = bob.event("message", 1);
    assert_eq!(heard["content"]["text"], "hello \u{1b}[31mred");
    assert!(bob.lines().iter().all(|line| !line.contains('\u{1b}')), "{:?}", bob.lines());

    // What a peer sends does nothing to a terminal.
    node.post(
        bob.event("peer", 1)["peer"]["address"].as_str().unwrap(),
        &json!({"type": "text", "text": "\u{1b}]0;x\u{7}y\nz"}),
    );
    alice.wait_for("[1] Bob: \u{fffd}]0;x\u{fffd}y z");

    node.report(&call, &[json!({"seq": 4, "at": 4, "event": "unbridged", "legs": ["leg-a", "leg-b"]})]);
    alice.wait_for("no longer talk");
    bob.event("ended", 1);

    let clients = |node: &Node| {
        let shown: Value = serde_json::from_str(&node.must(&["number", "show", BOB, "--json"])).unwrap();
        shown["clients"].as_array().unwrap().len()
    };
    assert_eq!(clients(&node), 1);
    assert!(bob.interrupt());
    assert_eq!(clients(&node), 0, "the binding goes with its client");
}

#[test]
fn a_client_tells_the_other_side_how_it_is_reached() {
    let (theirs, ours) = (Node::start_with("[node.routing]\ntrunk = \"carrier\"\n"), Node::start());
    let (alice, bob) = (theirs.number(ALICE, "Alice"), ours.number(BOB, "Bob"));
    let (mut alice, bob) = (Typist::start(&theirs, &alice, &[]), Typist::start(&ours, &bob, &["--json"]));
    alice.wait_for("waiting for calls");
    bob.event("connected", 1);
    let call = theirs.call("out", ALICE, BOB);
    let shown: Value = serde_json::from_str(&theirs.must(&["calls", "show", &call, "--json"])).unwrap();
    ours.come("in", ALICE, BOB, shown["address"].as_str().unwrap());
    assert_eq!(bob.event("peer", 1)["own"]["name"], "Bob");
    assert_eq!(bob.event("answered", 1)["number"], ALICE);
    alice.wait_for("[1] Bob +12125550101: the call is up, you called them");
    alice.types("hello");
    assert_eq!(bob.event("message", 1)["content"]["text"], "hello");
    assert!(theirs.must(&["calls", "show", &call]).contains("remote    by message"));
}

#[test]
fn a_client_says_that_another_one_has_accepted_an_invitation() {
    let node = Node::start();
    let (alice, file) = (node.number(ALICE, "Alice"), node.number(BOB, "Bob"));
    let _alice = Typist::start(&node, &alice, &[]);
    let (bob, script) = (Typist::start(&node, &file, &[]), Typist::start(&node, &file, &["--json"]));
    let token = std::fs::read_to_string(&file).unwrap();
    let page = node.send("/v1/clients", &token, &json!({}))["id"].clone();
    let call = node.call("leg", ALICE, BOB);
    script.event("peer", 1);
    bob.wait_for("[1] Alice");
    let claim = json!({"client": page, "invitation": "screen-1"});
    assert_eq!(node.send(&format!("/v1/calls/{call}/claims"), &token, &claim)["won"], true);
    bob.wait_for("[1] Alice: another client of your number has accepted the invitation screen-1");
    let notice = script.event("taken", 1);
    assert_eq!((&notice["invitation"], &notice["client"], &notice["n"]), (&json!("screen-1"), &page, &json!(1)));
}

#[test]
fn a_client_says_who_the_guests_of_the_other_side_are() {
    let node = Node::start();
    let (alice, bob) = (node.number(ALICE, "Alice"), node.number(BOB, "Bob"));
    let (shown, script) = (Typist::start(&node, &alice, &[]), Typist::start(&node, &alice, &["--json"]));
    let bob = Typist::start(&node, &bob, &["--json"]);
    node.call("leg", ALICE, BOB);
    shown.wait_for("[1] Bob");
    script.event("peer", 1);
    let guests = json!([{"id": "g1", "name": "Zoë"}]);
    let told = json!({"type": "guests", "from": "0123456789abcdef", "guests": guests, "text": "Guests: Zoë"});
    node.post(bob.event("peer", 1)["peer"]["address"].as_str().unwrap(), &told);
    shown.wait_for("[1] Bob has a guest who goes by \"Zoë\"");
    let event = script.event("guests", 1);
    assert_eq!((&event["guests"], &event["n"]), (&guests, &json!(1)));
    // Nobody has typed it.
    let is_text = |line: &String| line.contains("Guests:");
    assert!(script.events("message").is_empty() && !shown.lines().iter().any(is_text), "{:?}", shown.lines());
}

#[test]
fn a_client_shows_how_a_call_without_another_client_goes_on() {
    let node = Node::start();
    let bob = node.number(BOB, "Bob");
    let (shown, script) = (Typist::start(&node, &bob, &[]), Typist::start(&node, &bob, &["--json"]));
    shown.wait_for("waiting for calls");
    script.event("connected", 1);
    let call = node.call("leg", ALICE, BOB);
    shown.wait_for(&format!("{ALICE}: the call is up, they called you; no client of theirs is known"));
    let talking = script.event("talking", 1);
    assert_eq!((&talking["call"], &talking["peer"]), (&json!(call), &json!({"number": ALICE})));
    let ended = ["leg-b", "leg-a"].map(|leg| json!({"event": "ended", "leg": leg, "cause": "NORMAL_CLEARING"}));
    let numbered = (4..).zip(ended).map(|(n, mut event)| {
        (event["seq"], event["at"]) = (json!(n), json!(n));
        event
    });
    node.report(&call, &numbered.collect::<Vec<_>>());
    shown.wait_for("a call of yours: the call is over for you");
    assert_eq!(script.event("over", 1)["call"], json!(call));
}

#[test]
fn several_peers_are_told_apart() {
    let node = Node::start();
    let (alice, bob) = (node.number(ALICE, "Alice"), node.number(BOB, "Bob"));
    let eve = node.number("+12125550102", "Eve");
    let mut alice = Typist::start(&node, &alice, &[]);
    let bob = Typist::start(&node, &bob, &["--json"]);
    let eve = Typist::start(&node, &eve, &["--json"]);
    node.call("one", ALICE, BOB);
    alice.wait_for("[1] Bob");
    node.call("two", ALICE, "+12125550102");
    alice.wait_for("[2] Eve");
    alice.types("for the last one");
    alice.types("/to 1 for the first one");
    assert_eq!(eve.event("message", 1)["content"]["text"], "for the last one");
    assert_eq!(bob.event("message", 1)["content"]["text"], "for the first one");
    for told in [&bob, &eve] {
        assert_eq!(told.event("message", 1)["sender"], told.event("peer", 1)["peer"]["address"]);
    }
    alice.types("/quit");
    assert!(alice.has_ended());
}

#[test]
fn a_client_comes_back_after_its_node_and_binds_again_when_it_must() {
    let mut node = Node::start();
    let (alice, bob) = (node.number(ALICE, "Alice"), node.number(BOB, "Bob"));
    let alice = Typist::start(&node, &alice, &["--json"]);
    let _bob = Typist::start(&node, &bob, &["--json"]);
    node.restart();
    assert_eq!(alice.event("connected", 2)["client"], alice.event("connected", 1)["client"]);
    let id = alice.event("connected", 1)["client"].as_str().unwrap().to_owned();
    node.delete(&format!("/v1/clients/{id}"));
    assert_ne!(alice.event("connected", 3)["client"], id.as_str());
    node.call("leg", ALICE, BOB);
    assert_eq!(alice.event("peer", 1)["peer"]["name"], "Bob");
}

#[test]
fn a_client_ends_when_it_was_told_to() {
    let node = Node::start();
    let (alice, bob) = (node.number(ALICE, "Alice"), node.number(BOB, "Bob"));
    let _bob = Typist::start(&node, &bob, &[]);
    let mut one = Typist::start(&node, &alice, &["--json", "--exit-after", "1"]);
    node.call("leg", ALICE, BOB);
    assert!(one.has_ended());
    assert_eq!(one.events("peer").len(), 1);
    let token = std::fs::read_to_string(&alice).unwrap();
    let output =
        cli::sidecall(&node.config()).args(["client", "--for", "0.2"]).env("SIDECALL_TOKEN", token).output().unwrap();
    assert!(output.status.success(), "{}", complaint(&output));
}

#[test]
fn a_wrong_token_is_one_clear_line() {
    let node = Node::start();
    std::fs::write(node.path("wrong"), "no-such-token-at-all").unwrap();
    for args in
        [vec!["client", "--token-file"], vec!["number", "list", "--token-file"], vec!["calls", "list", "--token-file"]]
    {
        let wrong = node.path("wrong");
        let output = node.run(&[args, vec![wrong.as_str()]].concat());
        let said = complaint(&output);
        assert!(!output.status.success() && said.contains("401") && said.contains("token"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let output = node.run(&["number", "list", "--node", "http://127.0.0.1:1"]);
    assert!(complaint(&output).contains("can't be reached"), "{}", complaint(&output));
}

#[test]
fn the_directory_is_kept_from_the_command_line() {
    let node = Node::start();
    node.must(&["number", "put", ALICE, "--name", "Alice", "--pbx", "office", "--credential", "0123456789abcdef"]);
    // What isn't given stays.
    node.must(&["number", "put", ALICE, "--name", "Alice Doe"]);
    let shown: Value = serde_json::from_str(&node.must(&["number", "show", ALICE, "--json"])).unwrap();
    assert_eq!((shown["name"].as_str(), shown["pbx"].as_str()), (Some("Alice Doe"), Some("office")));
    assert_eq!(shown["has_credential"], true);
    assert!(!node.must(&["number", "put", ALICE, "--pbx", ""]).contains("office"));
    node.must(&["number", "put", BOB, "--kind", "main", "--extension", ALICE]);
    let list = node.must(&["number", "list"]);
    assert!(list.lines().count() == 3 && list.contains("Alice Doe") && list.contains("main"), "{list}");
    assert_eq!(node.must(&["number", "list", "--limit", "1", "--json"]).lines().count(), 1);
    node.must(&["number", "remove", BOB]);
    let again = node.run(&["number", "remove", BOB]);
    assert!(complaint(&again).contains("no such number"), "{}", complaint(&again));
    let local = node.run(&["number", "put", "1001"]);
    assert!(complaint(&local).contains("phone-context"), "{}", complaint(&local));
}

#[test]
fn a_number_at_a_pbx_that_nobody_reports_is_warned_of() {
    let node = cli::Node::start();
    let put = |pbx| node.run(&["number", "put", ALICE, "--pbx", pbx]);
    assert_eq!(complaint(&put("freeswitch")), "", "no agent has reported any PBX yet");
    let report = json!({"kind": "asterisk", "agent": "x", "link": "up", "since": 1});
    node.put("/v1/pbxs/asterisk", cli::AGENT, &report);
    let elsewhere = put("freeswitch");
    assert!(elsewhere.status.success(), "{elsewhere:?}");
    assert!(complaint(&elsewhere).contains("knows no PBX freeswitch (it knows asterisk)"), "{elsewhere:?}");
    assert_eq!(complaint(&put("asterisk")), "");
}

#[test]
fn an_import_names_its_bad_lines() {
    let node = Node::start();
    let file = node.path("directory.csv");
    std::fs::write(&file, "number,name\n+12125550103,Carol\nx,Dave\n+12125550104,\n").unwrap();
    let refused = node.run(&["number", "import", &file]);
    assert!(!refused.status.success());
    assert!(out(&refused).starts_with("line 3: number:"), "{}", out(&refused));
    assert!(complaint(&refused).contains("1 bad line") && complaint(&refused).contains("--skip-bad"));
    assert_eq!(node.must(&["number", "list", "--json"]), "");
    let skipped = node.run(&["number", "import", &file, "--skip-bad"]);
    assert!(!skipped.status.success() && out(&skipped).contains("2 numbers imported"), "{}", out(&skipped));
    std::fs::write(&file, "number\n+12125550105\n").unwrap();
    assert!(node.must(&["number", "import", &file]).contains("1 number imported"));
    assert_eq!(node.must(&["number", "list", "--json"]).lines().count(), 3);
    let missing = node.run(&["number", "import", "/no/such.csv"]);
    assert!(complaint(&missing).contains("/no/such.csv"), "{}", complaint(&missing));
}

#[test]
fn calls_are_listed_and_explained() {
    let node = Node::start();
    let alice = node.number(ALICE, "Alice");
    node.number(BOB, "Bob");
    let _alice = Typist::start(&node, &alice, &["--json"]);
    let call = node.call("leg", ALICE, BOB);
    let list = node.must(&["calls", "list", "--live"]);
    assert!(list.contains(&call) && list.contains("called-has-no-client") && list.contains("talking"), "{list}");
    let shown = node.must(&["calls", "show", &call]);
    assert!(shown.contains(ALICE) && shown.contains(BOB) && shown.contains("route     pstn"), "{shown}");
    node.report(
        &call,
        &[
            json!({"seq": 4, "at": 4, "event": "ended", "leg": "leg-b", "cause": "NORMAL_CLEARING"}),
            json!({"seq": 5, "at": 5, "event": "ended", "leg": "leg-a", "cause": "NORMAL_CLEARING"}),
        ],
    );
    assert_eq!(node.must(&["calls", "list", "--live"]).lines().count(), 1);
    assert!(node.must(&["calls", "show", &call]).contains("NORMAL_CLEARING"));
    let all: Value = serde_json::from_str(&node.must(&["calls", "list", "--json"])).unwrap();
    assert_eq!(all["calls"][0]["call"], call.as_str());
}

#[test]
fn completions_and_help_need_nothing() {
    let nowhere = std::path::Path::new("/no/such/sidecall.toml");
    for shell in ["bash", "zsh", "fish"] {
        let output = run(nowhere, &["completions", shell]);
        assert!(output.status.success() && out(&output).contains("doctor"), "{shell}");
    }
    for command in ["client", "number", "device", "calls", "record", "doctor", "completions"] {
        let help = out(&run(nowhere, &[command, "--help"]));
        assert!(help.contains("Examples:") && help.contains(&format!("sidecall {command}")), "{help}");
    }
}

#[test]
fn a_program_half_of_which_has_ended_ends() {
    let node = Node::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = std::fs::read_to_string(node.config()).unwrap();
    config += &format!(
        "[[pbx]]\nname = \"a\"\nkind = \"freeswitch\"\naddress = \"127.0.0.1:1\"\npassword = \"x1y2z3\"\n\
         context = \"pbx.example\"\ndirect = \"{}\"\n",
        taken.local_addr().unwrap()
    );
    let file = node.path("agent.toml");
    std::fs::write(&file, config).unwrap();
    let output = run(file.as_ref(), &["agent"]);
    assert!(!output.status.success());
    assert!(complaint(&output).contains("direct"), "{}", complaint(&output));
}

#[test]
fn an_administrator_tries_the_rules_of_a_pbx() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sidecall.toml");
    let config = "[[pbx]]\nname = \"lab\"\nkind = \"asterisk\"\naddress = \"127.0.0.1:5038\"\npassword = \"x1y2z3\"\n\
        context = \"pbx.example\"\nregion = \"DE\"\noutside_prefix = \"0\"\n[[pbx.tenant]]\nname = \"acme.example\"\n\
        endpoints = [\"acme-XXX\"]\n";
    std::fs::write(&file, config).unwrap();
    let read = |args: &[&str]| {
        let output = run(&file, &[&["number", "read", "--json"], args].concat());
        assert!(output.status.success(), "{}", complaint(&output));
        out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let said = read(&["--tenant", "acme.example", "0049 30 1234567", "201", "Anonymous"]);
    assert_eq!(said[0]["shown"]["number"], "+49301234567");
    assert_eq!(said[0]["dialled"]["number"], "+4949301234567", "0 is the outside line");
    assert_eq!(
        (&said[1]["dialled"]["number"], &said[1]["dial"]),
        (&json!("201;phone-context=acme.example"), &json!("201"))
    );
    assert_eq!(said[2]["shown"]["none"], "withheld");
    let said = read(&["201", "acme-201"]);
    assert_eq!(said[0]["shown"]["none"], "an extension of no known tenant");
    assert_eq!(said[0]["phone"]["none"], "an extension of no known tenant");
    assert_eq!(said[1]["phone"]["number"], "201;phone-context=acme.example");
    assert_eq!(said[1]["dialled"]["none"], "not a number");
    let table = out(&run(&file, &["number", "read", "--pbx", "lab", "+4930123456789"]));
    assert!(table.contains("0030123456789"), "{table}");
}

#[test]
fn a_client_and_its_number_say_to_whom_its_address_goes() {
    let node = Node::start();
    let alice = node.number(ALICE, "Alice");
    let typist = Typist::start(&node, &alice, &["--json", "--offer", "peers:b,c"]);
    typist.event("connected", 1);
    let shown = |node: &Node| serde_json::from_str::<Value>(&node.must(&["number", "show", ALICE, "--json"])).unwrap();
    assert_eq!(shown(&node)["clients"][0]["offer"], json!({"peers": ["b", "c"]}));
    // With the number's own credential.
    let said = node.must(&["number", "off", ALICE, "--node", &node.url, "--token-file", &alice]);
    assert!(said.contains("as if it had no client"), "{said}");
    node.must(&["number", "put", ALICE, "--name", "Alice Doe"]);
    assert_eq!((&shown(&node)["enabled"], &shown(&node)["name"]), (&json!(false), &json!("Alice Doe")));
    assert!(node.must(&["number", "show", ALICE]).contains("peers:b,c"));
    node.must(&["number", "on", ALICE]);
    assert_eq!(shown(&node)["enabled"], true);
    let wrong = node.run(&["client", "--offer", "friends"]);
    assert!(complaint(&wrong).contains("never, served"), "{}", complaint(&wrong));
}
