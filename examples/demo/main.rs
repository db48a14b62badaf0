//! Every behaviour on real PBXs, played and shown: `./install.sh --demo`.
//!
//! Standard output has the story (or, with `--json`, one line per play); what will be played, progress and, with
//! `--json`, the table at the end go to standard error. Exit status 0 only if everything that was asked for was
//! played and went as it must, 2 if an option is wrong.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a program that tells a story

mod bill;
mod browsers;
mod keep;
mod one_pbx;
mod show;
mod text;
mod transfers;
mod trouble;
mod two_domains;
mod voice;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Parser, ValueEnum};

use bill::{BEHAVIOURS, Bill, Wish};
use lab::{Browser, Kind};
use show::Show;
use trouble::{Trouble, guard};

/// Plays every behaviour on real PBXs in private instances: who called whom, what was on the wire, who was
/// told what and how soon, and what sidecall added to the call set-up.
///
/// Without options everything is played on each PBX that is here, and between two organisations: from Asterisk to
/// FreeSWITCH and back if both are here, else from the one that is here to another of its kind.
#[derive(Debug, Parser)]
#[command(name = "install.sh --demo", after_help = JSON)]
struct Args {
    /// Only this one as the PBX that is alone, and as that of the calling organisation.
    #[arg(long)]
    pbx: Option<PbxArg>,
    /// Only this one as the PBX of the called organisation.
    #[arg(long = "far", value_name = "FAR")]
    remote: Option<PbxArg>,
    /// Where both are here: one with the other only, or all four pairs.
    #[arg(long, value_enum, default_value_t = PairsArg::Mixed)]
    pairs: PairsArg,
    /// Play only this one, B1 to B13; may be repeated.
    #[arg(long = "behaviour", value_name = "B8", value_parser = behaviour)]
    behaviours: Vec<&'static str>,
    /// Stay up afterwards, with the status pages to look at and a call for two browsers, until Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// One JSON line per play instead of the story; see below.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PbxArg {
    Freeswitch,
    Asterisk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PairsArg {
    Mixed,
    All,
}

impl From<PbxArg> for Kind {
    fn from(arg: PbxArg) -> Kind {
        match arg {
            PbxArg::Freeswitch => Kind::FreeSwitch,
            PbxArg::Asterisk => Kind::Asterisk,
        }
    }
}

fn behaviour(text: &str) -> Result<&'static str, String> {
    let known = BEHAVIOURS.into_iter().find(|one| one.eq_ignore_ascii_case(text));
    known.ok_or_else(|| "the behaviours are B1 to B13".to_owned())
}

/// What a line of `--json` has.
const JSON: &str = "\
With --json standard output has nothing but lines of JSON, one for each play, as soon as it is over. All have
  behaviour  B1 to B13
  title      what is played
  near, far  asterisk or freeswitch: the calling organisation's PBX, and the called one's; far is null where there
             is one PBX
  ok         whether everything was as it must be
and, if it wasn't, problems (a list), or skipped (what is missing on this machine). What else a line has belongs to
its kind of play: calling, called, route, reason, setup_ms, baseline_ms, push_ms; story, wire, pushes; with, without;
told.";

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Ctrl-C was pressed.
struct Interrupted;

/// Why nothing more is played.
enum Stopped {
    Interrupted,
    Error(String),
}

impl From<Interrupted> for Stopped {
    fn from(_: Interrupted) -> Stopped {
        Stopped::Interrupted
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    // Ctrl-C reaches PBXs and phones too; what breaks because of that isn't worth a word.
    trouble::watch(|| INTERRUPTED.load(Ordering::Relaxed));
    watch_for_interrupt();
    let played = guard(|| Ok(run(&args)));
    if INTERRUPTED.load(Ordering::Relaxed) && !matches!(played, Ok(Ok(_))) {
        eprintln!("\ninterrupted; everything that was started is stopped and removed");
        return ExitCode::from(130);
    }
    match played {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false) | Err(Stopped::Interrupted)) => ExitCode::FAILURE,
        Ok(Err(Stopped::Error(error))) | Err(Trouble::Missing(error) | Trouble::Broke(error)) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
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

fn go_on() -> Result<(), Interrupted> {
    if INTERRUPTED.load(Ordering::Relaxed) { Err(Interrupted) } else { Ok(()) }
}

fn bill(args: &Args) -> Result<Bill, Stopped> {
    let (near, remote) = (args.pbx.map(Kind::from), args.remote.map(Kind::from));
    for kind in near.into_iter().chain(remote) {
        kind.find().map_err(|error| Stopped::Error(format!("{kind} {error}")))?;
    }
    let here: Vec<Kind> = [Kind::Asterisk, Kind::FreeSwitch].into_iter().filter(|kind| kind.find().is_ok()).collect();
    let all_pairs = args.pairs == PairsArg::All;
    let (behaviours, browser) = (args.behaviours.clone(), Browser::find().is_ok());
    let bill = Bill::new(&here, &Wish { near, remote, all_pairs, behaviours, browser });
    bill.ok_or_else(|| {
        let why =
            "there is neither an Asterisk nor a FreeSWITCH on this machine: install one, or run ./install.sh --demo";
        Stopped::Error(why.to_owned())
    })
}

fn run(args: &Args) -> Result<bool, Stopped> {
    let bill = bill(args)?;
    bill.announce();
    let mut show = Show::new(args.json, bill.lines().len(), bill.steps());
    // What stays up for `--keep` is the last that was played; the rest makes room.
    let (mut site, mut domains) = (None, None);
    for kind in bill.alone() {
        drop(site.take());
        site = one_pbx::run(kind, &bill, &mut show)?.filter(|_| args.keep);
    }
    for pair in bill.pairs() {
        // Two more PBXs want the room.
        drop(site.take());
        drop(domains.take());
        domains = two_domains::run(pair, &bill, &mut show)?.filter(|_| args.keep);
    }
    transfers::run(&bill, &mut show)?;
    browsers::run(&bill, &mut show)?;
    show.verdict();
    let kept = match (&mut site, &mut domains) {
        (Some(site), _) => guard(|| keep::on_one_pbx(site)),
        (None, Some(domains)) => guard(|| keep::between(domains)),
        (None, None) => Ok(()),
    };
    if let Err(trouble) = kept {
        show.trouble("what stays up", &trouble);
    }
    Ok(show.all_ok())
}
