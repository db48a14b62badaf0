//! The same lookups in SQL, to compare with memory.

use crate::contract::{NumberEntry, NumberView};
use crate::core::address::disclosure::OfferTo;
use crate::core::base::name::{ClientId, DeviceId};
use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;
use crate::core::routing::route::NumberFacts;
use crate::store::sql::{self, Builder, Column, Pool, Row};
use crate::store::{Binding, EnrolledDevice, Facts, TokenRole, bindings};

pub(super) async fn facts(pool: &Pool, number: &Number, now: UnixMillis) -> Facts {
    // Ids of bindings grow with time: the greatest is the newest.
    let query = sql::query(
        "SELECT n.pbx, b.offer FROM numbers n
         LEFT JOIN bindings b ON b.number = n.number AND b.expires > $2 AND COALESCE(n.enabled, 1) = 1
             AND b.offer <> '\"never\"'
         WHERE n.number = $1 ORDER BY b.id DESC",
    );
    let rows = query.bind(number.to_string()).bind(now.0).fetch_all(pool).await.unwrap();
    let Some(row) = rows.first() else { return Facts::default() };
    let home = get::<Option<String>>(row, 0).map(|name| name.parse().unwrap());
    let offers = rows.iter().filter_map(|row| get::<Option<String>>(row, 1));
    let offers: Vec<OfferTo> = offers.map(|offer| serde_json::from_str(&offer).unwrap()).collect();
    Facts { known: NumberFacts { served: true, has_client: !offers.is_empty(), home }, offers }
}

pub(super) async fn number(pool: &Pool, number: &Number) -> Option<NumberView> {
    let query = sql::query(
        "SELECT name, pbx, kind, extensions, COALESCE(enabled, 1) = 1, credential IS NOT NULL FROM numbers
         WHERE number = $1",
    );
    let row = query.bind(number.to_string()).fetch_optional(pool).await.unwrap()?;
    let entry = NumberEntry {
        name: get(&row, 0),
        pbx: get::<Option<String>>(&row, 1).map(|name| name.parse().unwrap()),
        kind: serde_json::from_value(get::<String>(&row, 2).into()).unwrap(),
        extensions: serde_json::from_str(&get::<String>(&row, 3)).unwrap(),
        enabled: Some(get(&row, 4)),
        credential: None,
    };
    Some(NumberView { number: number.clone(), entry, has_credential: get(&row, 5) })
}

/// The clients that haven't expired.
fn select_clients(now: UnixMillis) -> Builder {
    let mut query = Builder::new(bindings::SELECT);
    query.push(" WHERE expires > ").push_bind(now.0);
    query
}

fn get<T: Column>(row: &Row, column: usize) -> T {
    row.try_get(column).unwrap()
}

pub(super) async fn binding(pool: &Pool, id: &ClientId, now: UnixMillis) -> Option<Binding> {
    let mut query = select_clients(now);
    query.push(" AND id = ").push_bind(id.to_string());
    let row = query.build().fetch_optional(pool).await.unwrap()?;
    Some(bindings::read(&row).unwrap())
}

pub(super) async fn taking_part(pool: &Pool, number: &Number, now: UnixMillis, limit: u32) -> Vec<Binding> {
    let mut query = select_clients(now);
    query.push(" AND number = ").push_bind(number.to_string());
    query.push(" AND EXISTS (SELECT 1 FROM numbers n WHERE n.number = bindings.number AND COALESCE(n.enabled, 1) = 1)");
    query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
    let rows = query.build().fetch_all(pool).await.unwrap();
    rows.iter().map(|row| bindings::read(row).unwrap()).collect()
}

pub(super) async fn clients_of(pool: &Pool, number: &Number, now: UnixMillis, limit: u32) -> Vec<Binding> {
    let mut query = select_clients(now);
    query.push(" AND number = ").push_bind(number.to_string()).push(" ORDER BY id DESC LIMIT ").push_bind(limit);
    let rows = query.build().fetch_all(pool).await.unwrap();
    rows.iter().map(|row| bindings::read(row).unwrap()).collect()
}

/// All devices, newest first.
pub(super) async fn devices(pool: &Pool, now: UnixMillis) -> Vec<EnrolledDevice> {
    let query = sql::query(
        "SELECT d.id, d.number, d.name, d.enrolled, (SELECT MAX(b.id) FROM bindings b
             WHERE b.device = d.id AND b.address IS NULL AND b.expires > $1)
         FROM devices d ORDER BY d.id DESC",
    );
    let read = |row: &Row| EnrolledDevice {
        id: get::<String>(row, 0).parse().unwrap(),
        number: get::<String>(row, 1).parse().unwrap(),
        name: get::<String>(row, 2).parse().unwrap(),
        enrolled: UnixMillis(get(row, 3)),
        client: get::<Option<String>>(row, 4).map(|id| id.parse().unwrap()),
    };
    query.bind(now.0).fetch_all(pool).await.unwrap().iter().map(read).collect()
}

pub(super) async fn client_of_token(pool: &Pool, hash: &[u8; 32]) -> Option<(Number, Option<DeviceId>)> {
    let query = sql::query(
        "SELECT number, NULL FROM numbers WHERE credential = $1
         UNION ALL SELECT number, id FROM devices WHERE token = $1 LIMIT 1",
    );
    let row = query.bind(hash.to_vec()).fetch_optional(pool).await.unwrap()?;
    let device = get::<Option<String>>(&row, 1).map(|id| id.parse().unwrap());
    Some((get::<String>(&row, 0).parse().unwrap(), device))
}

pub(super) async fn token(pool: &Pool, hash: &[u8; 32]) -> Option<TokenRole> {
    let query = sql::scalar::<String>("SELECT role FROM tokens WHERE hash = $1");
    let role = query.bind(hash.to_vec()).fetch_optional(pool).await.unwrap()?;
    [TokenRole::Admin, TokenRole::Agent].into_iter().find(|known| known.as_str() == role)
}
