//! Bindings: the clients of each number.

use std::time::Duration;

use super::error::legible;
use super::sql::{self, Builder, Connection, Row};
use super::writer::{Done, Write};
use super::{Store, StoreError, legible_ids};
use crate::contract::{Capability, ClientForm};
use crate::core::address::Address;
use crate::core::address::disclosure::OfferTo;
use crate::core::base::name::{ClientId, DeviceId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// A client of a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Its id.
    pub id: ClientId,
    /// The number.
    pub number: Number,
    /// The device that bound it; none if it was bound with the number's credential or by an administrator.
    pub device: Option<DeviceId>,
    /// Its form.
    pub form: ClientForm,
    /// Its own address, unless it is hosted.
    pub address: Option<Address>,
    /// The secret that signs a webhook's messages.
    pub secret: Option<String>,
    /// Its capabilities.
    pub capabilities: Vec<Capability>,
    /// Who may get its address.
    pub offer: OfferTo,
    /// How long it lives without renewal.
    pub lifetime: Duration,
    /// When it expires.
    pub expires: UnixMillis,
}

/// Changes by a renewal. `None` keeps the value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renewal {
    /// The device that asks. The client stays with whoever bound it first.
    pub device: Option<DeviceId>,
    /// The secret that signs a webhook's messages.
    pub secret: Option<String>,
    /// The client's capabilities.
    pub capabilities: Option<Vec<Capability>>,
    /// Who may get its address.
    pub offer: Option<OfferTo>,
    /// How long it lives without renewal.
    pub lifetime: Option<Duration>,
}

impl Store {
    /// Adds a binding. Returns false if its number isn't in the directory or already has a client with this address, or if
    /// its device is gone or already has a hosted client.
    pub async fn add_binding(&self, binding: Binding) -> Result<bool, StoreError> {
        Ok(self.writer.run(Write::Binding(Box::new(binding))).await?.rows() > 0)
    }

    /// Extends a binding by its lifetime from now. `None` if it doesn't exist or has expired, or if the renewal's device is
    /// gone.
    pub async fn renew_binding(
        &self,
        id: &ClientId,
        renewal: Renewal,
        now: UnixMillis,
    ) -> Result<Option<Binding>, StoreError> {
        match self.writer.run(Write::Renew(id.clone(), Box::new(renewal), now)).await? {
            Done::Renewed(binding) => Ok(binding.map(|binding| *binding)),
            _ => Ok(None),
        }
    }

    /// Changes who may get a client's address; false if the client doesn't exist.
    pub async fn offer_to(&self, id: &ClientId, offer: OfferTo) -> Result<bool, StoreError> {
        Ok(self.writer.run(Write::OfferTo(id.clone(), offer)).await?.rows() > 0)
    }

    /// Removes a binding; false if it didn't exist.
    pub async fn delete_binding(&self, id: &ClientId) -> Result<bool, StoreError> {
        Ok(self.writer.run(Write::DeleteBinding(id.clone())).await?.rows() > 0)
    }

    /// Extends the bindings of connected clients by their lifetimes from now.
    pub async fn extend_bindings(&self, ids: Vec<ClientId>, now: UnixMillis) -> Result<(), StoreError> {
        self.writer.run(Write::ExtendBindings(ids, now)).await.map(drop)
    }

    /// Removes expired bindings.
    pub async fn expire_bindings(&self, now: UnixMillis) -> Result<(), StoreError> {
        self.writer.run(Write::ExpireBindings(now)).await.map(drop)
    }

    /// A binding that hasn't expired, from memory.
    pub async fn binding(&self, id: &ClientId, now: UnixMillis) -> Result<Option<Binding>, StoreError> {
        Ok(self.directory.read().binding(id, now).cloned())
    }

    /// The clients of a number, newest first, from memory; none if it is switched off.
    pub async fn taking_part(&self, number: &Number, now: UnixMillis, limit: u32) -> Result<Vec<Binding>, StoreError> {
        let directory = self.directory.read();
        if directory.number(number).is_none_or(|state| !state.is_enabled) {
            return Ok(Vec::new());
        }
        Ok(directory.clients_of(number, now).take(limit as usize).cloned().collect())
    }

    /// The clients of a number, from memory, or of all numbers; newest first.
    pub async fn bindings(
        &self,
        number: Option<&Number>,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<Binding>, StoreError> {
        if let Some(number) = number {
            return Ok(self.directory.read().clients_of(number, now).take(limit as usize).cloned().collect());
        }
        let mut query = Builder::new(SELECT);
        query.push(" WHERE expires > ").push_bind(now.0).push(" ORDER BY id DESC LIMIT ").push_bind(limit);
        query.build().fetch_all(self.reader()).await?.iter().filter_map(|row| legible(read(row))).collect()
    }
}

/// Selects what [`read`] reads.
pub(super) const SELECT: &str =
    "SELECT id, number, form, address, secret, capabilities, lifetime, expires, offer, device FROM bindings";

pub(super) fn read(row: &Row) -> Result<Binding, StoreError> {
    let bad = |e: &dyn std::fmt::Display| StoreError::unreadable("binding", e);
    let address: Option<String> = row.try_get(3)?;
    let device: Option<String> = row.try_get(9)?;
    Ok(Binding {
        id: row.try_get::<String>(0)?.parse().map_err(|e| bad(&e))?,
        number: row.try_get::<String>(1)?.parse().map_err(|e| bad(&e))?,
        device: device.map(|id| id.parse()).transpose().map_err(|e| bad(&e))?,
        form: super::deliveries::form(&row.try_get::<String>(2)?),
        address: address.map(|text| text.parse()).transpose().map_err(|e| bad(&e))?,
        secret: row.try_get(4)?,
        capabilities: serde_json::from_str(&row.try_get::<String>(5)?).map_err(|e| bad(&e))?,
        lifetime: Duration::from_millis(u64::try_from(row.try_get::<i64>(6)?).unwrap_or(0)),
        expires: UnixMillis(row.try_get(7)?),
        offer: serde_json::from_str(&row.try_get::<String>(8)?).map_err(|e| bad(&e))?,
    })
}

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::unreadable("binding", e))
}

pub(super) async fn add(connection: &mut Connection, binding: &Binding) -> Result<Done, StoreError> {
    // One statement, since the number's entry, its devices and its other clients may change meanwhile.
    let done = sql::query(
        "INSERT INTO bindings (id, number, form, address, secret, capabilities, lifetime, expires, offer, device)
         SELECT $1, number, $3, $4, $5, $6, $7, $8, $9, $10 FROM numbers WHERE number = $2 AND NOT EXISTS (
             SELECT 1 FROM bindings b WHERE b.number = $2 AND b.expires > $8 - $7
                 AND (b.address = $4 OR ($4 IS NULL AND b.address IS NULL AND b.device = $10)))
             AND ($10 IS NULL OR EXISTS (SELECT 1 FROM devices WHERE id = $10))",
    )
    .bind(binding.id.to_string())
    .bind(binding.number.to_string())
    .bind(binding.form.as_str())
    .bind(binding.address.as_ref().map(Address::to_string))
    .bind(binding.secret.clone())
    .bind(json(&binding.capabilities)?)
    .bind(i64::try_from(binding.lifetime.as_millis()).unwrap_or(i64::MAX))
    .bind(binding.expires.0)
    .bind(json(&binding.offer)?)
    .bind(binding.device.as_ref().map(DeviceId::to_string))
    .execute(connection)
    .await?;
    Ok(Done::Rows(done))
}

/// Uses one statement, so that it doesn't undo a concurrent change.
pub(super) async fn renew(
    connection: &mut Connection,
    id: &ClientId,
    renewal: &Renewal,
    now: UnixMillis,
) -> Result<Done, StoreError> {
    let lifetime = renewal.lifetime.map(|lifetime| i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX));
    let rows = sql::query(
        "UPDATE bindings SET secret = COALESCE($3, secret), capabilities = COALESCE($4, capabilities),
             offer = COALESCE($5, offer), lifetime = COALESCE($6, lifetime), expires = $2 + COALESCE($6, lifetime)
         WHERE id = $1 AND expires > $2 AND ($7 IS NULL OR EXISTS (SELECT 1 FROM devices WHERE id = $7))
         RETURNING id, number, form, address, secret, capabilities, lifetime, expires, offer, device",
    )
    .bind(id.to_string())
    .bind(now.0)
    .bind(renewal.secret.clone())
    .bind(renewal.capabilities.as_ref().map(json).transpose()?)
    .bind(renewal.offer.as_ref().map(json).transpose()?)
    .bind(lifetime)
    .bind(renewal.device.as_ref().map(DeviceId::to_string))
    .fetch_all(connection)
    .await?;
    let binding = rows.first().map(read).transpose()?;
    Ok(Done::Renewed(binding.map(Box::new)))
}

pub(super) async fn offer_to(connection: &mut Connection, id: &ClientId, offer: &OfferTo) -> Result<Done, StoreError> {
    let offer = json(offer)?;
    let update = sql::query("UPDATE bindings SET offer = $2 WHERE id = $1");
    let done = update.bind(id.to_string()).bind(offer).execute(connection).await?;
    Ok(Done::Rows(done))
}

pub(super) async fn delete(connection: &mut Connection, id: &ClientId) -> Result<Done, StoreError> {
    let done = sql::query("DELETE FROM bindings WHERE id = $1").bind(id.to_string()).execute(connection).await?;
    Ok(Done::Rows(done))
}

pub(super) async fn extend(connection: &mut Connection, ids: &[ClientId], now: UnixMillis) -> Result<Done, StoreError> {
    for chunk in ids.chunks(500) {
        let mut query = Builder::new("UPDATE bindings SET expires = lifetime + ");
        query.push_bind(now.0).push(" WHERE id");
        query.push_in(chunk.iter().map(ClientId::to_string));
        query.build().execute(&mut *connection).await?;
    }
    Ok(Done::Rows(ids.len() as u64))
}

pub(super) async fn expire(connection: &mut Connection, now: UnixMillis) -> Result<Done, StoreError> {
    let expired = sql::scalar("DELETE FROM bindings WHERE expires <= $1 RETURNING id");
    Ok(Done::Expired(legible_ids(expired.bind(now.0).fetch_all(connection).await?)))
}
