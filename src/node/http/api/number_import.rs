//! `POST /v1/numbers:import`: a directory as CSV.
//!
//! The body goes to a file without a name first: it is read twice if one bad line is to spoil all,
//! and a slow sender keeps nobody else from writing.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::IntoParams;

use super::csv_lines::{self, Line};
use super::numbers::DirectoryApi;
use crate::contract::{ImportMode, ImportReport, LineError};
use crate::core::numbering::number::Number;
use crate::node::Problem;
use crate::node::http::auth::Admin;
use crate::node::http::extract::Parameters;
use crate::node::http::problem::Problems;
use crate::store::NumberRow;

/// Bytes of a directory: several million lines.
const BODY: u64 = 1024 * 1024 * 1024;
/// Lines that are named.
const NAMED: usize = 100;

/// What to do about bad lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::node) struct ImportQuery {
    /// `all-or-nothing` if absent.
    #[serde(default)]
    #[param(inline)]
    mode: ImportMode,
}

/// Adds and replaces entries from CSV with the header `number,name,pbx,kind,extensions,credential`.
///
/// Columns may be in any order, and all but `number` may be absent; extensions are separated by
/// spaces. With `all-or-nothing`, a bad line is answered with 422 and nothing is imported.
#[utoipa::path(post, path = "/v1/numbers:import", tag = "numbers", security(("bearer" = ["admin"])), params(ImportQuery),
    request_body(content = String, content_type = "text/csv"),
    responses((status = 200, body = ImportReport), Problems))]
pub(in crate::node) async fn import(
    State(directory): State<Arc<DirectoryApi>>,
    _: Admin,
    Parameters(ImportQuery { mode }): Parameters<ImportQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ImportReport>, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/csv")) {
        let detail = "send the directory with \"Content-Type: text/csv\"";
        return Err(Problem::field(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type", detail));
    }
    let file = spool(body.into_data_stream()).await?;
    if mode == ImportMode::AllOrNothing {
        let report = pass(&directory, &file, Pass::Check).await?;
        if report.bad > 0 {
            let detail = format!("{} bad lines; nothing was imported", report.bad);
            return Err(Problem::invalid("lines", detail).import(report));
        }
    }
    let report = pass(&directory, &file, Pass::Write { known_good: mode == ImportMode::AllOrNothing }).await?;
    tracing::info!(imported = report.imported, bad = report.bad, "directory imported");
    Ok(Json(report))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Only finds the bad lines.
    Check,
    /// Writes the good ones.
    Write { known_good: bool },
}

/// Into a file that nobody else can open: it holds credentials.
async fn spool(mut body: BodyDataStream) -> Result<File, Problem> {
    let failed = |error: std::io::Error| {
        tracing::error!(%error, "an import could not be spooled");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "there is no room for the import")
    };
    let path = std::env::temp_dir().join(format!("sidecall-import-{}", uuid::Uuid::now_v7()));
    let options = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path);
    let mut file = options.map_err(failed)?;
    std::fs::remove_file(&path).map_err(failed)?;
    let mut size = 0u64;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body broke off"))?;
        size += chunk.len() as u64;
        if size > BODY {
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "send the directory in several parts"));
        }
        file = tokio::task::spawn_blocking(move || file.write_all(&chunk).map(|()| file))
            .await
            .map_err(std::io::Error::other)
            .and_then(|written| written)
            .map_err(failed)?;
    }
    Ok(file)
}

async fn pass(directory: &DirectoryApi, file: &File, pass: Pass) -> Result<ImportReport, Problem> {
    let (sender, mut batches) = mpsc::channel(4);
    let mut file = file.try_clone().map_err(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "out of files"))?;
    let reader = tokio::task::spawn_blocking(move || {
        file.rewind().map_err(|e| e.to_string())?;
        csv_lines::read(file, &sender)
    });
    let mut tally = Tally::default();
    while let Some(batch) = batches.recv().await {
        let mut rows = tally.judge(batch);
        if pass != (Pass::Write { known_good: true }) {
            let claims = rows.iter().filter_map(|(_, row)| Some((row.number.clone(), row.credential?)));
            let taken = directory.store.credentials_in_use(&claims.collect::<Vec<_>>()).await?;
            rows.retain(|(line, row)| !taken.contains(&row.number) || tally.bad(*line, IN_USE));
        }
        tally.report.imported += rows.len() as u64;
        if pass != Pass::Check && !rows.is_empty() {
            directory.write(rows.into_iter().map(|(_, row)| row).collect()).await?;
        }
    }
    match reader.await {
        Ok(Ok(())) => Ok(tally.report),
        Ok(Err(header)) => Err(Problem::invalid("header", header)),
        Err(_) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the reader of the CSV has died")),
    }
}

const IN_USE: &str = "credential: is in use by another number";

/// What was read so far.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) report: ImportReport,
    /// Hashes of 64 bits do: the chance that two of a million numbers collide is one in 30 million.
    numbers: HashSet<u64>,
    credentials: HashSet<[u8; 16]>,
}

impl Tally {
    pub(super) fn judge(&mut self, batch: Vec<Line>) -> Vec<(u64, NumberRow)> {
        let mut rows = Vec::with_capacity(batch.len());
        for Line { line, row } in batch {
            match row {
                Err(error) => drop(self.bad(line, &error)),
                Ok(row) if !self.numbers.insert(hash(&row.number)) => {
                    self.bad(line, "number: stands on an earlier line too");
                }
                Ok(row) if row.credential.is_some_and(|hash| !self.credentials.insert(prefix(hash))) => {
                    self.bad(line, IN_USE);
                }
                Ok(row) => rows.push((line, row)),
            }
        }
        rows
    }

    /// Notes a bad line; always false.
    fn bad(&mut self, line: u64, error: &str) -> bool {
        self.report.bad += 1;
        if self.report.errors.len() < NAMED {
            self.report.errors.push(LineError { line, error: error.to_owned() });
        }
        false
    }
}

fn hash(number: &Number) -> u64 {
    let mut hasher = DefaultHasher::new();
    number.hash(&mut hasher);
    hasher.finish()
}

fn prefix(hash: [u8; 32]) -> [u8; 16] {
    let mut prefix = [0; 16];
    prefix.copy_from_slice(&hash[..16]);
    prefix
}
