//! The commands that enrol, list, rename and revoke devices, and the client that is one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::cli::{ALICE, BOB, Node, complaint, out, sidecall};

/// `sidecall client` of a user with this home directory.
fn client(node: &Node, home: &str, args: &[&str]) -> Command {
    let mut command = sidecall(&node.config());
    command.args(["client", "--json", "--for", "0.3"]).args(args).env("HOME", home).stdin(Stdio::null());
    command
}

fn run(mut command: Command) -> Output {
    command.output().unwrap()
}

fn code(node: &Node, number: &str) -> String {
    let made: Value = serde_json::from_str(&node.must(&["device", "enrol", number, "--json"])).unwrap();
    made["code"].as_str().unwrap().to_owned()
}

fn devices(node: &Node) -> Vec<Value> {
    let listed: Value = serde_json::from_str(&node.must(&["device", "list", "--json"])).unwrap();
    listed["devices"].as_array().unwrap().clone()
}

fn refused(output: &Output, why: &str) {
    let said = complaint(output);
    assert!(!output.status.success() && said.contains(why), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_client_is_enrolled_once_and_starts_without_options_after_that() {
    let node = Node::start();
    node.number(ALICE, "Alice");
    let (home, code) = (node.path("home"), code(&node, ALICE));
    let first = run(client(&node, &home, &["--enrol", &code.to_uppercase(), "--device-name", "Alice's laptop"]));
    assert!(first.status.success() && out(&first).contains(ALICE), "{}", complaint(&first));
    let listed = devices(&node);
    assert_eq!((listed.len(), &listed[0]["name"], &listed[0]["number"]), (1, &json!("Alice's laptop"), &json!(ALICE)));
    let file = format!("{home}/.config/sidecall/client.json");
    let mode = |path: &str| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(&file), mode(&format!("{home}/.config/sidecall"))], [0o600, 0o700]);
    let again = run(client(&node, &home, &[]));
    assert!(again.status.success() && out(&again).contains(ALICE), "{}", complaint(&again));
    assert_eq!(devices(&node).len(), 1);
    // The code is used up, and what it was used for stays.
    let before = std::fs::read(&file).unwrap();
    refused(&run(client(&node, &home, &["--enrol", &code])), "there is no such code");
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert_eq!(std::fs::read_dir(Path::new(&file).parent().unwrap()).unwrap().count(), 1);
    // The token is sent to its own node alone.
    refused(&run(client(&node, &home, &["--node", "http://127.0.0.1:1"])), "--enrol CODE");
    node.must(&["device", "revoke", listed[0]["id"].as_str().unwrap()]);
    refused(&run(client(&node, &home, &[])), "401");
    let second = run(client(&node, &home, &["--enrol", &self::code(&node, ALICE)]));
    assert!(second.status.success(), "{}", complaint(&second));
    assert!(devices(&node)[0]["name"].as_str().unwrap().starts_with("terminal"));
}

#[test]
fn a_client_without_a_place_for_its_device_uses_no_code_up() {
    let node = Node::start();
    node.number(ALICE, "Alice");
    let code = code(&node, ALICE);
    std::fs::write(node.path("file"), "").unwrap();
    refused(&run(client(&node, &node.path("file"), &["--enrol", &code])), "can't be written to");
    let mut nowhere = client(&node, "", &["--enrol", &code]);
    refused(&nowhere.output().unwrap(), "set HOME");
    refused(&run(client(&node, &node.path("home"), &[])), "sidecall device enrol");
    let enrolled = run(client(&node, &node.path("home"), &["--enrol", &code]));
    assert!(enrolled.status.success(), "{}", complaint(&enrolled));
}

#[test]
fn devices_are_managed_from_the_command_line() {
    let node = Node::start();
    let (alice, _) = (node.number(ALICE, "Alice"), node.number(BOB, "Bob"));
    let shown = node.must(&["device", "enrol", ALICE]);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].contains(ALICE), "{shown}");
    let (node_url, enrolment) = lines[1].split_once("/client/#enrol=").unwrap();
    assert!(lines[2].ends_with(&format!("--node {node_url} --enrol {enrolment}")), "{shown}");
    assert_eq!(node_url, node.url);
    for number in [ALICE, BOB] {
        let enrolled = run(client(&node, &node.path(number), &["--enrol", &code(&node, number)]));
        assert!(enrolled.status.success(), "{}", complaint(&enrolled));
    }
    let id = |n: usize| devices(&node)[n]["id"].as_str().unwrap().to_owned();
    let (bobs, alices) = (id(0), id(1));
    let own = |args: &[&str]| node.run(&[args, &["--node", &node.url, "--token-file", &alice]].concat());
    let renamed = own(&["device", "rename", &alices, "Front desk"]);
    assert!(out(&renamed).contains("Front desk"), "{}", complaint(&renamed));
    assert!(out(&own(&["device", "list"])).contains("Front desk"));
    assert!(!out(&own(&["device", "list"])).contains(&bobs));
    refused(&own(&["device", "rename", &bobs, "Mine"]), "no such device");
    refused(&own(&["device", "revoke", &bobs]), "no such device");
    assert!(node.must(&["device", "list", BOB]).contains(&bobs));
    let bad = node.run(&["device", "rename", &bobs, "a\u{202e}b"]);
    assert!(!bad.status.success() && complaint(&bad).contains("not allowed"), "{}", complaint(&bad));
    assert!(node.must(&["device", "revoke", &bobs, "--json"]).contains(&format!("{{\"revoked\":\"{bobs}\"}}")));
    assert_eq!(devices(&node).len(), 1);
    refused(&node.run(&["device", "enrol", "+12125550109"]), "no such number");
}
