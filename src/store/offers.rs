//! Offers of other nodes that a call may still use.

use super::error::legible;
use super::record::{self, OfferRecord};
use super::sql::{self, Connection, Row};
use super::writer::{Done, Write};
use super::{Store, StoreError};
use crate::contract::Offer;
use crate::core::base::name::PeerName;
use crate::core::base::time::UnixMillis;
use crate::core::call::offer_matching::OfferId;

/// A stored offer.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredOffer {
    /// The peer that made it.
    pub peer: PeerName,
    /// Its content.
    pub offer: Offer,
    /// When it was received.
    pub received: UnixMillis,
}

impl StoredOffer {
    /// Its id.
    pub fn id(&self) -> OfferId {
        OfferId { peer: self.peer.clone(), call: self.offer.id.clone() }
    }
}

impl Store {
    /// Stores an offer.
    pub async fn put_offer(&self, offer: StoredOffer) -> Result<(), StoreError> {
        self.writer.run(Write::Offer(Box::new(offer))).await.map(drop)
    }

    /// Deletes offers that are used or expired.
    pub async fn delete_offers(&self, ids: Vec<OfferId>) -> Result<(), StoreError> {
        self.writer.run(Write::DeleteOffers(ids)).await.map(drop)
    }

    /// All offers.
    pub async fn offers(&self) -> Result<Vec<StoredOffer>, StoreError> {
        let rows = sql::query("SELECT peer, received, body FROM offers ORDER BY received, peer, id");
        rows.fetch_all(self.patient_reader()).await?.iter().filter_map(|row| legible(read(row))).collect()
    }
}

fn read(row: &Row) -> Result<StoredOffer, StoreError> {
    let bad = |e: &dyn std::fmt::Display| StoreError::unreadable("offer", e);
    Ok(StoredOffer {
        peer: row.try_get::<String>(0)?.parse().map_err(|e| bad(&e))?,
        received: UnixMillis(row.try_get(1)?),
        offer: record::read::<OfferRecord>(row.try_get::<String>(2)?)?.into(),
    })
}

pub(super) async fn put(connection: &mut Connection, stored: &StoredOffer) -> Result<Done, StoreError> {
    let done = sql::query(
        "INSERT INTO offers (peer, id, received, body) VALUES ($1, $2, $3, $4) ON CONFLICT (peer, id) DO NOTHING",
    )
    .bind(stored.peer.to_string())
    .bind(stored.offer.id.to_string())
    .bind(stored.received.0)
    .bind(record::write(&OfferRecord::from(stored.offer.clone()))?)
    .execute(connection)
    .await?;
    Ok(Done::Rows(done))
}

pub(super) async fn delete(connection: &mut Connection, ids: &[OfferId]) -> Result<Done, StoreError> {
    for id in ids {
        let query = sql::query("DELETE FROM offers WHERE peer = $1 AND id = $2");
        query.bind(id.peer.to_string()).bind(id.call.to_string()).execute(&mut *connection).await?;
    }
    Ok(Done::Rows(ids.len() as u64))
}
