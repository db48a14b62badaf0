//! The play, told to a PBX administrator who has read nothing else.

use crate::bill::BROWSERS;
use crate::transfers::Cell;
use crate::two_domains::{Observed, OnWire};
use crate::voice::{Compared, Heard};
use lab::Domains;
use lab::scenario::calls::{ALICE, Arrives, BOB, CAROL, CallScenario, DAVE, ERIN, FRANK, Form, Person};
use lab::scenario::desks::DeskScenario;
use lab::scenario::report::Report;
use lab::scenario::site::{CallResult, Site};
use lab::scenario::transfers::Transfer;
use lab::{Domain, Kind};

/// Who is who.
pub(crate) fn people(kind: Kind, site: &Site) {
    println!("{} with phones 1000, 1001 and 1002, and sidecall beside it. Who plays:\n", one_of(kind));
    for person in [ALICE, BOB, CAROL, DAVE, ERIN, FRANK] {
        let phone = if person.here { "phone on this PBX" } else { "phone elsewhere" };
        let client = match (person.client, person.served) {
            (Some(form), _) => format!("client: {}", form_name(form)),
            (None, true) => "no client".to_owned(),
            (None, false) => "another organisation's number".to_owned(),
        };
        println!("  {:6} {:38} {:18} {client}", person.name, site.number(person), phone);
    }
    println!();
}

/// One call.
pub(crate) fn call(scenario: &CallScenario, result: &CallResult) {
    println!("{:4} {}", scenario.behaviour, scenario.title);
    println!(
        "     {} called {}{}",
        who(scenario.caller),
        who(scenario.called),
        if scenario.from_pstn { ", from the PSTN" } else { "" }
    );
    let answered = if result.answered { "answered" } else { "not answered" };
    println!("     route {}, because {}; {} {answered}", result.route, result.reason, place(scenario.arrives));
    if let Some(address) = &result.carried_address {
        println!("     in the call signalling (User-to-User): {address}");
    }
    client(scenario.caller, result.first_client_received.as_deref(), result.first_ms);
    client(scenario.called, result.second_client_received.as_deref(), result.second_ms);
    if let (Some(with), Some(without)) = (result.setup_ms, result.baseline_ms) {
        println!("     set-up {with:.1} ms, the same call without sidecall {without:.1} ms: {:+.1} ms", with - without);
    }
    for problem in &result.problems {
        println!("     PROBLEM: {problem}");
    }
    println!("     {}\n", verdict(result.ok));
}

/// All calls in a table.
pub(crate) fn calls(result: &[CallResult]) {
    println!(
        "{:4} {:>13} → {:<13} {:7} {:22} {:>9} {:>9} {:>8}  ",
        "", "calling", "called", "route", "reason", "set-up", "added", "push"
    );
    for one in result {
        let ms = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.1} ms"));
        let added = one.setup_ms.zip(one.baseline_ms).map(|(with, without)| with - without);
        let push = one.push_ms.map_or("–".to_owned(), |v| format!("{v} ms"));
        let short = |number: &str| number.split(';').next().unwrap_or_default().to_owned();
        println!(
            "{:4} {:>13} → {:<13} {:7} {:22} {:>9} {:>9} {:>8}  {}",
            one.behaviour,
            short(&one.calling),
            short(&one.called),
            one.route,
            one.reason,
            ms(one.setup_ms),
            ms(added),
            push,
            verdict(one.ok)
        );
    }
    println!("\nset-up: INVITE to 200 as the caller sees it, median; added: against the same call without sidecall;");
    println!("push: from the answer until both clients have each other's address.\n");
}

/// B12.
pub(crate) fn voice(compared: &Compared) {
    println!("B12  {}", compared.title);
    println!("     {}", compared.what);
    for (without, with) in compared.without.iter().zip(&compared.with) {
        println!("     … {}: {}", without.case, heard(without));
        println!("       with sidecall: {}", if with == without { "the same".to_owned() } else { heard(with) });
    }
    println!("     {}\n", verdict(compared.ok));
}

fn heard(one: &Heard) -> String {
    let statuses: Vec<String> = one.statuses.iter().map(u16::to_string).collect();
    let cause = one.cause.as_ref().map(|cause| format!(", hang-up cause {cause}")).unwrap_or_default();
    format!("it shows {}; Alice's phone gets {}{cause}", one.shows, statuses.join(", "))
}

/// Who is who between the two organisations.
pub(crate) fn organisations(near: Kind, far: Kind, domains: &Domains) {
    let (a, b) = (&domains.a, &domains.b);
    let plan = |of: &Domain| format!("extensions {} …, from outside {} …", of.plan().extension(0), of.number(0));
    println!("Two organisations, each with a PBX of its own and sidecall (agent and node) beside it:\n");
    println!("  A         {:13} {}", near.to_string(), plan(a));
    println!("  B         {:13} {}, main number {}", far.to_string(), plan(b), b.plan().main);
    if let Some(c) = &domains.c {
        println!("  behind B  {:13} {}, main number {}", c.pbx.kind().to_string(), plan(c), c.plan().main);
    }
    println!(
        "\nBetween them are a packet trunk, which carries SIP headers along, and a telephone network, which drops"
    );
    println!("those that it doesn't know and may rewrite the caller's number. Who has a phone and a client there:\n");
    for (name, at, domain, n) in [("Alice", "A", a, 1), ("Bob", "B", b, 1), ("Carol", "B", b, 2)] {
        println!("  {name:9} at {at}: {}, from outside {}", domain.plan().extension(n), domain.number(n));
    }
    let at_b = |n| b.plan().extension(n);
    println!(
        "\nAlso at B: Dan ({}), whose softphone is his client; Erin ({}), whose client is a webhook; an operator",
        at_b(3),
        at_b(4)
    );
    println!(
        "({}), without a client; Grace ({}), who was A's customer and kept her number. Frank has a mobile.",
        at_b(5),
        at_b(6)
    );
    println!("An address is https://NODE/a/TOKEN, made for one call; here nodes speak plain HTTP on 127.0.0.1.\n");
}

/// One play between them.
pub(crate) fn observed(observed: &Observed) {
    let report = &observed.report;
    println!("{:4} {}", report.behaviour, report.title);
    for line in &report.events {
        println!("     {line}");
    }
    for call in observed.wire.iter().flatten() {
        println!("     captured, {} → {}: {}", call.from, call.to, invite(call, report));
    }
    for push in &observed.pushes {
        let (node, name, number, ms) = (push.node, &push.name, &push.number, push.ms);
        println!("     {ms} ms after {node}'s node knew who talks, {name}'s client ({number}) has the other's address");
    }
    for problem in &report.problems {
        println!("     PROBLEM: {problem}");
    }
    println!("     {}\n", verdict(report.ok));
}

fn invite(call: &OnWire, report: &Report) -> String {
    let header = match &call.user_to_user {
        Some(value) => format!("User-to-User: {}", shortened(value)),
        None => "no User-to-User header".to_owned(),
    };
    // The story may have said what it means.
    let meaning = call.address.as_ref().filter(|address| !report.events.iter().any(|line| line.contains(*address)));
    let meaning = meaning.map(|address| format!(", which is {address}")).unwrap_or_default();
    format!("INVITE {} from {}, {header}{meaning}", call.called, call.calling)
}

/// A header that says its text in hexadecimal, without most of it.
fn shortened(value: &str) -> String {
    match value.split_once(';') {
        Some((octets, rest)) if octets.len() > 24 && octets.is_ascii() => format!("{}…;{rest}", &octets[..20]),
        _ => value.to_owned(),
    }
}

/// The table of transfers begins.
pub(crate) fn transfers_head(kinds: &[Kind]) {
    println!(
        "Whom the clients are told of when a call moves on. One PBX with phones 1000 to 1003, a client each; 1000"
    );
    println!(
        "calls. +1: told of 1001's address. -1: told that it no longer talks to 1001. All others are told nothing.\n"
    );
    let columns: String = kinds.iter().map(|kind| format!("{:11}", kind.to_string())).collect();
    println!("{:4} {:29} {columns} told until the last ones hang up", "", "transfer");
}

/// One line of it.
pub(crate) fn transfer(behaviour: &str, transfer: &Transfer, row: &[Cell]) {
    let result = |cell: &Cell| match cell {
        Cell::HasNone => "has none",
        Cell::Moved(moved) => verdict(moved.ok),
        Cell::Failed => verdict(false),
    };
    let columns: String = row.iter().map(|cell| format!("{:11}", result(cell))).collect();
    let told = transfer.told.iter().enumerate().filter(|(_, told)| !told.is_empty());
    let told: Vec<String> = told.map(|(n, told)| format!("100{n}: {told}")).collect();
    println!("{behaviour:4} {:29} {columns} {}", transfer.name, told.join("; "));
    for cell in row {
        let Cell::Moved(moved) = cell else { continue };
        for problem in &moved.problems {
            println!("     PROBLEM on {}: {problem}; told: {:?}", moved.near, moved.told);
        }
    }
}

/// A play with browsers, which went well.
pub(crate) fn browsers(scenario: &DeskScenario) {
    println!("{BROWSERS:4} {}", scenario.title);
    println!("     {}", scenario.summary);
    println!("     {}\n", verdict(true));
}

/// They are left out.
pub(crate) fn without_browser() {
    println!("The plays with browsers are left out: Chromium (Debian's package chromium) isn't installed.\n");
}

fn one_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Asterisk => "An Asterisk",
        Kind::FreeSwitch => "A FreeSWITCH",
    }
}

fn verdict(ok: bool) -> &'static str {
    if ok { "ok" } else { "NOT OK" }
}

fn who(person: Person) -> String {
    format!("{} ({})", person.name, person.dialled)
}

fn place(arrives: Arrives) -> &'static str {
    match arrives {
        Arrives::Packet => "arrived over the packet trunk,",
        Arrives::Pstn => "arrived over the PSTN,",
        Arrives::Phone => "the phone on this PBX rang,",
    }
}

fn form_name(form: Form) -> &'static str {
    match form {
        Form::Hosted => "a terminal (hosted)",
        Form::Sip => "the softphone itself (SIP MESSAGE)",
        Form::Webhook => "an application (signed webhook)",
    }
}

fn client(person: Person, received: Option<&str>, after: Option<i64>) {
    let Some(form) = person.client else { return };
    let when = after.map(|ms| format!(" {ms} ms after the answer")).unwrap_or_default();
    match received {
        Some(address) => println!("     {}'s client, {}, received{when}: {address}", person.name, form_name(form)),
        None => println!("     {}'s client, {}, received nothing", person.name, form_name(form)),
    }
}
