//! A node in a runtime of its own, so that it can be killed.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use sidecall::node::{BootstrapTokens, Node, NodeConfig};
use sidecall::store::{Location, Store};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use tokio_util::sync::CancellationToken;

pub(crate) const ADMIN: &str = "admin-token-0123456789";
pub(crate) const AGENT: &str = "agent-token-0123456789";
pub(crate) const ALICE: &str = "+12125550100";
pub(crate) const BOB: &str = "+12125550101";
pub(crate) const CAROL: &str = "+12125550102";

pub(crate) struct TestNode {
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) http: reqwest::Client,
    pub(crate) config: NodeConfig,
    shutdown: CancellationToken,
    runtime: Option<Runtime>,
    served: Option<tokio::task::JoinHandle<()>>,
}

pub(crate) fn credential(number: &str) -> String {
    format!("credential-of-{number}")
}

impl TestNode {
    pub(crate) async fn start() -> TestNode {
        TestNode::start_with(|_, _| ()).await
    }

    pub(crate) async fn start_with(set: impl FnOnce(&mut NodeConfig, &Path)) -> TestNode {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut config = NodeConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            database: Location::File(folder.path().join("sidecall.db")),
            ..NodeConfig::default()
        };
        config.routing.trunk = Some("carrier".parse().unwrap());
        // Webhooks of tests listen on loopback.
        let allowed = json!({"sip_hosts": ["pbx.example", "*.pbx.example", "pbx.a.example", "pbx.b.example"], "webhook_hosts": ["127.0.0.1"]});
        config.clients = serde_json::from_value(allowed).unwrap();
        set(&mut config, folder.path());
        let mut node = TestNode {
            folder,
            address: config.listen,
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            config,
            shutdown: CancellationToken::new(),
            runtime: None,
            served: None,
        };
        node.run().await;
        node
    }

    async fn run(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (config, shutdown) = (self.config.clone(), CancellationToken::new());
        self.shutdown = shutdown.clone();
        let (told, bound) = tokio::sync::oneshot::channel();
        self.served = Some(runtime.spawn(async move {
            // As the program opens it.
            let (reasons, _) = tokio::sync::watch::channel(None);
            let store =
                Store::stand_by(config.database.clone(), config.row(), reasons, shutdown.clone()).await.unwrap();
            let tokens = BootstrapTokens { admin: Some(ADMIN.into()), agent: Some(AGENT.into()) };
            let node = Node::bind(&config, &tokens, store).await.unwrap();
            told.send(node.local_addr()).unwrap();
            node.serve(shutdown).await.unwrap();
        }));
        self.address = bound.await.unwrap();
        // So that addresses made before a restart lead to the node after it.
        self.config.listen = self.address;
        self.runtime = Some(runtime);
    }

    /// All tasks stop where they are, as with `kill -9`; then the node is started again.
    pub(crate) async fn kill_and_restart(&mut self) {
        self.kill().await;
        self.restart().await;
    }

    pub(crate) async fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    pub(crate) async fn restart(&mut self) {
        self.http = reqwest::Client::builder().no_proxy().build().unwrap();
        self.run().await;
    }

    /// Restarts it with all that its calls know that many seconds further in the past.
    pub(crate) async fn age(&mut self, seconds: i64) {
        self.stop().await;
        lab::sidecall::age::age(&self.folder.path().join("sidecall.db"), seconds).await.unwrap();
        self.kill_and_restart().await;
    }

    /// A connection of its own to the node's database.
    pub(crate) async fn database(&self) -> sqlx::SqliteConnection {
        use sqlx::ConnectOptions;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.config.database.file().unwrap());
        options.connect().await.unwrap()
    }

    /// As with SIGTERM; it has stopped when this returns.
    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        let served = self.served.take().unwrap();
        tokio::time::timeout(Duration::from_secs(4), served).await.expect("it stops in time").unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.config.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.address)
    }

    pub(crate) fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(token)
    }

    pub(crate) async fn send(&self, method: Method, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
        answer(self.request(method, path, token).json(&body)).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Value {
        let (status, body) = answer(self.request(Method::GET, path, token)).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// A number in the directory, whose credential is known.
    pub(crate) async fn number(&self, number: &str, entry: Value) {
        let mut entry = entry;
        entry["credential"] = credential(number).into();
        let (status, body) = self.send(Method::PUT, &format!("/v1/numbers/{number}"), ADMIN, entry).await;
        assert_eq!(status, 200, "{body}");
    }

    /// A client; its id.
    pub(crate) async fn client(&self, number: &str, client: Value) -> String {
        let (status, body) = self.send(Method::POST, "/v1/clients", &credential(number), client).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn decide(&self, leg: &str, calling: &str, called: &str) -> Value {
        self.announce(json!({"pbx": "a", "leg": leg, "calling": calling, "called": called, "side": "originating"}))
            .await
    }

    /// The decision about a call of Alice's, who withholds her number.
    pub(crate) async fn decide_withheld(&self, leg: &str, called: &str) -> Value {
        let request = json!({"pbx": "a", "leg": leg, "calling": ALICE, "withheld": true, "called": called,
            "side": "originating"});
        self.announce(request).await
    }

    async fn announce(&self, request: Value) -> Value {
        let (status, body) = self.send(Method::POST, "/v1/calls", AGENT, request).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// A call that comes in from a trunk; its id.
    pub(crate) async fn arrive(
        &self,
        leg: &str,
        calling: Option<&str>,
        called: &str,
        received: Option<&str>,
    ) -> String {
        let mut request = json!({"pbx": "b", "leg": leg, "called": called, "side": "terminating"});
        for (key, value) in [("calling", calling), ("received_address", received)] {
            value.into_iter().for_each(|value| request[key] = value.into());
        }
        self.announce(request).await["call"].as_str().unwrap().to_owned()
    }

    /// What a call knows of its other side, once that is so.
    pub(crate) async fn remote_side(&self, call: &str, what: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let far = self.get(&format!("/v1/calls/{call}"), ADMIN).await["remote"].clone();
            if what(&far) {
                return far;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{far:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn events(&self, call: &str, from: u64, events: &[Value]) -> Value {
        let (status, body) = self.try_events(call, from, events).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    pub(crate) async fn try_events(&self, call: &str, from: u64, events: &[Value]) -> (StatusCode, Value) {
        let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        let events: Vec<Value> = (from..)
            .zip(events)
            .map(|(seq, event)| {
                let mut event = event.clone();
                (event["seq"], event["at"]) = (seq.into(), at.into());
                event
            })
            .collect();
        self.send(Method::POST, &format!("/v1/calls/{call}/events"), AGENT, json!({"events": events})).await
    }

    /// A call from Alice to Bob that has been answered; its id.
    pub(crate) async fn talk(&self) -> String {
        let call = self.decide("leg-1", ALICE, BOB).await["call"].as_str().unwrap().to_owned();
        self.events(&call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
        call
    }

    pub(crate) async fn websocket(&self, client: &str, number: &str) -> Stream {
        self.websocket_of(client, &credential(number)).await
    }

    pub(crate) async fn websocket_of(&self, client: &str, token: &str) -> Stream {
        let mut request = format!("ws://{}/v1/clients/{client}/stream", self.address).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        Stream(tokio_tungstenite::connect_async(request).await.unwrap().0)
    }

    /// A code that enrols a device of a number.
    pub(crate) async fn code(&self, number: &str) -> String {
        let (status, made) =
            self.send(Method::POST, &format!("/v1/numbers/{number}/enrolments"), ADMIN, json!({})).await;
        assert_eq!(status, 201, "{made}");
        made["code"].as_str().unwrap().to_owned()
    }

    /// Tries to enrol a device.
    pub(crate) async fn try_enrol(&self, code: &str, name: &str) -> (StatusCode, Value) {
        let new = json!({"code": code, "name": name});
        answer(self.http.post(self.url("/v1/devices")).json(&new)).await
    }

    /// A device of a number: its id and its token.
    pub(crate) async fn device(&self, number: &str, name: &str) -> [String; 2] {
        let (status, made) = self.try_enrol(&self.code(number).await, name).await;
        assert_eq!(status, 201, "{made}");
        [&made["device"]["id"], &made["token"]].map(|text| text.as_str().unwrap().to_owned())
    }

    pub(crate) async fn deliveries(&self, call: &str) -> Vec<Value> {
        self.get(&format!("/v1/calls/{call}"), ADMIN).await["deliveries"].as_array().unwrap().clone()
    }

    /// Asks until it is so.
    pub(crate) async fn until(&self, call: &str, what: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let deliveries = self.deliveries(call).await;
            if what(&deliveries) {
                return deliveries;
            }
            assert!(begun.elapsed() < Duration::from_secs(10), "{deliveries:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for TestNode {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    (status, response.json().await.unwrap_or_default())
}

pub(crate) fn dialled(leg: &str) -> Value {
    json!({"event": "dialled", "leg": leg})
}

pub(crate) fn bridged(a: &str, b: &str) -> Value {
    json!({"event": "bridged", "legs": [a, b]})
}

pub(crate) fn unbridged(a: &str, b: &str) -> Value {
    json!({"event": "unbridged", "legs": [a, b]})
}

pub(crate) fn ended(leg: &str) -> Value {
    json!({"event": "ended", "leg": leg, "cause": "NORMAL_CLEARING"})
}

/// The types of the notices that say how a call goes on.
pub(crate) const PROGRESS: [&str; 3] = ["ringing", "answered", "over"];

pub(crate) struct Stream(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Stream {
    /// The next message, acknowledged.
    pub(crate) async fn next(&mut self) -> Value {
        let message = self.peek().await;
        self.say(json!({"ack": message["id"]})).await;
        message
    }

    /// The next message other than [`PROGRESS`], not acknowledged.
    pub(crate) async fn peek(&mut self) -> Value {
        loop {
            let message = self.peek_any().await;
            if PROGRESS.iter().all(|kind| message["type"] != *kind) {
                return message;
            }
        }
    }

    /// The next message of any kind, not acknowledged.
    pub(crate) async fn peek_any(&mut self) -> Value {
        loop {
            let frame = tokio::time::timeout(Duration::from_secs(5), self.0.next()).await.expect("a message in time");
            let frame = frame.unwrap().unwrap();
            if frame.is_text() {
                return serde_json::from_str(frame.to_text().unwrap()).unwrap();
            }
        }
    }

    /// The next frame but [`PROGRESS`]; `None` after the last.
    pub(crate) async fn frame(&mut self) -> Option<Result<Message, tungstenite::Error>> {
        loop {
            let frame = self.0.next().await;
            let text = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.to_text().ok()).unwrap_or_default();
            if PROGRESS.iter().all(|kind| !text.contains(&format!(r#""type":"{kind}""#))) {
                return frame;
            }
        }
    }

    /// Nothing comes but [`PROGRESS`].
    pub(crate) async fn quiet(&mut self) {
        let next = tokio::time::timeout(Duration::from_millis(300), self.frame()).await;
        assert!(next.is_err(), "{next:?}");
    }

    /// Nothing comes at all.
    pub(crate) async fn silent(&mut self) {
        let next = tokio::time::timeout(Duration::from_millis(300), self.0.next()).await;
        assert!(next.is_err(), "{next:?}");
    }

    pub(crate) async fn say(&mut self, what: Value) {
        self.0.send(what.to_string().into()).await.unwrap();
    }
}
