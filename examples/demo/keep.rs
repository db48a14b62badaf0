//! What stays up for `--keep`: the status pages, and a call for two people who open the browser client themselves.

use std::io::stdin;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::INTERRUPTED;
use crate::trouble::{Trouble, sentence};
use lab::scenario::calls::{ALICE, BOB};
use lab::scenario::report::SOON;
use lab::scenario::sides::Between;
use lab::scenario::site::Site;
use lab::{Call, Domains, Habit, Phone};

/// How long Bob's phone rings, in ms.
const RINGS: u64 = 3_000;
const PAUSE: Duration = Duration::from_millis(100);

/// Status pages and links to the browser client, by whose they are.
type Pages<'a> = &'a [(&'a str, String)];

/// A call from Alice to Bob. Each has newly registered phones: registrations expire after an hour.
struct Talk {
    call: Call,
    _phones: [Phone; 2],
}

/// One PBX with its node.
pub(crate) fn on_one_pbx(site: &mut Site) -> Result<(), Trouble> {
    let numbers = [ALICE, BOB].map(|person| site.number(person));
    let [alice, bob] = numbers.map(|number| site.sidecall().enrol(&number));
    let pages = [("sidecall", site.sidecall().url("/"))];
    let phone = |number| Phone::register(site.pbx.sip(), number);
    stay(&pages, &[("Alice", alice), ("Bob", bob)], || talk([phone(ALICE.dialled)?, phone(BOB.dialled)?], BOB.dialled));
    Ok(())
}

/// Two organisations, with a call in the pages to look at.
pub(crate) fn between(domains: &mut Domains) -> Result<(), Trouble> {
    domains.start_sidecall(Between::TrunkOfPeers, ["", ""])?;
    let [alice, bob, _] = domains.people()?;
    if let Ok((call, _there)) = domains.connect(&alice.phone, &bob.number, &bob.phone) {
        let _ = (bob.client.peer(Some(&alice.number)), alice.client.peer(Some(&bob.number)));
        // People talk for longer than it takes to tell their clients.
        thread::sleep(Duration::from_secs(1));
        call.hang_up();
    }
    drop((alice, bob));
    let (a, b) = (&domains.a, &domains.b);
    let pages = [("A", a), ("B", b)].map(|(name, of)| (name, of.sidecall().url("/")));
    let links = [("Alice", a), ("Bob", b)].map(|(name, at)| (name, at.sidecall().enrol(&at.number(1))));
    stay(&pages, &links, || talk([a.phone(1)?, b.phone(1)?], &b.number(1)));
    Ok(())
}

/// Bob answers by himself.
fn talk(phones: [Phone; 2], dialled: &str) -> Result<Talk, String> {
    let [alice, bob] = &phones;
    bob.habit(Habit::after(RINGS));
    let call = alice.call(dialled);
    match call.wait_answered(SOON) {
        true => Ok(Talk { call, _phones: phones }),
        false => Err("Bob's phone does not answer".to_owned()),
    }
}

/// Until Ctrl-C.
fn stay(pages: Pages, links: Pages, call: impl Fn() -> Result<Talk, String>) {
    eprintln!("\nStatus pages:");
    print(pages);
    eprintln!(
        "\nThe browser client of two people. Open the first link in a window of a browser on this machine, and the second\n\
         in a private window. Each link works once.\n"
    );
    print(links);
    eprintln!("\nPress Enter to make Alice's phone call Bob's; press Enter again to hang up.");
    eprintln!("Everything stays up until you press Ctrl-C.");
    let keys = keys();
    let mut current = None;
    while !INTERRUPTED.load(Ordering::Relaxed) {
        match keys.recv_timeout(PAUSE) {
            Ok(()) => current = press(current, &call),
            Err(RecvTimeoutError::Timeout) => {}
            // Standard input is closed.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(PAUSE),
        }
    }
    eprintln!("stopping");
}

fn print(pages: Pages) {
    for (whose, page) in pages {
        eprintln!("  {whose:10} {page}");
    }
}

/// Each line of standard input.
fn keys() -> Receiver<()> {
    let (sender, keys) = channel();
    thread::spawn(move || stdin().lines().map_while(Result::ok).try_for_each(|_| sender.send(())));
    keys
}

/// Ends the call that is up, or makes one.
fn press(current: Option<Talk>, call: impl Fn() -> Result<Talk, String>) -> Option<Talk> {
    if let Some(talk) = current.filter(|talk| talk.call.is_up()) {
        talk.call.hang_up();
        talk.call.wait_ended(SOON);
        eprintln!("Alice has hung up. Press Enter to call again.");
        return None;
    }
    eprintln!("Alice's phone calls Bob's …");
    match call() {
        Ok(talk) => {
            eprintln!("They talk. Press Enter to hang up.");
            Some(talk)
        }
        Err(problem) => {
            eprintln!("{}. Press Enter to try again.", sentence(&problem));
            None
        }
    }
}
