//! The same lookups in SQL, to compare with memory.

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row, SqlitePool};

use crate::contract::{NumberEntry, NumberView};
use crate::core::address::disclosure::OfferTo;
use crate::core::base::name::{ClientId, DeviceId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::routing::route::NumberFacts;
use crate::store::{Binding, EnrolledDevice, Facts, TokenRole, bindings};

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
    let query = sqlx::query(
        "SELECT name, pbx, kind, extensions, COALESCE(enabled, 1) = 1, credential IS NOT NULL FROM numbers
         WHERE number = $1",
    );
    let row = query.bind(number.to_string()).fetch_optional(pool).await.unwrap()?;
    let entry = NumberEntry {
        name: row.get(0),
        pbx: row.get::<Option<String>, _>(1).map(|name| name.parse().unwrap()),
        kind: serde_json::from_value(row.get::<String, _>(2).into()).unwrap(),
        extensions: serde_json::from_str(&row.get::<String, _>(3)).unwrap(),
        enabled: Some(row.get(4)),
        credential: None,
    };
    Some(NumberView { number: number.clone(), entry, has_credential: row.get(5) })
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

/// All devices, newest first.
pub(super) async fn devices(pool: &SqlitePool, now: UnixMillis) -> Vec<EnrolledDevice> {
    let query = sqlx::query(
        "SELECT d.id, d.number, d.name, d.enrolled, (SELECT MAX(b.id) FROM bindings b
             WHERE b.device = d.id AND b.address IS NULL AND b.expires > $1)
         FROM devices d ORDER BY d.id DESC",
    );
    let read = |row: &SqliteRow| EnrolledDevice {
        id: row.get::<String, _>(0).parse().unwrap(),
        number: row.get::<String, _>(1).parse().unwrap(),
        name: row.get::<String, _>(2).parse().unwrap(),
        enrolled: UnixMillis(row.get(3)),
        client: row.get::<Option<String>, _>(4).map(|id| id.parse().unwrap()),
    };
    query.bind(now.0).fetch_all(pool).await.unwrap().iter().map(read).collect()
}

pub(super) async fn client_of_token(pool: &SqlitePool, hash: &[u8; 32]) -> Option<(Number, Option<DeviceId>)> {
    let query = sqlx::query(
        "SELECT number, NULL FROM numbers WHERE credential = $1
         UNION ALL SELECT number, id FROM devices WHERE token = $1 LIMIT 1",
    );
    let row = query.bind(hash.to_vec()).fetch_optional(pool).await.unwrap()?;
    let device = row.get::<Option<String>, _>(1).map(|id| id.parse().unwrap());
    Some((row.get::<String, _>(0).parse().unwrap(), device))
}

pub(super) async fn token(pool: &SqlitePool, hash: &[u8; 32]) -> Option<TokenRole> {
    let query = sqlx::query_scalar::<_, String>("SELECT role FROM tokens WHERE hash = $1");
    let role = query.bind(hash.to_vec()).fetch_optional(pool).await.unwrap()?;
    [TokenRole::Admin, TokenRole::Agent].into_iter().find(|known| known.as_str() == role)
}
