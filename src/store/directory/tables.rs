//! The entries of the directory and their clients, as lookups find them.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

use crate::contract::{NumberEntry, NumberKind, NumberView};
use crate::core::address::disclosure::OfferTo;
use crate::core::base::name::{ClientId, PbxName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::routing::route::NumberFacts;
use crate::store::{Binding, Facts};

/// What is known of a number.
#[derive(Debug)]
pub(in crate::store) struct NumberState {
    pub(in crate::store) number: Number,
    pub(in crate::store) name: Option<Box<str>>,
    pub(in crate::store) pbx: Option<PbxName>,
    pub(in crate::store) kind: NumberKind,
    pub(in crate::store) extensions: Box<[Number]>,
    pub(in crate::store) is_enabled: bool,
    pub(in crate::store) has_credential: bool,
}

impl NumberState {
    /// As the API shows it.
    pub(in crate::store) fn view(&self) -> NumberView {
        let entry = NumberEntry {
            name: self.name.as_deref().map(str::to_owned),
            pbx: self.pbx.clone(),
            kind: self.kind,
            extensions: self.extensions.to_vec(),
            enabled: Some(self.is_enabled),
            credential: None,
        };
        NumberView { number: self.number.clone(), entry, has_credential: self.has_credential }
    }
}

/// An entry that is found by its number. Boxed, because up to half of a hash table's slots are empty.
struct Listed(Box<NumberState>);

impl Borrow<Number> for Listed {
    fn borrow(&self) -> &Number {
        &self.0.number
    }
}

impl Hash for Listed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.number.hash(state);
    }
}

impl PartialEq for Listed {
    fn eq(&self, other: &Listed) -> bool {
        self.0.number == other.0.number
    }
}

impl Eq for Listed {}

/// All entries and clients.
#[derive(Default)]
pub(in crate::store) struct DirectoryTables {
    numbers: HashSet<Listed>,
    bindings: HashMap<ClientId, Box<Binding>>,
    /// The clients of each number that has any, newest first: their ids grow with time.
    clients: HashMap<Number, Vec<ClientId>>,
    /// The names of the PBXs. Entries share them.
    pbxs: HashSet<PbxName>,
}

impl DirectoryTables {
    /// The entry of a number.
    pub(in crate::store) fn number(&self, number: &Number) -> Option<&NumberState> {
        self.numbers.get(number).map(|listed| &*listed.0)
    }

    /// What a decision needs to know about a number.
    pub(in crate::store) fn facts(&self, number: &Number, now: UnixMillis) -> Facts {
        let Some(state) = self.number(number) else { return Facts::default() };
        let clients = self.clients_of(number, now).filter(|client| state.is_enabled && client.offer != OfferTo::Never);
        let offers: Vec<OfferTo> = clients.map(|client| client.offer.clone()).collect();
        let known = NumberFacts { served: true, has_client: !offers.is_empty(), home: state.pbx.clone() };
        Facts { known, offers }
    }

    /// A client that hasn't expired.
    pub(in crate::store) fn binding(&self, id: &ClientId, now: UnixMillis) -> Option<&Binding> {
        self.bindings.get(id).map(|client| &**client).filter(|client| client.expires > now)
    }

    /// The clients of a number that haven't expired, newest first.
    pub(in crate::store) fn clients_of(&self, number: &Number, now: UnixMillis) -> impl Iterator<Item = &Binding> {
        let ids = self.clients.get(number).into_iter().flatten();
        ids.filter_map(move |id| self.binding(id, now))
    }

    /// The ids of a number's clients, expired ones included.
    pub(super) fn client_ids(&self, number: &Number) -> Vec<ClientId> {
        self.clients.get(number).cloned().unwrap_or_default()
    }

    /// Makes room for so many entries.
    pub(super) fn reserve(&mut self, numbers: usize) {
        self.numbers.reserve(numbers);
    }

    /// Adds or replaces an entry.
    pub(super) fn put_number(&mut self, mut state: NumberState) {
        state.pbx = state.pbx.take().map(|name| self.shared(name));
        self.numbers.replace(Listed(Box::new(state)));
    }

    /// Replaces an entry, or removes it.
    pub(super) fn set_number(&mut self, number: &Number, state: Option<NumberState>) {
        match state {
            Some(state) => self.put_number(state),
            None => {
                self.numbers.remove(number);
            }
        }
    }

    /// Adds a client that isn't here yet.
    pub(super) fn add_client(&mut self, binding: Binding) {
        let clients = self.clients.entry(binding.number.clone()).or_default();
        let place = clients.partition_point(|other| *other > binding.id);
        clients.insert(place, binding.id.clone());
        self.bindings.insert(binding.id.clone(), Box::new(binding));
    }

    /// Replaces a client, or removes it.
    pub(super) fn set_client(&mut self, id: &ClientId, binding: Option<Binding>) {
        if let Some(before) = self.bindings.remove(id)
            && let Some(clients) = self.clients.get_mut(&before.number)
        {
            clients.retain(|other| other != id);
            if clients.is_empty() {
                self.clients.remove(&before.number);
            }
        }
        if let Some(binding) = binding {
            self.add_client(binding);
        }
    }

    /// Extends clients by their lifetimes from now.
    pub(super) fn extend(&mut self, ids: &[ClientId], now: UnixMillis) {
        for id in ids {
            if let Some(binding) = self.bindings.get_mut(id) {
                binding.expires = now + binding.lifetime;
            }
        }
    }

    /// Shifts the expiry of all clients.
    pub(super) fn shift(&mut self, millis: i64) {
        for binding in self.bindings.values_mut() {
            binding.expires = UnixMillis(binding.expires.0.saturating_add(millis));
        }
    }

    fn shared(&mut self, name: PbxName) -> PbxName {
        if let Some(known) = self.pbxs.get(&name) {
            return known.clone();
        }
        self.pbxs.insert(name.clone());
        name
    }
}
