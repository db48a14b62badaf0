//! The record of an offer by another node, in `offers.body`.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::contract::{Capability, Offer};
use crate::core::address::Address;
use crate::core::base::name::CallId;
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// An offer.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct OfferRecord {
    id: CallId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calling: Option<Number>,
    called: Number,
    address: Address,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<Capability>,
    at: UnixMillis,
    sent: UnixMillis,
    via: Vec<String>,
}

impl Record for OfferRecord {
    const WHAT: &'static str = "offer";
    /// Programs without records refuse an offer with an unknown field.
    const TAGGED: bool = false;
}

impl From<Offer> for OfferRecord {
    fn from(offer: Offer) -> OfferRecord {
        let Offer { id, calling, called, address, name, capabilities, at, sent, via } = offer;
        OfferRecord { id, calling, called, address, name, capabilities, at, sent, via }
    }
}

impl From<OfferRecord> for Offer {
    fn from(record: OfferRecord) -> Offer {
        let OfferRecord { id, calling, called, address, name, capabilities, at, sent, via } = record;
        Offer { id, calling, called, address, name, capabilities, at, sent, via }
    }
}
