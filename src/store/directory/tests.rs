//! Memory says what the database says, whatever is written and whatever fails.

mod random;
mod sql;

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::{Connection, SqliteConnection};

use super::ROWS;
use crate::contract::{ClientForm, NumberKind};
use crate::core::address::disclosure::OfferTo;
use crate::core::base::name::{ClientId, DeviceId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::store::test_database::{TestDatabase, on_both_databases};
use crate::store::{Binding, DeviceRow, NumberRow, Renewal, Store, TokenRole, credential_hash};

on_both_databases! {
    only_lists_of_everything_read_the_database,
    two_numbers_may_swap_their_credentials_in_one_commit,
    more_rows_than_one_statement_reads_are_all_there,
    entries_share_the_name_of_their_pbx,
}

const NUMBERS: [&str; 4] = ["+12125550100", "+12125550101", "+12125550102", "1001;phone-context=pbx.example"];
const CLIENTS: u8 = 6;
/// As many numbers have a device.
const DEVICES: u8 = 2;
/// Credentials and tokens.
const SECRETS: u8 = 5;
const START: UnixMillis = UnixMillis(1_000_000);

fn number(n: u8) -> Number {
    NUMBERS[usize::from(n)].parse().unwrap()
}

fn client(n: u8) -> ClientId {
    format!("c-{n}").parse().unwrap()
}

fn device(n: u8) -> DeviceId {
    format!("d-{n}").parse().unwrap()
}

fn offer(n: u8) -> OfferTo {
    let listed = ["a", "b"].map(|peer| peer.parse().unwrap()).into();
    [OfferTo::Never, OfferTo::Served, OfferTo::Peers(listed), OfferTo::Everyone][usize::from(n)].clone()
}

fn lifetime(n: u8) -> Duration {
    Duration::from_millis(u64::from(n) * 100)
}

/// The hash of a credential or a token.
fn hash(n: u8) -> [u8; 32] {
    [n; 32]
}

fn device_row(id: u8, token: u8) -> DeviceRow {
    DeviceRow { id: device(id), name: "Tablet".parse().unwrap(), token: hash(token) }
}

fn entry(n: u8, name: &str) -> NumberRow {
    NumberRow {
        number: number(n),
        name: Some(name.to_owned()),
        pbx: Some("pbx-a".parse().unwrap()),
        kind: NumberKind::Extension,
        extensions: Vec::new(),
        enabled: None,
        credential: None,
    }
}

fn binding(id: u8, of: u8) -> Binding {
    Binding {
        id: client(id),
        number: number(of),
        device: None,
        form: ClientForm::Hosted,
        address: None,
        secret: None,
        capabilities: Vec::new(),
        offer: OfferTo::Everyone,
        lifetime: Duration::from_secs(60),
        expires: START + Duration::from_secs(60),
    }
}

/// Another program's connection to an SQLite file.
async fn connect(database: &TestDatabase) -> SqliteConnection {
    SqliteConnection::connect(&format!("sqlite://{}", database.location())).await.unwrap()
}

/// Compares every answer from memory with the database's.
async fn is_the_same(store: &Store, now: UnixMillis) {
    for n in 0..4 {
        let number = number(n);
        assert_eq!(store.number(&number).await.unwrap(), sql::number(&store.pool, &number).await);
        assert_eq!(store.facts(&number, now).await.unwrap(), sql::facts(&store.pool, &number, now).await);
        for limit in [1, 10] {
            let told = store.taking_part(&number, now, limit).await.unwrap();
            assert_eq!(told, sql::taking_part(&store.pool, &number, now, limit).await);
            let bound = store.bindings(Some(&number), now, limit).await.unwrap();
            assert_eq!(bound, sql::clients_of(&store.pool, &number, now, limit).await);
        }
        let mut in_sql = sql::devices(&store.pool, now).await;
        in_sql.retain(|device| device.number == number);
        assert_eq!(store.devices(Some(&number), now, 10).await.unwrap(), in_sql);
    }
    for id in (0..CLIENTS).map(client) {
        assert_eq!(store.binding(&id, now).await.unwrap(), sql::binding(&store.pool, &id, now).await);
    }
    for id in (0..DEVICES).map(device) {
        let in_sql = sql::devices(&store.pool, now).await.into_iter().find(|device| device.id == id);
        assert_eq!(store.device(&id, now).await.unwrap(), in_sql);
    }
    for hash in (0..SECRETS).map(hash) {
        assert_eq!(store.client_of_token(&hash).await.unwrap(), sql::client_of_token(&store.pool, &hash).await);
        assert_eq!(store.token(&hash).await.unwrap(), sql::token(&store.pool, &hash).await);
    }
    assert_eq!(store.devices(None, now, 10).await.unwrap(), sql::devices(&store.pool, now).await);
}

#[tokio::test]
async fn a_failed_commit_changes_nothing_in_memory() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    store.put_numbers(vec![entry(0, "before")]).await.unwrap();
    assert!(store.add_binding(binding(0, 0)).await.unwrap());
    // What the triggers owe is due at the commit.
    database
        .run(
            "CREATE TABLE lender (id INTEGER PRIMARY KEY);
         CREATE TABLE debt (lender INTEGER REFERENCES lender (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER added AFTER INSERT ON numbers BEGIN INSERT INTO debt VALUES (1); END;
         CREATE TRIGGER changed AFTER UPDATE ON numbers BEGIN INSERT INTO debt VALUES (1); END;
         CREATE TRIGGER removed AFTER DELETE ON numbers BEGIN INSERT INTO debt VALUES (1); END;
         CREATE TRIGGER enrolled AFTER INSERT ON devices BEGIN INSERT INTO debt VALUES (1); END;",
        )
        .await;
    assert!(store.put_numbers(vec![entry(0, "after"), entry(1, "after")]).await.unwrap_err().is_unavailable());
    assert!(store.enable(&number(0), false).await.unwrap_err().is_unavailable());
    assert!(store.delete_number(&number(0)).await.unwrap_err().is_unavailable());
    assert!(store.add_device(number(0), device_row(0, 1), START).await.unwrap_err().is_unavailable());
    assert_eq!(store.client_of_token(&hash(1)).await.unwrap(), None);
    let name = async |n| store.number(&number(n)).await.unwrap().and_then(|view| view.entry.name);
    assert_eq!((name(0).await.as_deref(), name(1).await), (Some("before"), None));
    let facts = store.facts(&number(0), START).await.unwrap();
    assert!(facts.known.has_client, "it is still switched on, and its client is still there");
    is_the_same(&store, START).await;
    database.run("DROP TRIGGER added; DROP TRIGGER changed; DROP TRIGGER removed; DROP TRIGGER enrolled;").await;
    store.put_numbers(vec![entry(0, "after")]).await.unwrap();
    assert_eq!(name(0).await.as_deref(), Some("after"));
}

#[tokio::test]
async fn memory_changes_after_the_commit_and_not_before() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    store.put_numbers(vec![entry(0, "Alice")]).await.unwrap();
    assert!(store.add_device(number(0), device_row(0, 1), START).await.unwrap());
    let mut other = connect(&database).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let id = device(0);
    let mut revoked = std::pin::pin!(store.delete_device(&id));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut revoked).await.is_err(), "it waits");
    assert!(store.client_of_token(&hash(1)).await.unwrap().is_some());
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(revoked.await.unwrap(), Some(Vec::new()));
    assert_eq!(store.client_of_token(&hash(1)).await.unwrap(), None);
}

#[tokio::test]
async fn what_another_program_writes_is_noticed() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    store.put_numbers(vec![entry(0, "Alice"), entry(1, "Bob")]).await.unwrap();
    for (n, token) in [(0, 1), (1, 2)] {
        assert!(store.add_device(number(n), device_row(n, token), START).await.unwrap());
    }
    assert!(store.add_binding(binding(0, 0)).await.unwrap());
    database.run("DELETE FROM devices WHERE id = 'd-0'; DELETE FROM bindings; DELETE FROM numbers WHERE number = '+12125550101';
         UPDATE numbers SET name = 'Alicia'; INSERT INTO tokens VALUES (zeroblob(32), 'agent', 'x');",
    )
    .await;
    // Beside a write of its own.
    let (probed, put) = tokio::join!(store.probe(None), store.put_numbers(vec![entry(2, "Carol")]));
    assert!(probed && put.is_ok());
    is_the_same(&store, START).await;
    assert_eq!(store.number(&number(0)).await.unwrap().unwrap().entry.name.as_deref(), Some("Alicia"));
    assert_eq!(store.token(&hash(0)).await.unwrap(), Some(TokenRole::Agent));
    // Its own writes are not another program's, and neither is one that failed.
    let version = store.directory.read().version();
    let entry = |n| NumberRow { credential: Some(hash(3)), ..entry(n, "x") };
    assert!(store.put_numbers(vec![entry(0)]).await.is_ok() && store.put_numbers(vec![entry(2)]).await.is_err());
    store.probe(None).await;
    assert_eq!(store.directory.read().version(), version);
}

/// An import puts a million entries.
#[tokio::test]
async fn an_entry_that_is_put_is_not_read_again() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    let named_by_database = "CREATE TRIGGER named AFTER INSERT ON numbers BEGIN UPDATE numbers SET name = 'read'; END;";
    database.run(named_by_database).await;
    let name = async |n| store.number(&number(n)).await.unwrap().and_then(|view| view.entry.name);
    store.put_numbers(vec![entry(0, "Alice")]).await.unwrap();
    assert_eq!(name(0).await.as_deref(), Some("Alice"));
    store.enable(&number(0), true).await.unwrap();
    assert_eq!(name(0).await.as_deref(), Some("read"), "one that is changed otherwise is read");
}

#[tokio::test]
async fn what_an_unreadable_row_keeps_is_read_when_it_is_put() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    store.put_numbers(vec![entry(0, "Alice")]).await.unwrap();
    store.close().await;
    database.run("UPDATE numbers SET credential = x'01'").await;
    let store = database.open().await;
    store.put_numbers(vec![entry(0, "Alicia"), entry(1, "Bob")]).await.unwrap();
    let is_served = async |n| store.facts(&number(n), START).await.unwrap().known.served;
    assert_eq!((is_served(0).await, is_served(1).await), (false, true));
}

async fn only_lists_of_everything_read_the_database(database: &TestDatabase) {
    let store = database.open().await;
    store.put_numbers(vec![NumberRow { credential: Some(hash(1)), ..entry(0, "Alice") }]).await.unwrap();
    store.put_token(TokenRole::Agent, "config-agent", Some(hash(2))).await.unwrap();
    assert!(store.add_device(number(0), device_row(0, 3), START).await.unwrap());
    assert!(store.add_binding(Binding { device: Some(device(0)), ..binding(0, 0) }).await.unwrap());
    let before = store.reads();
    assert!(store.number(&number(0)).await.unwrap().is_some());
    assert!(store.facts(&number(0), START).await.unwrap().known.has_client);
    assert!(store.binding(&client(0), START).await.unwrap().is_some());
    assert_eq!(store.taking_part(&number(0), START, 10).await.unwrap().len(), 1);
    assert_eq!(store.bindings(Some(&number(0)), START, 10).await.unwrap().len(), 1);
    assert_eq!(store.device(&device(0), START).await.unwrap().unwrap().client, Some(client(0)));
    assert_eq!(store.devices(Some(&number(0)), START, 10).await.unwrap().len(), 1);
    assert_eq!(store.token(&hash(2)).await.unwrap(), Some(TokenRole::Agent));
    assert_eq!(store.client_of_token(&hash(1)).await.unwrap(), Some((number(0), None)));
    assert_eq!(store.client_of_token(&hash(3)).await.unwrap(), Some((number(0), Some(device(0)))));
    assert_eq!(store.client_of_token(&hash(4)).await.unwrap(), None);
    let other = NumberRow { credential: Some(hash(4)), ..entry(0, "Alice") };
    assert_eq!(store.credentials_changed(&[other, entry(0, "Alice")]).await.unwrap(), [number(0)]);
    let wanted = [(number(0), hash(1)), (number(1), hash(1)), (number(1), hash(4))];
    assert_eq!(store.credentials_in_use(&wanted).await.unwrap(), [number(1)]);
    assert_eq!(store.reads(), before);
    assert_eq!(store.numbers(None, 10).await.unwrap().len(), 1);
    assert_eq!(store.bindings(None, START, 10).await.unwrap().len(), 1);
    assert_eq!(store.devices(None, START, 10).await.unwrap().len(), 1);
    assert_eq!(store.reads(), before + 3);
}

async fn two_numbers_may_swap_their_credentials_in_one_commit(database: &TestDatabase) {
    let store = database.open().await;
    let with = |n, credential| NumberRow { credential: Some(hash(credential)), ..entry(n, "x") };
    store.put_numbers(vec![with(0, 0), with(1, 1)]).await.unwrap();
    let swap = [with(0, 2), with(1, 0), with(0, 1)].map(|row| store.put_numbers(vec![row]));
    assert!(join_all(swap).await.into_iter().all(|put| put.is_ok()));
    let owner = async |credential| store.client_of_token(&hash(credential)).await.unwrap().map(|(number, _)| number);
    assert_eq!([owner(0).await, owner(1).await, owner(2).await], [Some(number(1)), Some(number(0)), None]);
}

async fn more_rows_than_one_statement_reads_are_all_there(database: &TestDatabase) {
    let store = database.open().await;
    let many = || 0..2 * ROWS + 1;
    let nth = |n: usize| -> Number { format!("+1212{n:07}").parse().unwrap() };
    let secret = |n: usize| credential_hash(&n.to_string());
    let with = |move_by: usize| -> Vec<NumberRow> {
        let row = |n| NumberRow { number: nth(n), credential: Some(secret(n + move_by)), ..entry(0, "x") };
        many().map(row).collect()
    };
    store.put_numbers(vec![entry(0, "Alice")]).await.unwrap();
    store.put_numbers(with(0)).await.unwrap();
    let owner = async |store: &Store, n| store.client_of_token(&secret(n)).await.unwrap().map(|(number, _)| number);
    for n in many() {
        assert_eq!(owner(&store, n).await, Some(nth(n)));
    }
    // In one commit all get others, and then each has its neighbour's.
    let moved = join_all([with(10_000), with(1)].map(|rows| store.put_numbers(rows))).await;
    assert!(moved.into_iter().all(|put| put.is_ok()));
    let have_moved = async |store: &Store| {
        for n in many() {
            assert_eq!(owner(store, n + 1).await, Some(nth(n)));
            assert_eq!(owner(store, n + 10_000).await, None);
        }
        assert_eq!(owner(store, 0).await, None);
    };
    have_moved(&store).await;
    let ids: Vec<ClientId> = many().map(|n| format!("c-{n}").parse().unwrap()).collect();
    let bound = join_all(ids.iter().map(|id| store.add_binding(Binding { id: id.clone(), ..binding(0, 0) }))).await;
    assert!(bound.into_iter().all(|bound| bound.unwrap()));
    let later = START + Duration::from_secs(59);
    store.extend_bindings(ids.clone(), later).await.unwrap();
    let last = later + Duration::from_millis(59_999);
    assert_eq!(store.taking_part(&number(0), last, 10_000).await.unwrap().len(), ids.len());
    store.close().await;
    let store = database.open().await;
    have_moved(&store).await;
    assert_eq!(store.taking_part(&number(0), last, 10_000).await.unwrap().len(), ids.len());
    store.expire_bindings(later + Duration::from_secs(60)).await.unwrap();
    assert!(store.taking_part(&number(0), START, 10_000).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_row_that_cant_be_read_is_passed_over() {
    let database = TestDatabase::sqlite();
    let store = database.open().await;
    store.put_numbers(vec![entry(0, "Alice"), entry(1, "Bob"), entry(2, "Carol")]).await.unwrap();
    for id in 0..3 {
        assert!(store.add_binding(binding(id, 0)).await.unwrap());
    }
    store.close().await;
    database
        .run(
            "UPDATE numbers SET extensions = '{}' WHERE number = '+12125550101';
         UPDATE numbers SET name = CAST(x'ff' AS TEXT) WHERE number = '+12125550102';
         UPDATE bindings SET offer = '{}' WHERE id = 'c-1';
         UPDATE bindings SET expires = 'x' WHERE id = 'c-2';
         INSERT INTO tokens VALUES (zeroblob(32), CAST(x'ff' AS TEXT), 'x');",
        )
        .await;
    let store = database.open().await;
    for n in 1..3 {
        assert!(!store.facts(&number(n), START).await.unwrap().known.served);
    }
    assert_eq!(store.bindings(None, START, 10).await.unwrap(), [binding(0, 0)]);
    // A write of such a row fails nobody else's.
    let (offered, enabled) = (client(2), number(2));
    let (offered, enabled, put) = tokio::join!(
        store.offer_to(&offered, OfferTo::Never),
        store.enable(&enabled, false),
        store.put_numbers(vec![entry(3, "Dan")])
    );
    assert!(offered.unwrap() && enabled.unwrap() && put.is_ok());
    assert!(store.renew_binding(&client(2), Renewal::default(), START).await.is_ok());
    assert!(store.facts(&number(3), START).await.unwrap().known.served);
    store.delete_binding(&client(2)).await.unwrap();
    let clients = store.taking_part(&number(0), START, 10).await.unwrap();
    assert_eq!(clients, [binding(0, 0)]);
    // Once it is replaced, it is known.
    store.put_numbers(vec![entry(1, "Bob")]).await.unwrap();
    assert!(store.facts(&number(1), START).await.unwrap().known.served);
}

async fn entries_share_the_name_of_their_pbx(database: &TestDatabase) {
    let store = database.open().await;
    store.put_numbers(vec![entry(0, "Alice"), entry(1, "Bob")]).await.unwrap();
    let name = async |n| store.facts(&number(n), START).await.unwrap().known.home.unwrap();
    let [alice, bob] = [name(0).await, name(1).await];
    assert!(std::ptr::eq(alice.as_str(), bob.as_str()));
}
