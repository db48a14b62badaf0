//! As much of PostgreSQL's protocol as a proxy needs to know which statement a client asks for, and to let the server refuse it.
//!
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use std::collections::HashMap;

/// What a client sends before it waits for an answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct ProxiedRequest {
    /// All of it.
    pub(in crate::store) bytes: Vec<u8>,
    /// The statement to run; empty if there is none, or if it is only prepared.
    pub(in crate::store) statement: String,
}

/// Divides what a client sends into requests. The connection has no TLS.
#[derive(Default)]
pub(in crate::store) struct RequestReader {
    /// What has come, from the beginning of a request.
    bytes: Vec<u8>,
    /// Where its next message begins.
    next: usize,
    /// Whether the first message has come, which has no type.
    is_started: bool,
    statement: String,
    /// The statements that the client has prepared, by their names.
    prepared: HashMap<Vec<u8>, String>,
}

impl RequestReader {
    /// Takes in what the client has sent.
    pub(in crate::store) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next request, if all of it has come.
    pub(in crate::store) fn take(&mut self) -> Option<ProxiedRequest> {
        loop {
            let rest = &self.bytes[self.next..];
            let kind = if self.is_started { Some(*rest.first()?) } else { None };
            let header = usize::from(self.is_started);
            let length: [u8; 4] = rest.get(header..header + 4)?.try_into().ok()?;
            let size = header + usize::try_from(u32::from_be_bytes(length)).ok()?;
            let mut texts = rest.get(header + 4..size)?.split(|byte| *byte == 0);
            let mut text = || texts.next().unwrap_or_default();
            match kind {
                // Query.
                Some(b'Q') => self.statement = lossy_text(text()),
                // Parse: the name, and the statement.
                Some(b'P') => {
                    let name = text().to_owned();
                    self.prepared.insert(name, lossy_text(text()));
                }
                // Bind: the portal, and the name of the statement.
                Some(b'B') => {
                    text();
                    self.statement = self.prepared.get(text()).cloned().unwrap_or_default();
                }
                _ => {}
            }
            self.next += size;
            // The start, Query, Sync, a password, Terminate.
            if matches!(kind, None | Some(b'Q' | b'S' | b'p' | b'X')) {
                self.is_started = true;
                let bytes = self.bytes.drain(..std::mem::take(&mut self.next)).collect();
                return Some(ProxiedRequest { bytes, statement: std::mem::take(&mut self.statement) });
            }
        }
    }
}

fn lossy_text(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// What to send in the place of a request, so that the server fails it with this SQLSTATE. A commit that fails so is rolled
/// back, and its transaction is over; after another statement the client must roll back. So it must after a begin that fails at
/// the settings behind it.
pub(in crate::store) fn refusal(request: &ProxiedRequest, code: &str) -> Vec<u8> {
    let first = match request.statement.get(..6) {
        Some("COMMIT") => "ROLLBACK; ",
        Some("BEGIN;") => "BEGIN; ",
        _ => "",
    };
    let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'refused by the proxy' USING ERRCODE = '{code}'; END $$");
    query(&format!("{first}{raise}"))
}

fn query(statement: &str) -> Vec<u8> {
    message(b'Q', &[statement.as_bytes(), b"\0"].concat())
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes()[..], body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Vec<u8> {
        // The length, and the version.
        vec![0, 0, 0, 8, 0, 3, 0, 0]
    }

    /// A prepared statement, as the library asks for it the first time and the second time.
    fn session() -> Vec<Vec<u8>> {
        let sync = message(b'S', b"");
        let bind = [message(b'B', b"\0s1\0\0\0\0\0\0\0"), message(b'E', b"\0\0\0\0\0"), sync.clone()].concat();
        let parse = [message(b'P', b"s1\0SELECT 1\0\0\0"), message(b'D', b"Ss1\0"), sync].concat();
        vec![start(), query("BEGIN; SELECT 2"), parse, bind.clone(), bind, query("COMMIT"), message(b'X', b"")]
    }

    fn read(chunks: &[&[u8]]) -> Vec<ProxiedRequest> {
        let mut reader = RequestReader::default();
        let mut requests = Vec::new();
        for chunk in chunks {
            reader.push(chunk);
            while let Some(request) = reader.take() {
                requests.push(request);
            }
        }
        requests
    }

    #[test]
    fn each_request_has_the_statement_that_it_runs_wherever_it_is_split() {
        let statements = ["", "BEGIN; SELECT 2", "", "SELECT 1", "SELECT 1", "COMMIT", ""];
        let expected: Vec<ProxiedRequest> = session()
            .into_iter()
            .zip(statements)
            .map(|(bytes, statement)| ProxiedRequest { bytes, statement: statement.to_owned() })
            .collect();
        let all = session().concat();
        for at in 0..=all.len() {
            assert_eq!(read(&[&all[..at], &all[at..]]), expected, "split at {at}");
        }
    }

    #[test]
    fn a_commit_that_is_refused_ends_its_transaction_and_a_begin_doesnt() {
        let refused = |statement: &str| {
            let request = ProxiedRequest { bytes: query(statement), statement: statement.to_owned() };
            read(&[&start(), &refusal(&request, "40001")]).swap_remove(1).statement
        };
        assert!(refused("COMMIT").starts_with("ROLLBACK; DO $$ BEGIN RAISE"));
        assert!(refused("BEGIN; SET LOCAL").starts_with("BEGIN; DO $$ BEGIN RAISE"));
        assert!(refused("UPDATE calls").starts_with("DO $$ BEGIN RAISE"));
    }
}
