//! The URL of a PostgreSQL server: which settings it may have.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use url::Url;

/// The settings that the library knows. It would log the others with their values, one of which may be a password.
const SETTINGS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
const HOW_TO_WRITE: &str = "write / # ? @ in a password or name as %2F %23 %3F %40";
/// Longer than the name of any setting.
const NAME: usize = 40;

/// Checks that a URL is one of PostgreSQL. The error has no value of it.
pub(in crate::store) fn check_url(url: &str) -> Result<(), String> {
    let parsed =
        Url::parse(url).map_err(|error| format!("the database's URL can't be read: {error}; {HOW_TO_WRITE}"))?;
    // Behind a `/` or `#` in a password there is the rest of the password, and then the `@` of the server.
    if parsed.path().contains('@') || parsed.fragment().is_some() {
        return Err(format!("the database's URL can't be read; {HOW_TO_WRITE}"));
    }
    if let Some((name, _)) = parsed.query_pairs().find(|(name, _)| !is_known(name)) {
        // Behind a `?` in a password there is the rest of the password.
        let is_name = name.len() <= NAME && name.bytes().all(|b| b.is_ascii_lowercase() || b"_-".contains(&b));
        return Err(match is_name {
            true => format!("the database's URL has a setting that isn't known: {name}"),
            false => "the database's URL has a setting that isn't known; write ? in a password as %3F".to_owned(),
        });
    }
    PgConnectOptions::from_str(url).map(drop).map_err(|error| format!("the database's URL can't be used: {error}"))
}

fn is_known(name: &str) -> bool {
    SETTINGS.contains(&name) || (name.starts_with("options[") && name.ends_with(']'))
}
