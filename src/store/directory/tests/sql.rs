//! The same lookups in SQL, to compare with memory.

use sqlx::{AssertSqlSafe, Row, SqlitePool};

use crate::contract::NumberView;
use crate::core::address::disclosure::OfferTo;
use crate::core::base::name::ClientId;
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::routing::route::NumberFacts;
use crate::store::{Binding, Facts, bindings, numbers};

pub(super) async fn facts(pool: &SqlitePool, number: &Number, now: UnixMillis) -> Facts {
    // Ids of bindings grow with time: the greatest is the newest.
    let query = sqlx::query(
        "SELECT n.pbx, b.offer FROM numbers n
         LEFT JOIN bindings b ON b.number = n.number AND b.expires > $2 AND COALESCE(n.enabled, 1) = 1
             AND b.offer <> '\"never\"'
         WHERE n.number = $1 ORDER BY b.id DESC",
    );
    let rows = query.bind(number.to_string()).bind(now.0).fetch_all(pool).await.unwrap();
    let Some(row) = rows.first() else { return Facts::default() };
    let home = row.get::<Option<String>, _>(0).map(|name| name.parse().unwrap());
    let offers = rows.iter().filter_map(|row| row.get::<Option<String>, _>(1));
    let offers: Vec<OfferTo> = offers.map(|offer| serde_json::from_str(&offer).unwrap()).collect();
    Facts { known: NumberFacts { served: true, has_client: !offers.is_empty(), home }, offers }
}

pub(super) async fn number(pool: &SqlitePool, number: &Number) -> Option<NumberView> {
    let sql = format!("{} WHERE number = $1", numbers::SELECT);
    let query = sqlx::query(AssertSqlSafe(sql)).bind(number.to_string());
    let row = query.fetch_optional(pool).await.unwrap()?;
    Some(numbers::read(&row).unwrap().view())
}

/// The clients that haven't expired.
fn select_clients(condition: &str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("{} WHERE expires > $1 AND {condition}", bindings::SELECT))
}

pub(super) async fn binding(pool: &SqlitePool, id: &ClientId, now: UnixMillis) -> Option<Binding> {
    let query = sqlx::query(select_clients("id = $2")).bind(now.0).bind(id.to_string());
    let row = query.fetch_optional(pool).await.unwrap()?;
    Some(bindings::read(&row).unwrap())
}

pub(super) async fn taking_part(pool: &SqlitePool, number: &Number, now: UnixMillis, limit: u32) -> Vec<Binding> {
    let sql = select_clients(
        "number = $2 AND EXISTS (SELECT 1 FROM numbers n WHERE n.number = $2 AND COALESCE(n.enabled, 1) = 1)
         ORDER BY id DESC LIMIT $3",
    );
    let rows = sqlx::query(sql).bind(now.0).bind(number.to_string()).bind(limit).fetch_all(pool).await.unwrap();
    rows.iter().map(|row| bindings::read(row).unwrap()).collect()
}

pub(super) async fn clients_of(pool: &SqlitePool, number: &Number, now: UnixMillis, limit: u32) -> Vec<Binding> {
    let sql = select_clients("number = $2 ORDER BY id DESC LIMIT $3");
    let rows = sqlx::query(sql).bind(now.0).bind(number.to_string()).bind(limit).fetch_all(pool).await.unwrap();
    rows.iter().map(|row| bindings::read(row).unwrap()).collect()
}
