//! Live and ended calls.

use super::error::legible;
use super::record::{self, CallRecord};
use super::sql::{self, Builder, Connection, Query, Row, Target};
use super::writer::{Commit, Write};
use super::{Store, StoreError};
use crate::core::base::name::{CallId, PbxName};
use crate::core::call::Call;
use crate::core::routing::route::{Reason, Route};

/// A filter for calls.
#[derive(Debug, Clone, Default)]
pub struct CallFilter {
    /// Only live calls, or only ended ones.
    pub live: Option<bool>,
    /// Only calls announced on this PBX.
    pub pbx: Option<PbxName>,
    /// Maximum number of calls, newest first.
    pub limit: u32,
}

impl Store {
    /// Queues a write of calls. The caller may wait for the returned commit.
    pub fn save_calls(&self, calls: Vec<Call>) -> Result<Commit, StoreError> {
        self.writer.submit(Write::Calls(calls.into_iter().map(CallRecord::from).collect()))
    }

    /// One call.
    pub async fn call(&self, id: &CallId) -> Result<Option<Call>, StoreError> {
        let query = sql::scalar::<String>("SELECT body FROM calls WHERE id = $1");
        let found = query.bind(id.to_string()).fetch_optional(self.reader()).await?;
        found.map(|body| read(&body)).transpose()
    }

    /// The calls that match a filter, newest first.
    pub async fn calls(&self, filter: &CallFilter) -> Result<Vec<Call>, StoreError> {
        read_all(filtered(filter), self.reader().into()).await
    }

    /// The same at startup: there may be very many.
    pub async fn calls_at_startup(&self, filter: &CallFilter) -> Result<Vec<Call>, StoreError> {
        read_all(filtered(filter), self.patient_reader()).await
    }
}

fn filtered(filter: &CallFilter) -> Query {
    let mut query = Builder::new("SELECT body FROM calls WHERE ");
    query.push(match filter.live {
        Some(true) => "ended IS NULL",
        Some(false) => "ended IS NOT NULL",
        None => "1 = 1",
    });
    if let Some(pbx) = &filter.pbx {
        query.push(" AND pbx = ").push_bind(pbx.to_string());
    }
    // Ids of calls grow with time.
    query.push(" ORDER BY id DESC LIMIT ").push_bind(filter.limit);
    query.build()
}

async fn read_all(query: Query, on: Target<'_>) -> Result<Vec<Call>, StoreError> {
    let call = |row: &Row| read(&row.try_get::<String>(0)?);
    query.fetch_all(on).await?.iter().filter_map(|row| legible(call(row))).collect()
}

fn read(body: &str) -> Result<Call, StoreError> {
    record::read::<CallRecord>(body).map(Call::from)
}

/// Maximum number of calls in one statement.
const ROWS: usize = 64;

/// Adds or replaces calls, each once. PBX, numbers and time of a call never change.
pub(super) async fn save(connection: &mut Connection, calls: &[&CallRecord]) -> Result<(), StoreError> {
    for calls in calls.chunks(ROWS) {
        let bodies = calls.iter().map(|call| record::write(*call)).collect::<Result<Vec<_>, _>>()?;
        let mut query =
            Builder::new("INSERT INTO calls (id, pbx, calling, called, route, reason, decided, ended, body) ");
        query.push_values(calls.iter().zip(bodies), |row, (call, body)| {
            row.push_bind(call.id.to_string())
                .push_bind(call.pbx.to_string())
                .push_bind(call.calling.as_ref().map(|n| n.to_string()))
                .push_bind(call.called.to_string())
                .push_bind(Route::from(call.route).as_str())
                .push_bind(Reason::from(call.reason).as_str())
                .push_bind(call.decided.0)
                .push_bind(call.ended.map(|t| t.0))
                .push_bind(body);
        });
        query.push(
            " ON CONFLICT (id) DO UPDATE SET route = excluded.route, reason = excluded.reason, ended = excluded.ended,
              body = excluded.body",
        );
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}
