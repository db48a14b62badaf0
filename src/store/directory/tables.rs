//! The entries of the directory, their clients and devices, and the tokens, as lookups find them.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::devices::{DeviceState, Devices};
use super::load::DataVersion;
use super::newest_first::NewestFirst;
use crate::contract::{NumberEntry, NumberKind, NumberView};
use crate::core::address::disclosure::OfferTo;
use crate::core::base::name::{ClientId, DeviceId, PbxName};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::routing::route::NumberFacts;
use crate::store::{Binding, EnrolledDevice, Facts, TokenRole};

/// What is known of a number.
#[derive(Debug)]
pub(in crate::store) struct NumberState {
    pub(in crate::store) number: Number,
    pub(in crate::store) name: Option<Box<str>>,
    pub(in crate::store) pbx: Option<PbxName>,
    pub(in crate::store) kind: NumberKind,
    pub(in crate::store) extensions: Box<[Number]>,
    pub(in crate::store) is_enabled: bool,
    /// The hash of its clients' credential.
    pub(in crate::store) credential: Option<[u8; 32]>,
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
        NumberView { number: self.number.clone(), entry, has_credential: self.credential.is_some() }
    }
}

/// An entry that is found by its number. Behind a pointer, because up to half of a hash table's slots are empty.
struct ByNumber(Arc<NumberState>);

impl Borrow<Number> for ByNumber {
    fn borrow(&self) -> &Number {
        &self.0.number
    }
}

impl Hash for ByNumber {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.number.hash(state);
    }
}

impl PartialEq for ByNumber {
    fn eq(&self, other: &ByNumber) -> bool {
        self.0.number == other.0.number
    }
}

impl Eq for ByNumber {}

/// An entry in the index of credentials. It has one.
struct ByCredential(Arc<NumberState>);

impl Borrow<Option<[u8; 32]>> for ByCredential {
    fn borrow(&self) -> &Option<[u8; 32]> {
        &self.0.credential
    }
}

impl Hash for ByCredential {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.credential.hash(state);
    }
}

impl PartialEq for ByCredential {
    fn eq(&self, other: &ByCredential) -> bool {
        self.0.credential == other.0.credential
    }
}

impl Eq for ByCredential {}

/// All entries, clients, devices and tokens.
#[derive(Default)]
pub(in crate::store) struct DirectoryTables {
    version: DataVersion,
    numbers: HashSet<ByNumber>,
    /// How many entries of the database could not be read.
    skipped_numbers: usize,
    /// The entries that have a credential.
    by_credential: HashSet<ByCredential>,
    bindings: HashMap<ClientId, Box<Binding>>,
    clients: NewestFirst<ClientId>,
    devices: Devices,
    /// The roles of tokens, by hash.
    tokens: HashMap<[u8; 32], TokenRole>,
    /// The names of the PBXs, also former ones. Entries share them.
    pbxs: HashSet<PbxName>,
}

impl DirectoryTables {
    /// Without rows yet.
    pub(super) fn new(version: DataVersion) -> DirectoryTables {
        DirectoryTables { version, ..DirectoryTables::default() }
    }

    /// The version of the database that the rows were read from. Writes of this program don't change it.
    pub(super) fn version(&self) -> DataVersion {
        self.version
    }

    /// The entry of a number.
    pub(in crate::store) fn number(&self, number: &Number) -> Option<&NumberState> {
        self.numbers.get(number).map(|entry| &*entry.0)
    }

    /// The number that has the credential of this hash.
    pub(in crate::store) fn holder(&self, hash: &[u8; 32]) -> Option<&Number> {
        self.by_credential.get(&Some(*hash)).map(|holder| &holder.0.number)
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
        self.clients.of(number).iter().filter_map(move |id| self.binding(id, now))
    }

    /// A device.
    pub(in crate::store) fn device(&self, id: &DeviceId, now: UnixMillis) -> Option<EnrolledDevice> {
        self.devices.get(id).map(|device| self.with_client(device, now))
    }

    /// The devices of a number, newest first.
    pub(in crate::store) fn devices_of(
        &self,
        number: &Number,
        now: UnixMillis,
    ) -> impl Iterator<Item = EnrolledDevice> {
        self.devices.ids_of(number).iter().filter_map(move |id| self.device(id, now))
    }

    /// A device and its hosted client, which is one of its number's.
    pub(in crate::store) fn with_client(&self, device: &DeviceState, now: UnixMillis) -> EnrolledDevice {
        let is_its = |client: &&Binding| client.address.is_none() && client.device.as_ref() == Some(&device.id);
        EnrolledDevice {
            id: device.id.clone(),
            number: device.number.clone(),
            name: device.name.clone(),
            enrolled: device.enrolled,
            client: self.clients_of(&device.number, now).find(is_its).map(|client| client.id.clone()),
        }
    }

    /// The number that a client's token belongs to, and the device if it is a device's token.
    pub(in crate::store) fn client_of_token(&self, hash: &[u8; 32]) -> Option<(Number, Option<DeviceId>)> {
        if let Some(number) = self.holder(hash) {
            return Some((number.clone(), None));
        }
        self.devices.with_token(hash).map(|device| (device.number.clone(), Some(device.id.clone())))
    }

    /// The role of the token with this hash.
    pub(in crate::store) fn role(&self, hash: &[u8; 32]) -> Option<TokenRole> {
        self.tokens.get(hash).copied()
    }

    /// How many entries, clients and devices there are.
    pub(super) fn counts(&self) -> (usize, usize, usize) {
        (self.numbers.len(), self.bindings.len(), self.devices.len())
    }

    /// Makes room for so many entries.
    pub(super) fn reserve(&mut self, numbers: usize) {
        self.numbers.reserve(numbers);
    }

    /// Notes how many entries could not be read.
    pub(super) fn note_skipped_numbers(&mut self, skipped: usize) {
        self.skipped_numbers = skipped;
    }

    /// Whether all entries of the database could be read.
    pub(super) fn has_all_numbers(&self) -> bool {
        self.skipped_numbers == 0
    }

    /// Adds or replaces an entry.
    pub(super) fn put_number(&mut self, mut state: NumberState) {
        state.pbx = state.pbx.take().map(|name| self.shared(name));
        let state = Arc::new(state);
        if let Some(ByNumber(before)) = self.numbers.replace(ByNumber(state.clone())) {
            self.remove_credential(&before);
        }
        if state.credential.is_some() {
            self.by_credential.replace(ByCredential(state));
        }
    }

    /// Replaces an entry, or removes it.
    pub(super) fn set_number(&mut self, number: &Number, state: Option<NumberState>) {
        match state {
            Some(state) => self.put_number(state),
            None => {
                if let Some(ByNumber(before)) = self.numbers.take(number) {
                    self.remove_credential(&before);
                }
            }
        }
    }

    fn remove_credential(&mut self, before: &NumberState) {
        // Another number may have its credential by now.
        if self.by_credential.get(&before.credential).is_some_and(|holder| holder.0.number == before.number) {
            self.by_credential.remove(&before.credential);
        }
    }

    /// Adds a client that isn't here yet.
    pub(super) fn add_client(&mut self, binding: Binding) {
        self.clients.add(&binding.number, &binding.id);
        self.bindings.insert(binding.id.clone(), Box::new(binding));
    }

    /// Replaces a client, or removes it.
    pub(super) fn set_client(&mut self, id: &ClientId, binding: Option<Binding>) {
        if let Some(before) = self.bindings.remove(id) {
            self.clients.remove(&before.number, id);
        }
        if let Some(binding) = binding {
            self.add_client(binding);
        }
    }

    /// Adds a device that isn't here yet.
    pub(super) fn add_device(&mut self, device: DeviceState) {
        self.devices.add(device);
    }

    /// Replaces a device, or removes it.
    pub(super) fn set_device(&mut self, id: &DeviceId, device: Option<DeviceState>) {
        self.devices.set(id, device);
    }

    /// Replaces all tokens.
    pub(super) fn set_tokens(&mut self, tokens: HashMap<[u8; 32], TokenRole>) {
        self.tokens = tokens;
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
