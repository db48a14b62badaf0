//! The play, told to a PBX administrator who has read nothing else.

use crate::lab::Kind;
use crate::lab::cast::{ALICE, Arrives, BOB, CAROL, DAVE, ERIN, FRANK, Form, Person, Scene};
use crate::lab::stage::{Played, Stage};

/// Who is who.
pub(crate) fn cast(kind: Kind, stage: &Stage) {
    println!("A {kind} with phones 1000, 1001 and 1002, and sidecall beside it. Who plays:\n");
    for person in [ALICE, BOB, CAROL, DAVE, ERIN, FRANK] {
        let phone = if person.here { "phone on this PBX" } else { "phone elsewhere" };
        let client = match (person.client, person.served) {
            (Some(form), _) => format!("client: {}", form_name(form)),
            (None, true) => "no client".to_owned(),
            (None, false) => "another organisation's number".to_owned(),
        };
        println!("  {:6} {:38} {:18} {client}", person.name, stage.number(person), phone);
    }
    println!();
}

/// One call.
pub(crate) fn tell(scene: &Scene, played: &Played) {
    println!("{:4} {}", scene.behaviour, scene.title);
    println!(
        "     {} called {}{}",
        who(scene.caller),
        who(scene.called),
        if scene.from_pstn { ", from the PSTN" } else { "" }
    );
    let answered = if played.answered { "answered" } else { "not answered" };
    println!("     route {}, because {}; {} {answered}", played.route, played.reason, place(scene.arrives));
    if let Some(address) = &played.carried_address {
        println!("     in the call signalling (User-to-User): {address}");
    }
    client(scene.caller, played.first_client_received.as_deref(), played.first_ms);
    client(scene.called, played.second_client_received.as_deref(), played.second_ms);
    if let (Some(with), Some(without)) = (played.setup_ms, played.baseline_ms) {
        println!("     set-up {with:.1} ms, the same call without sidecall {without:.1} ms: {:+.1} ms", with - without);
    }
    for problem in &played.problems {
        println!("     PROBLEM: {problem}");
    }
    println!("     {}\n", if played.ok { "ok" } else { "NOT OK" });
}

/// All calls in a table.
pub(crate) fn summary(played: &[Played]) {
    println!(
        "{:4} {:>13} → {:<13} {:7} {:22} {:>9} {:>9} {:>8}  ",
        "", "calling", "called", "route", "reason", "set-up", "added", "push"
    );
    for one in played {
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
            if one.ok { "ok" } else { "NOT OK" }
        );
    }
    println!("\nset-up: INVITE to 200 as the caller sees it, median; added: against the same call without sidecall;");
    println!("push: from the answer until both clients have each other's address.");
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
