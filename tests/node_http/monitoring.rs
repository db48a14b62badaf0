//! What operators see: status, timelines, metrics.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use sidecall::core::routing::route::Reason;
use sidecall::store::{Location, Store};
use sqlx::{Connection, Executor, PgConnection};

use crate::support::{ADMIN, AGENT, ALICE, BOB, TestNode, answer, bridged, dialled, ended};
use crate::timeline::{rendered, text};

#[tokio::test]
async fn status_shows_links_calls_and_counts() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    let report = json!({"kind": "asterisk", "agent": "x", "link": "up", "since": 1, "version": "22.10"});
    let (status, reply) = node.send(Method::PUT, "/v1/pbxs/a", AGENT, report).await;
    assert_eq!((status.as_u16(), &reply), (200, &json!({"messages": []})));
    node.client(ALICE, json!({})).await;
    let decision = node.decide("leg-1", ALICE, BOB).await;
    assert!(decision["address"].is_string());
    let mut seen = node.get("/v1/status", ADMIN).await;
    for _ in 0..50 {
        if seen["calls"].as_array().unwrap().len() == 1 {
            break;
        }
        seen = node.get("/v1/status", ADMIN).await;
    }
    assert_eq!((&seen["pbxs"][0]["pbx"], &seen["pbxs"][0]["link"]), (&json!("a"), &json!("up")));
    assert_eq!((&seen["live"], &seen["totals"]["packet"], &seen["store_ok"]), (&json!(1), &json!(1), &json!(true)));
    assert_eq!(seen["calls"][0]["reason"], "called-not-served");
    assert_eq!(seen["calls"][0]["address"], json!(null), "it would let the reader write to the client");
    assert_eq!(seen["nodes"], json!(null), "nobody else uses its file");
}

/// Another process on the database of a node, which stands by and calls its machine what it likes.
struct Neighbour(PgConnection);

const MACHINE: &str = "<img src=x onerror=alert(1)>";

impl Neighbour {
    async fn stand_by(database: &lab::Postgres) -> Neighbour {
        let mut connection = PgConnection::connect(&database.url()).await.unwrap();
        let row = "INSERT INTO nodes (id, machine, process, url, version, role, started, heartbeat)
            VALUES ('b', $1, 7, 'http://b:8600', '0.0.9', 'stand_by', now(), now())";
        sqlx::query(row).bind(MACHINE).execute(&mut connection).await.unwrap();
        Neighbour(connection)
    }

    async fn beat(&mut self) {
        self.0.execute("UPDATE nodes SET heartbeat = now() WHERE id = 'b'").await.unwrap();
    }

    /// Its last heartbeat was a while ago, and the node knows it.
    async fn fall_silent(&mut self, node: &TestNode) {
        let old = "UPDATE nodes SET started = now() - INTERVAL '2 hours', heartbeat = now() - INTERVAL '1 hour' WHERE id = 'b'";
        self.0.execute(old).await.unwrap();
        silent_until(node, 1, 3_000_000).await;
    }

    /// The node can't read the list any more, for so long that it shows.
    async fn take_the_list_away(&mut self, node: &TestNode) {
        self.0.execute("ALTER TABLE nodes RENAME TO others").await.unwrap();
        silent_until(node, 0, 5_500).await;
    }

    /// Beats until the node says so.
    async fn beat_until(&mut self, says: impl AsyncFn() -> bool) {
        let begun = Instant::now();
        while !says().await {
            assert!(begun.elapsed() < Duration::from_secs(15), "the node doesn't see it");
            self.beat().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The only test here with a node on a server: all nodes of a process count into the same metrics.
#[tokio::test]
async fn the_nodes_on_a_database_are_listed_counted_and_shown() {
    let Some(database) = lab::Postgres::or_skip() else { return };
    let location: Location = PathBuf::from(database.url()).try_into().unwrap();
    // It can't read the list from its start on.
    Store::open(&location).await.unwrap().close().await;
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    connection.execute("ALTER TABLE nodes RENAME TO others").await.unwrap();
    let node = TestNode::start_with(|config, _| config.database = location).await;
    assert_eq!(node.get("/v1/status", ADMIN).await["nodes"], json!([]));
    if let Some(nodes) = shown_nodes(&node.url("/")).await {
        assert_eq!(text(&nodes), "Nodes This node has not read the list of nodes since its start. Its log says why.");
    }
    connection.execute("ALTER TABLE others RENAME TO nodes").await.unwrap();
    let mut other = Neighbour::stand_by(&database).await;
    let counts = async || {
        let text = node.http.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
        ["active", "stand_by"].iter().all(|role| text.contains(&format!("sidecall_nodes{{role=\"{role}\"}} 1\n")))
    };
    other.beat_until(counts).await;
    let status = node.get("/v1/status", ADMIN).await;
    let [own, neighbour] = &status["nodes"].as_array().unwrap()[..] else { panic!("{status:#}") };
    assert_eq!((&own["role"], &own["process"]), (&json!("active"), &json!(std::process::id())));
    assert_eq!((&own["version"], own["url"].as_str().unwrap().split(':').next()), (&status["version"], Some("http")));
    let named = ["machine", "process", "url", "version", "role"].map(|field| neighbour[field].clone());
    assert_eq!(named, [json!(MACHINE), json!(7), json!("http://b:8600"), json!("0.0.9"), json!("stand_by")]);
    for node in [own, neighbour] {
        let silence = status["now"].as_i64().unwrap() - node["heartbeat"].as_i64().unwrap();
        assert!((0..=5_000).contains(&silence), "{status:#}");
    }
    let url = node.url("/");
    let Some(nodes) = shown_nodes(&url).await else { return };
    // No name is taken for markup.
    assert!(nodes.contains("&lt;img src=x onerror=alert(1)&gt;") && !nodes.contains("<img"), "{nodes}");
    let shown = text(&nodes);
    for words in ["Nodes Machine Role Version Running Heartbeat", "active", "http://b:8600 · process 7 stands by 0.0.9"]
    {
        assert!(shown.contains(words), "no {words}: {shown}");
    }
    assert!(nodes.contains("<span class=\"tag warn\">0.0.9</span>"), "its version is another one: {nodes}");
    assert!(!shown.contains("No other node stands by"), "{shown}");
    other.fall_silent(&node).await;
    let shown = text(&shown_nodes(&url).await.unwrap());
    for words in ["process 7 stood by 0.0.9 seen ", " ago No other node stands by: if this one fails, none takes over."]
    {
        assert!(shown.contains(words), "no {words}: {shown}");
    }
    // Nobody can read it any more, so it says nothing about those in it.
    other.take_the_list_away(&node).await;
    let shown = text(&shown_nodes(&url).await.unwrap());
    assert!(shown.contains("This node can't read the list of nodes.") && !shown.contains("was active"), "{shown}");
}

/// Until one of the nodes that a node lists has been silent for so many milliseconds.
async fn silent_until(node: &TestNode, place: usize, silence: i64) {
    let begun = Instant::now();
    loop {
        let status = node.get("/v1/status", ADMIN).await;
        if status["now"].as_i64().unwrap() - status["nodes"][place]["heartbeat"].as_i64().unwrap() > silence {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "{status:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What a browser makes of the list of nodes on the page.
async fn shown_nodes(url: &str) -> Option<String> {
    let url = url.to_owned();
    let page = tokio::task::spawn_blocking(move || rendered(&url)).await.unwrap()?;
    let nodes = page.split("<section id=\"nodes\">").nth(1).and_then(|rest| rest.split("</section>").next());
    Some(nodes.unwrap_or_else(|| panic!("no nodes in {page}")).to_owned())
}

/// What a story says, in one word each.
fn words(story: &Value) -> Vec<&str> {
    story.as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_call_is_told_as_a_story() {
    let node = TestNode::start().await;
    for number in [ALICE, BOB] {
        node.number(number, json!({"pbx": "a"})).await;
        node.client(number, json!({})).await;
    }
    let request = json!({"pbx": "a", "leg": "leg-1", "calling": ALICE, "called": BOB, "side": "originating",
        "announced": 1_700_000_000_000_u64});
    let call = node.send(Method::POST, "/v1/calls", AGENT, request).await.1["call"].as_str().unwrap().to_owned();
    node.events(&call, 1, &[dialled("leg-2"), bridged("leg-1", "leg-2")]).await;
    node.until(&call, |deliveries| deliveries.len() == 2).await;
    let story = node.get(&format!("/v1/calls/{call}"), ADMIN).await["timeline"].clone();
    assert_eq!(words(&story), ["announced", "decided", "routed", "answered", "paired", "pushed", "pushed"]);
    assert_eq!(story[0]["at"], 1_700_000_000_000_u64);
    assert_eq!((&story[1]["reason"], &story[1]["side"]), (&json!("called-has-client"), &json!("first")));
    assert_eq!(
        (&story[4]["first"], &story[4]["second"], &story[4]["side"]),
        (&json!(ALICE), &json!(BOB), &json!("both"))
    );
    let list = node.get("/v1/calls", ADMIN).await;
    assert_eq!(list["calls"][0]["timeline"], json!(null), "agents read the list too");
    node.events(&call, 3, &[ended("leg-1"), ended("leg-2")]).await;
    let story = node.get("/v1/status", ADMIN).await["calls"][0]["timeline"].clone();
    let steps = words(&story);
    assert_eq!((steps.len(), steps.contains(&"parted"), steps.contains(&"ended")), (9, true, true), "{story:#}");
}

#[tokio::test]
async fn a_call_between_two_of_our_pbxs_is_one_story() {
    let node = TestNode::start().await;
    for (number, pbx) in [(ALICE, "a"), (BOB, "b")] {
        node.number(number, json!({"pbx": pbx})).await;
        node.client(number, json!({})).await;
    }
    let decision = node.decide("a-1", ALICE, BOB).await;
    let (out, address) = (decision["call"].as_str().unwrap(), decision["address"].as_str().unwrap());
    let come = node.arrive("b-1", Some(ALICE), BOB, Some(address)).await;
    node.events(&come, 1, &[dialled("b-2"), bridged("b-1", "b-2")]).await;
    node.events(out, 1, &[dialled("a-2"), bridged("a-1", "a-2")]).await;
    let [first, second] =
        [node.get(&format!("/v1/calls/{out}"), ADMIN).await, node.get(&format!("/v1/calls/{come}"), ADMIN).await];
    assert_eq!((&first["with"], &second["with"]), (&json!([come]), &json!([out])));
    assert_eq!(first["timeline"], second["timeline"]);
    let known: Vec<_> = first["timeline"].as_array().unwrap().iter().filter(|step| step["step"] == "decided").collect();
    assert_eq!((&known[0]["pbx"], &known[0]["side"]), (&json!("a"), &json!("first")));
    assert_eq!((&known[1]["pbx"], &known[1]["side"]), (&json!("b"), &json!("second")));
    let status = node.get("/v1/status", ADMIN).await;
    assert_eq!(status["calls"].as_array().unwrap().len(), 2);
    assert!(!status.to_string().contains("/a/"), "an address would let the reader write to the client");
}

/// What the API can say, the page can put into words.
#[tokio::test]
async fn the_page_has_a_sentence_for_every_reason_and_every_step() {
    let node = TestNode::start().await;
    let page = node.http.get(node.url("/")).send().await.unwrap().text().await.unwrap();
    let table = |name: &str| page.split_once(&format!("const {name} = {{")).unwrap().1.split_once("};").unwrap().0;
    for reason in Reason::ALL {
        let word = reason.as_str();
        let keyed = [format!("\"{word}\": \""), format!(" {word}: \"")];
        assert!(keyed.iter().any(|key| table("words").contains(key)), "no sentence for {word}");
    }
    let schemas = node.get("/openapi.json", ADMIN).await["components"]["schemas"].clone();
    let steps: Vec<String> = all_steps(&schemas["TimelineDetail"]);
    assert_eq!(steps.len(), 12, "{steps:?}");
    for word in steps {
        assert!(table("tells").contains(&format!("\n  {word}: ")), "no sentence for {word}");
    }
    for side in schemas["TimelineSide"]["enum"].as_array().unwrap() {
        assert!(table("sides").contains(&format!("{}: ", side.as_str().unwrap())), "no word for {side}");
    }
}

/// The words of `step` wherever the schema has them.
fn all_steps(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(all) => {
            let own = all.get("step").and_then(|step| step["enum"][0].as_str()).map(str::to_owned);
            own.into_iter().chain(all.values().flat_map(all_steps)).collect()
        }
        Value::Array(all) => all.iter().flat_map(all_steps).collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn metrics_name_what_happened() {
    let node = TestNode::start().await;
    node.number(ALICE, json!({"pbx": "a"})).await;
    node.decide("leg-1", ALICE, BOB).await;
    node.http.get(node.url("/nowhere/really")).send().await.unwrap();
    let text = node.http.get(node.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "sidecall_decisions_total{route=\"pstn\",reason=\"caller-has-no-client\"}",
        "sidecall_decision_seconds_bucket",
        "sidecall_http_requests_total{method=\"PUT\",route=\"/v1/numbers/{number}\",status=\"200\"}",
        "sidecall_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"}",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    assert!(!text.contains("really"));
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let node = TestNode::start().await;
    let page = node.http.get(node.url("/")).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert_eq!(page.headers()["x-content-type-options"], "nosniff");
    let text = page.text().await.unwrap();
    assert!(!text.contains("https://") && !text.contains("http://"), "no asset comes from elsewhere");
    assert!(!text.contains("innerHTML"), "what callers say is never taken for markup");
}

#[tokio::test]
async fn the_api_is_described() {
    let node = TestNode::start().await;
    let (status, document) = answer(node.request(Method::GET, "/openapi.json", ADMIN)).await;
    assert_eq!((status.as_u16(), &document["openapi"]), (200, &json!("3.1.0")));
    assert!(document["paths"]["/v1/numbers:import"]["post"].is_object());
    for method_and_path in sidecall::node::ROUTES {
        assert!(document["paths"][method_and_path.1][method_and_path.0].is_object(), "{method_and_path:?}");
    }
}

#[tokio::test]
async fn tls_is_served_with_the_files_of_the_configuration() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let node = TestNode::start_with(|config, folder| {
        let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        config.tls = Some(sidecall::node::TlsFiles { cert, key, client_ca: None });
        config.public_url = Some("https://localhost:8600".to_owned());
    })
    .await;
    let root = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([root]).build().unwrap();
    let url = format!("https://localhost:{}/healthz", node.address.port());
    assert_eq!(http.get(url).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn no_text_of_a_link_report_is_longer_than_500_characters() {
    let node = TestNode::start().await;
    for field in ["agent", "error", "version", "node"] {
        for (length, expected) in [(500, 200_u16), (501, 422)] {
            let mut report = json!({"kind": "asterisk", "agent": "x", "link": "up", "since": 1});
            report[field] = "x".repeat(length).into();
            let (status, answer) = node.send(Method::PUT, "/v1/pbxs/a", AGENT, report).await;
            assert_eq!(status, expected, "{field}: {answer}");
            assert!(expected == 200 || answer["field"] == field, "{answer}");
        }
    }
}

/// An agent tells its calls again to another process.
#[tokio::test]
async fn a_node_names_its_process_and_each_start_has_a_new_name() {
    let mut names = Vec::new();
    for _ in 0..2 {
        let node = TestNode::start().await;
        for (path, token) in [("/healthz", ""), ("/v1/calls", AGENT)] {
            let answer = node.request(Method::GET, path, token).send().await.unwrap();
            let name = answer.headers()["sidecall-process"].to_str().unwrap().to_owned();
            assert!(uuid::Uuid::try_parse(&name).is_ok(), "{path}: {name}");
            names.push(name);
        }
    }
    names.dedup();
    assert_eq!(names.len(), 2, "{names:?}");
}
