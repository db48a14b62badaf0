//! Memory says what the database says, whatever is written and whatever fails.

mod sql;

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::ROWS;
use crate::contract::{ClientForm, NumberKind};
use crate::core::address::disclosure::OfferTo;
use crate::core::base::name::{ClientId, DeviceId};
use crate::core::base::time::{ClockReading, UnixMillis};
use crate::core::numbering::number::Number;
use crate::store::{Binding, DeviceRow, NumberRow, Renewal, Store, StoreError};

const NUMBERS: [&str; 4] = ["+12125550100", "+12125550101", "+12125550102", "1001;phone-context=pbx.example"];
const CLIENTS: u8 = 6;
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

async fn open(folder: &Path) -> Store {
    Store::open(&folder.join("sidecall.db")).await.unwrap()
}

/// Runs statements past the store.
async fn run(folder: &Path, sql: &'static str) {
    let file = folder.join("sidecall.db");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    pool.close().await;
}

/// A write, as somebody asks for it.
#[derive(Debug, Clone)]
enum Request {
    Put(Vec<NumberRow>),
    Delete(u8),
    Enable(u8, bool),
    Bind(Binding),
    Renew(u8, Renewal),
    OfferTo(u8, u8),
    Unbind(u8),
    Extend(Vec<u8>),
    Expire,
    AddDevice(u8, u8),
    Revoke(u8),
    Shift(i16),
}

prop_compose! {
    fn any_entry()(
        n in 0..4u8,
        name in option::of("[a-z]{1,4}"),
        pbx in option::of("pbx-[ab]"),
        is_main in any::<bool>(),
        extensions in vec(0..4u8, 0..3),
        enabled in option::of(any::<bool>()),
        credential in option::of(0..3u8),
    ) -> NumberRow {
        NumberRow {
            number: number(n),
            name,
            pbx: pbx.map(|pbx| pbx.parse().unwrap()),
            kind: if is_main { NumberKind::Main } else { NumberKind::Extension },
            extensions: extensions.into_iter().map(number).collect(),
            enabled,
            // Two numbers may want the same one: the write fails then.
            credential: credential.map(|credential| [credential; 32]),
        }
    }
}

prop_compose! {
    fn any_binding()(
        // One that is there already makes the write fail.
        id in 0..CLIENTS,
        of in 0..4u8,
        by in option::of(0..2u8),
        address in option::of("sip:[ab]@pbx\\.example"),
        to in 0..4u8,
        lasts in 0..10u8,
    ) -> Binding {
        Binding {
            device: by.map(device),
            address: address.map(|address| address.parse().unwrap()),
            offer: offer(to),
            lifetime: lifetime(lasts),
            ..binding(id, of)
        }
    }
}

prop_compose! {
    fn any_renewal()(
        by in option::of(0..2u8),
        secret in option::of("[a-z]{1,4}"),
        to in option::of(0..4u8),
        lasts in option::of(0..10u8),
    ) -> Renewal {
        let capabilities = secret.as_ref().map(|word| vec![word.clone().try_into().unwrap()]);
        Renewal { device: by.map(device), secret, capabilities, offer: to.map(offer), lifetime: lasts.map(lifetime) }
    }
}

fn any_request() -> impl Strategy<Value = Request> {
    let id = || 0..CLIENTS;
    prop_oneof![
        3 => vec(any_entry(), 1..4).prop_map(Request::Put),
        1 => (0..4u8).prop_map(Request::Delete),
        1 => (0..4u8, any::<bool>()).prop_map(|(n, enabled)| Request::Enable(n, enabled)),
        4 => any_binding().prop_map(Request::Bind),
        2 => (id(), any_renewal()).prop_map(|(id, renewal)| Request::Renew(id, renewal)),
        1 => (id(), 0..4u8).prop_map(|(id, to)| Request::OfferTo(id, to)),
        1 => id().prop_map(Request::Unbind),
        2 => vec(id(), 0..4).prop_map(Request::Extend),
        1 => Just(Request::Expire),
        2 => (0..2u8, 0..4u8).prop_map(|(id, of)| Request::AddDevice(id, of)),
        1 => (0..2u8).prop_map(Request::Revoke),
        1 => any::<i16>().prop_map(Request::Shift),
    ]
}

async fn write(store: &Store, request: Request, now: UnixMillis) -> Result<(), StoreError> {
    match request {
        Request::Put(rows) => store.put_numbers(rows).await,
        Request::Delete(n) => store.delete_number(&number(n)).await.map(drop),
        Request::Enable(n, enabled) => store.enable(&number(n), enabled).await.map(drop),
        Request::Bind(binding) => {
            let expires = now + binding.lifetime;
            store.add_binding(Binding { expires, ..binding }).await.map(drop)
        }
        Request::Renew(id, renewal) => store.renew_binding(&client(id), renewal, now).await.map(drop),
        Request::OfferTo(id, to) => store.offer_to(&client(id), offer(to)).await.map(drop),
        Request::Unbind(id) => store.delete_binding(&client(id)).await.map(drop),
        Request::Extend(ids) => store.extend_bindings(ids.into_iter().map(client).collect(), now).await,
        Request::Expire => store.expire_bindings(now).await,
        Request::AddDevice(id, of) => {
            let row = DeviceRow { id: device(id), name: "Tablet".parse().unwrap(), token: [id; 32] };
            store.add_device(number(of), row, now).await.map(drop)
        }
        Request::Revoke(id) => store.delete_device(&device(id)).await.map(drop),
        Request::Shift(millis) => {
            let reading = ClockReading { boot: String::new(), since_boot: 0, at: 0 };
            store.shift(millis.into(), &reading).await
        }
    }
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
    }
    for id in (0..CLIENTS).map(client) {
        assert_eq!(store.binding(&id, now).await.unwrap(), sql::binding(&store.pool, &id, now).await);
    }
}

/// Makes the requests of each group at once, each group so many milliseconds after the one before.
async fn follow(groups: Vec<(u16, Vec<Request>)>) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut now = START;
    for (passed, requests) in groups {
        now = now + Duration::from_millis(passed.into());
        for result in join_all(requests.into_iter().map(|request| write(&store, request, now))).await {
            if let Err(error) = result {
                assert!(error.is_conflict(), "{error}");
            }
        }
        is_the_same(&store, now).await;
    }
    store.close().await;
    let store = open(folder.path()).await;
    is_the_same(&store, now).await;
    store.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn memory_says_what_the_database_says(groups in vec((0..400u16, vec(any_request(), 1..6)), 1..16)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follow(groups));
    }
}

#[tokio::test]
async fn a_failed_commit_changes_nothing_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.put_numbers(vec![entry(0, "before")]).await.unwrap();
    assert!(store.add_binding(binding(0, 0)).await.unwrap());
    // What the triggers owe is due at the commit.
    run(
        folder.path(),
        "CREATE TABLE lender (id INTEGER PRIMARY KEY);
         CREATE TABLE debt (lender INTEGER REFERENCES lender (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER added AFTER INSERT ON numbers BEGIN INSERT INTO debt VALUES (1); END;
         CREATE TRIGGER changed AFTER UPDATE ON numbers BEGIN INSERT INTO debt VALUES (1); END;
         CREATE TRIGGER removed AFTER DELETE ON numbers BEGIN INSERT INTO debt VALUES (1); END;",
    )
    .await;
    assert!(store.put_numbers(vec![entry(0, "after"), entry(1, "after")]).await.unwrap_err().is_unavailable());
    assert!(store.enable(&number(0), false).await.unwrap_err().is_unavailable());
    assert!(store.delete_number(&number(0)).await.unwrap_err().is_unavailable());
    let name = async |n| store.number(&number(n)).await.unwrap().and_then(|view| view.entry.name);
    assert_eq!((name(0).await.as_deref(), name(1).await), (Some("before"), None));
    let facts = store.facts(&number(0), START).await.unwrap();
    assert!(facts.known.has_client, "it is still switched on, and its client is still there");
    is_the_same(&store, START).await;
    run(folder.path(), "DROP TRIGGER added; DROP TRIGGER changed; DROP TRIGGER removed;").await;
    store.put_numbers(vec![entry(0, "after")]).await.unwrap();
    assert_eq!(name(0).await.as_deref(), Some("after"));
}

#[tokio::test]
async fn only_lists_and_logins_read_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.put_numbers(vec![entry(0, "Alice")]).await.unwrap();
    assert!(store.add_binding(binding(0, 0)).await.unwrap());
    let before = store.reads();
    assert!(store.number(&number(0)).await.unwrap().is_some());
    assert!(store.facts(&number(0), START).await.unwrap().known.has_client);
    assert!(store.binding(&client(0), START).await.unwrap().is_some());
    assert_eq!(store.taking_part(&number(0), START, 10).await.unwrap().len(), 1);
    assert_eq!(store.bindings(Some(&number(0)), START, 10).await.unwrap().len(), 1);
    assert_eq!(store.reads(), before);
    assert_eq!(store.numbers(None, 10).await.unwrap().len(), 1);
    assert_eq!(store.bindings(None, START, 10).await.unwrap().len(), 1);
    assert_eq!(store.client_of_token(&[1; 32]).await.unwrap(), None);
    assert_eq!(store.reads(), before + 3);
}

#[tokio::test]
async fn more_rows_than_one_statement_reads_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let many = || 0..2 * ROWS + 1;
    let rows = many().map(|n| NumberRow { number: format!("+1212{n:07}").parse().unwrap(), ..entry(0, "x") });
    let rows: Vec<NumberRow> = rows.chain([entry(0, "Alice")]).collect();
    store.put_numbers(rows.clone()).await.unwrap();
    for row in rows {
        assert!(store.number(&row.number).await.unwrap().is_some(), "{}", row.number);
    }
    let ids: Vec<ClientId> = many().map(|n| format!("c-{n}").parse().unwrap()).collect();
    let bound = join_all(ids.iter().map(|id| store.add_binding(Binding { id: id.clone(), ..binding(0, 0) }))).await;
    assert!(bound.into_iter().all(|bound| bound.unwrap()));
    let later = START + Duration::from_secs(59);
    store.extend_bindings(ids.clone(), later).await.unwrap();
    let last = later + Duration::from_millis(59_999);
    assert_eq!(store.taking_part(&number(0), last, 10_000).await.unwrap().len(), ids.len());
    store.expire_bindings(later + Duration::from_secs(60)).await.unwrap();
    assert!(store.taking_part(&number(0), START, 10_000).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_row_that_cant_be_read_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.put_numbers(vec![entry(0, "Alice"), entry(1, "Bob")]).await.unwrap();
    for id in 0..2 {
        assert!(store.add_binding(binding(id, 0)).await.unwrap());
    }
    store.close().await;
    run(
        folder.path(),
        "UPDATE numbers SET extensions = '{}' WHERE number = '+12125550101';
         UPDATE bindings SET offer = '{}' WHERE id = 'c-1';",
    )
    .await;
    let store = open(folder.path()).await;
    assert!(!store.facts(&number(1), START).await.unwrap().known.served);
    let clients = store.taking_part(&number(0), START, 10).await.unwrap();
    assert_eq!(clients, [binding(0, 0)]);
    // Once it is replaced, it is known.
    store.put_numbers(vec![entry(1, "Bob")]).await.unwrap();
    assert!(store.facts(&number(1), START).await.unwrap().known.served);
}

#[tokio::test]
async fn entries_share_the_name_of_their_pbx() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    store.put_numbers(vec![entry(0, "Alice"), entry(1, "Bob")]).await.unwrap();
    let name = async |n| store.facts(&number(n), START).await.unwrap().known.home.unwrap();
    let [alice, bob] = [name(0).await, name(1).await];
    assert!(std::ptr::eq(alice.as_str(), bob.as_str()));
}
