//! Browsers beside real calls: a page shows who is on the phone, camera, screen and chat pass between two of them, and
//! the page follows the call to its end or to somebody else. A page also sends a file to a terminal.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::time::Duration;

use lab::scenario::Step;
use lab::scenario::desks::{Desk, Desks};
use lab::scenario::sides::Between;
use lab::{Browser, Domains, Hosted, Kind};

/// How long a phone may take.
const SOON: Duration = Duration::from_secs(20);

fn two_pages_follow_a_call_to_its_end(kind: Kind) {
    if !Browser::is_here_or_skip() {
        return;
    }
    let Some(desks) = lab::or_skip(kind, Desks::open(kind)) else { return };
    let run = || desks.share().and_then(|()| transfer(&desks));
    run().unwrap_or_else(|problem| panic!("{kind}: {problem}\n{}", desks.log()));
}

/// Bob transfers Alice to Carol without asking her. Alice's page shows Carol, Bob's the end.
fn transfer(desks: &Desks) -> Step<()> {
    let Desks { alice, bob, sidecall, .. } = desks;
    let (number, carol) = desks.carol()?;
    let _client = Hosted::start(sidecall, &number)?;
    let [call, there] = alice.call(bob, bob.phone.number())?;
    assert_eq!(there.refer_to(carol.number()), Some(202), "the transfer is refused");
    let _with_carol = lab::scenario::answer(&carol, SOON)?;
    bob.sees_the_end()?;
    alice.browser.sees("Carol")?;
    call.hang_up();
    alice.sees_the_end()
}

fn a_page_sends_a_file_to_a_terminal(kind: Kind) {
    if !Browser::is_here_or_skip() {
        return;
    }
    let Some(desks) = lab::or_skip(kind, Desks::open(kind)) else { return };
    desks.send_file().unwrap_or_else(|problem| panic!("{kind}: {problem}\n{}", desks.log()));
}

lab::on_both_pbxs! {
    two_pages_follow_a_call_to_its_end,
    a_page_sends_a_file_to_a_terminal,
}

/// Alice's organisation has an Asterisk, Bob's a FreeSWITCH if there is one here.
#[test]
fn two_pages_of_two_organisations_follow_a_call_to_its_end() {
    if !Browser::is_here_or_skip() {
        return;
    }
    let at_b = if Kind::FreeSwitch.find().is_ok() { Kind::FreeSwitch } else { Kind::Asterisk };
    let Some(mut domains) = lab::or_skip(Kind::Asterisk, Domains::start(Kind::Asterisk, at_b, None)) else { return };
    // Nodes tell the names of people to their peers alone.
    domains.start_sidecall(Between::TrunkOfPeers, ["", ""]).unwrap();
    let desk = |at: &lab::Domain, name| Desk::new(at.sidecall(), &at.number(1), name, at.phone(1)?);
    let (alice, bob) = (desk(&domains.a, "Alice").unwrap(), desk(&domains.b, "Bob").unwrap());
    let run = || {
        let [call, _there] = alice.call(&bob, &domains.b.number(1))?;
        alice.share_with(&bob)?;
        alice.hang_up(&bob, &call)
    };
    run().unwrap_or_else(|problem| panic!("{problem}\n{}", domains.log()));
}
