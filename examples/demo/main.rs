//! Every behaviour on real PBXs, played and shown: `./install.sh --demo`.
//!
//! Standard output has the story (or, with `--json`, one line per play); progress goes to standard
//! error. Exit status 0 only if everything that was asked for was played and went as it must.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a program that tells a story

#[path = "../../tests/lab/mod.rs"]
mod lab;
mod one_pbx;
mod show;
mod story;
mod transfers;
mod two_domains;
mod voice;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Parser, ValueEnum};

use lab::Kind;
use lab::cast::SCENES;
use lab::plays::PLAYS;
use show::Show;

/// Plays every behaviour on real PBXs in private instances: who called whom, what was on the wire, who was
/// told what and how soon, and what sidecall added to the call set-up.
#[derive(Debug, Parser)]
#[command(name = "install.sh --demo")]
struct Args {
    /// Which PBX; without it FreeSWITCH if one is installed, else Asterisk.
    #[arg(long)]
    pbx: Option<PbxArg>,
    /// The PBX of the second organisation.
    #[arg(long, default_value = "asterisk")]
    far: PbxArg,
    /// Play only this one, B1 to B13; may be repeated.
    #[arg(long = "behaviour", value_name = "B8", value_parser = behaviour)]
    behaviours: Vec<&'static str>,
    /// Stay up afterwards, with the status pages to look at, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// One JSON line per play instead of the story.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PbxArg {
    Freeswitch,
    Asterisk,
}

impl From<PbxArg> for Kind {
    fn from(arg: PbxArg) -> Kind {
        match arg {
            PbxArg::Freeswitch => Kind::FreeSwitch,
            PbxArg::Asterisk => Kind::Asterisk,
        }
    }
}

/// All of them.
const BEHAVIOURS: [&str; 13] = ["B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "B13"];

fn behaviour(text: &str) -> Result<&'static str, String> {
    let known = BEHAVIOURS.into_iter().find(|one| one.eq_ignore_ascii_case(text));
    known.ok_or_else(|| "the behaviours are B1 to B13".to_owned())
}

/// What is played, and on what.
struct Bill {
    /// The PBX of the part with one, and of the calling organisation.
    near: Kind,
    /// The PBX of the called organisation.
    far: Kind,
    behaviours: Vec<&'static str>,
}

impl Bill {
    fn has(&self, behaviour: &str) -> bool {
        self.behaviours.contains(&behaviour)
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    let args = Args::parse();
    watch_for_interrupt();
    // Ctrl-C reaches PBXs and phones too; what breaks because of that isn't worth a word.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !INTERRUPTED.load(Ordering::Relaxed) {
            hook(panic);
        }
    }));
    let played = catch_unwind(AssertUnwindSafe(|| run(&args)));
    if INTERRUPTED.load(Ordering::Relaxed) && !matches!(played, Ok(Ok(_))) {
        eprintln!("\ninterrupted; everything that was started is stopped and removed");
        return ExitCode::from(130);
    }
    match played {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => ExitCode::FAILURE,
        Ok(Err(error)) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

/// Here Ctrl-C only has to end the play, and leaving [`run`] cleans up.
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
        Some(arg) => arg.into(),
        None if Kind::FreeSwitch.find().is_ok() => Kind::FreeSwitch,
        None => Kind::Asterisk,
    }
}

fn run(args: &Args) -> Result<bool, String> {
    let near = choose(args.pbx);
    near.find().map_err(|e| format!("{near} {e}"))?;
    let behaviours = if args.behaviours.is_empty() { BEHAVIOURS.to_vec() } else { args.behaviours.clone() };
    let bill = Bill { near, far: args.far.into(), behaviours };
    let one = bill.has("B12") || SCENES.iter().any(|scene| bill.has(scene.behaviour));
    let two = PLAYS.iter().any(|play| bill.has(play.behaviour));
    let moved = transfers::has_any(&bill);
    let parts = [(one, one_pbx::STEPS), (two, two_domains::STEPS), (moved, transfers::STEPS)];
    let mut show = Show::new(args.json, parts.iter().filter(|(is_played, _)| *is_played).map(|(_, n)| n).sum());
    // What stays up for `--keep` is the largest that was played; the rest makes room.
    let stage = one.then(|| one_pbx::play(&bill, &mut show)).transpose()?;
    let stage = stage.filter(|_| args.keep && !two);
    let theatre = if two { two_domains::play(&bill, &mut show)? } else { None };
    let theatre = theatre.filter(|_| args.keep);
    if moved {
        transfers::play(&bill, &mut show)?;
    }
    show.verdict();
    if let Some(mut stage) = stage {
        keep(&[("sidecall", stage.sidecall().url("/"))]);
    } else if let Some(mut theatre) = theatre {
        let pages = two_domains::pages(&mut theatre)?;
        keep(&pages);
    }
    Ok(show.all_ok())
}

fn keep(pages: &[(&str, String)]) {
    eprintln!("\nStatus pages:");
    for (whose, page) in pages {
        eprintln!("  {whose:10} {page}");
    }
    eprintln!("Everything stays up until you press Ctrl-C.");
    while !INTERRUPTED.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
    eprintln!("stopping");
}
