//! Overrides keys of the file from the environment: `SIDECALL_NODE__LISTEN=127.0.0.1:8080` is `listen` in `[node]`.
//!
//! A value is parsed as TOML: `true`, `8601`, `["a.example", "b.example"]`. Text that isn't TOML is taken literally, so
//! addresses and names need no quotes.

use std::ffi::OsString;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The prefix of our variables.
const PREFIX: &str = "SIDECALL_";

/// The variables that override keys.
pub(super) struct Environment(Vec<Variable>);

struct Variable {
    /// `node`, `listen`.
    keys: Vec<String>,
    text: String,
}

/// The paths of the keys that the environment set.
#[derive(Default)]
pub(super) struct Overlaid(Vec<Vec<String>>);

impl Environment {
    /// Reads the environment of this process.
    pub(super) fn of_process() -> Environment {
        Environment::new(std::env::vars_os())
    }

    pub(super) fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Environment {
        let variable = |(name, text): (OsString, OsString)| {
            let name = name.to_str()?.to_ascii_uppercase();
            // A single underscore is part of a key, two separate keys.
            let name = name.strip_prefix(PREFIX).filter(|name| name.contains("__"))?;
            let keys: Vec<String> = name.split("__").map(str::to_ascii_lowercase).collect();
            keys.iter().all(|key| !key.is_empty()).then_some(())?;
            Some(Variable { keys, text: text.to_string_lossy().trim().to_owned() })
        };
        let mut variables: Vec<Variable> = variables.into_iter().filter_map(variable).collect();
        // A whole table comes before its keys.
        variables.sort_by(|a, b| a.keys.cmp(&b.keys));
        Environment(variables)
    }

    /// Sets the variables' keys in the parsed file. A table keeps the file's keys that it doesn't contain.
    pub(super) fn overlay<'i>(&'i self, table: &mut DeTable<'i>) -> Overlaid {
        let mut overlaid = Overlaid::default();
        for Variable { keys, text } in &self.0 {
            let within = |value, key: &'i String| {
                nowhere(DeValue::Table(DeTable::from_iter([(nowhere(key.as_str().into()), value)])))
            };
            if let DeValue::Table(new) = keys.iter().rev().fold(value(text), within).into_inner() {
                overlaid.merge(table, new, &[]);
            }
        }
        overlaid
    }
}

impl Overlaid {
    /// Whether the value at this path comes from the environment.
    pub(super) fn has(&self, path: &[&str]) -> bool {
        let covers = |set: &Vec<String>| set.len() <= path.len() && set.iter().zip(path).all(|(set, key)| set == key);
        self.0.iter().any(covers)
    }

    /// Merges new values into the table at this path, and records their paths.
    fn merge<'i>(&mut self, table: &mut DeTable<'i>, new: DeTable<'i>, path: &[String]) {
        for (key, value) in new {
            let path = [path, &[key.get_ref().to_string()]].concat();
            match (table.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.into_inner()) {
                (Some(DeValue::Table(old)), DeValue::Table(new)) => self.merge(old, new, &path),
                (_, value) => {
                    table.insert(key, nowhere(value));
                    self.0.push(path);
                }
            }
        }
    }
}

fn value(text: &str) -> Spanned<DeValue<'_>> {
    let parsed = DeValue::parse(text).ok();
    // No configuration key is a date.
    parsed.filter(|value| !value.get_ref().is_datetime()).unwrap_or_else(|| nowhere(DeValue::String(text.into())))
}

/// A value without a position in the file.
fn nowhere<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let environment = Environment::new(variables.iter().map(|(name, text)| (name.into(), text.into())));
        Config::parse(text, Path::new("sidecall.toml"), &environment).map_err(|error| error.to_string())
    }

    #[test]
    fn a_variable_overrides_its_key_and_leaves_the_others() {
        let file = "[node]\nlisten = \"127.0.0.1:1\"\ndatabase = \"/a.db\"\n[agent]\ndeadline_ms = 250\n";
        let config = load(file, &[("SIDECALL_NODE__LISTEN", "127.0.0.1:8601"), ("sidecall_Agent__Deadline_ms", "300")]);
        let config = config.unwrap();
        assert_eq!(config.node.listen, "127.0.0.1:8601".parse().unwrap());
        assert_eq!((config.node.database.file().unwrap(), config.agent.deadline_ms), (Path::new("/a.db"), 300));
    }

    #[test]
    fn tables_that_the_file_lacks_are_made() {
        let tls = [("SIDECALL_NODE__TLS__CERT", "/a.pem"), ("SIDECALL_NODE__TLS__KEY", "/b.pem")];
        let config = load("", &tls).unwrap();
        assert_eq!(config.node.tls.unwrap().key, Path::new("/b.pem"));
        let whole = [("SIDECALL_NODE__TLS__KEY", "/c.pem"), ("SIDECALL_NODE__TLS", r#"{cert = "/a", key = "/b"}"#)];
        let tls = load("[node.tls]\ncert = 5", &whole).unwrap().node.tls.unwrap();
        assert_eq!((tls.cert.as_path(), tls.key.as_path()), (Path::new("/a"), Path::new("/c.pem")));
    }

    #[test]
    fn a_table_leaves_the_files_other_keys() {
        let file = "[node.tls]\ncert = \"/a\"\nkey = \"/b\"\nclient_ca = \"/ca\"\n";
        let tls = load(file, &[("SIDECALL_NODE__TLS", r#"{cert = "/n", key = "/m"}"#)]).unwrap().node.tls.unwrap();
        assert_eq!((tls.cert.as_path(), tls.client_ca.as_deref()), (Path::new("/n"), Some(Path::new("/ca"))));
        let said =
            load("[node.tls]\ncert = 5\nkey = \"/b\"", &[("SIDECALL_NODE__TLS", r#"{key = "/m"}"#)]).unwrap_err();
        assert!(said.starts_with("sidecall.toml: line 2, column 8: node.tls.cert: "), "{said}");
    }

    #[test]
    fn an_error_quotes_no_secret() {
        let token = load("[agent]\ntoken = 482913", &[]).unwrap_err();
        assert_eq!(token, "sidecall.toml: line 2, column 9: agent.token: a secret is text: write it in quotes");
        let token = load("", &[("SIDECALL_AGENT__TOKEN", "482913")]).unwrap_err();
        assert_eq!(token, "environment: agent.token: a secret is text: write it in quotes");
    }

    #[test]
    fn values_are_toml_and_what_isnt_is_text() {
        let hosts =
            |text| load("", &[("SIDECALL_NODE__MONITORING_HOSTS", text)]).map(|config| config.node.monitoring_hosts);
        assert_eq!(hosts(r#" ["a.example", "b.example"] "#).unwrap().len(), 2);
        let said = hosts("a.example").unwrap_err();
        assert_eq!(said, r#"environment: node.monitoring_hosts: invalid type: string "a.example", expected a list"#);
        let database = |text| {
            load("", &[("SIDECALL_NODE__DATABASE", text)]).map(|config| config.node.database.file().unwrap().to_owned())
        };
        for text in ["/a b/c.db", "\"/a b/c.db\"", "  /a b/c.db "] {
            assert_eq!(database(text).unwrap(), Path::new("/a b/c.db"), "{text}");
        }
        for text in ["2026-11-28", "0815", "[::1]:8600", "\"", "a = 1\nb = 2"] {
            assert_eq!(database(text).unwrap(), Path::new(text), "{text}");
        }
        assert_eq!(database("'8601'").unwrap(), Path::new("8601"));
        assert_eq!(
            database("8601").unwrap_err(),
            "environment: node.database: invalid type: integer `8601`, expected path string"
        );
    }

    #[test]
    fn an_error_names_where_its_value_comes_from() {
        let file = "[node]\nlisten = 5\n[agent]\ndeadline_ms = \"soon\"\n";
        let said = |variables: &[(&str, &str)]| load(file, variables).unwrap_err();
        // Tables and keys are read in the order of the alphabet.
        assert!(said(&[]).starts_with("sidecall.toml: line 4, column 15: agent.deadline_ms: "), "{}", said(&[]));
        let listen = said(&[("SIDECALL_AGENT__DEADLINE_MS", "300")]);
        assert!(listen.starts_with("sidecall.toml: line 2, column 10: node.listen: "), "{listen}");
        let late = said(&[("SIDECALL_AGENT__DEADLINE_MS", "late")]);
        assert!(late.starts_with("environment: agent.deadline_ms: "), "{late}");
        for (name, text, named) in [
            (
                "SIDECALL_NODE__LISTENS",
                "127.0.0.1:1",
                "environment: node.listens: unknown key `listens`, expected one of ",
            ),
            ("SIDECALL_NODES__LISTEN", "127.0.0.1:1", "environment: nodes: unknown key `nodes`, expected one of "),
            ("SIDECALL_NODE__TLS__CERT", "/a.pem", "environment: node.tls: missing key `key`"),
            ("SIDECALL_PBX__NAME", "fs", "environment: pbx: invalid type: map, expected a list"),
        ] {
            let said = load("[[pbx]]\n[node]\n", &[(name, text)]).unwrap_err();
            assert!(said.starts_with(named), "{name}: {said}");
        }
    }

    #[test]
    fn other_variables_are_not_ours() {
        let others = ["SIDECALL_TOKEN", "NODE__LISTEN", "SIDECALL", "SIDECALL_NODE__", "SIDECALL___NODE", ""];
        let others = others.map(|name| (name, "x"));
        assert!(load("", &others).is_ok());
    }
}
