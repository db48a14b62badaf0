//! Messages on their way to clients.

use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::error::legible;
use super::record::{self, MessageRecord};
use super::writer::{Commit, Done, Write};
use super::{Store, StoreError};
use crate::contract::{Body, ClientForm, DeliveryView, Message};
use crate::core::name::{CallId, ClientId};
use crate::core::number::Number;
use crate::core::time::UnixMillis;

/// How far a delivery has come. Nothing leads back to pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Not there yet; it is tried until the call ends.
    Pending,
    /// The client has it.
    Delivered,
    /// It never will.
    Failed,
    /// The call, or the pair, ended first.
    Dropped,
}

impl DeliveryState {
    /// The word, as API, metrics and database have it.
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
    /// The number whose client it is for.
    pub number: Number,
    /// The number that it is about: the other side.
    pub other: Number,
    /// The client.
    pub client: ClientId,
    /// How it gets there.
    pub form: ClientForm,
    /// What is sent; its id is the delivery's.
    pub message: Message,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was made.
    pub created: UnixMillis,
}

/// What became of a pair's deliveries when it parted.
#[derive(Debug, Default)]
pub struct Parted {
    /// Peer messages that nobody needs any more.
    pub dropped: Vec<String>,
    /// New messages for those who had been told.
    pub ended: Vec<Delivery>,
}

impl Store {
    /// Writes deliveries down and gives back the ids of the new ones: a client that has been told
    /// of a pair is not told again.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn add_deliveries(&self, deliveries: Vec<Delivery>) -> Result<Vec<String>, StoreError> {
        match self.writer.run(Write::Deliveries(deliveries)).await? {
            Done::Ids(ids) => Ok(ids),
            _ => Ok(Vec::new()),
        }
    }

    /// The client has it. With `client`, only if it is that client's.
    ///
    /// # Errors
    /// If the queue is full or the store closed.
    pub fn delivered(&self, id: &str, client: Option<&ClientId>, at: UnixMillis) -> Result<Commit, StoreError> {
        self.writer.submit(Write::Delivered { id: id.to_owned(), client: client.cloned(), at })
    }

    /// An attempt was made, and left it in this state.
    ///
    /// # Errors
    /// If the queue is full or the store closed.
    pub fn attempted(&self, id: &str, state: DeliveryState, error: Option<String>) -> Result<Commit, StoreError> {
        self.writer.submit(Write::Attempted { id: id.to_owned(), state, error })
    }

    /// Two numbers no longer talk: drops what they haven't got yet, and makes the messages that say so.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn part(&self, call: &CallId, numbers: [Number; 2], at: UnixMillis) -> Result<Parted, StoreError> {
        match self.writer.run(Write::Part { call: call.clone(), numbers, at }).await? {
            Done::Parted(parted) => Ok(parted),
            _ => Ok(Parted::default()),
        }
    }

    /// Drops a call's pending peer messages, or `all` that is pending and what was said in all others:
    /// nobody needs to know it any more.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn drop_pending(&self, call: &CallId, all: bool) -> Result<(), StoreError> {
        self.writer.run(Write::DropPending { call: call.clone(), all }).await.map(drop)
    }

    /// All that is pending, in order.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn pending(&self) -> Result<Vec<Delivery>, StoreError> {
        let query = sqlx::query(
            "SELECT number, other, client, form, body, attempts, created FROM deliveries
             WHERE state = 'pending' ORDER BY id",
        );
        query.fetch_all(&self.pool).await?.iter().filter_map(|row| legible(read(row))).collect()
    }

    /// What a client still has to get: all that is pending and, with `after`, what it was sent
    /// after that one for calls that are still live.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn pending_of(&self, client: &ClientId, after: Option<&str>) -> Result<Vec<Delivery>, StoreError> {
        let query = sqlx::query(
            "SELECT number, other, client, form, body, attempts, created FROM deliveries
             WHERE client = $1 AND (state = 'pending' OR (state = 'delivered' AND id > $2
                 AND EXISTS (SELECT 1 FROM calls WHERE calls.id = deliveries.call AND calls.ended IS NULL)))
             ORDER BY id LIMIT 1000",
        );
        // No id is greater than this one.
        let after = after.unwrap_or("~").to_owned();
        let rows = query.bind(client.to_string()).bind(after).fetch_all(&self.pool).await?;
        rows.iter().filter_map(|row| legible(read(row))).collect()
    }

    /// How many of a call's deliveries are pending.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn waiting(&self, call: &CallId) -> Result<u64, StoreError> {
        let query =
            sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM deliveries WHERE call = $1 AND state = 'pending'");
        let count = query.bind(call.to_string()).fetch_one(&self.pool).await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Bytes of what people have said to each other in calls that are kept with it.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn kept_posts(&self) -> Result<Vec<(CallId, u64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT call, SUM(OCTET_LENGTH(body)) FROM deliveries WHERE kind = 'message' AND body <> '' GROUP BY call",
        );
        let read = |row: &SqliteRow| {
            let call = row.try_get::<String, _>(0)?.parse().map_err(|e| StoreError::unreadable("delivery", e))?;
            Ok((call, u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0)))
        };
        rows.fetch_all(&self.pool).await?.iter().filter_map(|row| legible(read(row))).collect()
    }

    /// If there are more than `max` deliveries: a time before which a tenth of the calls ended.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn crowded(&self, max: u64) -> Result<Option<UnixMillis>, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM deliveries").fetch_one(&self.pool).await?;
        if u64::try_from(count).unwrap_or(0) <= max {
            return Ok(None);
        }
        let line: Option<i64> = sqlx::query_scalar(
            "SELECT ended + 1 FROM calls WHERE ended IS NOT NULL ORDER BY ended
             LIMIT 1 OFFSET (SELECT COUNT(*) / 10 FROM calls WHERE ended IS NOT NULL)",
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(line.map(UnixMillis))
    }

    /// Pairs of numbers that have been told of each other and not of their parting.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn open_pairs(&self) -> Result<Vec<(CallId, [Number; 2])>, StoreError> {
        let rows = sqlx::query("SELECT DISTINCT call, number, other FROM deliveries WHERE is_open = 1");
        let bad = |e: &dyn std::fmt::Display| StoreError::unreadable("delivery", e);
        let read = |row: &SqliteRow| {
            let [call, number, other] = [row.try_get::<String, _>(0)?, row.try_get(1)?, row.try_get(2)?];
            let numbers = [number.parse().map_err(|e| bad(&e))?, other.parse().map_err(|e| bad(&e))?];
            Ok((call.parse().map_err(|e| bad(&e))?, numbers))
        };
        rows.fetch_all(&self.pool).await?.iter().filter_map(|row| legible(read(row))).collect()
    }

    /// The deliveries of some calls, as an administrator sees them.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn deliveries_of(&self, calls: &[CallId]) -> Result<Vec<(CallId, DeliveryView)>, StoreError> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let mut query = QueryBuilder::<Sqlite>::new(
            "SELECT call, id, number, client, form, kind, state, attempts, created, delivered, error FROM deliveries
             WHERE call IN (",
        );
        let mut list = query.separated(", ");
        for call in calls {
            list.push_bind(call.to_string());
        }
        query.push(") ORDER BY id LIMIT 10000");
        query.build().fetch_all(&self.pool).await?.iter().filter_map(|row| legible(view(row))).collect()
    }
}

fn view(row: &SqliteRow) -> Result<(CallId, DeliveryView), StoreError> {
    let bad = |e: &dyn std::fmt::Display| StoreError::unreadable("delivery", e);
    let view = DeliveryView {
        id: row.try_get(1)?,
        number: row.try_get::<String, _>(2)?.parse().map_err(|e| bad(&e))?,
        client: row.try_get::<String, _>(3)?.parse().map_err(|e| bad(&e))?,
        form: row.try_get(4)?,
        message: row.try_get(5)?,
        state: row.try_get(6)?,
        attempts: row.try_get(7)?,
        created: UnixMillis(row.try_get(8)?),
        delivered: row.try_get::<Option<i64>, _>(9)?.map(UnixMillis),
        error: row.try_get(10)?,
    };
    Ok((row.try_get::<String, _>(0)?.parse().map_err(|e| bad(&e))?, view))
}

fn read(row: &SqliteRow) -> Result<Delivery, StoreError> {
    let bad = |e: &dyn std::fmt::Display| StoreError::unreadable("delivery", e);
    Ok(Delivery {
        number: row.try_get::<String, _>(0)?.parse().map_err(|e| bad(&e))?,
        other: row.try_get::<String, _>(1)?.parse().map_err(|e| bad(&e))?,
        client: row.try_get::<String, _>(2)?.parse().map_err(|e| bad(&e))?,
        form: form(&row.try_get::<String, _>(3)?),
        message: record::read::<MessageRecord>(row.try_get::<String, _>(4)?)?.into(),
        attempts: row.try_get(5)?,
        created: UnixMillis(row.try_get(6)?),
    })
}

pub(super) fn form(word: &str) -> ClientForm {
    let forms = [ClientForm::Sip, ClientForm::Webhook];
    forms.into_iter().find(|form| form.as_str() == word).unwrap_or(ClientForm::Hosted)
}

/// Deliveries of one statement.
const ROWS: usize = 64;

pub(super) async fn add(connection: &mut SqliteConnection, all: &[Delivery]) -> Result<Done, StoreError> {
    let mut ids = Vec::with_capacity(all.len());
    for deliveries in all.chunks(ROWS) {
        let bodies = deliveries.iter().map(|delivery| record::write(&MessageRecord::from(delivery.message.clone())));
        let bodies = bodies.collect::<Result<Vec<_>, _>>()?;
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO deliveries (id, call, number, other, client, form, kind, body, is_open, state, attempts, created) ",
        );
        query.push_values(deliveries.iter().zip(bodies), |mut row, (delivery, body)| {
            let message = &delivery.message;
            row.push_bind(message.id.clone())
                .push_bind(message.call.to_string())
                .push_bind(delivery.number.to_string())
                .push_bind(delivery.other.to_string())
                .push_bind(delivery.client.to_string())
                .push_bind(delivery.form.as_str())
                .push_bind(message.body.kind())
                .push_bind(body)
                .push_bind(i64::from(is_open(delivery)))
                .push("'pending', 0")
                .push_bind(delivery.created.0);
        });
        query.push(" ON CONFLICT DO NOTHING RETURNING id");
        for row in query.build().fetch_all(&mut *connection).await? {
            ids.push(row.try_get(0)?);
        }
    }
    Ok(Done::Ids(ids))
}

/// A peer message that came from the peer itself has no other number's pair to stand for.
fn is_open(delivery: &Delivery) -> bool {
    matches!(&delivery.message.body, Body::Peer { .. }) && delivery.number != delivery.other
}

pub(super) async fn delivered(
    connection: &mut SqliteConnection,
    id: &str,
    client: Option<&ClientId>,
    at: UnixMillis,
) -> Result<Done, StoreError> {
    let done = sqlx::query(
        "UPDATE deliveries SET state = 'delivered', delivered = $2, error = NULL
         WHERE id = $1 AND state = 'pending' AND ($3 IS NULL OR client = $3)",
    )
    .bind(id.to_owned())
    .bind(at.0)
    .bind(client.map(ClientId::to_string))
    .execute(connection)
    .await?;
    Ok(Done::Rows(done.rows_affected()))
}

pub(super) async fn attempted(
    connection: &mut SqliteConnection,
    id: &str,
    state: DeliveryState,
    error: Option<&str>,
) -> Result<Done, StoreError> {
    let done = sqlx::query(
        "UPDATE deliveries SET state = $2, attempts = attempts + 1, error = $3 WHERE id = $1 AND state = 'pending'",
    )
    .bind(id.to_owned())
    .bind(state.as_str())
    .bind(error.map(str::to_owned))
    .execute(connection)
    .await?;
    Ok(Done::Rows(done.rows_affected()))
}

pub(super) async fn part(
    connection: &mut SqliteConnection,
    call: &CallId,
    [a, b]: &[Number; 2],
    at: UnixMillis,
) -> Result<Done, StoreError> {
    let open = sqlx::query(
        "SELECT number, other, client, form, body, attempts, created, state FROM deliveries
         WHERE call = $1 AND is_open = 1 AND ((number = $2 AND other = $3) OR (number = $3 AND other = $2))",
    );
    let open = open.bind(call.to_string()).bind(a.to_string()).bind(b.to_string());
    let mut parted = Parted::default();
    for row in open.fetch_all(&mut *connection).await? {
        let told = read(&row)?;
        let state: String = row.try_get(7)?;
        let id = told.message.id.clone();
        // Who was never sent anything need not hear that it is over.
        if state == "delivered" || (state == "pending" && told.attempts > 0) {
            // As they were shown, which may be less than we know.
            let number = match &told.message.body {
                Body::Peer { peer, .. } => peer.number.clone(),
                _ => None,
            };
            let message =
                Message { id: uuid::Uuid::now_v7().to_string(), call: call.clone(), body: Body::Ended { number } };
            parted.ended.push(Delivery { message, attempts: 0, created: at, ..told });
        }
        parted.dropped.extend((state == "pending").then_some(id));
    }
    let closed = sqlx::query(
        "UPDATE deliveries SET is_open = 0, state = CASE state WHEN 'pending' THEN 'dropped' ELSE state END
         WHERE call = $1 AND is_open = 1 AND ((number = $2 AND other = $3) OR (number = $3 AND other = $2))",
    );
    closed.bind(call.to_string()).bind(a.to_string()).bind(b.to_string()).execute(&mut *connection).await?;
    add(connection, &parted.ended).await?;
    Ok(Done::Parted(parted))
}

pub(super) async fn drop_pending(
    connection: &mut SqliteConnection,
    call: &CallId,
    all: bool,
) -> Result<Done, StoreError> {
    let done = sqlx::query(
        "UPDATE deliveries SET state = 'dropped' WHERE call = $1 AND state = 'pending' AND ($2 OR kind = 'peer')",
    );
    let done = done.bind(call.to_string()).bind(all).execute(&mut *connection).await?;
    if all {
        let said = sqlx::query("UPDATE deliveries SET body = '' WHERE call = $1 AND kind = 'message'");
        said.bind(call.to_string()).execute(connection).await?;
    }
    Ok(Done::Rows(done.rows_affected()))
}
