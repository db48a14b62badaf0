//! A second process on a PostgreSQL database stands by, and takes over.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use reqwest::header::RETRY_AFTER;
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};
use tokio::runtime::Runtime;

use crate::daemon::{ALICE, Daemon, on, wait_until};

const BOB: &str = "+12125550101";
const SOON: Duration = Duration::from_secs(15);

fn text(daemon: &Daemon, path: &str) -> String {
    daemon.answer(path).unwrap().text().unwrap()
}

/// Waits until the status of a node lists these ones, and its metrics count so many that stand by.
fn lists(daemon: &Daemon, nodes: &[(&Daemon, &str)], standing: usize) {
    let of = |node: &Value| (node["process"].as_u64().unwrap(), node["url"].clone(), node["role"].clone());
    let expected = |(node, role): &(&Daemon, &str)| {
        (u64::from(node.pid()), Value::from(format!("http://{}", node.address())), Value::from(*role))
    };
    let expected: Vec<_> = nodes.iter().map(expected).collect();
    let listed = || daemon.get("/v1/status")["nodes"].as_array().into_iter().flatten().map(of).collect::<Vec<_>>();
    let count = format!("sidecall_nodes{{role=\"stand_by\"}} {standing}");
    let counted = || text(daemon, "/metrics").lines().any(|line| line == count);
    assert!(wait_until(SOON, || listed() == expected && counted()), "{:?}\n{}", listed(), daemon.log());
}

#[test]
fn a_node_stands_by_and_takes_over_when_the_other_one_is_killed() {
    let Some(server) = lab::Postgres::or_skip() else { return };
    let mut active = Daemon::start("node", on(&server));
    let next = Daemon::stand_by("node", on(&server));
    // Who it is stands where administrators look, and nowhere else.
    next.says(&format!("the node stands by: process {} on ", active.pid()), SOON);
    assert_eq!(text(&next, "/healthz"), "the node stands by\n");
    let ready: Value = serde_json::from_str(&text(&next, "/readyz")).unwrap();
    assert_eq!((&ready["status"], &ready["stand_by"]), (&503.into(), &"waits".into()));
    let refusal = next.answer("/client/").unwrap();
    assert_eq!((refusal.status().as_u16(), &refusal.headers()[RETRY_AFTER]), (503, &"1".parse().unwrap()));
    let refusal = refusal.text().unwrap();
    assert!(refusal.contains("another one serves") && !refusal.contains("process"), "{refusal}");
    assert!(text(&next, "/metrics").lines().any(|line| line == "sidecall_stand_by 1"));
    lists(&active, &[(&active, "active"), (&next, "stand_by")], 1);
    active.signal("KILL");
    let killed = Instant::now();
    next.wait_ready();
    eprintln!("it took over after {} ms", killed.elapsed().as_millis());
    next.call("leg-1", ALICE, BOB);
    assert!(text(&next, "/metrics").lines().any(|line| line == "sidecall_stand_by 0"));
    // Systemd starts the killed one again: it stands by, and its earlier row goes.
    active.begin_again();
    active.says("the node stands by", SOON);
    lists(&next, &[(&next, "active"), (&active, "stand_by")], 1);
    active.signal("KILL");
    let counted = || text(&next, "/metrics").lines().any(|line| line == "sidecall_nodes{role=\"stand_by\"} 0");
    assert!(wait_until(SOON, counted), "{}", next.log());
}

/// Somebody else has its port. Systemd starts it again and again, and it never stands by.
#[test]
fn a_node_that_cant_listen_is_not_listed() {
    let Some(server) = lab::Postgres::or_skip() else { return };
    let active = Daemon::start("node", on(&server));
    let mut other = Daemon::stand_by("node", on(&server));
    lists(&active, &[(&active, "active"), (&other, "stand_by")], 1);
    other.signal("KILL");
    other.wait(SOON);
    let _holds = TcpListener::bind(other.address()).unwrap();
    other.begin_again();
    assert_eq!(other.wait(SOON).map(|status| status.success()), Some(false), "{}", other.log());
    assert!(other.log().contains("in use"), "{}", other.log());
    // The killed one, which nothing stands in for, is not there any more.
    let counted = || text(&active, "/metrics").lines().any(|line| line == "sidecall_nodes{role=\"stand_by\"} 0");
    assert!(wait_until(SOON, counted), "{}", active.log());
    let pid = u64::from(other.pid());
    let nodes = active.get("/v1/status")["nodes"].clone();
    assert!(nodes.as_array().unwrap().iter().all(|node| node["process"] != pid), "{nodes:#}");
}

/// Runs a statement as another program does.
fn run(server: &lab::Postgres, statement: &'static str) {
    let running = async {
        let mut other = PgConnection::connect(&server.url()).await.unwrap();
        other.execute(statement).await.unwrap();
    };
    Runtime::new().unwrap().block_on(running);
}

/// Runs statements in a transaction of another program. It ends when the connection is dropped.
fn lock(server: &lab::Postgres, statements: &'static str) -> (Runtime, PgConnection) {
    let runtime = Runtime::new().unwrap();
    let mut other = runtime.block_on(PgConnection::connect(&server.url())).unwrap();
    runtime.block_on(sqlx::raw_sql(statements).execute(&mut other)).unwrap();
    (runtime, other)
}

/// Somebody takes the table away, and puts it back. Meanwhile the node starts once more.
#[test]
fn a_node_that_cant_refresh_the_list_says_so_in_its_log() {
    let Some(server) = lab::Postgres::or_skip() else { return };
    let mut active = Daemon::start("node", on(&server));
    lists(&active, &[(&active, "active")], 0);
    run(&server, "ALTER TABLE nodes RENAME TO others");
    let failure = "the list of nodes can't be refreshed";
    let warns = |daemon: &Daemon| daemon.log().lines().any(|line| line.contains("WARN") && line.contains(failure));
    assert!(wait_until(SOON, || warns(&active)), "{}", active.log());
    active.start_again();
    assert!(wait_until(SOON, || warns(&active)), "{}", active.log());
    assert_eq!(active.get("/v1/status")["nodes"], Value::from(Vec::<Value>::new()));
    run(&server, "ALTER TABLE others RENAME TO nodes");
    let works = || active.log().contains("the list of nodes is refreshed again");
    assert!(wait_until(SOON, works), "{}", active.log());
    assert_eq!(active.log().matches(failure).count(), 1, "{}", active.log());
}

#[test]
fn a_node_that_stands_by_can_be_stopped_and_one_that_is_stopped_lets_it_serve() {
    let Some(server) = lab::Postgres::or_skip() else { return };
    let mut active = Daemon::start("node", on(&server));
    let mut stopped = Daemon::stand_by("node", on(&server));
    lists(&active, &[(&active, "active"), (&stopped, "stand_by")], 1);
    stopped.signal("TERM");
    assert_eq!(stopped.wait(SOON).and_then(|status| status.code()), Some(0), "{}", stopped.log());
    lists(&active, &[(&active, "active")], 0);
    let next = Daemon::stand_by("node", on(&server));
    active.signal("TERM");
    assert_eq!(active.wait(SOON).and_then(|status| status.code()), Some(0), "{}", active.log());
    next.wait_ready();
    lists(&next, &[(&next, "active")], 0);
}

/// Its row can't be deleted at once. Whoever asks meanwhile must not wait for an answer that never comes.
#[test]
fn a_node_that_stands_by_answers_until_it_has_stopped() {
    let Some(server) = lab::Postgres::or_skip() else { return };
    let active = Daemon::start("node", on(&server));
    let mut stopped = Daemon::stand_by("node", on(&server));
    lists(&active, &[(&active, "active"), (&stopped, "stand_by")], 1);
    let _locked = lock(&server, "BEGIN; LOCK TABLE nodes IN ACCESS EXCLUSIVE MODE");
    stopped.signal("TERM");
    thread::sleep(Duration::from_millis(300));
    let answer = stopped.answer("/readyz").map(|answer| answer.status().as_u16());
    assert_eq!(answer.unwrap(), 503, "{}", stopped.log());
    assert_eq!(stopped.wait(SOON).and_then(|status| status.code()), Some(0), "{}", stopped.log());
}

/// It loads the directory when it is stopped.
#[test]
fn a_node_that_is_stopped_while_it_takes_over_leaves_nothing_behind() {
    let Some(server) = lab::Postgres::or_skip() else { return };
    let mut active = Daemon::start("node", on(&server));
    let mut next = Daemon::stand_by("node", on(&server));
    let (runtime, mut other) = lock(&server, "BEGIN; LOCK TABLE numbers IN ACCESS EXCLUSIVE MODE");
    active.signal("TERM");
    assert!(active.wait(SOON).is_some(), "{}", active.log());
    let takes_over = || text(&next, "/readyz").contains("\"stand_by\":\"takes_over\"");
    assert!(wait_until(SOON, takes_over), "{}", next.log());
    next.signal("TERM");
    assert_eq!(next.wait(SOON).and_then(|status| status.code()), Some(0), "{}", next.log());
    let mut number =
        |select: &'static str| -> i64 { runtime.block_on(sqlx::query_scalar(select).fetch_one(&mut other)).unwrap() };
    // It was the second owner, and each release gives the lease the next number, too.
    assert_eq!(number("SELECT fencing FROM leases"), 4);
    assert_eq!(number("SELECT COUNT(*) FROM nodes"), 0);
}

/// `sidecall run` on each of two machines: the agent uses the other one's node.
#[test]
fn an_agent_works_while_the_node_in_its_process_stands_by() {
    let Some(server) = lab::Postgres::or_skip() else { return };
    let on_server = on(&server);
    let active = Daemon::start("node", on_server.clone());
    let pbx = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (port, other) = (pbx.local_addr().unwrap().port(), format!("http://{}", active.address()));
    let standing = Daemon::stand_by("run", move |command, config| {
        on_server(command, config);
        let own = config.lines().find_map(|line| line.strip_prefix("node = ")).unwrap().to_owned();
        *config = config.replace(&format!("node = {own}"), &format!("nodes = [{own}, \"{other}\"]"));
        config.push_str(&format!(
            "[[pbx]]\nname = \"a\"\nkind = \"freeswitch\"\naddress = \"127.0.0.1:{port}\"\ncontext = \"a.example\"\n\
             password_file = \"admin.token\"\nregion = \"US\"\n"
        ));
    });
    drop(pbx.accept().unwrap());
    let metrics = text(&standing, "/metrics");
    assert!(metrics.contains("sidecall_agent_node_used"), "{metrics}");
    // The link that is down is reported to the node that serves.
    let reported =
        || active.get("/v1/status")["pbxs"].as_array().is_some_and(|all| all.iter().any(|p| p["pbx"] == "a"));
    assert!(wait_until(SOON, reported), "{}", standing.log());
    active.wait_ready();
    lists(&active, &[(&active, "active"), (&standing, "stand_by")], 1);
    let doctor = Command::new(env!("CARGO_BIN_EXE_sidecall"))
        .args(["--config", "sidecall.toml", "doctor", "--json"])
        .current_dir(standing.path(""))
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let verdicts = |about: &str| {
        let findings = report["findings"].as_array().unwrap().iter().filter(|found| found["about"] == about);
        findings.map(|found| found["verdict"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(verdicts(&format!("node http://{}/", standing.address())), ["ok"], "{report:#}");
    assert_eq!(verdicts(&format!("node http://{}/", active.address())), ["ok", "ok", "ok"], "{report:#}");
    assert_eq!(verdicts("nodes"), ["ok"], "{report:#}");
}
