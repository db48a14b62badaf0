//! Where the database is: `node.database`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use super::sql;

const SCHEMES: [&str; 2] = ["postgres", "postgresql"];

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PathBuf")]
pub enum Location {
    /// An SQLite file.
    File(PathBuf),
    /// A PostgreSQL database.
    Postgres(PostgresUrl),
}

/// The URL of a PostgreSQL database. It is printed without its password and its settings.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(String);

impl PostgresUrl {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a password is in it.
    pub fn has_password(&self) -> bool {
        let parsed = Url::parse(&self.0);
        parsed.is_ok_and(|url| url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password"))
    }

    /// The files with the keys that identify the node to the server.
    pub fn key_files(&self) -> Vec<PathBuf> {
        let Ok(url) = Url::parse(&self.0) else { return Vec::new() };
        let keys = url.query_pairs().filter(|(name, _)| matches!(&**name, "sslkey" | "ssl-key"));
        keys.map(|(_, file)| PathBuf::from(file.into_owned())).collect()
    }
}

impl Location {
    /// The file, unless it is PostgreSQL.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Location::File(path) => Some(path),
            Location::Postgres(_) => None,
        }
    }

    /// The same, with the path of a file from this folder.
    pub fn below(self, folder: &Path) -> Location {
        match self {
            Location::File(path) => Location::File(folder.join(path)),
            postgres => postgres,
        }
    }
}

impl TryFrom<PathBuf> for Location {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Location, String> {
        let text = path.to_string_lossy().into_owned();
        let Some((scheme, _)) = text.split_once("://") else { return Ok(Location::File(path)) };
        // Never a file: its name may have a password in it, and would be printed.
        if !SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(format!(
                "a database is a path, or a URL that begins with {}",
                SCHEMES.map(|s| s.to_owned() + "://").join(" or ")
            ));
        }
        sql::check_url(&text)?;
        Ok(Location::Postgres(PostgresUrl(text)))
    }
}

impl From<&Path> for Location {
    fn from(file: &Path) -> Location {
        Location::File(file.to_owned())
    }
}

impl From<&PathBuf> for Location {
    fn from(file: &PathBuf) -> Location {
        file.as_path().into()
    }
}

impl From<&Location> for Location {
    fn from(location: &Location) -> Location {
        location.clone()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(path) => path.display().fmt(f),
            Location::Postgres(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(mut url) = Url::parse(&self.0) else { return f.write_str("postgres://") };
        // Fails only if there is no host, and then there is no password before it.
        let _ = url.set_password(None);
        url.set_query(None);
        url.fmt(f)
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(text: &str) -> Result<Location, String> {
        PathBuf::from(text).try_into()
    }

    #[test]
    fn a_url_is_postgresql_and_a_path_is_a_file() {
        for url in [
            "postgres://db.example/sidecall",
            "postgresql:///sidecall?host=/run/postgresql",
            "PostgreSQL://db.example/sidecall",
        ] {
            assert!(location(url).unwrap().file().is_none(), "{url}");
            assert_eq!(location(url).unwrap().below(Path::new("/etc")), location(url).unwrap());
        }
        for path in ["sidecall.db", "/var/lib/sidecall/sidecall.db", "postgres:/x"] {
            assert_eq!(location(path).unwrap().file(), Some(Path::new(path)));
        }
        assert_eq!(location("a.db").unwrap().below(Path::new("/etc")), location("/etc/a.db").unwrap());
    }

    #[test]
    fn a_url_that_cant_be_used_is_refused() {
        for url in [
            "postgres://db.example:x/sidecall",
            "postgres://db.example/sidecall?sslmode=maybe",
            "mysql://db.example/sidecall",
            " postgres://db.example/sidecall",
            "://x",
        ] {
            assert!(location(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_refusal_names_no_more_than_the_setting_that_isnt_known() {
        for (url, named) in [
            ("postgres://u@db.example/calls?passwort=hidden", "isn't known: passwort"),
            ("postgres://u@db.example/calls?connect_timeout=hidden", "isn't known: connect_timeout"),
            ("postgres://u:1?hidden@db.example/calls", "write ? in a password as %3F"),
            ("mysql://u:hidden@db.example/calls", "postgres:// or postgresql://"),
            ("postgres://u:hid/den@db.example/calls", "can't be read"),
            ("postgres://u:12/hidden@db.example/x", "write / # ? @ in a password or name as %2F %23 %3F %40"),
            ("postgres://u:/hidden@db.example/x", "can't be read"),
            ("postgres://u:12#hidden@db.example/x", "can't be read"),
            ("postgres://u@db.example/calls#hidden", "can't be read"),
            ("postgres://u:hidden@db.example/calls?port=hidden", "can't be used"),
        ] {
            let refused = location(url).unwrap_err();
            assert!(refused.contains(named) && !refused.contains("hid"), "{url}: {refused}");
        }
        assert!(location("postgres:///x?options[search_path]=a&options=-c%20jit=off").is_ok());
    }

    #[test]
    fn a_password_in_the_url_is_noticed_and_a_key_is_found() {
        let postgres = |url: &str| match location(url).unwrap() {
            Location::Postgres(url) => url,
            Location::File(path) => panic!("{}", path.display()),
        };
        for (url, has) in [
            ("postgres://u:p@db.example/calls", true),
            ("postgres:///calls?user=u&password=p", true),
            ("postgres://u@db.example/calls", false),
        ] {
            assert_eq!(postgres(url).has_password(), has, "{url}");
        }
        let url = postgres("postgres://u@db.example/calls?sslcert=/etc/a.pem&sslkey=/etc/a.key");
        assert_eq!(url.key_files(), [PathBuf::from("/etc/a.key")]);
    }

    #[test]
    fn the_password_is_never_printed() {
        for url in [
            "postgres://sidecall:hidden@db.example/calls",
            "postgres://sidecall@db.example/calls?password=hidden",
            "postgres:///calls?user=sidecall&password=hidden",
        ] {
            let location = location(url).unwrap();
            let printed = format!("{location} {location:?}");
            assert!(!printed.contains("hidden") && printed.contains("calls"), "{printed}");
        }
    }
}
