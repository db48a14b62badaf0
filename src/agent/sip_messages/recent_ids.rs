//! Pure: the ids of messages that were taken in, so that none is sent twice.

use std::collections::{BTreeMap, HashMap};

/// Ids that are remembered; the oldest is forgotten first.
pub(in crate::agent) const IDS: usize = 16_384;

#[derive(Debug, Default)]
pub(in crate::agent) struct RecentIds {
    /// When each id was remembered, as a count.
    ids: HashMap<String, u64>,
    in_order: BTreeMap<u64, String>,
    added: u64,
}

impl RecentIds {
    pub(in crate::agent) fn contains(&self, id: &str) -> bool {
        self.ids.contains_key(id)
    }

    pub(in crate::agent) fn remember(&mut self, id: &str) {
        self.forget(id);
        self.added += 1;
        self.ids.insert(id.to_owned(), self.added);
        self.in_order.insert(self.added, id.to_owned());
        if self.ids.len() > IDS {
            self.in_order.pop_first().map(|(_, oldest)| self.ids.remove(&oldest));
        }
    }

    pub(in crate::agent) fn forget(&mut self, id: &str) {
        self.ids.remove(id).map(|n| self.in_order.remove(&n));
    }

    #[cfg(test)]
    pub(in crate::agent) fn len(&self) -> usize {
        self.ids.len().max(self.in_order.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_was_forgotten_and_remembered_again_is_as_new_as_the_last_time() {
        let mut ids = RecentIds::default();
        ids.remember("again");
        (1..IDS).for_each(|n| ids.remember(&n.to_string()));
        ids.forget("again");
        ids.remember("again");
        ids.remember("one more");
        assert!(ids.contains("again") && !ids.contains("1"));
        assert_eq!(ids.len(), IDS);
    }
}
