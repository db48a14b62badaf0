//! What ends or hangs inside the process is said by `/readyz` and ends it with a reason; without a PBX.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that can't go on says where")]

#[path = "silent_death/daemon.rs"]
mod daemon;
#[path = "silent_death/frozen.rs"]
mod frozen;
#[path = "silent_death/lease.rs"]
mod lease;
#[path = "silent_death/stand_by.rs"]
mod stand_by;
#[path = "silent_death/watchdog.rs"]
mod watchdog;

use std::fs;
use std::path::Path;
use std::time::Duration;

use daemon::{ALICE, Daemon, sqlite, wait_until};
use frozen::Frozen;
use sidecall::monitor::Tasks;
use sidecall::node::{BootstrapTokens, Node, NodeConfig, NodeListener};
use sidecall::store::{Location, Store};
use tokio_util::sync::CancellationToken;
use watchdog::Watchdog;

const DAY: i64 = 86_400;

/// The tasks of agent and node, with a PBX that isn't there.
#[test]
fn the_status_lists_every_part_that_must_go_on() {
    let daemon = Daemon::start("run", |_, config| {
        config.push_str(
            "[[pbx]]\nname = \"a\"\nkind = \"freeswitch\"\naddress = \"127.0.0.1:9\"\ndirect = \"127.0.0.1:0\"\n",
        );
        config.push_str("password_file = \"admin.token\"\ncontext = \"a.example\"\nregion = \"US\"\n");
    });
    let parts = ["HTTP server", "agent", "courier of a", "database probe", "direct listener of a", "link to a", "node"];
    let parts = [&parts[..], &["node's stop", "reports of a", "store writer", "sweep"]].concat();
    let listed = || {
        let status = daemon.get("/v1/status");
        let tasks = status["tasks"].as_array().cloned().unwrap_or_default();
        assert!(tasks.iter().all(|task| task["trouble"].is_null()), "{tasks:?}");
        tasks.iter().map(|task| task["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(wait_until(Duration::from_secs(5), || listed() == parts), "{:?}", listed());
}

/// Whether a file has only tests, or what they use: `FILE_tests.rs`, `test_FILE.rs`, or all in `tests/`.
fn is_of_tests(path: &Path) -> bool {
    let name = path.file_stem().unwrap().to_str().unwrap();
    name.ends_with("tests") || name.starts_with("test_") || path.parent().unwrap().ends_with("tests")
}

/// Every task is registered, or watched by who started it.
#[test]
fn no_task_is_started_that_nobody_watches() {
    // They watch what they start: a request waits for it, a store and a connection are told by its end, a lease lapses
    // without it, other nodes miss a heartbeat, and the last two do something after the brief task in them.
    const WATCHED: [&str; 11] = [
        "node/run_to_completion.rs",
        "store/writer/mod.rs",
        "store/sql/keeper.rs",
        "store/sql/heartbeat.rs",
        "esl/outbound.rs",
        "pbx/freeswitch/mod.rs",
        "pbx/asterisk/mod.rs",
        "cli/",
        "node/peering/outbound/peer_tasks.rs",
        "push/mod.rs",
        "guard/mod.rs",
    ];
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut unwatched = Vec::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&src).unwrap().display().to_string();
            if is_of_tests(&path) {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            if WATCHED.iter().any(|watched| name.starts_with(watched)) || name == "monitor/tasks.rs" {
                continue;
            }
            let code = text.split("#[cfg(test)]").next().unwrap();
            for start in ["tokio::spawn(", "calls.spawn("] {
                let after = code.match_indices(start).map(|(at, _)| code[at + start.len()..].trim_start());
                let bad = after.filter(|rest| !rest.starts_with("brief(") && !rest.starts_with("task.run("));
                unwatched.extend(bad.map(|rest| format!("{name}: {}", rest.lines().next().unwrap())));
            }
        }
    }
    assert!(unwatched.is_empty(), "{unwatched:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_ends_fails_readiness_at_once_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let config = NodeConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        database: Location::File(folder.path().join("sidecall.db")),
        ..NodeConfig::default()
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let store = Store::open(&config.database).await.unwrap();
    let (tasks, stop) = (Tasks::default(), CancellationToken::new());
    let listener = NodeListener::bind(&config).unwrap();
    let node = Node::at(&listener, &BootstrapTokens::default(), store.clone(), tasks.clone()).await.unwrap();
    let address = node.local_addr();
    let serving = tokio::spawn(node.serve(stop.clone()));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let ready = || async {
        let answer = http.get(format!("http://{address}/readyz")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    assert_eq!(ready().await.0, 200);
    // Nobody but the node itself should do this.
    store.close().await;
    let ended = tokio::time::timeout(Duration::from_secs(2), tasks.failed()).await.expect("it is noticed");
    assert_eq!(ended.task, "store writer");
    let (status, text) = ready().await;
    assert!(status == 503 && text.contains("store writer has ended"), "{status} {text}");
    stop.cancel();
    serving.await.unwrap().unwrap();
}

#[test]
fn a_lock_is_told_at_once_and_gone_with_it() {
    let daemon = Daemon::start("node", |_, _| ());
    // Nobody writes anything meanwhile but the node itself.
    let mut lock = sqlite::Session::open(&daemon.path("sidecall.db"));
    lock.say("BEGIN EXCLUSIVE;");
    daemon.says("database is locked", Duration::from_secs(4));
    lock.say("ROLLBACK;");
    assert!(wait_until(Duration::from_secs(4), || daemon.ready().0 == 200), "{:?}", daemon.ready());
    daemon.number(ALICE);
}

#[test]
fn a_database_that_is_deleted_ends_the_process_with_the_reason_and_is_kept() {
    let mut daemon = Daemon::start("node", |_, _| ());
    daemon.number(ALICE);
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(daemon.path(&format!("sidecall.db{suffix}")));
    }
    let status = daemon.wait(Duration::from_secs(6));
    let log = daemon.log();
    assert_eq!(status.and_then(|status| status.code()), Some(1), "{log}");
    assert!(log.contains("sidecall: database has ended: its file was deleted while it was in use"), "{log}");
    // The directory isn't lost with it.
    let kept = fs::read_dir(daemon.path("")).unwrap().flatten().map(|file| file.path());
    let kept = kept.into_iter().find(|file| file.to_string_lossy().contains(".kept-")).expect("a copy");
    assert!(sqlite::ask(&kept, "SELECT number FROM numbers").contains(ALICE));
    fs::rename(kept, daemon.path("sidecall.db")).unwrap();
    daemon.start_again();
    assert_eq!(daemon.get(&format!("/v1/numbers/{}", ALICE.replace('+', "%2B")))["number"], ALICE);
}

/// A disk on which writes hang: for a moment the process lives on, for longer it isn't kept alive any more.
#[test]
fn a_hung_writer_is_told_and_no_longer_fed_and_a_slow_disk_is_no_reason() {
    let folder = tempfile::tempdir().unwrap();
    frozen::make(folder.path());
    let watchdog = Watchdog::new(folder.path());
    let watching = watchdog.clone();
    let daemon = Daemon::start_in(folder.path(), "node", move |command, config| {
        watching.watches(command, Duration::from_secs(2));
        frozen::mount(command);
        *config = config.replace("\"sidecall.db\"", "\"disk/sidecall.db\"");
        // The disk is smaller than the space that is kept free by default.
        *config += "\n[node.storage]\nfree_mb = 0\n";
    });
    assert!(wait_until(Duration::from_secs(5), || watchdog.fed() >= 2), "{}", daemon.log());
    let disk = Frozen::new(folder.path(), daemon.pid());
    let before = watchdog.fed();
    // The database is written every five seconds by itself.
    daemon.says("does not answer", Duration::from_secs(9));
    std::thread::sleep(Duration::from_secs(1));
    assert!(watchdog.fed() >= before + 3, "a slow disk stops the watchdog's food");
    assert!(
        wait_until(Duration::from_secs(15), || daemon.log().contains("the watchdog is not fed")),
        "{}",
        daemon.log()
    );
    daemon.says("store writer has made no progress", Duration::from_secs(1));
    let hungry = watchdog.fed();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(watchdog.fed(), hungry);
    drop(disk);
    assert!(wait_until(Duration::from_secs(5), || watchdog.fed() > hungry), "{}", daemon.log());
    assert!(wait_until(Duration::from_secs(5), || daemon.ready().0 == 200), "{:?}", daemon.ready());
    daemon.number(ALICE);
}

/// Whatever the wall clock did between two runs, who is bound stays so, and a call that is up stays up.
#[test]
fn a_restart_after_a_jump_ends_no_call_and_deletes_no_binding() {
    let mut daemon = Daemon::start("node", |command, _| daemon::own_clock(command));
    daemon.number(ALICE);
    // A decision is written behind its answer: what is written after it says that it is there.
    let call = daemon.call("leg-1", ALICE, "+12125550101");
    let client = daemon.bind(ALICE, "https://hook.example/");
    for jump in [DAY, -DAY] {
        daemon.step(jump);
        daemon.start_again();
        // The first housekeeping comes with the start, and the second after it.
        std::thread::sleep(Duration::from_millis(2_500));
        assert!(daemon.is_bound(&client), "{jump}: {}", daemon.log());
        assert_eq!(daemon.get(&format!("/v1/calls/{call}"))["phase"], "decided", "{jump}");
    }
    daemon.report(&call, &serde_json::json!({"seq": 1, "at": 1, "event": "ended", "leg": "leg-1"}));
    // With no call up, the wall clock is believed again, and clients keep what is left to them.
    daemon.start_again();
    assert!(daemon.is_bound(&client), "{}", daemon.log());
    let now = daemon.get("/v1/status")["now"].as_i64().unwrap() / 1_000;
    assert!((now - daemon::real_time() + DAY).abs() < 10, "{now}");
}
