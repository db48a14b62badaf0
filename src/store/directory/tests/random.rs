//! Random writes, in groups.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{
    CLIENTS, DEVICES, SECRETS, START, binding, client, device, device_row, hash, is_the_same, lifetime, number, offer,
};
use crate::contract::{Capability, NumberKind};
use crate::core::base::time::{ClockReading, UnixMillis};
use crate::store::test_database::TestDatabase;
use crate::store::test_proxy::{Dice, Fault, Proxy};
use crate::store::{Binding, Enrolment, EnrolmentAuthor, Location, NumberRow, Renewal, Store, StoreError, TokenRole};

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
    Enrol(u8, u8),
    Rename(u8, String),
    Revoke(u8),
    Token(TokenRole, &'static str, Option<u8>),
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
        credential in option::of(0..SECRETS),
    ) -> NumberRow {
        NumberRow {
            number: number(n),
            name,
            pbx: pbx.map(|pbx| pbx.parse().unwrap()),
            kind: if is_main { NumberKind::Main } else { NumberKind::Extension },
            extensions: extensions.into_iter().map(number).collect(),
            enabled,
            // Two numbers may want the same one: the write fails then.
            credential: credential.map(hash),
        }
    }
}

prop_compose! {
    fn any_binding()(
        // One that is there already makes the write fail.
        id in 0..CLIENTS,
        of in 0..4u8,
        by_device in any::<bool>(),
        address in option::of("sip:[ab]@pbx\\.example"),
        to in 0..4u8,
        lasts in 0..10u8,
    ) -> Binding {
        Binding {
            device: (by_device && of < DEVICES).then(|| device(of)),
            address: address.map(|address| address.parse().unwrap()),
            offer: offer(to),
            lifetime: lifetime(lasts),
            ..binding(id, of)
        }
    }
}

prop_compose! {
    fn any_renewal()(
        by in option::of(0..DEVICES),
        secret in option::of("[a-z]{1,4}"),
        to in option::of(0..4u8),
        lasts in option::of(0..10u8),
    ) -> Renewal {
        let capabilities: Option<Vec<Capability>> = secret.as_ref().map(|word| vec![word.clone().try_into().unwrap()]);
        Renewal { device: by.map(device), secret, capabilities, offer: to.map(offer), lifetime: lasts.map(lifetime) }
    }
}

fn any_token() -> impl Strategy<Value = Request> {
    let name = prop_oneof![Just("config-admin"), Just("config-agent")];
    let role = prop_oneof![Just(TokenRole::Admin), Just(TokenRole::Agent)];
    (role, name, option::of(0..SECRETS)).prop_map(|(role, name, secret)| Request::Token(role, name, secret))
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
        // A token that another device has makes the write fail.
        2 => (0..DEVICES, 0..SECRETS).prop_map(|(id, token)| Request::AddDevice(id, token)),
        1 => (0..DEVICES, 0..SECRETS).prop_map(|(id, token)| Request::Enrol(id, token)),
        1 => (0..DEVICES, "[a-z]{1,4}").prop_map(|(id, name)| Request::Rename(id, name)),
        1 => (0..DEVICES).prop_map(Request::Revoke),
        1 => any_token(),
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
        Request::AddDevice(id, token) => store.add_device(number(id), device_row(id, token), now).await.map(drop),
        Request::Enrol(id, token) => {
            let (by, expires) = (EnrolmentAuthor::Admin, now + lifetime(1));
            let enrolment = Enrolment { code: hash(id), number: number(id), by, expires };
            store.add_enrolment(enrolment, now).await?;
            store.enrol(hash(id), device_row(id, token), now).await.map(drop)
        }
        Request::Rename(id, name) => store.rename_device(&device(id), name.parse().unwrap()).await.map(drop),
        Request::Revoke(id) => store.delete_device(&device(id)).await.map(drop),
        Request::Token(role, name, secret) => store.put_token(role, name, secret.map(hash)).await,
        Request::Shift(millis) => {
            let reading = ClockReading { boot: String::new(), since_boot: 0, at: 0 };
            store.shift(millis.into(), &reading).await
        }
    }
}

/// Makes the requests of each group at once, each group so many milliseconds after the one before.
async fn follow(groups: Vec<(u16, Vec<Request>)>, location: &Location) {
    let store = Store::open(location).await.unwrap();
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
    let store = Store::open(location).await.unwrap();
    is_the_same(&store, now).await;
    store.close().await;
}

fn any_groups() -> impl Strategy<Value = Vec<(u16, Vec<Request>)>> {
    vec((0..400u16, vec(any_request(), 1..6)), 1..16)
}

fn block_on(follow: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(follow);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn memory_says_what_sqlite_says(groups in any_groups()) {
        let database = TestDatabase::sqlite();
        block_on(follow(groups, &database.location()));
    }
}

#[test]
fn memory_says_what_postgresql_says() {
    let Some(database) = TestDatabase::postgres() else { return };
    proptest!(ProptestConfig::with_cases(24), |(groups in any_groups())| {
        // Each continues with what the one before has left.
        block_on(follow(groups, &database.location()));
    });
}

#[test]
fn memory_says_the_same_while_the_server_aborts_transactions() {
    let Some(database) = TestDatabase::postgres() else { return };
    let failures = Cell::new(0);
    proptest!(ProptestConfig::with_cases(12), |(groups in any_groups(), seed in any::<u64>())| {
        block_on(async {
            let proxy = Proxy::before(&database);
            proxy.fail(Fault::FailSome(Dice::new(seed, 32)));
            follow(groups, &proxy.location()).await;
            failures.set(failures.get() + proxy.failures());
        });
    });
    assert!(failures.get() > 0);
}
