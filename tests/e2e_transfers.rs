//! Whoever talks after a transfer, a pick-up, a forward, a queue is paired, whoever no longer does is told
//! so, and nobody else learns an address: on each real PBX of this machine, with everybody there, with a caller
//! from another organisation, and on a PBX behind the call server.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lab::Kind;
use lab::scenario::office::Office;
use lab::scenario::people::Setting;
use lab::scenario::transfers::TRANSFERS;

/// What is around the PBX where calls come to somebody else: one of the other kind, if there is one.
fn other(kind: Kind) -> Kind {
    let other = if kind == Kind::Asterisk { Kind::FreeSwitch } else { Kind::Asterisk };
    if other.find().is_ok() { other } else { Kind::Asterisk }
}

/// Runs all that there are in this setting, and leaves what became of each for the table of `tests/run`.
fn transfers(setting: Setting, kind: Kind) {
    let open = || lab::or_skip(kind, Office::open_in(setting, kind, other(kind)));
    let Some(mut office) = open() else { return };
    let (mut column, mut problems) = (String::new(), String::new());
    for transfer in TRANSFERS {
        let result = match transfer.left_out(setting, kind) {
            Some(reason) => reason,
            None => match transfer.run(&mut office.people) {
                Ok(_) => "yes",
                Err(problem) => {
                    let _ = writeln!(problems, "{}: {problem}", transfer.name);
                    eprintln!("{kind}, {}, {}: {problem}\n{}", setting.title(), transfer.name, office.log());
                    // What is still up there disturbs nobody here.
                    office = open().unwrap();
                    "NO"
                }
            },
        };
        let _ = writeln!(column, "{}\t{result}", transfer.name);
    }
    let columns = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transfers");
    fs::create_dir_all(&columns).unwrap();
    fs::write(columns.join(format!("{}, {kind}", setting.title())), column).unwrap();
    assert!(problems.is_empty(), "{kind}, {}:\n{problems}", setting.title());
}

/// The agent is killed while people talk, some of them after a transfer: when it is back it takes them for
/// whom they are, tells nobody anything, and still tells the end.
fn after_a_restart_they_talk_to_the_same_people(kind: Kind) {
    let Some(mut office) = lab::or_skip(kind, Office::open(kind)) else { return };
    for name in ["attended, by the called", "directed pick-up", "conference of three"] {
        let transfer = TRANSFERS.iter().find(|transfer| transfer.name == name).unwrap();
        let Office { people, house } = &mut office;
        let again = || {
            house.sidecall().restart().unwrap();
            house.sidecall().wait_until_attached().unwrap();
        };
        if let Err(problem) = transfer.run_and(people, again) {
            panic!("{kind}: {name}: {problem}\n{}", office.log());
        }
    }
}

fn transfers_on_one_pbx(kind: Kind) {
    transfers(Setting::OnePbx, kind);
}

fn transfers_of_a_caller_from_another_organisation(kind: Kind) {
    transfers(Setting::FromOutside, kind);
}

fn transfers_on_a_pbx_behind_the_call_server(kind: Kind) {
    transfers(Setting::Behind, kind);
}

lab::on_both_pbxs! {
    transfers_on_one_pbx,
    transfers_of_a_caller_from_another_organisation,
    transfers_on_a_pbx_behind_the_call_server,
    after_a_restart_they_talk_to_the_same_people,
}

/// `docs/CLAIMS.md` says of each transfer, setting and PBX whether it is played.
#[test]
fn the_table_in_the_documentation_is_what_is_played() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/CLAIMS.md")).unwrap();
    let section = page.split_once("\n## Transfers\n").unwrap().1.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|'));
    // One name, and a cell for each setting and PBX.
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    let shown: Vec<_> = cells.filter(|cells| cells.len() == 7 && !cells[0].starts_with('-')).collect();
    let columns = || Setting::ALL.into_iter().flat_map(|at| [Kind::Asterisk, Kind::FreeSwitch].map(|kind| (at, kind)));
    let head = columns().map(|(setting, kind)| format!("{}, {kind}", setting.title()));
    let mut played = vec![["played"].map(str::to_owned).into_iter().chain(head).collect::<Vec<_>>()];
    played.extend(TRANSFERS.iter().map(|transfer| {
        let cells = columns().map(|(setting, kind)| transfer.left_out(setting, kind).unwrap_or("yes").to_owned());
        [transfer.name.to_owned()].into_iter().chain(cells).collect()
    }));
    assert_eq!(shown, played);
}
