//! Drives real agents and real nodes with scripted PBXs and hosted clients, until something breaks.

mod calls;
mod children;
mod clients;
mod figures;
mod options;
mod pbx;
mod recording;
mod report;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use calls::Site;
use options::Options;
use report::Report;

/// By how much the rate grows from step to step.
const GROWTH: f64 = 1.5;

/// For how long calls are made that are not counted: connections and caches are then warm.
const WARM_UP: Duration = Duration::from_secs(2);

/// What may come on top of all steps: the import of ten million numbers, and the last calls of each step.
const SLACK: Duration = Duration::from_secs(900);

#[tokio::main]
async fn main() -> ExitCode {
    match measure(&Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs, and prints the report. Returns whether any rate held.
async fn measure(options: &Options) -> anyhow::Result<bool> {
    options.check()?;
    // The HTTP client asks for one even without TLS; it has none yet.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut terminated = signal(SignalKind::terminate())?;
    let report = tokio::select! {
        report = run(options) => report?,
        () = tokio::time::sleep(Duration::from_secs(options.duration) + SLACK) => bail!("it does not come to an end"),
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    };
    match options.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => print!("{report}"),
    }
    Ok(report.held.is_some())
}

/// Raises the rate until something breaks, or the time is over. All processes have ended then.
async fn run(options: &Options) -> anyhow::Result<Report> {
    eprintln!("starting {} nodes, {} PBXs and {} agents", options.nodes, options.pbxs, options.agents);
    let mut site = Site::start(options).await?;
    site.step(options.rate, WARM_UP).await?;
    let mut report = Report::new(options);
    let rates = std::iter::successors(Some(options.rate), |rate| Some(rate * GROWTH));
    let steps = usize::try_from(options.duration / options.step)?;
    for rate in rates.take_while(|rate| *rate <= options.to).take(steps) {
        eprintln!("{rate:.1} calls/s");
        if !report.add(site.step(rate, Duration::from_secs(options.step)).await?) {
            break;
        }
    }
    Ok(report)
}
