//! Writes that are made together leave what they would leave one by one.

use std::cell::Cell;

use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::json;

use crate::contract::{ClientForm, Message, MessageBody, NumberEntry, PeerClient, PeerIdentity, Role};
use crate::core::base::name::{CallId, ClientId};
use crate::core::base::time::UnixMillis;
use crate::core::call::Call;
use crate::core::numbering::number::Number;
use crate::store::record::{self, CallRecord};
use crate::store::test_database::{TestDatabase, on_both_databases};
use crate::store::test_proxy::{Dice, Fault, Proxy};
use crate::store::{Commit, Delivery, DeliveryState, Location, NumberRow, SipFailure, Store, sql};

on_both_databases! {
    writes_beyond_one_statement_are_all_made,
    a_write_that_fails_fails_alone,
    the_messages_of_a_pair_end_in_their_order,
}

const CALLS: u8 = 3;
const CLIENTS: u8 = 4;
const DELIVERIES: u8 = 8;
/// One of so many statements fails, where some do.
const ONE_IN: u64 = 32;

fn call_id(n: u8) -> CallId {
    format!("0199-{n}").parse().unwrap()
}

fn client(n: u8) -> ClientId {
    format!("c-{n}").parse().unwrap()
}

fn id(n: u8) -> String {
    format!("d-{n}")
}

fn numbers() -> [Number; 2] {
    ["+12125550100", "+12125550101"].map(|number| number.parse().unwrap())
}

fn call(n: u8, last_seq: u64, ended: Option<i64>) -> Call {
    let record = json!({
        "id": call_id(n), "pbx": "a", "leg": "a-1", "called": "+12125550101", "side": "originating", "route": "pstn",
        "reason": "caller-has-no-client", "decided": 0, "ended": ended, "phase": "decided", "legs": {},
        "last_seq": last_seq,
    });
    record::read::<CallRecord>(record.to_string()).unwrap().into()
}

pub(super) fn delivery(n: u8, call: u8, to: u8, body: MessageBody) -> Delivery {
    let [first, second] = numbers();
    let (number, other) = if to.is_multiple_of(2) { (first, second) } else { (second, first) };
    let message = Message { id: id(n), call: call_id(call), body };
    let created = UnixMillis(i64::from(n));
    Delivery { number, other, client: client(to), form: ClientForm::Hosted, message, attempts: 0, created }
}

pub(super) fn peer() -> MessageBody {
    let [number, _] = numbers().map(Some);
    let address = "https://node.example/a/x".parse().unwrap();
    let peer = PeerClient { number, name: None, address, capabilities: Vec::new() };
    MessageBody::Peer { role: Role::First, peer, own: None, reply: None }
}

fn text() -> MessageBody {
    MessageBody::Message { content: serde_json::Map::new(), guest: None, sender: None }
}

fn missed() -> MessageBody {
    MessageBody::Missed { role: Role::Second, peer: PeerIdentity::default(), at: UnixMillis(1) }
}

/// A write, as somebody asks for it.
#[derive(Debug, Clone)]
enum Request {
    Save(u8, u64, Option<i64>),
    Deliver {
        id: u8,
        call: u8,
        to: u8,
        is_peer: bool,
    },
    Missed {
        id: u8,
        call: u8,
        to: u8,
    },
    Attempted(u8, DeliveryState, Option<String>),
    Delivered(u8, Option<u8>, i64),
    HandOut(Vec<u8>),
    Outcome(u8, DeliveryState),
    Part(u8),
    DropPending(Vec<u8>, bool),
    ExpireMissed(i64),
    Prune(i64),
    /// The second number that wants a credential makes the write fail.
    Put(usize, u8),
}

fn any_request() -> impl Strategy<Value = Request> {
    let (call, delivery, client) = (|| 0..CALLS, || 0..DELIVERIES, || 0..CLIENTS);
    let state = || prop_oneof![Just(DeliveryState::Pending), Just(DeliveryState::Failed)];
    prop_oneof![
        4 => (call(), 0..9u64, option::of(0..9i64)).prop_map(|(call, seq, ended)| Request::Save(call, seq, ended)),
        5 => (delivery(), call(), client(), any::<bool>())
            .prop_map(|(id, call, to, is_peer)| Request::Deliver { id, call, to, is_peer }),
        1 => (delivery(), call(), client()).prop_map(|(id, call, to)| Request::Missed { id, call, to }),
        5 => (delivery(), state(), option::of("[a-z]{1,3}"))
            .prop_map(|(id, state, error)| Request::Attempted(id, state, error)),
        5 => (delivery(), option::of(client()), 0..9i64).prop_map(|(id, of, at)| Request::Delivered(id, of, at)),
        1 => vec(delivery(), 1..4).prop_map(Request::HandOut),
        1 => (delivery(), state()).prop_map(|(id, state)| Request::Outcome(id, state)),
        2 => call().prop_map(Request::Part),
        2 => (vec(call(), 1..3), any::<bool>()).prop_map(|(calls, all)| Request::DropPending(calls, all)),
        1 => (0..9i64).prop_map(Request::ExpireMissed),
        1 => (0..9i64).prop_map(Request::Prune),
        1 => (0..2usize, 0..2u8).prop_map(|(number, credential)| Request::Put(number, credential)),
    ]
}

/// Makes a write; its result. The ids of messages that announce the end of a pair are random, and left out.
async fn write(store: &Store, request: Request) -> String {
    let committed = async |commit: Commit| commit.wait().await.unwrap();
    match request {
        Request::Save(n, seq, ended) => committed(store.save_calls(vec![call(n, seq, ended)]).unwrap()).await,
        Request::Deliver { id, call, to, is_peer } => {
            let body = if is_peer { peer() } else { text() };
            return format!("{:?}", store.add_deliveries(vec![delivery(id, call, to, body)]).await.unwrap());
        }
        Request::Missed { id, call, to } => {
            return format!("{:?}", store.add_missed(vec![delivery(id, call, to, missed())]).await.unwrap());
        }
        Request::Attempted(n, state, error) => committed(store.attempted(&id(n), state, error).unwrap()).await,
        Request::Delivered(n, of, at) => {
            committed(store.delivered(&id(n), of.map(client).as_ref(), UnixMillis(at)).unwrap()).await;
        }
        Request::HandOut(all) => store.hand_out(all.into_iter().map(id).collect()).await.unwrap(),
        Request::Outcome(n, state) => {
            let outcome = SipFailure { id: id(n), state, error: "refused".to_owned() };
            committed(store.sip_outcomes(vec![outcome]).unwrap()).await;
        }
        Request::Part(n) => {
            let parted = store.part(&call_id(n), numbers(), UnixMillis(9)).await.unwrap();
            let told: Vec<_> = parted.ended.iter().map(|ended| &ended.client).collect();
            return format!("{:?} {told:?}", parted.dropped);
        }
        Request::DropPending(calls, all) => {
            store.drop_pending(calls.into_iter().map(call_id).collect(), all).await.unwrap();
        }
        Request::ExpireMissed(before) => store.expire_missed(UnixMillis(before)).await.unwrap(),
        Request::Put(n, credential) => {
            let credential = Some(format!("a-credential-of-one-{credential}"));
            let row = NumberRow::new(numbers()[n].clone(), NumberEntry { credential, ..NumberEntry::default() });
            let put = store.put_numbers(vec![row]).await;
            return put.map_or_else(|error| error.to_string(), |()| String::new());
        }
        Request::Prune(before) => return store.prune_batch(UnixMillis(before)).await.unwrap().to_string(),
    }
    String::new()
}

/// All calls, deliveries and numbers, as text. The ids of messages that announce the end of a pair are random, and left out.
async fn rows(store: &Store) -> Vec<String> {
    let mut rows = Vec::new();
    for select in [
        "SELECT id || ' ' || pbx || ' ' || COALESCE(calling, '-') || ' ' || called || ' ' || route || ' ' || reason || ' ' ||
             decided || ' ' || COALESCE(CAST(ended AS TEXT), '-') || ' ' || body FROM calls ORDER BY id",
        "SELECT CASE kind WHEN 'ended' THEN '' ELSE id || body END || ' ' || call || ' ' || number || ' ' || other || ' ' ||
             client || ' ' || form || ' ' || kind || ' ' || is_open || ' ' || state || ' ' || attempts || ' ' || created ||
             ' ' || COALESCE(CAST(delivered AS TEXT), '-') || ' ' || COALESCE(error, '-') FROM deliveries",
        "SELECT number FROM numbers WHERE credential IS NOT NULL ORDER BY number",
        "SELECT number FROM numbers ORDER BY number",
    ] {
        let mut found = sql::scalar::<String>(select).fetch_all(&store.pool).await.unwrap();
        found.sort();
        rows.extend(found);
    }
    rows
}

/// Makes the writes of each group at once, and compares with a store that makes them one by one in SQLite.
async fn follow(groups: Vec<Vec<Request>>, together: Store) {
    let other = TestDatabase::sqlite();
    let alone = other.open().await;
    for group in groups {
        let mut expected = Vec::with_capacity(group.len());
        for request in &group {
            expected.push(write(&alone, request.clone()).await);
        }
        let results = join_all(group.into_iter().map(|request| write(&together, request))).await;
        assert_eq!(results, expected);
        assert_eq!(rows(&together).await, rows(&alone).await);
    }
    together.close().await;
    alone.close().await;
}

fn any_groups() -> impl Strategy<Value = Vec<Vec<Request>>> {
    vec(vec(any_request(), 1..24), 1..5)
}

fn block_on(follow: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(follow);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_group_leaves_what_its_writes_leave_one_by_one(groups in any_groups()) {
        let database = TestDatabase::sqlite();
        block_on(async { follow(groups, database.open().await).await });
    }
}

/// Opens an empty PostgreSQL database at this location.
async fn open_empty(database: &TestDatabase, location: &Location) -> Store {
    database.open().await.close().await;
    database.run("DELETE FROM calls; DELETE FROM deliveries; DELETE FROM numbers").await;
    Store::open(location).await.unwrap()
}

#[test]
fn a_group_in_postgresql_leaves_what_its_writes_leave_in_sqlite() {
    let Some(database) = TestDatabase::postgres() else { return };
    proptest!(ProptestConfig::with_cases(32), |(groups in any_groups())| {
        block_on(async { follow(groups, open_empty(&database, &database.location()).await).await });
    });
}

/// The same on a server that fails so, by random numbers from a seed.
fn follow_through_failures(fault: fn(Dice) -> Fault) {
    let Some(database) = TestDatabase::postgres() else { return };
    let failures = Cell::new(0);
    proptest!(ProptestConfig::with_cases(16), |(groups in any_groups(), seed in any::<u64>())| {
        block_on(async {
            let proxy = Proxy::before(&database);
            let store = open_empty(&database, &proxy.location()).await;
            proxy.fail(fault(Dice::new(seed, ONE_IN)));
            follow(groups, store).await;
            failures.set(failures.get() + proxy.failures());
        });
    });
    assert!(failures.get() > 0);
}

#[test]
fn a_group_leaves_the_same_while_the_server_aborts_transactions() {
    follow_through_failures(Fault::FailSome);
}

#[test]
fn a_group_leaves_the_same_while_connections_break() {
    follow_through_failures(Fault::CutSome);
}

#[tokio::test]
async fn a_call_that_changed_ten_times_is_written_once() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    let count = "CREATE TABLE writes (id TEXT);
                 CREATE TRIGGER added AFTER INSERT ON calls BEGIN INSERT INTO writes VALUES (new.id); END;
                 CREATE TRIGGER changed AFTER UPDATE ON calls BEGIN INSERT INTO writes VALUES (new.id); END;";
    database.run(count).await;
    let changes = (1..=10).flat_map(|seq| [0, 1].map(|n| call(n, seq, None)));
    let commits: Vec<Commit> = changes.map(|call| store.save_calls(vec![call]).unwrap()).collect();
    for commit in commits {
        commit.wait().await.unwrap();
    }
    let writes = sql::scalar::<String>("SELECT id FROM writes ORDER BY id").fetch_all(&store.pool).await.unwrap();
    assert_eq!(writes, ["0199-0", "0199-1"]);
    for n in 0..2 {
        assert_eq!(store.call(&call_id(n)).await.unwrap().unwrap().last_seq, 10);
    }
}

async fn writes_beyond_one_statement_are_all_made(database: &TestDatabase) {
    let store = database.open().await;
    let before = (store.writes(), store.commits());
    let all: Vec<Delivery> = (0..200).map(|n| delivery(n, n, 0, text())).collect();
    store.add_deliveries(all).await.unwrap();
    let mut commits = Vec::new();
    for n in 0..200 {
        commits.push(store.save_calls(vec![call(n, 1, None)]).unwrap());
        commits.push(store.attempted(&id(n), DeliveryState::Pending, Some("no answer".to_owned())).unwrap());
        commits.push(store.delivered(&id(n), Some(&client(0)), UnixMillis(7)).unwrap());
    }
    for commit in commits {
        commit.wait().await.unwrap();
    }
    assert_eq!(store.writes() - before.0, 601);
    let transactions = store.commits() - before.1;
    assert!((1..=100).contains(&transactions), "{transactions} transactions");
    for n in 0..200 {
        assert!(store.call(&call_id(n)).await.unwrap().is_some(), "{n}");
        let deliveries = store.deliveries_of(&[call_id(n)]).await.unwrap();
        let (_, view) = &deliveries[0];
        assert_eq!((view.state.as_str(), view.attempts, view.delivered), ("delivered", 1, Some(UnixMillis(7))));
        assert_eq!(view.error, None);
    }
}

/// PostgreSQL once returned them in the order in which they were written.
async fn the_messages_of_a_pair_end_in_their_order(database: &TestDatabase) {
    let deliver = |id, to| Request::Deliver { id, call: 0, to, is_peer: true };
    let told = (0..2).map(|id| Request::Delivered(id, None, 1)).collect();
    let groups = vec![vec![deliver(1, 0), deliver(0, 1)], told, vec![Request::Part(0)]];
    follow(groups, database.open().await).await;
    let store = database.open().await;
    for (id, to) in [(3, 0), (2, 1)] {
        store.add_deliveries(vec![delivery(id, 1, to, peer())]).await.unwrap();
    }
    let parted = store.part(&call_id(1), numbers(), UnixMillis(9)).await.unwrap();
    assert_eq!(parted.dropped, ["d-2", "d-3"]);
}

async fn a_write_that_fails_fails_alone(database: &TestDatabase) {
    let store = database.open().await;
    let before = store.writes();
    let entry = || NumberEntry { credential: Some("a-credential-of-one".to_owned()), ..NumberEntry::default() };
    let [first, second] = numbers();
    let (saved, first, second) = tokio::join!(
        async { store.save_calls(vec![call(0, 1, None)]).unwrap().wait().await },
        store.put_numbers(vec![NumberRow::new(first, entry())]),
        store.put_numbers(vec![NumberRow::new(second, entry())]),
    );
    assert!(saved.is_ok() && first.is_ok() && second.is_err_and(|error| error.is_conflict()));
    assert_eq!(store.writes() - before, 2);
    assert!(store.call(&call_id(0)).await.unwrap().is_some());
}
