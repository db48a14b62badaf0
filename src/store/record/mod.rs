//! The JSON records in the database's columns.
//!
//! | column | record | `v` |
//! |---|---|---|
//! | `calls.body` | [`CallRecord`] | 1 |
//! | `deliveries.body` | [`MessageRecord`] | 1 |
//! | `settings.value` of `clock` | [`ClockRecord`] | 1 |
//! | `offers.body` | [`OfferRecord`] | none: earlier versions refuse an offer with an unknown field |
//!
//! Records are separate types, so that a change to a call, a message or an offer doesn't change the stored rows: the
//! compiler requires a new conversion instead. The only change allowed to a record is an additional field with a
//! default, which earlier versions ignore, and drop when they write the record again. For any other change add a record
//! with the next version, and a conversion from the old one. A row without `v` predates records and has version 1.
//!
//! `numbers.extensions`, `bindings.capabilities` and `bindings.offer` contain plain values without a version.

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

/// A record stored as JSON.
pub(super) trait Record: Serialize + DeserializeOwned {
    /// Its name in errors.
    const WHAT: &'static str;
    /// The version to write, and the only one to read.
    const VERSION: u16 = 1;
    /// Whether to write the version.
    const TAGGED: bool = true;
}

/// A record with its version.
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
