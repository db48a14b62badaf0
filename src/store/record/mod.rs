//! What the JSON columns of the database hold.
//!
//! | column | record | `v` |
//! |---|---|---|
//! | `calls.body` | [`CallRecord`] | 1 |
//! | `deliveries.body` | [`MessageRecord`] | 1 |
//! | `settings.value` of `clock` | [`ClockRecord`] | 1 |
//! | `offers.body` | [`OfferRecord`] | none: earlier versions refuse an offer with a field that they don't know |
//!
//! Records are types of their own, so that a change to a call, a message or an offer in the program changes no stored row:
//! the compiler asks for the conversion instead. A record never changes, but may gain a field with a default that earlier
//! versions can do without: they ignore it. Any other shape gets the next version, a second record, and a conversion from
//! the first one. A row without `v` was written before there were records, and has version 1.
//!
//! `numbers.extensions`, `bindings.capabilities` and `bindings.offer` hold plain values, which have no place for a version.

mod call;
mod clock;
mod message;
mod offer;
mod remote;
mod words;

#[cfg(test)]
mod tests;

pub(super) use call::CallRecord;
pub(super) use clock::ClockRecord;
pub(super) use message::MessageRecord;
pub(super) use offer::OfferRecord;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// What one row's JSON says.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// What errors call it.
    const WHAT: &'static str;
    /// The version that is written, and the only one that is read until there is a second.
    const VERSION: u16 = 1;
    /// Whether the version is written.
    const TAGGED: bool = true;
}

/// A record with its version before it.
#[derive(Serialize)]
struct Tagged<'a, R> {
    v: u16,
    #[serde(flatten)]
    record: &'a R,
}

/// The version alone.
#[derive(Deserialize)]
struct Tag {
    #[serde(default = "version_of_untagged")]
    v: u16,
}

fn version_of_untagged() -> u16 {
    1
}

/// Reads a record, if this program knows its version.
pub(super) fn read<R: Record>(json: impl AsRef<[u8]>) -> Result<R, StoreError> {
    let unreadable = |error: serde_json::Error| StoreError::unreadable(R::WHAT, error);
    let Tag { v } = serde_json::from_slice(json.as_ref()).map_err(unreadable)?;
    if v != R::VERSION {
        let reason = format!("its format has version {v}, and this program knows version {}", R::VERSION);
        return Err(StoreError::unreadable(R::WHAT, reason));
    }
    serde_json::from_slice(json.as_ref()).map_err(unreadable)
}

/// The JSON of a record.
pub(super) fn write<R: Record>(record: &R) -> Result<String, StoreError> {
    let json = match R::TAGGED {
        true => serde_json::to_string(&Tagged { v: R::VERSION, record }),
        false => serde_json::to_string(record),
    };
    json.map_err(|error| StoreError::unreadable(R::WHAT, error))
}
