//! Writes that one statement makes for a whole group: of calls, and of the states of deliveries.
//!
//! Most writes are of these kinds, and each statement costs two hops between threads. They are deferred until another write
//! reads or changes the same rows, or until the commit. So every write finds what it would find if all were made one by one.

use std::collections::BTreeMap;

use super::Done;
use crate::core::base::name::{CallId, ClientId};
use crate::core::base::time::UnixMillis;
use crate::store::delivery_writes::StateChange;
use crate::store::record::CallRecord;
use crate::store::sql::Connection;
use crate::store::{DeliveryState, StoreError, calls, delivery_writes};

/// The writes that are deferred.
#[derive(Default)]
pub(in crate::store) struct MergedWrites<'a> {
    /// The last state of each call.
    calls: BTreeMap<&'a CallId, &'a CallRecord>,
    /// The first change to each delivery, then the second to each that has two, and so on.
    states: Vec<BTreeMap<&'a str, StateChange<'a>>>,
}

impl<'a> MergedWrites<'a> {
    /// Defers a write of calls.
    pub(super) fn calls(&mut self, calls: &'a [CallRecord]) -> Done {
        self.calls.extend(calls.iter().map(|call| (&call.id, call)));
        Done::Merged
    }

    /// Defers an attempt to deliver a message.
    pub(super) fn attempted(&mut self, id: &'a str, state: DeliveryState, error: Option<&'a str>) -> Done {
        self.state(id, StateChange { state, attempts: 1, delivered: None, error, client: None })
    }

    /// Defers the delivery of a message; with `client`, if it is that client's.
    pub(super) fn delivered(&mut self, id: &'a str, client: Option<&'a ClientId>, at: UnixMillis) -> Done {
        let state = DeliveryState::Delivered;
        self.state(id, StateChange { state, attempts: 0, delivered: Some(at), error: None, client })
    }

    fn state(&mut self, id: &'a str, change: StateChange<'a>) -> Done {
        match self.states.iter_mut().find(|changes| !changes.contains_key(id)) {
            Some(changes) => {
                changes.insert(id, change);
            }
            None => self.states.push(BTreeMap::from([(id, change)])),
        }
        Done::Merged
    }

    /// Changes the states of deliveries, if a change to one of these is deferred. Returns whether it wrote them.
    pub(in crate::store) async fn write_states_of(
        &mut self,
        connection: &mut Connection,
        ids: &[&str],
    ) -> Result<bool, StoreError> {
        let is_deferred = self.states.first().is_some_and(|first| ids.iter().any(|id| first.contains_key(*id)));
        if is_deferred {
            self.write_states(connection).await?;
        }
        Ok(is_deferred)
    }

    /// Changes the states of deliveries.
    pub(super) async fn write_states(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        for changes in std::mem::take(&mut self.states) {
            delivery_writes::change_states(connection, &changes).await?;
        }
        Ok(())
    }

    /// Makes all writes that are deferred.
    pub(super) async fn write(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        let last: Vec<&CallRecord> = std::mem::take(&mut self.calls).into_values().collect();
        calls::save(connection, &last).await?;
        self.write_states(connection).await
    }
}
