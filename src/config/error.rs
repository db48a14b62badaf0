//! Configuration errors, in one line that names the place and the key.

use std::path::{Path, PathBuf};

use serde_path_to_error::Segment;

use super::environment::Overlaid;

/// A configuration error.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration {} can't be read: {error} (--config names another)", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A key or a value is wrong.
    #[error("{path}: {problem}")]
    Key {
        /// The file, or `environment`.
        path: String,
        /// What is wrong, with the key, and with line and column if it is in the file.
        problem: String,
    },
}

impl ConfigError {
    /// The text isn't TOML.
    pub(super) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
        let problem = format!("{}{}", place(text, error), error.message());
        ConfigError::Key { path: path.display().to_string(), problem }
    }

    /// A key is unknown, or its value is invalid.
    pub(super) fn key(
        path: &Path,
        text: &str,
        overlaid: &Overlaid,
        error: &serde_path_to_error::Error<toml::de::Error>,
    ) -> ConfigError {
        let segments: Vec<&Segment> = error.path().iter().collect();
        let keys = segments.iter().map_while(|segment| match segment {
            Segment::Map { key } => Some(key.as_str()),
            _ => None,
        });
        let error = error.inner();
        let (path, place) = if overlaid.has(&keys.collect::<Vec<_>>()) {
            ("environment".to_owned(), String::new())
        } else {
            (path.display().to_string(), place(text, error))
        };
        let mut problem = plain(error.message());
        if problem.ends_with("socket address syntax") {
            problem += ": write an IP address and a port, such as 127.0.0.1:8600";
        }
        let key = named(&segments);
        let separator = if key.is_empty() { "" } else { ": " };
        ConfigError::Key { path, problem: format!("{place}{key}{separator}{problem}") }
    }
}

/// `line 3, column 15: `. Lines and columns count from one.
fn place(text: &str, error: &toml::de::Error) -> String {
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return String::new() };
    let (line, begin) = (before.matches('\n').count() + 1, before.rfind('\n').map_or(0, |end| end + 1));
    format!("line {line}, column {}: ", before[begin..].chars().count() + 1)
}

/// `agent.deadline_ms`, `[[pbx]] no. 1: map: no. 2: number`. Entries of a list count from one.
fn named(segments: &[&Segment]) -> String {
    let name = |segment: &&Segment| match segment {
        Segment::Map { key } | Segment::Enum { variant: key } => key.clone(),
        Segment::Seq { index } => format!("no. {}", index + 1),
        Segment::Unknown => "?".to_owned(),
    };
    let names: Vec<String> = segments.iter().map(name).collect();
    match segments.iter().position(|segment| matches!(segment, Segment::Seq { .. })) {
        Some(at) => {
            let entry = format!("[[{}]] {}", names[..at].join("."), names[at]);
            [entry].into_iter().chain(names[at + 1..].iter().cloned()).collect::<Vec<_>>().join(": ")
        }
        None => names.join("."),
    }
}

/// Rewrites the deserializer's message in the terms of a configuration.
fn plain(message: &str) -> String {
    let message = message.replacen("unknown field", "unknown key", 1).replacen("missing field", "missing key", 1);
    let Some((said, expected)) = message.rsplit_once("expected ") else { return message };
    let expected = match expected {
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    format!("{said}expected {expected}")
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::environment::Environment;
    use std::path::Path;

    #[test]
    fn an_error_says_where_which_key_and_what_was_expected() {
        for (text, said) in [
            (
                "[agent]\ndeadline_ms = \"soon\"",
                "line 2, column 15: agent.deadline_ms: invalid type: string \"soon\", expected a whole number from 0",
            ),
            (
                "[agent]\ndeadline_ms = -5",
                "line 2, column 15: agent.deadline_ms: invalid value: integer `-5`, expected a whole number from 0",
            ),
            ("# ü\n  [agent]\n  nod = 1", "line 3, column 3: agent.nod: unknown key `nod`, expected one of `"),
            ("[node]\ntls = \"x\"", "line 2, column 7: node.tls: invalid type: string \"x\", expected a table"),
            ("[node.tls]\ncert = \"ü\"", "line 1, column 1: node.tls: missing key `key`"),
            (
                "node = {monitoring_hosts = 'ü', tls = 5}",
                "line 1, column 28: node.monitoring_hosts: invalid type: string \"ü\", expected a list",
            ),
            (
                "[[pbx]]\nname = 5",
                "line 2, column 8: [[pbx]] no. 1: name: invalid type: integer `5`, expected a string",
            ),
            ("[node]\nlisten = x", "line 2, column 10: "),
            ("[node]\nlisten = \"\"\nlisten = \"\"", "line 3, column 1: duplicate key"),
            ("[node", "line 1, column 6: "),
        ] {
            let error = Config::parse(text, Path::new("a.toml"), &Environment::new([])).unwrap_err().to_string();
            let said = format!("a.toml: {said}");
            assert!(error.starts_with(&said) && !error.contains('\n'), "{text}\n{error}\n{said}");
        }
    }
}
