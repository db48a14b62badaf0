//! Deliveries: messages to clients and their state.

use super::error::legible;
use super::record::{self, MessageRecord};
use super::sql::{self, Builder, Row};
use super::{Store, StoreError};
use crate::contract::{ClientForm, DeliveryView, Message, MessageBody, PeerClient};
use crate::core::base::name::{CallId, ClientId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// The state of a delivery. It never returns to pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Tried until the call ends, or longer if it outlives the call.
    Pending,
    /// The client has it.
    Delivered,
    /// It can't be delivered.
    Failed,
    /// The call, or the pair, ended first.
    Dropped,
}

impl DeliveryState {
    /// The word in API, metrics and database.
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Pending => "pending",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Failed => "failed",
            DeliveryState::Dropped => "dropped",
        }
    }
}

/// One message for one client.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The number of the receiving client.
    pub number: Number,
    /// The number on the other side, which it is about.
    pub other: Number,
    /// The client.
    pub client: ClientId,
    /// The form of the client.
    pub form: ClientForm,
    /// The message. Its id is the delivery's id.
    pub message: Message,
    /// Number of attempts.
    pub attempts: u32,
    /// When it was created.
    pub created: UnixMillis,
}

impl Delivery {
    /// Whether it still waits for its client when the node has forgotten the call: a hosted client that is away learns of a
    /// missed call when it returns.
    pub fn outlives_call(&self) -> bool {
        self.form == ClientForm::Hosted && matches!(self.message.body, MessageBody::Missed { .. })
    }
}

/// The result of ending a pair.
#[derive(Debug, Default)]
pub struct Parted {
    /// Peer messages that are obsolete.
    pub dropped: Vec<String>,
    /// New messages for clients that knew of the pair.
    pub ended: Vec<Delivery>,
}

impl Store {
    /// All pending deliveries, in order.
    pub async fn pending(&self) -> Result<Vec<Delivery>, StoreError> {
        let query = sql::query(
            "SELECT number, other, client, form, body, attempts, created FROM deliveries
             WHERE state = 'pending' ORDER BY id",
        );
        query.fetch_all(self.patient_reader()).await?.iter().filter_map(|row| legible(read(row))).collect()
    }

    /// The deliveries that a client still needs: all pending ones and, with `after`, those sent after that id for
    /// live calls.
    pub async fn pending_of(&self, client: &ClientId, after: Option<&str>) -> Result<Vec<Delivery>, StoreError> {
        let query = sql::query(
            "SELECT number, other, client, form, body, attempts, created FROM deliveries
             WHERE client = $1 AND (state = 'pending' OR (state = 'delivered' AND id > $2
                 AND EXISTS (SELECT 1 FROM calls WHERE calls.id = deliveries.call AND calls.ended IS NULL)))
             ORDER BY id LIMIT 1000",
        );
        // Greater than any id.
        let after = after.unwrap_or("~").to_owned();
        let rows = query.bind(client.to_string()).bind(after).fetch_all(self.reader()).await?;
        rows.iter().filter_map(|row| legible(read(row))).collect()
    }

    /// The number of a call's pending deliveries.
    pub async fn waiting(&self, call: &CallId) -> Result<u64, StoreError> {
        let query = sql::scalar::<i64>("SELECT COUNT(*) FROM deliveries WHERE call = $1 AND state = 'pending'");
        let count = query.bind(call.to_string()).fetch_one(self.reader()).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// How a number's clients were last told of another number and its client in a call, or will be in a moment. What was
    /// dropped or has failed before it was sent has told nobody.
    pub async fn told_of(
        &self,
        call: &CallId,
        number: &Number,
        other: &Number,
    ) -> Result<Option<PeerClient>, StoreError> {
        let query = sql::query(
            "SELECT number, other, client, form, body, attempts, created FROM deliveries
             WHERE kind = 'peer' AND call = $1 AND number = $2 AND other = $3 AND other <> number
                 AND (state IN ('pending', 'delivered') OR attempts > 0)
             ORDER BY id DESC LIMIT 1",
        );
        let query = query.bind(call.to_string()).bind(number.to_string()).bind(other.to_string());
        let row = query.fetch_optional(self.reader()).await?;
        let told = row.and_then(|row| legible(read(&row))).transpose()?;
        Ok(told.and_then(|delivery| match delivery.message.body {
            MessageBody::Peer { peer, .. } => Some(peer),
            _ => None,
        }))
    }

    /// Size of the stored message contents of each call, in bytes.
    pub async fn kept_posts(&self) -> Result<Vec<(CallId, u64)>, StoreError> {
        let rows = sql::query(
            "SELECT call, SUM(OCTET_LENGTH(body)) FROM deliveries WHERE kind = 'message' AND body <> '' GROUP BY call",
        );
        let read = |row: &Row| {
            let call = row.try_get::<String>(0)?.parse().map_err(|e| StoreError::unreadable("delivery", e))?;
            Ok((call, u64::try_from(row.try_get::<i64>(1)?).unwrap_or(0)))
        };
        rows.fetch_all(self.patient_reader()).await?.iter().filter_map(|row| legible(read(row))).collect()
    }

    /// If more than `max` deliveries are stored: the time before which the oldest tenth of the calls ended.
    pub async fn crowded(&self, max: u64) -> Result<Option<UnixMillis>, StoreError> {
        let count: i64 = sql::scalar("SELECT COUNT(*) FROM deliveries").fetch_one(self.patient_reader()).await?;
        if u64::try_from(count).unwrap_or(0) <= max {
            return Ok(None);
        }
        let line: Option<i64> = sql::scalar(
            "SELECT ended + 1 FROM calls WHERE ended IS NOT NULL ORDER BY ended
             LIMIT 1 OFFSET (SELECT COUNT(*) / 10 FROM calls WHERE ended IS NOT NULL)",
        )
        .fetch_optional(self.patient_reader())
        .await?;
        Ok(line.map(UnixMillis))
    }

    /// Pairs whose clients know of each other and weren't told of its end.
    pub async fn open_pairs(&self) -> Result<Vec<(CallId, [Number; 2])>, StoreError> {
        let rows = sql::query("SELECT DISTINCT call, number, other FROM deliveries WHERE is_open = 1");
        let bad = |e: &dyn std::fmt::Display| StoreError::unreadable("delivery", e);
        let read = |row: &Row| {
            let [call, number, other] = [row.try_get::<String>(0)?, row.try_get(1)?, row.try_get(2)?];
            let numbers = [number.parse().map_err(|e| bad(&e))?, other.parse().map_err(|e| bad(&e))?];
            Ok((call.parse().map_err(|e| bad(&e))?, numbers))
        };
        rows.fetch_all(self.patient_reader()).await?.iter().filter_map(|row| legible(read(row))).collect()
    }

    /// The deliveries of calls, for administrators.
    pub async fn deliveries_of(&self, calls: &[CallId]) -> Result<Vec<(CallId, DeliveryView)>, StoreError> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = Builder::new(
            "SELECT call, id, number, client, form, kind, state, attempts, created, delivered, error FROM deliveries
             WHERE call",
        );
        query.push_in(calls.iter().map(CallId::to_string));
        query.push(" ORDER BY id LIMIT 10000");
        query.build().fetch_all(self.reader()).await?.iter().filter_map(|row| legible(view(row))).collect()
    }
}

fn view(row: &Row) -> Result<(CallId, DeliveryView), StoreError> {
    let bad = |e: &dyn std::fmt::Display| StoreError::unreadable("delivery", e);
    let view = DeliveryView {
        id: row.try_get(1)?,
        number: row.try_get::<String>(2)?.parse().map_err(|e| bad(&e))?,
        client: row.try_get::<String>(3)?.parse().map_err(|e| bad(&e))?,
        form: row.try_get(4)?,
        message: row.try_get(5)?,
        state: row.try_get(6)?,
        attempts: row.try_get(7)?,
        created: UnixMillis(row.try_get(8)?),
        delivered: row.try_get::<Option<i64>>(9)?.map(UnixMillis),
        error: row.try_get(10)?,
    };
    Ok((row.try_get::<String>(0)?.parse().map_err(|e| bad(&e))?, view))
}

pub(super) fn read(row: &Row) -> Result<Delivery, StoreError> {
    let bad = |e: &dyn std::fmt::Display| StoreError::unreadable("delivery", e);
    Ok(Delivery {
        number: row.try_get::<String>(0)?.parse().map_err(|e| bad(&e))?,
        other: row.try_get::<String>(1)?.parse().map_err(|e| bad(&e))?,
        client: row.try_get::<String>(2)?.parse().map_err(|e| bad(&e))?,
        form: form(&row.try_get::<String>(3)?),
        message: record::read::<MessageRecord>(row.try_get::<String>(4)?)?.into(),
        attempts: row.try_get(5)?,
        created: UnixMillis(row.try_get(6)?),
    })
}

pub(super) fn form(word: &str) -> ClientForm {
    let forms = [ClientForm::Sip, ClientForm::Webhook];
    forms.into_iter().find(|form| form.as_str() == word).unwrap_or(ClientForm::Hosted)
}
