//! `doctor` without a PBX.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::cli::{ALICE, Node, Typist, out};

#[test]
fn doctor_lists_bindings_that_the_policy_refuses() {
    let node = Node::start_with("[node.clients]\nsip_hosts = [\"pbx.example\"]\nwebhook_hosts = [\"10.0.0.8\"]\n");
    let alice = std::fs::read_to_string(node.number(ALICE, "Alice")).unwrap();
    for address in ["sip:alice@pbx.example", "https://10.0.0.8/x", "https://hook.example/x"] {
        node.send("/v1/clients", &alice, &json!({"address": address}));
    }
    let clients = |node: &Node| -> Vec<Value> {
        let report: Value = serde_json::from_str(&out(&node.run(&["doctor", "--json"]))).unwrap();
        report["findings"].as_array().unwrap().iter().filter(|f| f["about"] == "clients").cloned().collect()
    };
    let found = clients(&node);
    assert!(found.len() == 1 && found[0]["verdict"] == "ok", "{found:#?}");
    // As after an upgrade: they are bound, and the lists are empty.
    let config = std::fs::read_to_string(node.config()).unwrap();
    let (before, _) = config.split_once("[node.clients]").unwrap();
    std::fs::write(node.config(), before).unwrap();
    let found = clients(&node);
    assert!(found.len() == 2 && found.iter().all(|f| f["verdict"] == "problem"), "{found:#?}");
    for text in [ALICE, "sip:alice@pbx.example", "https://10.0.0.8/x", "sip_hosts", "webhook_hosts"] {
        assert!(found.iter().any(|f| f["found"].as_str().unwrap().contains(text)), "{text}: {found:#?}");
    }
}

#[test]
fn doctor_looks_at_the_node() {
    let node = Node::start();
    let doctor = |node: &Node, args: &[&str]| -> (bool, Value) {
        let output = node.run(&[&["doctor", "--json"], args].concat());
        (output.status.success(), serde_json::from_str(&out(&output)).unwrap())
    };
    let (fine, report) = doctor(&node, &[]);
    assert!(fine, "{report:#}");
    let found = |report: &Value, verdict: &str, text: &str| {
        let findings = report["findings"].as_array().unwrap().clone();
        findings.iter().any(|f| f["verdict"] == verdict && f["found"].as_str().unwrap().contains(text))
    };
    assert!(found(&report, "ok", "agent's token") && found(&report, "ok", "administrator's token"), "{report:#}");
    assert!(found(&report, "warning", "no client is bound"), "{report:#}");
    assert!(found(&doctor(&node, &["--number", ALICE]).1, "problem", "not in the directory"));
    let alice = node.number(ALICE, "Alice");
    assert!(found(&doctor(&node, &["--number", ALICE]).1, "problem", "no client is bound"));
    let _alice = Typist::start(&node, &alice, &[]);
    assert!(found(&doctor(&node, &["--number", ALICE]).1, "ok", "1 connected"));

    // A token that the running node doesn't know.
    std::fs::write(node.path("other.token"), "another-token-altogether").unwrap();
    std::fs::set_permissions(node.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = std::fs::read_to_string(node.config()).unwrap();
    std::fs::write(node.config(), config.replace("\ntoken_file = \"agent.token\"", "\ntoken_file = \"other.token\""))
        .unwrap();
    let (fine, report) = doctor(&node, &[]);
    assert!(!fine && found(&report, "problem", "agent's token"), "{report:#}");
    assert!(found(&report, "problem", "can read"), "{report:#}");

    std::fs::write(node.config(), "[agent]\nnod = 1").unwrap();
    let (fine, report) = doctor(&node, &[]);
    assert!(!fine && found(&report, "problem", "nod"), "{report:#}");
}

/// One that does not answer is no problem while another one does.
#[test]
fn doctor_looks_at_each_node_of_the_agent() {
    const NOBODY: &str = "http://127.0.0.1:1";
    let node = Node::start();
    let config = std::fs::read_to_string(node.config()).unwrap();
    let one = format!("node = \"{}\"\n", node.url);
    assert!(config.contains(&one), "{config}");
    let doctor = |nodes: [&str; 2]| -> (bool, Value) {
        std::fs::write(node.config(), config.replace(&one, &format!("nodes = {nodes:?}\n"))).unwrap();
        let output = node.run(&["doctor", "--json"]);
        (output.status.success(), serde_json::from_str(&out(&output)).unwrap())
    };
    let about = |report: &Value, url: &str| -> Vec<String> {
        let findings = report["findings"].as_array().unwrap().iter();
        let own = findings.filter(|finding| finding["about"] == format!("node {url}/").as_str());
        own.map(|finding| finding["verdict"].as_str().unwrap().to_owned()).collect()
    };
    for nodes in [[node.url.as_str(), NOBODY], [NOBODY, node.url.as_str()]] {
        let (fine, report) = doctor(nodes);
        assert!(fine, "{report:#}");
        assert_eq!(about(&report, &node.url), ["ok", "ok", "ok"], "{report:#}");
        assert_eq!(about(&report, NOBODY), ["warning"], "{report:#}");
    }
    let (fine, report) = doctor([NOBODY, "http://127.0.0.1:2"]);
    assert!(!fine, "{report:#}");
    assert_eq!(about(&report, NOBODY), ["problem"], "{report:#}");
}

/// With a file that everybody can read, and a key.
#[test]
fn doctor_looks_at_the_url_of_the_database() {
    let node = Node::start();
    std::fs::set_permissions(node.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = std::fs::read_to_string(node.config()).unwrap();
    let key = node.path("client.key");
    std::fs::write(&key, "a key").unwrap();
    for (url, warns, problem) in [
        ("postgres://u:hidden@127.0.0.1:1/x".to_owned(), true, "sidecall.toml, which holds a secret".to_owned()),
        (format!("postgres://u@127.0.0.1:1/x?sslkey={}", key), false, "client.key, which holds a secret".to_owned()),
    ] {
        std::fs::write(node.config(), config.replace("\"sidecall.db\"", &format!("\"{url}\""))).unwrap();
        let said = out(&node.run(&["doctor", "--json"]));
        assert_eq!(said.contains("node.database has a password in it"), warns, "{said}");
        assert!(said.contains(&problem) && !said.contains("hidden"), "{said}");
    }
}

#[test]
fn doctor_looks_at_other_nodes() {
    let peer = |name: &str, url: &str, keys: &str| {
        format!("[[peer]]\nname = \"{name}\"\nurl = \"{url}\"\nprefixes = [\"+1310\"]\n{keys}\n")
    };
    let there = Node::start_with(&peer("us", "http://127.0.0.1:1", "accept_token = \"what-they-gave-us-0\""));
    let known = peer("known", &there.url, "token = \"what-they-gave-us-0\"");
    let stranger = peer("stranger", &there.url, "token = \"what-nobody-gave-us\"");
    let node = Node::start_with(&format!("{known}{stranger}{}", peer("away", "http://127.0.0.1:1", "")));
    let output = node.run(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let of = |name: &str| -> Vec<_> {
        let about = format!("peer {name}");
        let mine = findings.clone().filter(|finding| finding["about"] == about.as_str());
        mine.map(|finding| (finding["verdict"].as_str().unwrap(), finding["found"].as_str().unwrap())).collect()
    };
    assert!(matches!(of("known")[..], [("ok", found)] if found.contains("knows us")), "{report:#}");
    assert!(matches!(of("stranger")[..], [("problem", found)] if found.contains("unknown-peer")), "{report:#}");
    assert!(matches!(of("away")[..], [("problem", found)] if found.contains("can't be reached")), "{report:#}");
    assert!(!output.status.success());
}

#[test]
fn doctor_asks_the_stun_and_turn_servers() {
    let secret = "what-coturn-and-the-node-share";
    let Some(coturn) = lab::Coturn::or_skip(secret) else { return };
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (there, silent) = (coturn.address(), socket.local_addr().unwrap());
    let wanted = [
        (format!("stun:{there}"), "ok", "answers at"),
        (format!("turn:{there}?transport=udp"), "ok", "answers at"),
        (format!("turn:{silent}"), "problem", "does not answer at"),
        ("turn:turn.invalid".to_owned(), "problem", "has no address"),
        ("turns:localhost".to_owned(), "unknown", "resolves; not probed"),
    ];
    let urls: Vec<_> = wanted.iter().map(|(uri, _, _)| uri).collect();
    let node = Node::start_with(&format!("[node.ice]\nsecret = \"{secret}\"\nurls = {urls:?}\n"));
    let report: Value = serde_json::from_str(&out(&node.run(&["doctor", "--json"]))).unwrap();
    let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["about"] == "ice");
    let found: Vec<_> = findings.map(|f| (f["verdict"].as_str().unwrap(), f["found"].as_str().unwrap())).collect();
    assert_eq!(found.len(), wanted.len(), "{report:#}");
    for ((verdict, text), (uri, expected, said)) in found.iter().zip(&wanted) {
        assert!(verdict == expected && text.contains(uri.as_str()) && text.contains(said), "{uri}: {verdict}: {text}");
    }
}
