//! What a group of writes changes in the directory.

use std::collections::HashMap;

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::{DirectoryCache, NumberState, ROWS};
use crate::core::base::name::ClientId;
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::store::error::legible;
use crate::store::writer::{Done, Write};
use crate::store::{Binding, StoreError, bindings, numbers, push_in};

/// Rows to read before the commit and to put into memory after it. A row that isn't there is removed from memory.
#[derive(Default)]
pub(in crate::store) struct DirectoryChanges<'a> {
    numbers: HashMap<&'a Number, Option<NumberState>>,
    clients: HashMap<ClientId, Option<Binding>>,
    expiries: Vec<ExpiryChange<'a>>,
}

/// A new expiry of many clients. It is worked out in memory, since reading them all would take too long.
enum ExpiryChange<'a> {
    Extended(&'a [ClientId], UnixMillis),
    Shifted(i64),
}

impl<'a> DirectoryChanges<'a> {
    /// Notes which rows a write has touched.
    pub(in crate::store) fn note(&mut self, write: &'a Write, done: &Done, directory: &DirectoryCache) {
        match write {
            Write::Numbers(rows) => {
                for row in rows {
                    self.numbers.insert(&row.number, None);
                }
            }
            Write::DeleteNumber(number) => {
                self.numbers.insert(number, None);
                // A client that this group has added is noted by the write that added it.
                self.note_clients(directory.read().client_ids(number));
            }
            Write::Enable(number, _) => {
                self.numbers.insert(number, None);
            }
            Write::Binding(binding) => self.note_clients([binding.id.clone()]),
            Write::Renew(id, _, _) | Write::DeleteBinding(id) | Write::OfferTo(id, _) => {
                self.note_clients([id.clone()]);
            }
            Write::ExtendBindings(ids, now) => self.expiries.push(ExpiryChange::Extended(ids, *now)),
            Write::Shift { millis, .. } => self.expiries.push(ExpiryChange::Shifted(*millis)),
            // The result has the clients.
            Write::ExpireBindings(_) | Write::DeleteDevice(_) => {}
            Write::Calls(_)
            | Write::Prune { .. }
            | Write::Enrolment(..)
            | Write::ExpireEnrolments(_)
            | Write::Enrol(..)
            | Write::AddDevice(..)
            | Write::RenameDevice(..)
            | Write::Deliveries(_)
            | Write::Missed(_)
            | Write::ExpireMissed(_)
            | Write::Delivered { .. }
            | Write::Attempted { .. }
            | Write::HandedOut(_)
            | Write::Outcomes(_)
            | Write::Part { .. }
            | Write::DropPending { .. }
            | Write::Token { .. }
            | Write::Offer(_)
            | Write::DeleteOffers(_)
            | Write::Setting { .. }
            | Write::Probe => {}
        }
        if let Done::Expired(clients) | Done::Revoked(Some(clients)) = done {
            self.note_clients(clients.iter().cloned());
        }
    }

    fn note_clients(&mut self, ids: impl IntoIterator<Item = ClientId>) {
        for id in ids {
            self.clients.insert(id, None);
        }
    }

    /// Reads the rows, inside the transaction.
    pub(in crate::store) async fn read(&mut self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let touched: Vec<&Number> = self.numbers.keys().copied().collect();
        for chunk in touched.chunks(ROWS) {
            let mut query = QueryBuilder::<Sqlite>::new(numbers::SELECT);
            query.push(" WHERE number");
            push_in(&mut query, chunk.iter().map(|number| number.to_string()));
            for row in query.build().fetch_all(&mut *connection).await? {
                let Some(state) = legible(numbers::read(&row)).transpose()? else { continue };
                if let Some(found) = self.numbers.get_mut(&state.number) {
                    *found = Some(state);
                }
            }
        }
        let touched: Vec<ClientId> = self.clients.keys().cloned().collect();
        for chunk in touched.chunks(ROWS) {
            let mut query = QueryBuilder::<Sqlite>::new(bindings::SELECT);
            query.push(" WHERE id");
            push_in(&mut query, chunk.iter().map(ClientId::to_string));
            for row in query.build().fetch_all(&mut *connection).await? {
                if let Some(binding) = legible(bindings::read(&row)).transpose()? {
                    self.clients.insert(binding.id.clone(), Some(binding));
                }
            }
        }
        Ok(())
    }

    /// Brings memory in line with the commit. The rows come last, since they have what the whole group has done.
    pub(in crate::store) fn apply(self, directory: &DirectoryCache) {
        for change in self.expiries {
            match change {
                ExpiryChange::Extended(ids, now) => {
                    ids.chunks(ROWS).for_each(|ids| directory.write().extend(ids, now));
                }
                ExpiryChange::Shifted(millis) => directory.write().shift(millis),
            }
        }
        let mut numbers = self.numbers.into_iter();
        while numbers.len() > 0 {
            let mut tables = directory.write();
            numbers.by_ref().take(ROWS).for_each(|(number, state)| tables.set_number(number, state));
        }
        let mut clients = self.clients.into_iter();
        while clients.len() > 0 {
            let mut tables = directory.write();
            clients.by_ref().take(ROWS).for_each(|(id, binding)| tables.set_client(&id, binding));
        }
    }
}
