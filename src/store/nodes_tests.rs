//! Each node on a PostgreSQL database shows that it is there, and nothing depends on it.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::test_database::{TestDatabase, node_row};
use super::{Location, NumberRow, Store, WRITE_BUDGET, sql};
use crate::contract::NodeRole::{Active, StandBy};
use crate::contract::{NodeRole, NodeView};
use crate::core::base::time::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const FIRST: &str = "http://127.0.0.1:1";
const SECOND: &str = "http://127.0.0.1:2";

/// Opens the database as a node does, which listens on a port.
async fn node(location: Location, port: u16) -> Store {
    let (told, _) = watch::channel(None);
    Store::stand_by(location, node_row(port), told, CancellationToken::new()).await.unwrap()
}

fn known(store: &Store) -> Vec<NodeView> {
    store.nodes(NOW).expect("it is a node")
}

fn roles(nodes: &[NodeView]) -> Vec<(&str, NodeRole)> {
    nodes.iter().map(|node| (node.url.as_str(), node.role)).collect()
}

/// Waits until the node knows these ones.
async fn until_known(store: &Store, expected: &[(&str, NodeRole)]) -> Vec<NodeView> {
    let deadline = Instant::now() + 3 * WRITE_BUDGET;
    loop {
        let nodes = known(store);
        if roles(&nodes) == expected {
            return nodes;
        }
        assert!(Instant::now() < deadline, "{nodes:#?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_node_that_serves_knows_those_that_stand_by() {
    let Some(database) = TestDatabase::postgres() else { return };
    let active = node(database.location(), 1).await;
    let standing = tokio::spawn(node(database.location(), 2));
    let nodes = until_known(&active, &[(FIRST, Active), (SECOND, StandBy)]).await;
    for node in &nodes {
        assert_eq!((node.process, node.version.as_str()), (std::process::id(), env!("CARGO_PKG_VERSION")));
        assert!(node.is_here(NOW) && !node.machine.is_empty(), "{node:?}");
        assert!(node.started <= node.heartbeat && NOW - node.started < Duration::from_secs(60), "{node:?}");
    }
    active.close().await;
    let next = standing.await.unwrap();
    // The other one has removed its row.
    until_known(&next, &[(SECOND, Active)]).await;
    next.close().await;
}

#[tokio::test]
async fn a_node_that_stood_by_and_stops_is_not_listed() {
    let Some(database) = TestDatabase::postgres() else { return };
    let active = node(database.location(), 1).await;
    let ((told, _), stop) = (watch::channel(None), CancellationToken::new());
    let standing = tokio::spawn(Store::stand_by(database.location(), node_row(2), told, stop.clone()));
    until_known(&active, &[(FIRST, Active), (SECOND, StandBy)]).await;
    // In the middle of a heartbeat.
    let holds = database.hold("SELECT 1 FROM nodes WHERE role = 'stand_by' FOR UPDATE").await;
    database.until_waiting().await;
    stop.cancel();
    drop(holds);
    assert!(standing.await.unwrap().is_err());
    let rows = "SELECT COUNT(*) FROM nodes WHERE role = 'stand_by'";
    assert_eq!(sql::scalar::<i64>(rows).fetch_one(&active.pool).await.unwrap(), 0);
    until_known(&active, &[(FIRST, Active)]).await;
}

/// Before it is told that another one has the database, a node doesn't listen, and may find that it can't.
#[tokio::test]
async fn a_node_that_only_starts_is_not_listed() {
    let Some(database) = TestDatabase::postgres() else { return };
    let active = node(database.location(), 1).await;
    let (told, mut reasons) = watch::channel(None);
    let mut starting = Box::pin(Store::stand_by(database.location(), node_row(2), told, CancellationToken::new()));
    tokio::select! {
        opened = &mut starting => panic!("two have the database: {opened:?}"),
        Ok(()) = reasons.changed() => {}
    }
    let mut last = until_known(&active, &[(FIRST, Active)]).await[0].heartbeat;
    // Until the active node has asked again: to a clock that stands still, its heartbeat becomes older before that.
    loop {
        let nodes = known(&active);
        assert_eq!(roles(&nodes), [(FIRST, Active)]);
        if nodes[0].heartbeat > last {
            break;
        }
        last = nodes[0].heartbeat;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// As two containers on machines of one name.
#[tokio::test]
async fn two_nodes_of_one_name_and_number_are_two() {
    let Some(database) = TestDatabase::postgres() else { return };
    let active = node(database.location(), 1).await;
    let _standing = tokio::spawn(node(database.location(), 1));
    until_known(&active, &[(FIRST, Active), (FIRST, StandBy)]).await;
}

/// Somebody restarts a node that can't start, again and again, or writes what it likes.
#[tokio::test]
async fn the_freshest_nodes_are_listed_and_no_name_is_long() {
    let Some(database) = TestDatabase::postgres() else { return };
    database.open().await.close().await;
    let left = "INSERT INTO nodes SELECT CAST(n AS TEXT), repeat('!', 10000), n, repeat('!', 10000), repeat('!', 10000), 'active',
        now() - INTERVAL '3 hours', now() - INTERVAL '2 hours' FROM generate_series(1, 150) AS n";
    database.run(left).await;
    let active = node(database.location(), 1).await;
    let deadline = Instant::now() + 3 * WRITE_BUDGET;
    while !known(&active).iter().any(|node| node.url == FIRST) {
        assert!(Instant::now() < deadline, "it isn't listed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let nodes = known(&active);
    assert_eq!(nodes.len(), 100);
    let texts = nodes.iter().flat_map(|node| [&node.machine, &node.url, &node.version]);
    assert_eq!(texts.map(|text| text.len()).max(), Some(255));
}

#[tokio::test]
async fn what_others_have_left_behind_is_forgotten() {
    let Some(database) = TestDatabase::postgres() else { return };
    database.open().await.close().await;
    let left = "INSERT INTO nodes (id, machine, process, url, version, role, started, heartbeat)
        SELECT CAST(process AS TEXT), machine, process, url, '0.0.9', role, now() - CAST(started AS INTERVAL), now() - CAST(heartbeat AS INTERVAL)
        FROM (VALUES
            ('gone', 1, 'http://a', 'stand_by', '3 days', '25 hours'),
            ('killed', 2, 'http://b', 'stand_by', '3 days', '23 hours'),
            ('restarted', 3, 'http://c', 'active', '3 hours', '2 hours'),
            ('restarted', 4, 'http://c', 'stand_by', '1 hour', '1 minute'),
            ('later', 5, 'http://d', 'arbiter', '1 hour', '0 seconds'),
            ('set back', 6, 'http://e', 'stand_by', '3 hours', '-1 hours'),
            ('far ahead', 7, 'http://f', 'stand_by', '3 hours', '-25 hours')
        ) AS nodes (machine, process, url, role, started, heartbeat)";
    database.run(left).await;
    let active = node(database.location(), 1).await;
    let left = [(FIRST, Active), ("http://b", StandBy), ("http://c", StandBy), ("http://e", StandBy)];
    let nodes = until_known(&active, &left).await;
    assert_eq!(nodes.iter().map(|node| node.is_here(NOW)).collect::<Vec<_>>(), [true, false, false, false]);
    let silence = NOW - nodes[2].heartbeat;
    assert!((Duration::from_secs(60)..Duration::from_secs(90)).contains(&silence), "{silence:?}");
}

/// As an older version leaves it, and as somebody does who has the table locked.
#[tokio::test]
async fn a_list_of_nodes_that_fails_holds_up_nothing() {
    for (fault, lasts) in
        [("ALTER TABLE nodes RENAME TO others", false), ("LOCK TABLE nodes IN ACCESS EXCLUSIVE MODE", true)]
    {
        let Some(database) = TestDatabase::postgres() else { return };
        let active = node(database.location(), 1).await;
        until_known(&active, &[(FIRST, Active)]).await;
        let _holds = if lasts { Some(database.hold(fault).await) } else { None };
        if !lasts {
            database.run(fault).await;
        }
        let (told, mut reasons) = watch::channel(None);
        let standing = tokio::spawn(Store::stand_by(database.location(), node_row(2), told, CancellationToken::new()));
        reasons.wait_for(Option::is_some).await.unwrap();
        let row = NumberRow::new("+12125550100".parse().unwrap(), Default::default());
        active.put_numbers(vec![row.clone()]).await.unwrap();
        assert!(active.is_fresh() && !active.is_failing());
        let taking_over = async {
            let begun = Instant::now();
            let next = standing.await.unwrap().unwrap();
            assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
            next
        };
        let ((), next) = tokio::join!(active.close(), taking_over);
        next.put_numbers(vec![row]).await.unwrap();
    }
}

/// The server answers all but the heartbeats, and the active node dies without a word.
#[tokio::test]
async fn a_heartbeat_without_an_answer_delays_no_take_over() {
    let Some(database) = TestDatabase::postgres() else { return };
    let dying = tokio::runtime::Runtime::new().unwrap();
    let active = dying.spawn(node(database.location(), 1)).await.unwrap();
    let standing = tokio::spawn(node(database.location(), 2));
    until_known(&active, &[(FIRST, Active), (SECOND, StandBy)]).await;
    let _holds = database.hold("SELECT pg_advisory_xact_lock(1)").await;
    let hangs = "CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER hang AFTER INSERT OR UPDATE ON nodes DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.role = 'stand_by') EXECUTE FUNCTION hang()";
    database.run(hangs).await;
    database.until_waiting().await;
    dying.shutdown_background();
    let killed = Instant::now();
    let next = standing.await.unwrap();
    assert!(killed.elapsed() < Duration::from_millis(2_500), "{:?}", killed.elapsed());
    next.put_numbers(vec![NumberRow::new("+12125550100".parse().unwrap(), Default::default())]).await.unwrap();
}

/// An earlier version serves, and a node of this one stands by.
#[tokio::test]
async fn a_node_is_listed_once_it_has_made_the_table() {
    let Some(database) = TestDatabase::postgres() else { return };
    let active = database.open().await;
    database.run("DROP TABLE nodes; DELETE FROM _sqlx_migrations WHERE version = 6").await;
    let (told, mut reasons) = watch::channel(None);
    let standing = tokio::spawn(Store::stand_by(database.location(), node_row(2), told, CancellationToken::new()));
    reasons.wait_for(Option::is_some).await.unwrap();
    active.close().await;
    let next = standing.await.unwrap().unwrap();
    until_known(&next, &[(SECOND, Active)]).await;
}

#[tokio::test]
async fn only_a_node_on_a_server_has_others_beside_it() {
    let file = TestDatabase::sqlite();
    assert_eq!(node(file.location(), 1).await.nodes(NOW), None);
    let Some(database) = TestDatabase::postgres() else { return };
    assert_eq!(database.open().await.nodes(NOW), None, "a copy isn't a node");
}
