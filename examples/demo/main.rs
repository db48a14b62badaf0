//! The main job on a real PBX, played and shown: `./install.sh --demo`.
//!
//! Standard output has the story (or, with `--json`, one line per call); progress goes to standard
//! error. Exit status 0 only if every call went as it must.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a program that tells a story

#[path = "../../tests/lab/mod.rs"]
mod lab;
mod story;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Parser, ValueEnum};

use lab::cast::{SCENES, Scene};
use lab::stage::{Played, Stage};
use lab::{Kind, PbxConfig, SidecallConfig};

/// Plays the main job on a real PBX in a private instance: who called whom, which route and why, what
/// each client received and when, and what sidecall added to the call set-up.
#[derive(Debug, Parser)]
#[command(name = "install.sh --demo")]
struct Args {
    /// Which PBX; without it FreeSWITCH if one is installed, else Asterisk.
    #[arg(long)]
    pbx: Option<PbxArg>,
    /// Stay up afterwards, with the status page to look at, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// One JSON line per call instead of the story.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PbxArg {
    Freeswitch,
    Asterisk,
}

/// Calls that a set-up time is the median of.
const CALLS: u32 = 7;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let args = Args::parse();
    watch_for_interrupt();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(_) if INTERRUPTED.load(Ordering::Relaxed) => {
            eprintln!("\ninterrupted; everything that was started is stopped and removed");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C reaches the PBX and the phones as well; here it only has to end the play, and leaving
/// [`run`] cleans up.
fn watch_for_interrupt() {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let mut int = signal(SignalKind::interrupt()).expect("SIGINT");
            let mut term = signal(SignalKind::terminate()).expect("SIGTERM");
            tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
            INTERRUPTED.store(true, Ordering::Relaxed);
        });
    });
}

fn go_on() -> Result<(), String> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err("interrupted".into()) } else { Ok(()) }
}

fn choose(wanted: Option<PbxArg>) -> Kind {
    match wanted {
        Some(PbxArg::Freeswitch) => Kind::FreeSwitch,
        Some(PbxArg::Asterisk) => Kind::Asterisk,
        None if Kind::FreeSwitch.find().is_ok() => Kind::FreeSwitch,
        None => Kind::Asterisk,
    }
}

fn run(args: &Args) -> Result<bool, String> {
    let kind = choose(args.pbx);
    kind.find().map_err(|e| format!("{kind} {e}"))?;
    eprintln!("1/4  starting {kind} in a private instance, with its vanilla configuration and our dialplan snippets,");
    eprintln!("     two phones, a packet trunk and a PSTN with somebody at the far end");
    let mut stage = Stage::set(kind, PbxConfig::default()).map_err(|e| e.to_string())?;
    go_on()?;
    eprintln!("2/4  measuring each call without sidecall");
    let baselines: Vec<Option<f64>> = SCENES.iter().map(|scene| stage.setup_time(scene, CALLS)).collect();
    go_on()?;
    eprintln!("3/4  starting sidecall: agent, node and database; connecting three multimedia clients");
    stage.raise(&SidecallConfig::default()).map_err(|e| e.to_string())?;
    go_on()?;
    eprintln!("4/4  playing the calls\n");
    if !args.json {
        story::cast(kind, &stage);
    }
    let mut played = Vec::new();
    for (scene, baseline) in SCENES.iter().zip(baselines) {
        let one = play(&mut stage, scene, baseline);
        go_on()?;
        if args.json {
            println!("{}", serde_json::to_string(&one).map_err(|e| e.to_string())?);
        } else {
            story::tell(scene, &one);
        }
        played.push(one);
    }
    if !args.json {
        story::summary(&played);
    }
    if args.keep {
        keep(&mut stage);
    }
    Ok(played.iter().all(|p| p.ok))
}

fn play(stage: &mut Stage, scene: &Scene, baseline: Option<f64>) -> Played {
    let mut played = stage.play(scene);
    played.setup_ms = stage.setup_time(scene, CALLS);
    played.baseline_ms = baseline;
    if played.setup_ms.is_none() || baseline.is_none() {
        played.problems.push("the set-up time could not be measured".into());
        played.ok = false;
    }
    played
}

fn keep(stage: &mut Stage) {
    let page = stage.sidecall().url("/");
    eprintln!("\nThe status page is at {page} — everything stays up until you press Ctrl-C.");
    while !INTERRUPTED.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
    eprintln!("stopping");
}
