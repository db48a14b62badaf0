//! Deletes old calls in small batches, since every other write waits for the one before it.

use super::sql::{self, Connection};
use super::writer::{Done, Write};
use super::{Store, StoreError};
use crate::core::base::time::UnixMillis;

/// Maximum number of rows that one write deletes.
const PRUNED: i64 = 500;

impl Store {
    /// The time before which calls are deleted: `before`, or later if more than `keep` calls ended since then.
    pub async fn prune_before(&self, before: UnixMillis, keep: u64) -> Result<UnixMillis, StoreError> {
        let over = "SELECT ended FROM calls WHERE ended IS NOT NULL ORDER BY ended DESC LIMIT 1 OFFSET $1";
        let keep = i64::try_from(keep).unwrap_or(i64::MAX);
        let line: Option<i64> = sql::scalar(over).bind(keep).fetch_optional(self.patient_reader()).await?;
        Ok(line.map_or(before, |line| before.max(UnixMillis(line.saturating_add(1)))))
    }

    /// Deletes one batch of the calls that ended before `before`, with their deliveries. Returns the number of deleted
    /// rows, which is 0 once nothing is left. Other writes may run between batches.
    pub async fn prune_batch(&self, before: UnixMillis) -> Result<u64, StoreError> {
        Ok(self.writer.run(Write::Prune { before }).await?.rows())
    }
}

/// Deletes a call's row only after its last delivery, which would otherwise be orphaned.
pub(super) async fn prune(connection: &mut Connection, before: UnixMillis) -> Result<Done, StoreError> {
    let deliveries = sql::query(
        "DELETE FROM deliveries WHERE id IN (
             SELECT deliveries.id FROM (SELECT id FROM calls WHERE ended < $1 ORDER BY ended, id LIMIT $2) AS over
             JOIN deliveries ON deliveries.call = over.id LIMIT $2)",
    );
    let deliveries = deliveries.bind(before.0).bind(PRUNED).execute(&mut *connection).await?;
    if deliveries > 0 {
        return Ok(Done::Rows(deliveries));
    }
    let calls =
        sql::query("DELETE FROM calls WHERE id IN (SELECT id FROM calls WHERE ended < $1 ORDER BY ended, id LIMIT $2)");
    Ok(Done::Rows(calls.bind(before.0).bind(PRUNED).execute(connection).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CallFilter;
    use crate::store::test_database::{TestDatabase, on_both_databases};

    on_both_databases! {
        other_writes_get_in_while_many_calls_are_forgotten,
        one_write_forgets_a_few_rows,
    }

    const CALLS: i64 = 20_000;

    /// A database with calls that ended at 1, 2, 3 …, and two deliveries of each.
    async fn full(database: &TestDatabase) -> Store {
        database.open().await.close().await;
        database
            .run(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                 INSERT INTO calls
                 SELECT 'c' || i, 'pbx', NULL, '+12125550101', 'pstn', 'called-not-served', i, i, '{}' FROM n;
                 INSERT INTO deliveries SELECT 'a' || ended, id, '+1', '+2', 'x', 'sip', 'peer', '', 0, 'failed', 1, ended, NULL, NULL
                 FROM calls;
                 INSERT INTO deliveries SELECT 'b' || ended, id, '+2', '+1', 'y', 'sip', 'peer', '', 0, 'failed', 1, ended, NULL, NULL
                 FROM calls;",
            )
            .await;
        database.open().await
    }

    async fn rows(store: &Store, table: &'static str) -> i64 {
        let count = sql::Builder::new(format!("SELECT COUNT(*) FROM {table}")).build_scalar();
        count.fetch_one(&store.pool).await.unwrap()
    }

    async fn other_writes_get_in_while_many_calls_are_forgotten(database: &TestDatabase) {
        let store = full(database).await;
        let before = store.prune_before(UnixMillis(0), 100).await.unwrap();
        assert_eq!(before, UnixMillis(CALLS - 99), "the newest hundred are kept");
        let pruning = tokio::spawn({
            let store = store.clone();
            async move { while store.prune_batch(before).await.unwrap() > 0 {} }
        });
        for n in 0..20 {
            store.expire_missed(UnixMillis(0)).await.unwrap();
            assert!(!pruning.is_finished() && rows(&store, "calls").await > 100, "write {n} waited for all of them");
        }
        pruning.await.unwrap();
        assert_eq!((rows(&store, "calls").await, rows(&store, "deliveries").await), (100, 200));
        let live = CallFilter { live: Some(true), pbx: None, limit: 10 };
        assert!(store.calls(&live).await.unwrap().is_empty());
    }

    async fn one_write_forgets_a_few_rows(database: &TestDatabase) {
        let store = full(database).await;
        let all = rows(&store, "calls").await + rows(&store, "deliveries").await;
        let pruned = store.prune_batch(UnixMillis(CALLS + 1)).await.unwrap();
        let left = rows(&store, "calls").await + rows(&store, "deliveries").await;
        assert_eq!((pruned, all - left), (PRUNED as u64, PRUNED));
    }
}
