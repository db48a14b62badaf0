//! Names and tokens that browsers could be made to give away.

use std::path::Path;

use reqwest::Method;
use serde_json::json;
use sidecall::config::Config;
use sidecall::node::Monitoring;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::{ALICE, TestNode};

async fn status(node: &TestNode, path: &str, host: &str) -> u16 {
    node.http.get(node.url(path)).header("host", host).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn open_monitoring_is_read_by_the_nodes_own_names_alone() {
    let node = TestNode::start_with(|config, _| {
        config.monitoring = Some(Monitoring::Open);
        config.public_url = Some("https://node.example".to_owned());
        config.monitoring_hosts = vec!["prometheus.example".to_owned()];
    })
    .await;
    let port = node.address.port();
    for path in ["/metrics", "/v1/status"] {
        for host in ["127.0.0.1", "localhost", "[::1]", "node.example", "prometheus.example"] {
            assert_eq!(status(&node, path, &format!("{host}:{port}")).await, 200, "{path} {host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "192.0.2.1"] {
            assert_eq!(status(&node, path, &format!("{host}:{port}")).await, 403, "{path} {host}");
        }
    }
    // Health says nothing that is worth a check.
    assert_eq!(status(&node, "/healthz", "evil.example").await, 200);
}

#[tokio::test]
async fn the_token_is_never_sent_back() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    let alice = node.client(ALICE, json!({})).await;
    let entry = json!({"credential": "browser-credential-1"});
    node.send(Method::PUT, &format!("/v1/numbers/{ALICE}"), crate::support::ADMIN, entry).await;
    let open = async |protocols: &str| {
        let url = format!("ws://{}/v1/clients/{alice}/stream", node.address);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
        tokio_tungstenite::connect_async(request).await
    };
    let (_, response) = open("bearer.browser-credential-1, sidecall").await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "sidecall");
    let Err(Error::Http(refused)) = open("bearer.browser-credential-1").await else { panic!("it was not refused") };
    assert_eq!(refused.status(), 400);
    let problem: serde_json::Value = serde_json::from_slice(refused.body().as_ref().unwrap()).unwrap();
    assert_eq!(problem["field"], "Sec-WebSocket-Protocol");
    assert!(!format!("{refused:?}").contains("browser-credential-1"), "{refused:?}");
}

/// What is wrong with this configuration.
fn problem(text: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sidecall.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::write(folder.path().join("agent-b.token"), "token-of-agent-b-0123456789").unwrap();
    Config::load(Path::new(&file)).err().map(|error| error.to_string())
}

#[test]
fn an_agents_token_travels_by_https_alone() {
    for node in ["https://node.example", "http://127.0.0.1:8600", "http://localhost:8600", "http://[::1]:8600"] {
        assert_eq!(problem(&format!("[agent]\nnode = \"{node}\"")), None, "{node}");
    }
    for node in ["http://node.example", "http://192.0.2.1:8600", "ftp://127.0.0.1"] {
        let said = problem(&format!("[agent]\nnode = \"{node}\"")).expect(node);
        assert!(
            said.contains("agent.node: ") && said.contains("must begin with https: (http: is for loopback)"),
            "{said}"
        );
    }
}

#[test]
fn an_agents_nodes_are_given_once_and_by_one_key() {
    let [a, b] = ["https://a.example", "https://b.example"];
    assert_eq!(problem(&format!("[agent]\nnodes = [\"{a}\", \"{b}\"]")), None);
    for (keys, said) in [
        (format!("node = \"{a}\"\nnodes = [\"{a}\", \"{b}\"]"), "agent.nodes: write either node or nodes"),
        (
            format!("nodes = [\"{a}\", \"http://b.example\"]"),
            "agent.nodes: \"http://b.example/\" must begin with https:",
        ),
        (format!("nodes = [\"{a}\", \"{b}\", \"{a}/\"]"), "agent.nodes: \"https://a.example/\" is there twice"),
        ("nodes = [\"a\"]".to_owned(), "[[agent.nodes]] no. 1: "),
    ] {
        let problem = problem(&format!("[agent]\n{keys}")).expect(&keys);
        assert!(problem.contains(said), "{keys}: {problem}");
    }
}

#[test]
fn limits_that_cant_work_are_named() {
    for (text, key) in [
        ("[node.connections]\nmax = 0", "node.connections.max"),
        ("[node.connections]\nper_address = 0", "node.connections.per_address"),
        ("[node.connections]\nidle_seconds = 0", "node.connections.idle_seconds"),
        ("[node.connections]\nstall_seconds = 0", "node.connections.stall_seconds"),
        ("[node.connections]\nfailed_logins = 0", "node.connections.failed_logins"),
        ("[node.connections]\nproxies = [\"proxy.example\"]", "node.connections.proxies"),
        ("[node.storage]\nfree_gb = 1", "free_gb"),
        ("[[node.agent]]\ntoken_file = \"no-such\"\npbxs = [\"a\"]", "[[node.agent]] no. 1: token_file"),
        ("[[node.agent]]\ntoken_file = \"agent-b.token\"\npbxs = []", "node.agent: no. 1: pbxs"),
        ("[[node.agent]]\npbxs = [\"a\"]", "node.agent: no. 1: set token_file"),
    ] {
        let said = problem(text).unwrap_or_else(|| panic!("{text}"));
        assert!(said.contains(key), "{text}: {said}");
    }
    assert_eq!(problem("[[node.agent]]\ntoken_file = \"agent-b.token\"\npbxs = [\"b\"]"), None);
}
