//! Devices, and the codes that enrol them.

use super::directory::DeviceState;
use super::error::legible;
use super::sql::{self, Builder, Connection, Row};
use super::writer::{Done, Removed, Write};
use super::{Store, StoreError, legible_ids};
use crate::contract::{DEVICES_MAX, ENROLMENTS_MAX};
use crate::core::base::device_name::DeviceName;
use crate::core::base::name::{ClientId, DeviceId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// A device that has been enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolledDevice {
    /// Its id.
    pub id: DeviceId,
    /// The number that it belongs to.
    pub number: Number,
    /// Its name.
    pub name: DeviceName,
    /// When it was enrolled.
    pub enrolled: UnixMillis,
    /// Its hosted client, if it has bound one.
    pub client: Option<ClientId>,
}

/// A code to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// The hash of the code.
    pub code: [u8; 32],
    /// The number that the new device will belong to.
    pub number: Number,
    /// Who asks for the code.
    pub by: EnrolmentAuthor,
    /// When the code expires.
    pub expires: UnixMillis,
}

/// Who asks for a code. The code is void when its author loses access.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnrolmentAuthor {
    /// An administrator.
    Admin,
    /// Whoever has the number's credential, until that is replaced.
    Credential,
    /// A device, until it is revoked.
    Device(DeviceId),
}

/// A device to enrol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its id.
    pub id: DeviceId,
    /// Its name.
    pub name: DeviceName,
    /// The hash of its token.
    pub token: [u8; 32],
}

/// The outcome of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnrolOutcome {
    /// The code is used up, and the device is there.
    Enrolled(EnrolledDevice),
    /// The code doesn't exist, has expired, or is void.
    NoCode,
    /// The number has as many devices as it can have. The code can still be used.
    Full,
}

/// The number of a code that hasn't expired and whose author still has access. A revoked device's codes are deleted.
const VALID: &str = "SELECT e.number FROM enrolments e WHERE e.code = $1 AND e.expires > $2 AND (e.credential IS NULL
    OR EXISTS (SELECT 1 FROM numbers n WHERE n.number = e.number AND n.credential = e.credential))";

impl Store {
    /// Adds a code. Returns false if its number isn't in the directory or has as many devices as it can have, or if its
    /// author has as many codes as it can have or has lost access.
    pub async fn add_enrolment(&self, enrolment: Enrolment, now: UnixMillis) -> Result<bool, StoreError> {
        Ok(self.writer.run(Write::Enrolment(Box::new(enrolment), now)).await?.rows() > 0)
    }

    /// Whether there is a valid code with this hash.
    pub async fn has_enrolment(&self, code: &[u8; 32], now: UnixMillis) -> Result<bool, StoreError> {
        let query = sql::query(VALID);
        Ok(query.bind(code.to_vec()).bind(now.0).fetch_optional(self.reader()).await?.is_some())
    }

    /// Uses up a code and adds a device to its number, or does neither.
    pub async fn enrol(&self, code: [u8; 32], device: DeviceRow, now: UnixMillis) -> Result<EnrolOutcome, StoreError> {
        match self.writer.run(Write::Enrol(code, Box::new(device), now)).await? {
            Done::Enrol(outcome) => Ok(*outcome),
            _ => Ok(EnrolOutcome::NoCode),
        }
    }

    /// Adds a device without a code; false if its number isn't in the directory or has as many devices as it can have.
    pub async fn add_device(&self, number: Number, device: DeviceRow, now: UnixMillis) -> Result<bool, StoreError> {
        Ok(self.writer.run(Write::AddDevice(number, Box::new(device), now)).await?.rows() > 0)
    }

    /// Removes expired codes.
    pub async fn expire_enrolments(&self, now: UnixMillis) -> Result<(), StoreError> {
        self.writer.run(Write::ExpireEnrolments(now)).await.map(drop)
    }

    /// The device with this id, from memory.
    pub async fn device(&self, id: &DeviceId, now: UnixMillis) -> Result<Option<EnrolledDevice>, StoreError> {
        Ok(self.directory.read().device(id, now))
    }

    /// At most `limit` devices of a number, from memory, or of all numbers; newest first.
    pub async fn devices(
        &self,
        number: Option<&Number>,
        now: UnixMillis,
        limit: u32,
    ) -> Result<Vec<EnrolledDevice>, StoreError> {
        if let Some(number) = number {
            return Ok(self.directory.read().devices_of(number, now).take(limit as usize).collect());
        }
        let mut query = Builder::new(SELECT);
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(self.reader()).await?;
        let directory = self.directory.read();
        let device = |row| read(row).map(|device| directory.with_client(&device, now));
        rows.iter().filter_map(|row| legible(device(row))).collect()
    }

    /// Renames a device; false if it doesn't exist.
    pub async fn rename_device(&self, id: &DeviceId, name: DeviceName) -> Result<bool, StoreError> {
        Ok(self.writer.run(Write::RenameDevice(id.clone(), name)).await?.rows() > 0)
    }

    /// Removes a device, its clients, and the codes that it asked for. Returns the clients, or `None` if the device
    /// doesn't exist.
    pub async fn delete_device(&self, id: &DeviceId) -> Result<Option<Vec<ClientId>>, StoreError> {
        Ok(self.writer.run(Write::DeleteDevice(id.clone())).await?.removed_clients())
    }

    /// The number that a client's token belongs to, and the device if it is a device's token; from memory.
    pub async fn client_of_token(&self, hash: &[u8; 32]) -> Result<Option<(Number, Option<DeviceId>)>, StoreError> {
        Ok(self.directory.read().client_of_token(hash))
    }
}

/// Selects what [`read`] reads.
pub(super) const SELECT: &str = "SELECT id, number, name, token, enrolled FROM devices";

pub(super) fn read(row: &Row) -> Result<DeviceState, StoreError> {
    let bad = |e: &dyn std::fmt::Display| StoreError::unreadable("device", e);
    let token = <[u8; 32]>::try_from(row.try_get::<Vec<u8>>(3)?);
    Ok(DeviceState {
        id: row.try_get::<String>(0)?.parse().map_err(|e| bad(&e))?,
        number: row.try_get::<String>(1)?.parse().map_err(|e| bad(&e))?,
        name: row.try_get::<String>(2)?.parse().map_err(|e| bad(&e))?,
        enrolled: UnixMillis(row.try_get(4)?),
        token: token.map_err(|_| bad(&"its token's hash is not 32 bytes long"))?,
    })
}

pub(super) async fn add_enrolment(
    connection: &mut Connection,
    enrolment: &Enrolment,
    now: UnixMillis,
) -> Result<Done, StoreError> {
    let device = if let EnrolmentAuthor::Device(device) = &enrolment.by { Some(device) } else { None };
    let done = sql::query(
        "INSERT INTO enrolments (code, number, device, credential, expires)
         SELECT $1, number, $3, CASE WHEN $8 THEN credential END, $4 FROM numbers WHERE number = $2
             AND ($3 IS NULL OR EXISTS (SELECT 1 FROM devices WHERE id = $3))
             AND (NOT $8 OR credential IS NOT NULL)
             AND (SELECT COUNT(*) FROM enrolments e WHERE e.number = $2 AND e.expires > $5 AND e.device IS NOT DISTINCT FROM $3
                      AND (e.credential IS NOT NULL) = $8) < $6
             AND (SELECT COUNT(*) FROM devices d WHERE d.number = $2) < $7",
    )
    .bind(enrolment.code.to_vec())
    .bind(enrolment.number.to_string())
    .bind(device.map(DeviceId::to_string))
    .bind(enrolment.expires.0)
    .bind(now.0)
    .bind(ENROLMENTS_MAX)
    .bind(DEVICES_MAX)
    .bind(enrolment.by == EnrolmentAuthor::Credential)
    .execute(connection)
    .await?;
    Ok(Done::Rows(done))
}

/// All or nothing, since a write that fails is rolled back as a whole.
pub(super) async fn enrol(
    connection: &mut Connection,
    code: &[u8; 32],
    device: &DeviceRow,
    now: UnixMillis,
) -> Result<Done, StoreError> {
    let found = sql::scalar::<String>(VALID);
    let Some(number) = found.bind(code.to_vec()).bind(now.0).fetch_optional(&mut *connection).await? else {
        return Ok(Done::Enrol(Box::new(EnrolOutcome::NoCode)));
    };
    let count = sql::scalar::<i64>("SELECT COUNT(*) FROM devices WHERE number = $1");
    if count.bind(number.clone()).fetch_one(&mut *connection).await? >= i64::from(DEVICES_MAX) {
        return Ok(Done::Enrol(Box::new(EnrolOutcome::Full)));
    }
    let enrolled = EnrolledDevice {
        id: device.id.clone(),
        number: number.parse().map_err(|e| StoreError::unreadable("number", e))?,
        name: device.name.clone(),
        enrolled: now,
        client: None,
    };
    sql::query("DELETE FROM enrolments WHERE code = $1").bind(code.to_vec()).execute(&mut *connection).await?;
    sql::query("INSERT INTO devices (id, number, name, token, enrolled) VALUES ($1, $2, $3, $4, $5)")
        .bind(device.id.to_string())
        .bind(number)
        .bind(device.name.to_string())
        .bind(device.token.to_vec())
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(Done::Enrol(Box::new(EnrolOutcome::Enrolled(enrolled))))
}

pub(super) async fn add(
    connection: &mut Connection,
    number: &Number,
    device: &DeviceRow,
    now: UnixMillis,
) -> Result<Done, StoreError> {
    let done = sql::query(
        "INSERT INTO devices (id, number, name, token, enrolled) SELECT $1, $2, $3, $4, $5
         WHERE EXISTS (SELECT 1 FROM numbers n WHERE n.number = $2)
             AND (SELECT COUNT(*) FROM devices d WHERE d.number = $2) < $6",
    )
    .bind(device.id.to_string())
    .bind(number.to_string())
    .bind(device.name.to_string())
    .bind(device.token.to_vec())
    .bind(now.0)
    .bind(DEVICES_MAX)
    .execute(connection)
    .await?;
    Ok(Done::Rows(done))
}

pub(super) async fn expire_enrolments(connection: &mut Connection, now: UnixMillis) -> Result<Done, StoreError> {
    let done = sql::query("DELETE FROM enrolments WHERE expires <= $1").bind(now.0).execute(connection).await?;
    Ok(Done::Rows(done))
}

pub(super) async fn rename(connection: &mut Connection, id: &DeviceId, name: &DeviceName) -> Result<Done, StoreError> {
    let update = sql::query("UPDATE devices SET name = $2 WHERE id = $1");
    let done = update.bind(id.to_string()).bind(name.to_string()).execute(connection).await?;
    Ok(Done::Rows(done))
}

pub(super) async fn delete(connection: &mut Connection, id: &DeviceId) -> Result<Done, StoreError> {
    let text = id.to_string();
    let device = sql::query("DELETE FROM devices WHERE id = $1").bind(text.clone()).execute(&mut *connection).await?;
    let existed = device > 0;
    if !existed {
        return Ok(Done::Removed(Removed { existed, clients: Vec::new(), devices: Vec::new() }));
    }
    sql::query("DELETE FROM enrolments WHERE device = $1").bind(text.clone()).execute(&mut *connection).await?;
    let clients = sql::scalar("DELETE FROM bindings WHERE device = $1 RETURNING id");
    let clients = legible_ids(clients.bind(text).fetch_all(connection).await?);
    Ok(Done::Removed(Removed { existed, clients, devices: vec![id.clone()] }))
}

/// Removes the devices and codes of a number. Returns the devices.
pub(super) async fn delete_all_of(connection: &mut Connection, number: &str) -> Result<Vec<DeviceId>, StoreError> {
    let codes = sql::query("DELETE FROM enrolments WHERE number = $1");
    codes.bind(number.to_owned()).execute(&mut *connection).await?;
    let devices = sql::scalar("DELETE FROM devices WHERE number = $1 RETURNING id");
    Ok(legible_ids(devices.bind(number.to_owned()).fetch_all(connection).await?))
}

#[cfg(test)]
#[path = "devices_tests.rs"]
mod tests;
