//! `number import`: imports a CSV file of any size.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Context, anyhow};
use futures_util::StreamExt;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::cli::api_client::{Api, ApiError};
use crate::cli::output;
use crate::contract::ImportReport;

pub(super) async fn run(api: &Api, file: &Path, skip_bad: bool, json: bool) -> anyhow::Result<()> {
    let (source, size): (Box<dyn AsyncRead + Send + Unpin>, u64) = if file == Path::new("-") {
        (Box::new(tokio::io::stdin()), 0)
    } else {
        let opened = tokio::fs::File::open(file).await.with_context(|| format!("{} can't be read", file.display()))?;
        let size = opened.metadata().await.map_or(0, |meta| meta.len());
        (Box::new(opened), size)
    };
    let mut progress = Progress { shown: std::io::stderr().is_terminal(), size, sent: 0, percent: None };
    let chunks = ReaderStream::with_capacity(source, 64 * 1024).inspect(move |chunk| {
        if let Ok(chunk) = chunk {
            progress.add(chunk.len() as u64);
        }
    });
    let mode = if skip_bad { "skip-bad" } else { "all-or-nothing" };
    let report = match api.import::<ImportReport>(mode, reqwest::Body::wrap_stream(chunks)).await {
        Ok(report) => report,
        Err(ApiError::Refused { node, mut refusal }) => {
            let Some(report) = refusal.import.take() else { return Err(ApiError::Refused { node, refusal }.into()) };
            // The node counts the lines that it would have imported.
            say(&ImportReport { imported: 0, ..report.clone() }, json)?;
            let hint = "correct them, or add --skip-bad to import the others";
            return Err(anyhow!("{} in {}; nothing was imported: {hint}", bad_lines(report.bad), file.display()));
        }
        Err(error) => return Err(error.into()),
    };
    say(&report, json)?;
    match report.bad {
        0 => Ok(()),
        bad => Err(anyhow!("left out {} of {}", bad_lines(bad), file.display())),
    }
}

fn bad_lines(n: u64) -> String {
    if n == 1 { "1 bad line".to_owned() } else { format!("{n} bad lines") }
}

fn say(report: &ImportReport, json: bool) -> anyhow::Result<()> {
    if json {
        return output::json(report);
    }
    for bad in &report.errors {
        output::line(format!("line {}: {}", bad.line, output::clean(&bad.error)))?;
    }
    let unnamed = report.bad.saturating_sub(report.errors.len() as u64);
    if unnamed > 0 {
        output::line(format!("and {} more", bad_lines(unnamed)))?;
    }
    if report.bad == 0 || report.imported > 0 {
        let plural = if report.imported == 1 { "" } else { "s" };
        output::line(format!("{} number{plural} imported", report.imported))?;
    }
    Ok(())
}

/// Shows the progress of the upload.
struct Progress {
    shown: bool,
    size: u64,
    sent: u64,
    percent: Option<u64>,
}

impl Progress {
    fn add(&mut self, bytes: u64) {
        use std::io::Write;
        self.sent += bytes;
        let percent = (self.sent * 100).checked_div(self.size).map(|percent| percent.min(100));
        if !self.shown || percent.is_none() || percent == self.percent {
            return;
        }
        self.percent = percent;
        let mut out = std::io::stderr().lock();
        let _ = write!(
            out,
            "\rsent {} %{}",
            percent.unwrap_or(0),
            if percent == Some(100) { "; the node is at work\n" } else { "" }
        );
        let _ = out.flush();
    }
}
