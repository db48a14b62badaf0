//! SIP MESSAGEs on their way: which ones an agent was given, and what became of them.

use std::collections::{HashMap, HashSet};

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

use super::deliveries::DeliveryState;
use super::writer::{Commit, Done, Write};
use super::{Store, StoreError};
use crate::contract::ClientForm;

/// What became of a SIP MESSAGE that was handed out and isn't delivered.
#[derive(Debug, Clone)]
pub struct SipOutcome {
    /// The delivery.
    pub id: String,
    /// Pending if it is to be sent again, or failed.
    pub state: DeliveryState,
    /// Why.
    pub error: String,
}

impl Store {
    /// SIP MESSAGEs are being handed to an agent: an attempt each, whose outcome is unknown until
    /// [`Store::sip_outcomes`] says it.
    ///
    /// # Errors
    /// If the database can't be written.
    pub async fn hand_out(&self, ids: Vec<String>) -> Result<(), StoreError> {
        self.writer.run(Write::HandedOut(ids)).await.map(drop)
    }

    /// What became of SIP MESSAGEs that were handed out and aren't delivered.
    ///
    /// # Errors
    /// If the queue is full or the store closed.
    pub fn sip_outcomes(&self, outcomes: Vec<SipOutcome>) -> Result<Commit, StoreError> {
        self.writer.submit(Write::Outcomes(outcomes))
    }

    /// The pending SIP MESSAGEs that an agent was given and whose outcome isn't known.
    ///
    /// # Errors
    /// If the database can't be read.
    pub async fn handed_out(&self) -> Result<HashSet<String>, StoreError> {
        let query = sqlx::query_scalar::<_, String>(
            "SELECT id FROM deliveries WHERE state = 'pending' AND form = $1 AND attempts > 0 AND error IS NULL",
        );
        Ok(query.bind(ClientForm::Sip.as_str()).fetch_all(&self.pool).await?.into_iter().collect())
    }
}

/// One statement for all: a call may have many dead clients.
pub(super) async fn handed_out(connection: &mut SqliteConnection, ids: &[String]) -> Result<Done, StoreError> {
    let mut query = QueryBuilder::<Sqlite>::new(
        "UPDATE deliveries SET attempts = attempts + 1, error = NULL WHERE state = 'pending' AND id IN (",
    );
    let mut list = query.separated(", ");
    for id in ids {
        list.push_bind(id.clone());
    }
    query.push(")");
    Ok(Done::Rows(query.build().execute(connection).await?.rows_affected()))
}

pub(super) async fn outcomes(connection: &mut SqliteConnection, all: &[SipOutcome]) -> Result<Done, StoreError> {
    let mut alike: HashMap<(&str, &str), Vec<&str>> = HashMap::new();
    for SipOutcome { id, state, error } in all {
        alike.entry((state.as_str(), error)).or_default().push(id);
    }
    let mut rows = 0;
    for ((state, error), ids) in alike {
        for ids in ids.chunks(500) {
            let mut query = QueryBuilder::<Sqlite>::new("UPDATE deliveries SET state = ");
            query.push_bind(state.to_owned()).push(", error = ").push_bind(error.to_owned());
            query.push(" WHERE state = 'pending' AND id IN (");
            let mut list = query.separated(", ");
            for id in ids {
                list.push_bind((*id).to_owned());
            }
            query.push(")");
            rows += query.build().execute(&mut *connection).await?.rows_affected();
        }
    }
    Ok(Done::Rows(rows))
}
