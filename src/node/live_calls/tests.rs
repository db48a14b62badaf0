//! What the lock is for, and what becomes of calls that can't be written down.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::core::call::LegEvent;
use crate::core::call::claims::Winner;
use crate::core::routing::route::Side;
use crate::node::timeline::tests::call;

/// Live calls, their store, and the folder of its database.
async fn live_calls() -> (LiveCalls, Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("sidecall.db")).await.unwrap();
    (LiveCalls::new(store.clone(), 8, 1), store, folder)
}

fn decided(id: &str) -> Call {
    call(id, "a", Side::Terminating, Route::Local, "+12125550101")
}

/// The report that ends a call.
fn end(call: &Call) -> LegReport {
    let event = LegEvent::Ended { leg: call.leg.clone(), cause: None };
    LegReport { seq: 1, at: UnixMillis(1_000), event }
}

#[cfg(debug_assertions)]
#[tokio::test]
async fn a_closure_that_uses_the_live_calls_again_panics_in_debug_builds() {
    let (live, _store, _folder) = live_calls().await;
    let again = catch_unwind(AssertUnwindSafe(|| live.read(|_| live.count())));
    let message = again.unwrap_err().downcast::<&str>().unwrap();
    assert!(message.contains("holds their lock"), "{message}");
    assert_eq!(live.count(), 0, "the lock is free again");
}

#[tokio::test]
async fn a_closure_that_panics_leaves_the_lock_free() {
    let (live, _store, _folder) = live_calls().await;
    catch_unwind(AssertUnwindSafe(|| live.read(|_| panic!("in the closure")))).unwrap_err();
    let opened = live.open(decided("0199-1"), None);
    assert!(opened.is_new && live.is_live(&opened.call.id) && live.is_full());
}

#[tokio::test]
async fn a_leg_that_is_announced_twice_is_one_call() {
    let (live, _store, _folder) = live_calls().await;
    let first = live.open(decided("0199-1"), None);
    let again = Call { id: "0199-2".parse().unwrap(), ..first.call.clone() };
    let again = live.open(again, Some(Reason::Late));
    assert!(first.is_new && !again.is_new && again.call.id == first.call.id);
    assert_eq!(again.call.reason, Reason::Late, "what the PBX says that it did holds");
    assert_eq!((live.count(), live.call(&first.call.id).unwrap().reason), (1, Reason::Late));
    assert!(live.call(&"0199-2".parse().unwrap()).is_none());
}

#[tokio::test]
async fn a_call_that_is_forgotten_takes_its_claims_along() {
    let (live, _store, _folder) = live_calls().await;
    let call = live.open(decided("0199-1"), None).call;
    let claim = |client: &str| {
        let (invitation, client) = ("video".parse().unwrap(), client.parse().unwrap());
        live.claim(&call.id, &call.called, &invitation, &client, None, UnixMillis(1_000)).unwrap()
    };
    assert!(claim("tablet").is_new);
    assert_eq!(claim("phone"), Winner { client: "tablet".parse().unwrap(), is_new: false });
    let forgotten = live.forget(&call.id).unwrap();
    live.put_back(forgotten);
    assert_eq!(claim("phone"), Winner { client: "phone".parse().unwrap(), is_new: true });
}

#[tokio::test]
async fn a_call_that_could_not_be_written_is_kept_until_it_is() {
    let (live, store, _folder) = live_calls().await;
    store.close().await;
    let call = live.open(decided("0199-1"), None).call;
    assert_eq!(live.to_retry(), std::slice::from_ref(&call.id), "the decision could not be written");
    let applied = live.apply(&call.id, None, &[end(&call)]).unwrap();
    assert!(applied.write.is_err() && live.to_retry().is_empty());
    assert_eq!(applied.effects, [Effect::Ended(call.id.clone())]);
    live.retry_later(&applied.changed, &call.id, applied.effects);
    let later = UnixMillis(1_000 + GRACE.as_millis() as i64);
    assert!(live.over(later, GRACE).is_empty(), "it is over, but not written yet");
    let again = live.apply(&call.id, None, &[]).unwrap();
    assert_eq!(again.effects, [Effect::Ended(call.id.clone())], "and what follows from its end is still to be done");
    assert_eq!(live.over(later, GRACE), std::slice::from_ref(&call.id));
    assert!(live.forget(&call.id).is_some());
    assert!(matches!(live.apply(&call.id, None, &[]), Err(CallUnavailable::Unknown)));
}
