//! What a group of writes changes in the directory.

use std::collections::HashMap;

use super::load::{DataVersion, read_row};
use super::tables::DirectoryTables;
use super::{DeviceState, NumberState, ROWS, SharedDirectory};
use crate::core::base::name::{ClientId, DeviceId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::store::sql::{Builder, Connection, Row};
use crate::store::writer::{Done, Removed, Write};
use crate::store::{Binding, NumberRow, StoreError, TokenRole, bindings, devices, numbers, settings};

/// Rows to read before the commit and to put into memory after it. A row that isn't there is removed from memory.
#[derive(Default)]
pub(in crate::store) struct DirectoryChanges<'a> {
    /// Entries that the group has put, each once, and changed in no other way. An import puts a million, so they are not read.
    put: HashMap<&'a Number, &'a NumberRow>,
    numbers: HashMap<&'a Number, Option<NumberState>>,
    clients: HashMap<ClientId, Option<Binding>>,
    devices: HashMap<DeviceId, Option<DeviceState>>,
    /// All tokens, if one has changed: there are few.
    tokens: Option<HashMap<[u8; 32], TokenRole>>,
    expiries: Vec<ExpiryChange<'a>>,
    compares_versions: bool,
    /// All that there is, if another connection has written.
    reloaded: Option<DirectoryTables>,
}

/// A new expiry of many clients. It is worked out in memory, since reading them all would take too long.
enum ExpiryChange<'a> {
    Extended(&'a [ClientId], UnixMillis),
    Shifted(i64),
}

impl<'a> DirectoryChanges<'a> {
    /// Notes which rows a write has touched.
    pub(in crate::store) fn note(&mut self, write: &'a Write, done: &Done) {
        match write {
            Write::Numbers(rows) => rows.iter().for_each(|row| self.note_put(row)),
            Write::DeleteNumber(number) | Write::Enable(number, _) => self.note_number(number),
            Write::Binding(binding) => self.note_clients([binding.id.clone()]),
            Write::Renew(id, _, _) | Write::DeleteBinding(id) | Write::OfferTo(id, _) => {
                self.note_clients([id.clone()]);
            }
            Write::Enrol(_, device, _) | Write::AddDevice(_, device, _) => self.note_devices([device.id.clone()]),
            Write::RenameDevice(id, _) => self.note_devices([id.clone()]),
            Write::Token { .. } => self.tokens = Some(HashMap::new()),
            Write::ExtendBindings(ids, now) => self.expiries.push(ExpiryChange::Extended(ids, *now)),
            Write::Shift { millis, .. } => self.expiries.push(ExpiryChange::Shifted(*millis)),
            // The result says what is gone.
            Write::DeleteDevice(_) | Write::ExpireBindings(_) => {}
            // Made every second.
            Write::Setting { .. } | Write::Probe => self.compares_versions = true,
            Write::Calls(_)
            | Write::Prune { .. }
            | Write::Enrolment(..)
            | Write::ExpireEnrolments(_)
            | Write::Deliveries(_)
            | Write::Missed(_)
            | Write::ExpireMissed(_)
            | Write::Delivered { .. }
            | Write::Attempted { .. }
            | Write::HandedOut(_)
            | Write::Outcomes(_)
            | Write::Part { .. }
            | Write::DropPending { .. }
            | Write::Offer(_)
            | Write::DeleteOffers(_) => {}
        }
        match done {
            Done::Expired(clients) => self.note_clients(clients.iter().cloned()),
            Done::Removed(Removed { clients, devices, .. }) => {
                self.note_clients(clients.iter().cloned());
                self.note_devices(devices.iter().cloned());
            }
            _ => {}
        }
    }

    fn note_put(&mut self, row: &'a NumberRow) {
        if self.numbers.contains_key(&row.number) {
            return;
        }
        // The result of several writes to one entry is read.
        if self.put.insert(&row.number, row).is_some() {
            self.note_number(&row.number);
        }
    }

    fn note_number(&mut self, number: &'a Number) {
        self.put.remove(number);
        self.numbers.insert(number, None);
    }

    fn note_clients(&mut self, ids: impl IntoIterator<Item = ClientId>) {
        for id in ids {
            self.clients.insert(id, None);
        }
    }

    fn note_devices(&mut self, ids: impl IntoIterator<Item = DeviceId>) {
        for id in ids {
            self.devices.insert(id, None);
        }
    }

    /// Reads the rows, inside the transaction.
    pub(in crate::store) async fn read(
        &mut self,
        connection: &mut Connection,
        directory: &SharedDirectory,
    ) -> Result<(), StoreError> {
        if self.compares_versions {
            let version = DataVersion::read(connection).await?;
            if version != directory.read().version() {
                tracing::warn!("another program has written to the database: reading the directory again");
                self.reloaded = Some(DirectoryTables::load(connection).await?);
                return Ok(());
            }
        }
        let put = self.put_states(&directory.read());
        let keys = self.numbers.keys().map(|number| number.to_string()).collect();
        for state in read_rows(connection, numbers::SELECT, "number", keys, numbers::read).await? {
            if let Some(found) = self.numbers.get_mut(&state.number) {
                *found = Some(state);
            }
        }
        self.numbers.extend(put);
        let keys = self.clients.keys().map(ClientId::to_string).collect();
        for binding in read_rows(connection, bindings::SELECT, "id", keys, bindings::read).await? {
            self.clients.insert(binding.id.clone(), Some(binding));
        }
        let keys = self.devices.keys().map(DeviceId::to_string).collect();
        for device in read_rows(connection, devices::SELECT, "id", keys, devices::read).await? {
            self.devices.insert(device.id.clone(), Some(device));
        }
        if let Some(tokens) = &mut self.tokens {
            *tokens = settings::tokens(connection).await?;
        }
        Ok(())
    }

    /// The states of the entries that were put. If the directory has skipped rows, these entries are read as well: a skipped row
    /// may be one of them, and a put keeps some of what a row has.
    fn put_states(&mut self, tables: &DirectoryTables) -> Vec<(&'a Number, Option<NumberState>)> {
        let put = std::mem::take(&mut self.put).into_iter();
        if tables.has_all_numbers() {
            return put.map(|(number, row)| (number, Some(row.state(tables.number(number))))).collect();
        }
        self.numbers.extend(put.map(|(number, _)| (number, None)));
        Vec::new()
    }

    /// Brings memory in line with the commit. The rows come last, since they have what the whole group has done.
    pub(in crate::store) fn apply(self, directory: &SharedDirectory) {
        if let Some(tables) = self.reloaded {
            // What was there before is dropped once the lock is free.
            let _before = std::mem::replace(&mut *directory.write(), tables);
            return;
        }
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
        let mut devices = self.devices.into_iter();
        while devices.len() > 0 {
            let mut tables = directory.write();
            devices.by_ref().take(ROWS).for_each(|(id, device)| tables.set_device(&id, device));
        }
        if let Some(tokens) = self.tokens {
            directory.write().set_tokens(tokens);
        }
    }
}

/// The rows with these keys. One that can't be read is skipped.
async fn read_rows<T>(
    connection: &mut Connection,
    select: &str,
    key: &str,
    keys: Vec<String>,
    read: fn(&Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::with_capacity(keys.len());
    for keys in keys.chunks(ROWS) {
        let mut query = Builder::new(format!("{select} WHERE {key}"));
        query.push_in(keys.iter().cloned());
        for row in query.build().fetch_all(&mut *connection).await? {
            found.extend(read_row(&row, read)?);
        }
    }
    Ok(found)
}
