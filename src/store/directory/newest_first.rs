//! What each number has, newest first.

use std::collections::HashMap;

use crate::core::numbering::number::Number;

/// The ids of each number that has any, newest first: ids grow with time.
#[derive(Debug)]
pub(super) struct NewestFirst<Id>(HashMap<Number, Vec<Id>>);

impl<Id> Default for NewestFirst<Id> {
    fn default() -> NewestFirst<Id> {
        NewestFirst(HashMap::new())
    }
}

impl<Id: Ord + Clone> NewestFirst<Id> {
    /// A number's ids.
    pub(super) fn of(&self, number: &Number) -> &[Id] {
        self.0.get(number).map(Vec::as_slice).unwrap_or_default()
    }

    /// Adds an id that isn't here yet.
    pub(super) fn add(&mut self, number: &Number, id: &Id) {
        let ids = self.0.entry(number.clone()).or_default();
        let place = ids.partition_point(|other| other > id);
        ids.insert(place, id.clone());
    }

    /// Removes an id.
    pub(super) fn remove(&mut self, number: &Number, id: &Id) {
        let Some(ids) = self.0.get_mut(number) else { return };
        ids.retain(|other| other != id);
        if ids.is_empty() {
            self.0.remove(number);
        }
    }
}
