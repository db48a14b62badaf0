//! Calls as the API shows them, with their deliveries and their timelines.

use crate::contract::{AnswerView, CallView, RemoteSideView, TimelineEvent};
use crate::core::base::name::CallId;
use crate::core::call::Call;
use crate::core::call::remote_side::RemoteSide;
use crate::node::live_calls::LiveCalls;
use crate::node::timeline::{in_order, timeline};
use crate::store::{Store, StoreError};

/// Calls, live and stored.
#[derive(Clone)]
pub(in crate::node) struct CallViews {
    live: LiveCalls,
    store: Store,
}

impl CallViews {
    pub(in crate::node) fn new(live: LiveCalls, store: Store) -> CallViews {
        CallViews { live, store }
    }

    /// Calls as they are listed, with their deliveries.
    pub(super) async fn list(&self, calls: Vec<Call>) -> Result<Vec<CallView>, StoreError> {
        let mut views: Vec<CallView> = calls.into_iter().map(view).collect();
        for chunk in views.chunks_mut(500) {
            let ids: Vec<CallId> = chunk.iter().map(|view| view.call.clone()).collect();
            for (call, delivery) in self.store.deliveries_of(&ids).await? {
                if let Some(view) = chunk.iter_mut().find(|view| view.call == call) {
                    view.deliveries.push(delivery);
                }
            }
        }
        Ok(views)
    }

    /// Calls with their timelines: where a call goes on in a linked one, that one's part is in it too.
    pub(super) async fn with_timelines(&self, calls: Vec<Call>) -> Result<Vec<CallView>, StoreError> {
        let mut all = calls.clone();
        let linked_ids: Vec<CallId> = calls.iter().filter_map(|call| call.remote.linked_call.clone()).collect();
        for other in linked_ids {
            if !all.iter().any(|call| call.id == other) {
                all.extend(self.find(&other).await?);
            }
        }
        let mut views = self.list(all.clone()).await?;
        let timelines: Vec<Vec<TimelineEvent>> =
            all.iter().zip(&views).map(|(call, view)| timeline(call, &view.deliveries)).collect();
        views.truncate(calls.len());
        for (view, call) in views.iter_mut().zip(&calls) {
            let parts = all.iter().zip(&timelines).filter(|(other, _)| is_one(&all, call, other));
            view.timeline = in_order(parts.flat_map(|(_, steps)| steps).cloned().collect());
            view.with = all
                .iter()
                .filter(|other| other.id != call.id && is_one(&all, call, other))
                .map(|c| c.id.clone())
                .collect();
        }
        Ok(views)
    }

    /// A call: a live one as it is in memory, another one as it is stored.
    pub(super) async fn find(&self, id: &CallId) -> Result<Option<Call>, StoreError> {
        match self.live.call(id) {
            Some(call) => Ok(Some(call)),
            None => self.store.call(id).await,
        }
    }
}

/// Whether two calls of this node are one: either goes on in the other, or both in a third.
fn is_one(all: &[Call], a: &Call, b: &Call) -> bool {
    let linked = |a: &Call, b: &Call| {
        a.remote.linked_call.as_ref() == Some(&b.id) || b.remote.linked_call.as_ref() == Some(&a.id)
    };
    a.id == b.id || linked(a, b) || all.iter().any(|third| linked(a, third) && linked(third, b))
}

fn view(call: Call) -> CallView {
    CallView {
        hears: call.hears(),
        legs: call.unfinished().cloned().collect(),
        strangers: call.strangers().cloned().collect(),
        moved: call.moved().cloned().collect(),
        call: call.id,
        pbx: call.pbx,
        leg: call.leg,
        calling: call.calling,
        called: call.called,
        side: call.side,
        route: call.route,
        trunk: call.trunk,
        reason: call.reason,
        address: call.carried,
        phase: call.phase,
        last_seq: call.last_seq,
        decided: call.decided,
        answered: call.answered,
        ended: call.ended,
        cause: call.cause,
        remote: (!call.remote.is_empty()).then(|| remote_view(call.remote)),
        with: Vec::new(),
        timeline: Vec::new(),
        deliveries: Vec::new(),
    }
}

/// Without the address: whoever reads it could write there.
fn remote_view(remote: RemoteSide) -> RemoteSideView {
    let (source, client) = (remote.client.as_ref().map(|client| client.source), remote.client);
    let peer = client.as_ref().and_then(|client| client.peer.clone());
    RemoteSideView {
        source,
        peer,
        number: client.and_then(|client| client.number),
        offer: remote.offer,
        answers: remote.answers.into_iter().map(|(number, sent)| AnswerView { number, sent }).collect(),
        linked_call: remote.linked_call,
    }
}
