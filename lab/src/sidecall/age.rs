//! Makes calls older than they are, in the database of a node that doesn't run.

use std::path::Path;

use serde_json::Value;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor, Row};

/// By so many seconds, in everything that is a time.
pub async fn age(database: &Path, seconds: i64) -> Result<(), sqlx::Error> {
    let mut database = SqliteConnectOptions::new().filename(database).connect().await?;
    for row in database.fetch_all("SELECT id, body FROM calls").await? {
        let mut body: Value = serde_json::from_str(&row.get::<String, _>(1)).expect("a call");
        older(&mut body, seconds * 1000);
        let update = sqlx::query("UPDATE calls SET body = $1 WHERE id = $2");
        update.bind(body.to_string()).bind(row.get::<String, _>(0)).execute(&mut database).await?;
    }
    database.close().await
}

fn older(value: &mut Value, millis: i64) {
    match value {
        Value::Number(n) if n.as_i64().is_some_and(|n| n > 1_000_000_000_000) => {
            *value = (n.as_i64().unwrap_or_default() - millis).into();
        }
        Value::Array(all) => all.iter_mut().for_each(|value| older(value, millis)),
        Value::Object(all) => all.values_mut().for_each(|value| older(value, millis)),
        _ => {}
    }
}
