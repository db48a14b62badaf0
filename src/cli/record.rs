//! `record`: records what a PBX sends, byte for byte, for a bug report or a test.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::output;
use crate::config::Config;
use crate::core::base::name::PbxName;
use crate::wire::Tap;

/// Records what a PBX sends to the agent, byte for byte.
///
/// Runs beside an agent and affects no call. Passwords are left out. Phone numbers and names are not, so
/// share the files only with people who may see them.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sidecall record --pbx office --out /tmp/strange-transfer --for 120
  sidecall record --pbx office --out /tmp/everything --all-events

PREFIX.recv is what came from the PBX, PREFIX.sent what was sent to it.")]
pub(super) struct RecordArgs {
    /// The PBX's name in the configuration; optional if there is only one.
    #[arg(long, value_name = "NAME")]
    pbx: Option<PbxName>,
    /// Write to PREFIX.recv and PREFIX.sent, which must not exist yet.
    #[arg(long, value_name = "PREFIX")]
    out: PathBuf,
    /// Stop after this many seconds instead of at Ctrl-C.
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<f64>,
    /// Record all events, not only those that the agent reads.
    #[arg(long)]
    all_events: bool,
}

pub(super) async fn run(args: RecordArgs, config: &Path) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    let pbx = match &args.pbx {
        Some(name) => config.pbx.iter().find(|pbx| pbx.name == *name),
        None if config.pbx.len() > 1 => bail!("there are several PBXs in the configuration: say which with --pbx"),
        None => config.pbx.first(),
    };
    let names: Vec<_> = config.pbx.iter().map(|pbx| pbx.name.as_str()).collect();
    let pbx =
        pbx.with_context(|| format!("there is no such PBX in the configuration; there is: {}", names.join(", ")))?;
    let end = args.seconds.map(|seconds| Duration::try_from_secs_f64(seconds).context("--for")).transpose()?;

    let recorder = Arc::new(Recorder::create(&args.out)?);
    let mut recording = match pbx.endpoint().record(recorder.clone(), args.all_events).await {
        Ok(recording) => recording,
        Err(error) => {
            // What was recorded so far may be what the user needs.
            recorder.finish()?;
            let whole = anyhow::Error::new(error);
            return Err(whole.context(format!("pbx {} at {} (sidecall doctor looks closer)", pbx.name, pbx.address)));
        }
    };
    tracing::info!(pbx = %pbx.name, "recording; Ctrl-C ends it");
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let started = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    let mut events = 0;
    let lost = loop {
        let left = end.map(|end| end.saturating_sub(started.elapsed()));
        tokio::select! {
            event = recording.next() => match event {
                Some(more) => events += more,
                None => break true,
            },
            _ = tick.tick() => progress(&recorder, events, started.elapsed()),
            () = async { match left { Some(left) => tokio::time::sleep(left).await, None => std::future::pending().await } } => break false,
            _ = term.recv() => break false,
            _ = int.recv() => break false,
        }
    };
    if std::io::stderr().is_terminal() {
        let _ = writeln!(std::io::stderr().lock());
    }
    if !lost {
        recording.close().await;
    }
    let (received, sent) = recorder.finish()?;
    let prefix = args.out.display();
    output::line(format!(
        "{events} events in {}: {prefix}.recv ({received} bytes), {prefix}.sent ({sent} bytes)",
        output::span(started.elapsed())
    ))?;
    if lost {
        bail!("the PBX closed the connection");
    }
    Ok(())
}

fn progress(recorder: &Recorder, events: u64, since: Duration) {
    if std::io::stderr().is_terminal() {
        let mut out = std::io::stderr().lock();
        let bytes = recorder.received.count.load(Ordering::Relaxed);
        let _ = write!(out, "\r{}: {events} events, {bytes} bytes ", output::span(since));
        let _ = out.flush();
    }
}

/// Writes both files.
#[derive(Debug)]
struct Recorder {
    received: Track,
    sent: Track,
}

/// Writes one file.
#[derive(Debug)]
struct Track {
    file: Mutex<(BufWriter<File>, std::io::Result<()>)>,
    count: AtomicU64,
}

impl Recorder {
    fn create(prefix: &Path) -> anyhow::Result<Recorder> {
        let received = Track::create(prefix, "recv")?;
        let sent = Track::create(prefix, "sent").inspect_err(|_| {
            let _ = std::fs::remove_file(name(prefix, "recv"));
        })?;
        Ok(Recorder { received, sent })
    }

    fn finish(&self) -> anyhow::Result<(u64, u64)> {
        Ok((self.received.finish()?, self.sent.finish()?))
    }
}

fn name(prefix: &Path, ending: &str) -> PathBuf {
    let mut name = prefix.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

impl Track {
    fn create(prefix: &Path, ending: &str) -> anyhow::Result<Track> {
        let path = name(prefix, ending);
        // Calls are private: only the owner may read the files.
        let file = File::options().write(true).create_new(true).mode(0o600).open(&path);
        let file =
            file.with_context(|| format!("{} can't be made (a recording is never overwritten)", path.display()))?;
        Ok(Track { file: Mutex::new((BufWriter::new(file), Ok(()))), count: AtomicU64::new(0) })
    }

    fn add(&self, bytes: &[u8]) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.1.is_ok() {
            file.1 = file.0.write_all(bytes);
            self.count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
    }

    fn finish(&self) -> anyhow::Result<u64> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = std::mem::replace(&mut file.1, Ok(()));
        written.and_then(|()| file.0.flush()).context("the recording can't be written")?;
        Ok(self.count.load(Ordering::Relaxed))
    }
}

impl Tap for Recorder {
    fn received(&self, bytes: &[u8]) {
        self.received.add(bytes);
    }
    fn sent(&self, bytes: &[u8]) {
        self.sent.add(bytes);
    }
}
