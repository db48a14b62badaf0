//! A write of each kind, in an order in which each finds what it changes, and all rows to compare afterwards.

use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;

use super::copy::TABLES;
use super::record::{self, CallRecord};
use super::sql::{Builder, Value};
use super::writer::Write;
use super::{
    Binding, Commit, Delivery, DeliveryState, DeviceRow, Enrolment, EnrolmentAuthor, NumberRow, Renewal, SipFailure,
    Store, StoreError, StoredOffer, TokenRole,
};
use crate::contract::{ClientForm, Message, MessageBody, NumberEntry, Offer, PeerClient, PeerIdentity, Role};
use crate::core::address::disclosure::OfferTo;
use crate::core::base::name::{CallId, ClientId, DeviceId};
use crate::core::base::time::{ClockReading, UnixMillis};
use crate::core::call::Call;
use crate::core::numbering::number::Number;

const NOW: UnixMillis = UnixMillis(1_000);

/// Makes a write, and says what came of it. The number makes it differ from the same write of another round.
pub(in crate::store) type TestWrite = for<'s> fn(&'s Store, u8) -> BoxFuture<'s, String>;

macro_rules! words_of_each_kind {
    ($($kind:pat => $words:literal,)*) => {
        /// The compiler asks here for a new kind of write.
        const _: fn(&Write) = |write| match write {
            $($kind => {})*
        };
        const WORDS: &[&str] = &[$($words),*];
    };
}

// A statement of each. The one that only asks whether the database can be written has none of its own.
words_of_each_kind! {
    Write::Calls(_) => "INSERT INTO calls",
    Write::Prune { .. } => "DELETE FROM calls",
    Write::Numbers(_) => "INSERT INTO numbers",
    Write::DeleteNumber(_) => "DELETE FROM numbers",
    Write::Enable(..) => "UPDATE numbers SET enabled",
    Write::Binding(_) => "INSERT INTO bindings",
    Write::Renew(..) => "UPDATE bindings SET secret",
    Write::DeleteBinding(_) => "DELETE FROM bindings WHERE id",
    Write::OfferTo(..) => "UPDATE bindings SET offer",
    Write::ExtendBindings(..) => "UPDATE bindings SET expires = lifetime",
    Write::ExpireBindings(_) => "DELETE FROM bindings WHERE expires",
    Write::Enrolment(..) => "INSERT INTO enrolments",
    Write::ExpireEnrolments(_) => "DELETE FROM enrolments WHERE expires",
    Write::Enrol(..) => "INSERT INTO devices",
    Write::AddDevice(..) => "INSERT INTO devices",
    Write::RenameDevice(..) => "UPDATE devices",
    Write::DeleteDevice(_) => "DELETE FROM devices WHERE id",
    Write::Deliveries(_) => "INSERT INTO deliveries",
    Write::Missed(_) => "INSERT INTO deliveries",
    Write::ExpireMissed(_) => "SET state = 'dropped' WHERE state = 'pending' AND kind",
    Write::Delivered { .. } => "UPDATE deliveries SET state = v.",
    Write::Attempted { .. } => "UPDATE deliveries SET state = v.",
    Write::HandedOut(_) => "UPDATE deliveries SET attempts",
    Write::Outcomes(_) => "UPDATE deliveries SET state = $1",
    Write::Part { .. } => "UPDATE deliveries SET is_open",
    Write::DropPending { .. } => "SET state = 'dropped' WHERE state = 'pending' AND call",
    Write::Token { .. } => "INSERT INTO tokens",
    Write::Offer(_) => "INSERT INTO offers",
    Write::DeleteOffers(_) => "DELETE FROM offers",
    Write::Setting { .. } => "INSERT INTO settings",
    Write::Shift { .. } => "UPDATE offers SET received",
    Write::Probe => "UPDATE fences",
}

#[test]
fn there_is_a_write_of_each_kind() {
    for words in WORDS {
        let kinds = WORDS.iter().filter(|other| *other == words).count();
        let writes = WRITES.iter().filter(|(other, _)| other == words).count();
        assert!(writes >= kinds, "{words}: {writes} of {kinds}");
    }
}

/// Each with words of one of its statements.
pub(in crate::store) const WRITES: &[(&str, TestWrite)] = &[
    ("INSERT INTO numbers", |store, n| {
        let rows = (0..3).map(|k| NumberRow::new(number(n, k), NumberEntry::default())).collect();
        async move { shown(store.put_numbers(rows).await) }.boxed()
    }),
    ("UPDATE numbers SET enabled", |store, n| async move { shown(store.enable(&number(n, 1), false).await) }.boxed()),
    ("INSERT INTO enrolments", |store, n| {
        async move { shown(store.add_enrolment(enrolment(n, n), NOW).await) }.boxed()
    }),
    ("INSERT INTO devices", |store, n| async move { shown(store.enrol([n; 32], device_row(n, 0), NOW).await) }.boxed()),
    ("INSERT INTO enrolments", |store, n| {
        async move { shown(store.add_enrolment(enrolment(n, 100 + n), NOW).await) }.boxed()
    }),
    ("DELETE FROM enrolments WHERE expires", |store, _| {
        async move { shown(store.expire_enrolments(UnixMillis(3_000)).await) }.boxed()
    }),
    ("INSERT INTO devices", |store, n| {
        async move { shown(store.add_device(number(n, 1), device_row(n, 1), NOW).await) }.boxed()
    }),
    ("UPDATE devices", |store, n| {
        async move { shown(store.rename_device(&named("device", n, 1), "Phone".parse().unwrap()).await) }.boxed()
    }),
    ("INSERT INTO bindings", |store, n| {
        let device = Some(named::<DeviceId>("device", n, 0));
        async move { shown(store.add_binding(Binding { device, ..binding(n, 0, 61_000) }).await) }.boxed()
    }),
    ("INSERT INTO bindings", |store, n| async move { shown(store.add_binding(binding(n, 1, 5_000)).await) }.boxed()),
    ("INSERT INTO bindings", |store, n| async move { shown(store.add_binding(binding(n, 2, 61_000)).await) }.boxed()),
    ("UPDATE bindings SET secret", |store, n| {
        let renewal = Renewal { secret: Some("a-secret".to_owned()), ..Renewal::default() };
        async move { shown(store.renew_binding(&client(n, 0), renewal, NOW).await) }.boxed()
    }),
    ("UPDATE bindings SET offer", |store, n| {
        async move { shown(store.offer_to(&client(n, 0), OfferTo::Never).await) }.boxed()
    }),
    ("UPDATE bindings SET expires = lifetime", |store, n| {
        async move { shown(store.extend_bindings(vec![client(n, 0)], UnixMillis(2_000)).await) }.boxed()
    }),
    ("DELETE FROM bindings WHERE id", |store, n| {
        async move { shown(store.delete_binding(&client(n, 2)).await) }.boxed()
    }),
    ("DELETE FROM bindings WHERE expires", |store, _| {
        async move { shown(store.expire_bindings(UnixMillis(6_000)).await) }.boxed()
    }),
    ("INSERT INTO calls", |store, n| {
        async move { committed(store.save_calls(vec![call(n, 0, None), call(n, 1, Some(5))])).await }.boxed()
    }),
    ("INSERT INTO deliveries", |store, n| {
        let peers = (0..2).map(|to| delivery(n, to, 0, to, peer(n)));
        let all = peers.chain([delivery(n, 2, 0, 0, text()), delivery(n, 3, 1, 0, text())]).collect();
        async move { shown(store.add_deliveries(all).await) }.boxed()
    }),
    ("INSERT INTO deliveries", |store, n| {
        async move { shown(store.add_missed(vec![delivery(n, 4, 0, 1, missed())]).await) }.boxed()
    }),
    ("UPDATE deliveries SET state = v.", |store, n| {
        let error = Some("no answer".to_owned());
        async move { committed(store.attempted(&delivery_id(n, 0), DeliveryState::Pending, error)).await }.boxed()
    }),
    ("UPDATE deliveries SET state = v.", |store, n| {
        async move { committed(store.delivered(&delivery_id(n, 1), None, UnixMillis(7))).await }.boxed()
    }),
    ("UPDATE deliveries SET attempts", |store, n| {
        async move { shown(store.hand_out(vec![delivery_id(n, 2)]).await) }.boxed()
    }),
    ("UPDATE deliveries SET state = $1", |store, n| {
        let refused = SipFailure { id: delivery_id(n, 2), state: DeliveryState::Failed, error: "refused".to_owned() };
        async move { committed(store.sip_outcomes(vec![refused])).await }.boxed()
    }),
    ("UPDATE deliveries SET is_open", |store, n| part(store, n).boxed()),
    ("SET state = 'dropped' WHERE state = 'pending' AND call", |store, n| {
        async move { shown(store.drop_pending(vec![call_id(n, 1)], true).await) }.boxed()
    }),
    ("SET state = 'dropped' WHERE state = 'pending' AND kind", |store, _| {
        async move { shown(store.expire_missed(UnixMillis(5)).await) }.boxed()
    }),
    ("DELETE FROM deliveries", |store, _| async move { shown(store.prune_batch(UnixMillis(10)).await) }.boxed()),
    ("DELETE FROM calls", |store, _| async move { shown(store.prune_batch(UnixMillis(10)).await) }.boxed()),
    ("INSERT INTO tokens", |store, n| {
        async move { shown(store.put_token(TokenRole::Agent, "agent", Some([n; 32])).await) }.boxed()
    }),
    ("INSERT INTO offers", |store, n| async move { shown(store.put_offer(offer(n, 0)).await) }.boxed()),
    ("INSERT INTO offers", |store, n| async move { shown(store.put_offer(offer(n, 1)).await) }.boxed()),
    ("UPDATE offers SET received", |store, _| async move { shown(store.shift(7, &reading()).await) }.boxed()),
    ("DELETE FROM offers", |store, n| async move { shown(store.delete_offers(vec![offer(n, 0).id()]).await) }.boxed()),
    ("INSERT INTO settings", |store, _| async move { store.probe(Some(&reading())).await.to_string() }.boxed()),
    ("UPDATE fences", |store, _| async move { store.probe(None).await.to_string() }.boxed()),
    ("DELETE FROM devices WHERE id", |store, n| {
        async move { shown(store.delete_device(&named("device", n, 0)).await) }.boxed()
    }),
    ("DELETE FROM numbers", |store, n| async move { shown(store.delete_number(&number(n, 2)).await) }.boxed()),
];

/// Makes all of them.
pub(in crate::store) async fn make_all(store: &Store, n: u8) -> Vec<String> {
    let mut all = Vec::new();
    for (_, write) in WRITES {
        all.push(write(store, n).await);
    }
    all
}

/// All rows, as text. The messages that announce the end of a pair have random ids, which are left out.
pub(in crate::store) async fn all_rows(store: &Store) -> Vec<String> {
    let mut all = Vec::new();
    for table in &TABLES {
        let select = Builder::new(format!("SELECT {} FROM {}", table.names(), table.name)).build();
        for row in select.fetch_all(&store.pool).await.unwrap() {
            let mut values = table.values(&row).unwrap();
            if table.name == "deliveries" && matches!(&values[6], Value::Text(Some(kind)) if kind == "ended") {
                (values[0], values[7]) = (Value::Text(None), Value::Text(None));
            }
            all.push(format!("{} {values:?}", table.name));
        }
    }
    all.sort();
    all
}

fn shown(done: Result<impl Debug, StoreError>) -> String {
    format!("{:?}", done.unwrap())
}

async fn committed(commit: Result<Commit, StoreError>) -> String {
    shown(commit.unwrap().wait().await)
}

async fn part(store: &Store, n: u8) -> String {
    let parted = store.part(&call_id(n, 0), [number(n, 0), number(n, 1)], UnixMillis(9)).await.unwrap();
    let told: Vec<_> = parted.ended.iter().map(|ended| &ended.client).collect();
    format!("{:?} {told:?}", parted.dropped)
}

fn number(n: u8, k: u8) -> Number {
    format!("+1212555{n:02}{k:02}").parse().unwrap()
}

fn named<T: FromStr<Err: Debug>>(kind: &str, n: u8, k: u8) -> T {
    format!("{kind}-{n}-{k}").parse().unwrap()
}

fn client(n: u8, k: u8) -> ClientId {
    named("client", n, k)
}

fn call_id(n: u8, k: u8) -> CallId {
    named("call", n, k)
}

fn delivery_id(n: u8, k: u8) -> String {
    format!("delivery-{n}-{k}")
}

fn reading() -> ClockReading {
    ClockReading { boot: String::new(), since_boot: 0, at: 0 }
}

fn enrolment(n: u8, code: u8) -> Enrolment {
    Enrolment { code: [code; 32], number: number(n, 0), by: EnrolmentAuthor::Admin, expires: UnixMillis(2_000) }
}

fn device_row(n: u8, k: u8) -> DeviceRow {
    DeviceRow { id: named("device", n, k), name: "Tablet".parse().unwrap(), token: [100 * k + n; 32] }
}

fn binding(n: u8, k: u8, expires: i64) -> Binding {
    Binding {
        id: client(n, k),
        number: number(n, k),
        device: None,
        form: ClientForm::Hosted,
        address: None,
        secret: None,
        capabilities: Vec::new(),
        offer: OfferTo::Everyone,
        lifetime: Duration::from_secs(60),
        expires: UnixMillis(expires),
    }
}

fn call(n: u8, k: u8, ended: Option<i64>) -> Call {
    let record = json!({
        "id": call_id(n, k), "pbx": "a", "leg": "a-1", "called": number(n, 1), "side": "originating", "route": "pstn",
        "reason": "caller-has-no-client", "decided": 0, "ended": ended, "phase": "decided", "legs": {}, "last_seq": 1,
    });
    record::read::<CallRecord>(record.to_string()).unwrap().into()
}

/// To the client of one of two numbers, about the other one.
fn delivery(n: u8, k: u8, call: u8, to: u8, body: MessageBody) -> Delivery {
    Delivery {
        number: number(n, to),
        other: number(n, 1 - to),
        client: client(n, to),
        form: ClientForm::Hosted,
        message: Message { id: delivery_id(n, k), call: call_id(n, call), body },
        attempts: 0,
        created: UnixMillis(k.into()),
    }
}

fn peer(n: u8) -> MessageBody {
    let address = "https://node.example/a/x".parse().unwrap();
    let peer = PeerClient { number: Some(number(n, 0)), name: None, address, capabilities: Vec::new() };
    MessageBody::Peer { role: Role::First, peer, own: None, reply: None }
}

fn text() -> MessageBody {
    MessageBody::Message { content: serde_json::Map::new(), guest: None, sender: None }
}

fn missed() -> MessageBody {
    MessageBody::Missed { role: Role::Second, peer: PeerIdentity::default(), at: UnixMillis(1) }
}

fn offer(n: u8, k: u8) -> StoredOffer {
    let offer = Offer {
        id: call_id(n, k),
        calling: None,
        called: number(n, 1),
        address: "https://node.example/a/x".parse().unwrap(),
        name: None,
        capabilities: Vec::new(),
        at: UnixMillis(1),
        sent: UnixMillis(2),
        via: Vec::new(),
    };
    StoredOffer { peer: "peer".parse().unwrap(), offer, received: UnixMillis(3) }
}
