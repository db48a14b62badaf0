//! `sidecall client --receive`: offers of files, up to the answer. `media` tests what follows.

use serde_json::{Value, json};

use crate::cli::{ALICE, BOB, Node, Typist, complaint, sidecall};

/// Alice, who has a client of her own, and Bob, who receives files into a folder of his.
struct Call {
    node: Node,
    alice: Typist,
    bob: Typist,
    /// Bob's address.
    address: String,
    id: String,
    folder: tempfile::TempDir,
}

impl Call {
    fn new(args: &[&str]) -> Call {
        Call::with(args, |node| node.number(BOB, "Bob"))
    }

    /// Bob has this token.
    fn with(args: &[&str], bob: impl FnOnce(&Node) -> String) -> Call {
        let node = Node::start();
        let (alice, bob) = (node.number(ALICE, "Alice"), bob(&node));
        let folder = tempfile::tempdir().unwrap();
        // A client that was killed has left this behind.
        std::fs::create_dir(folder.path().join(".sidecall-0123456789abcdef")).unwrap();
        let alice = Typist::start(&node, &alice, &["--json"]);
        let receive = ["--receive", folder.path().to_str().unwrap(), "--media-address", "127.0.0.1"];
        let bob = Typist::start(&node, &bob, &[&receive[..], args].concat());
        let id = node.call("leg", ALICE, BOB);
        let peer = alice.event("peer", 1)["peer"].clone();
        assert_eq!(peer["capabilities"], json!(["text", "files"]));
        bob.wait_for(if args.contains(&"--json") { "\"peer\"" } else { "[1] Alice" });
        Call { node, alice, bob, address: peer["address"].as_str().unwrap().to_owned(), id, folder }
    }

    /// Alice's browser offers two files.
    fn invite(&self, invitation: &str) {
        let reply = self.alice.event("peer", 1)["reply"].clone();
        let invite = json!({
            "type": "invite", "invitation": invitation, "session": "s", "kind": "files", "role": "first",
            "commit": "0".repeat(64), "files": {"count": 2, "bytes": 12_345, "name": "../plans\u{202e}"},
            "from": "0123456789abcdef", "reply": reply,
        });
        self.node.post(&self.address, &invite);
    }

    /// What Bob's client posts, with this `type`.
    fn answer(&self, kind: &str) -> Value {
        let line = self.alice.wait_for(&format!("\"type\":\"{kind}\""));
        serde_json::from_str::<Value>(&line).unwrap()["content"].clone()
    }
}

#[test]
fn files_are_offered_under_a_harmless_name_and_can_be_declined() {
    let mut call = Call::new(&[]);
    call.invite("one");
    call.bob.wait_for("[1] Alice offers 2 files, \"__plans\", 12 kB: /accept 1 or /decline 1");
    call.bob.types("/decline");
    let answer = call.answer("decline");
    assert_eq!(answer["invitation"], "one");
    assert!(answer["from"].as_str().unwrap().len() >= 16 && answer["reply"].is_string(), "{answer}");
    call.bob.types("/accept 1");
    call.bob.wait_for("no such offer of files is open");
}

#[test]
fn an_accepted_offer_is_claimed_and_answered() {
    let mut call = Call::new(&[]);
    call.invite("one");
    call.bob.wait_for("/accept 1");
    call.bob.types("/accept 1");
    let answer = call.answer("accept");
    assert_eq!(
        (&answer["invitation"], &answer["session"], &answer["role"]),
        (&json!("one"), &json!("s"), &json!("second"))
    );
    assert_eq!(answer["nonce"].as_str().unwrap().len(), 32);
    assert_eq!(answer["fingerprint"].as_str().unwrap().split(':').count(), 32);
    // Another client of the number comes too late.
    let token = std::fs::read_to_string(call.node.path("Bob.token")).unwrap();
    let other = call.node.send("/v1/clients", &token, &json!({}))["id"].clone();
    let claim = json!({"client": other, "invitation": "one"});
    assert_eq!(call.node.send(&format!("/v1/calls/{}/claims", call.id), &token, &claim)["won"], false);
}

#[test]
fn a_script_accepts_all_files_and_one_session_serves_a_device() {
    let call = Call::new(&["--json", "--accept-files"]);
    call.invite("one");
    call.invite("two");
    let invited = call.bob.event("invited", 2);
    assert_eq!((&invited["invitation"], &invited["count"], &invited["bytes"]), (&json!(2), &json!(2), &json!(12_345)));
    assert_eq!((&invited["name"], &invited["call"], &invited["n"]), (&json!("__plans"), &json!(call.id), &json!(1)));
    let accepted = |n: usize| call.alice.event("message", n)["content"].clone();
    assert_eq!((&accepted(1)["session"], &accepted(2)["session"]), (&json!("s"), &json!("s")));
    assert_eq!(accepted(1)["nonce"], accepted(2)["nonce"]);
    // The client says that it leaves.
    let (alice, folder) = (&call.alice, &call.folder);
    assert!(call.bob.interrupt());
    assert!(alice.wait_for("\"type\":\"bye\"").contains("\"session\":\"s\""));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_offer_beyond_what_is_accepted_unasked_waits_for_the_user() {
    let mut call = Call::new(&["--json", "--accept-files", "--accept-max", "0"]);
    call.invite("one");
    let open = call.bob.event("unaccepted", 1);
    assert_eq!((&open["invitation"], &open["call"], &open["n"]), (&json!(1), &json!(call.id), &json!(1)));
    call.bob.types("/accept 1");
    assert_eq!(call.answer("accept")["invitation"], "one");
}

/// The file with the token of a device of Bob's.
fn device(node: &Node) -> String {
    node.number(BOB, "Bob");
    let made: Value = serde_json::from_str(&node.must(&["device", "enrol", BOB, "--json"])).unwrap();
    let (home, code) = (node.path("home"), made["code"].as_str().unwrap());
    let mut client = sidecall(&node.config());
    assert!(client.args(["client", "--enrol", code, "--for", "0"]).env("HOME", &home).status().unwrap().success());
    let device = std::fs::read(format!("{home}/.config/sidecall/client.json")).unwrap();
    let device: Value = serde_json::from_slice(&device).unwrap();
    let token = node.path("device.token");
    std::fs::write(&token, device["token"].as_str().unwrap()).unwrap();
    token
}

#[test]
fn a_client_that_the_node_refuses_ends_its_transfers_before_it_leaves() {
    let mut call = Call::with(&["--json", "--accept-files"], device);
    call.invite("one");
    call.answer("accept");
    let listed: Value = serde_json::from_str(&call.node.must(&["device", "list", "--json"])).unwrap();
    call.node.must(&["device", "revoke", listed["devices"][0]["id"].as_str().unwrap()]);
    assert!(call.answer("bye")["session"] == "s");
    let failed = call.bob.event("unsaved", 1);
    assert_eq!((&failed["invitation"], &failed["reason"]), (&json!(1), &json!("gone")));
    assert!(!call.bob.has_ended());
}

#[test]
fn a_folder_that_is_not_there_is_an_error_before_anything_else() {
    let node = Node::start();
    let token = node.number(ALICE, "Alice");
    let refused = node.run(&["client", "--token-file", &token, "--receive", "/nowhere/at/all"]);
    assert!(!refused.status.success() && complaint(&refused).contains("files can't go to /nowhere/at/all"));
    let refused = node.run(&["client", "--token-file", &token, "--accept-files"]);
    assert!(complaint(&refused).contains("--receive"), "{}", complaint(&refused));
}

#[test]
fn a_node_that_relays_everything_is_obeyed() {
    let node = Node::start_with(
        "[node.ice]\nurls = [\"turn:turn.example\"]\nsecret = \"0123456789abcdef\"\nrelay_only = true\n",
    );
    let token = node.number(ALICE, "Alice");
    let folder = tempfile::tempdir().unwrap();
    let receive = ["client", "--token-file", &token, "--receive", folder.path().to_str().unwrap()];
    let refused = node.run(&receive);
    assert!(!refused.status.success() && complaint(&refused).contains("relay_only"), "{}", complaint(&refused));
}
