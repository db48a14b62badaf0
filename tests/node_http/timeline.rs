//! The timeline of a call between two organisations: each node tells the other of its side.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{ADMIN, AGENT, ALICE, Stream, TestNode, answer, ended};
use crate::two_nodes::{FRED, TOKEN, Two, talks};

/// What a call's timeline says of the other node's side.
fn there(call: &Value) -> Vec<(&str, &str)> {
    let steps = call["timeline"].as_array().unwrap().iter().filter(|step| step["step"] == "there");
    steps.map(|step| (step["what"].as_str().unwrap(), step["side"].as_str().unwrap())).collect()
}

/// A call as an administrator sees it, once the other node has told this many steps of its side.
async fn told_of_the_other(node: &TestNode, call: &str, steps: usize) -> Value {
    for _ in 0..250 {
        let view = node.get(&format!("/v1/calls/{call}"), ADMIN).await;
        if there(&view).len() == steps {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{:#}", node.get(&format!("/v1/calls/{call}"), ADMIN).await["timeline"])
}

/// Fred's PBX announces the call.
async fn announced(two: &Two) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let request = json!({"pbx": "b", "leg": "b-1", "calling": ALICE, "called": FRED, "side": "terminating",
        "announced": now});
    two.b.send(Method::POST, "/v1/calls", AGENT, request).await.1["call"].as_str().unwrap().to_owned()
}

/// Both answer, their clients are told, and they hang up.
async fn talk_and_hang_up(two: &Two, [alice, fred]: [&mut Stream; 2], (out, come): (&str, &str)) {
    talks(&two.b, come, "b-1").await;
    let peer = fred.next().await;
    let told = json!({"type": "peer", "peer": peer["own"]});
    assert_eq!(answer(two.a.http.post(peer["peer"]["address"].as_str().unwrap()).json(&told)).await.0, 202);
    talks(&two.a, out, "a-1").await;
    alice.next().await;
    for (node, call, leg) in [(&two.b, come, "b-1"), (&two.a, out, "a-1")] {
        node.events(call, 3, &[ended(leg), ended(&format!("{leg}-dialled"))]).await;
    }
}

#[tokio::test]
async fn both_nodes_tell_the_call_as_one_story() {
    let (two, mut alice, mut fred) = Two::with_clients().await;
    let out = two.offered("a-1").await;
    let come = announced(&two).await;
    // While it rings, before anybody's address was given: that there is a client is nobody's business.
    let ringing = told_of_the_other(&two.a, &out, 2).await;
    assert_eq!(there(&ringing), [("announced", "second"), ("decided", "second")]);
    let decided = ringing["timeline"].as_array().unwrap().iter().find(|step| step["what"] == "decided").unwrap();
    assert_eq!((&decided["node"], &decided["reason"], &decided["route"]), (&json!("b"), &Value::Null, &Value::Null));
    talk_and_hang_up(&two, [&mut alice, &mut fred], (&out, &come)).await;
    let [at_a, at_b] = [told_of_the_other(&two.a, &out, 6).await, told_of_the_other(&two.b, &come, 5).await];
    let whole = ["announced", "decided", "answered", "paired", "pushed", "ended"];
    assert_eq!(there(&at_a), whole.map(|what| (what, "second")));
    // A's PBX hasn't said when it announced the call.
    assert_eq!(there(&at_b), [whole[1], whole[2], whole[3], whole[4], whole[5]].map(|what| (what, "first")));
    let find = |call: &Value, what: &str| {
        let mut steps = call["timeline"].as_array().unwrap().iter();
        steps.find(|step| step["what"] == what || step["step"] == what).unwrap().clone()
    };
    assert_eq!(
        (&find(&at_b, "there")["reason"], &find(&at_b, "there")["node"]),
        (&json!("called-not-served"), &json!("a"))
    );
    let steps = at_a["timeline"].as_array().unwrap();
    let why = steps.iter().find(|step| step["what"] == "decided").unwrap();
    assert_eq!((&why["reason"], &why["route"]), (&json!("called-has-client"), &json!("local")));
    // The same moment by both nodes, to what a request takes.
    let times = [find(&at_a, "ended"), find(&at_b, "ended")].map(|step| step["at"].as_i64().unwrap());
    assert!((times[0] - times[1]).abs() < 1_000, "{times:?}");
}

/// The called side's PBX says only later that the call is over: on a busy machine, or because its link was lost.
#[tokio::test]
async fn an_end_that_comes_late_is_asked_for_again() {
    let (two, _alice, _fred) = Two::with_clients().await;
    let out = two.offered("a-1").await;
    let come = announced(&two).await;
    talks(&two.b, &come, "b-1").await;
    talks(&two.a, &out, "a-1").await;
    two.a.events(&out, 3, &[ended("a-1"), ended("a-1-dialled")]).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = two.a.get(&format!("/v1/calls/{out}"), ADMIN).await;
    assert!(!there(&before).contains(&("ended", "second")) && there(&before).len() >= 3, "{before:#}");
    two.b.events(&come, 3, &[ended("b-1"), ended("b-1-dialled")]).await;
    let whole = told_of_the_other(&two.a, &out, there(&before).len() + 1).await;
    assert!(there(&whole).contains(&("ended", "second")), "{whole:#}");
}

#[tokio::test]
async fn whose_client_gives_its_address_to_nobody_there_is_not_said_to_have_one() {
    let two = Two::start().await;
    two.a.client(ALICE, json!({})).await;
    two.b.client(FRED, json!({"offer": "served"})).await;
    let out = two.offered("a-1").await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    talks(&two.b, &come, "b-1").await;
    talks(&two.a, &out, "a-1").await;
    let known = told_of_the_other(&two.a, &out, 3).await;
    assert_eq!(there(&known), ["decided", "answered", "paired"].map(|what| (what, "second")));
    assert!(!known["timeline"].to_string().contains("called-has-client"), "{:#}", known["timeline"]);
}

#[tokio::test]
async fn a_part_of_a_call_is_for_the_node_that_offered_it() {
    let (two, _alice, _fred) = Two::with_clients().await;
    let out = two.offered("a-1").await;
    let come = two.b.arrive("b-1", Some(ALICE), FRED, None).await;
    let tell = async |call: &str, token: &str, part: Value| {
        two.b.send(Method::POST, &format!("/v1/peer/offers/{call}/part"), token, part).await
    };
    // An offer that nobody has made, and one that no call has used.
    let unused = two.a.decide("a-2", ALICE, FRED).await["call"].as_str().unwrap().to_owned();
    two.accepted(&unused).await;
    for call in ["0199-9", &come, &unused] {
        let (status, body) = tell(call, TOKEN, json!({"steps": []})).await;
        assert_eq!((status.as_u16(), &body["steps"]), (200, &json!([])), "{call}");
    }
    for token in [ADMIN, AGENT, "nobodys-token-0123"] {
        let (status, _) = tell(&out, token, json!({"steps": []})).await;
        assert!([401, 403].contains(&status.as_u16()), "{status}");
    }
    let step = json!({"ago": 1, "what": "answered"});
    for wrong in [
        json!({"steps": vec![step.clone(); 9]}),
        json!({"steps": [{"ago": -1, "what": "answered"}]}),
        json!({"steps": [{"ago": 5_000_000_000_u64, "what": "answered"}]}),
        json!({"steps": [{"ago": 1, "what": "<b>answered</b>"}]}),
        json!({"steps": [{"ago": 1, "what": "decided", "reason": "because I say so"}]}),
        json!({"steps": [], "more": 1}),
        json!([]),
    ] {
        let (status, body) = tell(&out, TOKEN, wrong.clone()).await;
        assert_eq!(status, 422, "{wrong}: {body}");
    }
    let (status, body) = tell(&out, TOKEN, json!({"steps": [step]})).await;
    assert_eq!((status.as_u16(), &body["steps"][0]["what"]), (200, &json!("decided")), "{body}");
    assert!(!body.to_string().contains(FRED), "{body}");
    told_of_the_other(&two.b, &come, 1).await;
}

/// What a real browser makes of a page, or one line says that there is none.
pub(crate) fn rendered(url: &str) -> Option<String> {
    let profile = tempfile::tempdir().unwrap();
    let mut browser = std::process::Command::new("chromium");
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]);
    browser.args(["--disable-background-networking", "--disable-component-update", "--virtual-time-budget=3000"]);
    browser.arg(format!("--user-data-dir={}", profile.path().display())).args(["--dump-dom", url]);
    match browser.output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            eprintln!("skipped: chromium: {error}: the script of the status page is not run");
            None
        }
    }
}

/// The words of a piece of markup.
pub(crate) fn text(markup: &str) -> String {
    let words = markup.split('<').map(|piece| piece.split_once('>').map_or(piece, |(_, text)| text));
    words.collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_page_shows_both_ends_as_one_story() {
    let (two, mut alice, mut fred) = Two::with_clients().await;
    let out = two.offered("a-1").await;
    let come = announced(&two).await;
    talk_and_hang_up(&two, [&mut alice, &mut fred], (&out, &come)).await;
    told_of_the_other(&two.a, &out, 6).await;
    let url = two.a.url(&format!("/#{out}"));
    let Some(page) = tokio::task::spawn_blocking(move || rendered(&url)).await.unwrap() else { return };
    let steps = page.split("<ol class=\"steps\">").nth(1).and_then(|rest| rest.split("</ol>").next());
    let story = text(steps.unwrap_or_else(|| panic!("no story in {page}")));
    let mut rest = story.as_str();
    for (end, what) in [
        ("caller", "decided: called number is not served here"),
        ("caller", "sent through to-b"),
        ("remote side", "offered to b"),
        ("called", "announced says b"),
        ("called", "decided: both have clients route local"),
        ("called", "answered says b"),
        ("caller", "+12125550100 told the other's address"),
        ("both", "ended"),
    ] {
        let found = rest.split_once(&format!("{end} {what}"));
        rest = found.unwrap_or_else(|| panic!("no {end} {what} in its place: {story}")).1;
    }
    assert!(!page.contains("class=\"more\" hidden"), "the call that is asked for is open");
    assert!(page.contains("<section id=\"nodes\"></section>"), "a node alone on its file has no list of nodes");
}
