//! Whole databases, written by earlier and later versions.

use std::path::Path;

use super::values;
use crate::contract::{ClientForm, MessageBody};
use crate::core::base::name::PeerName;
use crate::core::base::time::UnixMillis;
use crate::core::call::remote_side::PeerDeliveryState;
use crate::core::call::{Call, Membership, Phase};
use crate::core::numbering::number::Number;
use crate::store::{CallFilter, Delivery, Store, StoredOffer, sql};

/// Runs statements on a closed database.
async fn run(database: &Path, sql: &'static str) {
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", database.display())).await.unwrap();
    sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    pool.close().await;
}

fn delivery(id: &str) -> Delivery {
    let (_, mut message) = values::messages().swap_remove(2);
    message.id = id.to_owned();
    Delivery {
        number: "+12125550100".parse().unwrap(),
        other: "+12125550101".parse().unwrap(),
        client: "client".parse().unwrap(),
        form: ClientForm::Hosted,
        message,
        attempts: 0,
        created: UnixMillis(1),
    }
}

fn offer(peer: &str) -> StoredOffer {
    let (_, offer) = values::offers().swap_remove(1);
    StoredOffer { peer: peer.parse().unwrap(), offer, received: UnixMillis(1) }
}

#[tokio::test]
async fn a_row_of_a_newer_version_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidecall.db");
    let store = Store::open(&path).await.unwrap();
    let (_, call) = values::calls().swap_remove(0);
    let newer = Call { id: "0199-2".parse().unwrap(), ..call.clone() };
    store.save_calls(vec![call.clone(), newer.clone()]).unwrap().wait().await.unwrap();
    store.add_deliveries(vec![delivery("1"), delivery("2")]).await.unwrap();
    for peer in ["a", "b"] {
        store.put_offer(offer(peer)).await.unwrap();
    }
    let (_, clock) = values::clocks().swap_remove(0);
    assert!(store.probe(Some(&clock)).await);
    assert_eq!(store.clock().await.unwrap(), Some(clock));
    store.close().await;

    run(
        &path,
        r#"UPDATE calls SET body = replace(body, '"v":1', '"v":2') WHERE id = '0199-2';
           UPDATE deliveries SET body = replace(body, '"v":1', '"v":2') WHERE id = '2';
           UPDATE deliveries SET is_open = 1 WHERE id = '2';
           UPDATE offers SET body = replace(body, '{"id"', '{"v":2,"id"') WHERE peer = 'b';
           UPDATE settings SET value = CAST(replace(CAST(value AS TEXT), '"v":1', '"v":2') AS BLOB) WHERE name = 'clock';"#,
    )
    .await;
    let store = Store::open(&path).await.unwrap();
    let all = CallFilter { limit: 10, ..CallFilter::default() };
    assert_eq!(store.calls(&all).await.unwrap(), [call]);
    let error = store.call(&newer.id).await.unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(store.pending().await.unwrap(), [delivery("1")]);
    let numbers = [delivery("1").number, delivery("1").other];
    assert_eq!(store.part(&delivery("1").message.call, numbers, UnixMillis(1)).await.unwrap().dropped, ["2"]);
    assert_eq!(store.offers().await.unwrap(), [offer("a")]);
    assert_eq!(store.clock().await.unwrap(), None);
}

/// The database of a node, copied while calls were up, messages were pending and an offer was waiting.
#[tokio::test]
async fn a_database_from_before_records_is_read_and_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidecall.db");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/store/before-records.db"), &path).unwrap();
    let store = Store::open(&path).await.unwrap();
    let all = CallFilter { limit: 10, ..CallFilter::default() };
    let calls = store.calls(&all).await.unwrap();
    let phases: Vec<_> = calls.iter().map(|call| (call.leg.as_str(), call.phase)).collect();
    assert_eq!(
        phases,
        [
            ("b-7", Phase::Decided),
            ("b-5", Phase::Talking),
            ("b-3", Phase::Talking),
            ("b-2", Phase::Talking),
            ("b-1", Phase::Ended),
        ]
    );
    let [own, hidden, inside, come, over] = &calls[..] else { unreachable!() };
    assert!(own.withheld && hidden.caller().is_some_and(|caller| caller.is_withheld()));
    assert_eq!(hidden.legs[&"b-6".parse().unwrap()].membership, Membership::Stranger);
    assert_eq!((inside.hears().len(), inside.talks.len(), over.parted.len()), (1, 1, 2));
    assert_eq!(come.remote.client.as_ref().and_then(|client| client.peer.as_ref()).map(PeerName::as_str), Some("a"));
    assert_eq!((over.remote.events.len(), over.remote.announced.as_ref()), (6, Some(&over.called)));
    assert_eq!(over.remote.answers.values().map(|sent| sent.state).collect::<Vec<_>>(), [PeerDeliveryState::Accepted]);
    let pending = store.pending().await.unwrap();
    let kinds: Vec<_> = pending.iter().map(|delivery| delivery.message.body.kind()).collect();
    assert_eq!(kinds, ["peer", "peer", "message"]);
    let offers = store.offers().await.unwrap();
    assert_eq!(offers.iter().map(|stored| stored.offer.id.as_str()).collect::<Vec<_>>(), ["0199-2"]);
    assert_eq!(store.open_pairs().await.unwrap().len(), 3);
    assert!(store.clock().await.unwrap().is_some());

    // Rewritten rows read the same, and Fred is told of the end of the pair that he was told of.
    store.save_calls(calls.clone()).unwrap().wait().await.unwrap();
    assert_eq!(store.calls(&all).await.unwrap(), calls);
    let [fred, gina]: [Number; 2] = ["+13105550100", "+13105550101"].map(|number| number.parse().unwrap());
    let parted = store.part(&inside.id, [fred.clone(), gina.clone()], UnixMillis(1)).await.unwrap();
    assert_eq!(parted.dropped, [pending[1].message.id.clone()]);
    let ended: Vec<_> = parted.ended.into_iter().map(|delivery| (delivery.number, delivery.message.body)).collect();
    assert_eq!(ended, [(fred, MessageBody::Ended { number: Some(gina) })]);
    let bodies = sql::scalar::<String>("SELECT body FROM calls").fetch_all(&store.pool).await.unwrap();
    assert!(bodies.iter().all(|body| body.starts_with(r#"{"v":1,"id":"#)), "{bodies:?}");
}
