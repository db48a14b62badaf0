//! Whoever talks after a transfer, a pick-up, a forward, a queue is paired, whoever no longer does is told
//! so, and nobody else learns an address: on each real PBX of this machine, with everybody there, with a caller
//! from another organisation, and on a PBX behind the call server.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a test that can't go on says where

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lab::scenario::domains::INNER;
use lab::scenario::people::{NAMES, Office, People};
use lab::scenario::transfers::TRANSFERS;
use lab::{Domains, Hosted, Kind, PbxConfig};
use serde_json::json;

/// Where the four people are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    /// All on one PBX.
    OnePbx,
    /// The first in another organisation: calls come over the packet trunk, with the address of that client.
    FromOutside,
    /// The same, and the three are on a PBX behind the one that the trunk leads to.
    Behind,
}

impl Setting {
    /// In the head of a table.
    fn title(self) -> &'static str {
        match self {
            Setting::OnePbx => "one PBX",
            Setting::FromOutside => "from outside",
            Setting::Behind => "behind",
        }
    }

    fn is_outside(self) -> bool {
        self != Setting::OnePbx
    }
}

/// The people, and what everything around them logs. Dropped in this order.
struct Opened {
    people: People,
    log: Box<dyn Fn() -> String>,
}

/// The three who are called are on a PBX of this kind, and what else there is on `other`. From outside, every FreeSWITCH is
/// in `direct` mode.
fn open(setting: Setting, kind: Kind, other: Kind) -> lab::Result<Opened> {
    let (b, c) = match setting {
        Setting::OnePbx => {
            let Office { people, sidecall, pbx } = Office::open(kind)?;
            let log = move || format!("{:#?}\n{}\n{}", sidecall.calls(), sidecall.log(), pbx.log());
            return Ok(Opened { people, log: Box::new(log) });
        }
        Setting::FromOutside => (kind, None),
        Setting::Behind => (other, Some(kind)),
    };
    let mut domains = Domains::start_with(other, b, c, |config| {
        let config = PbxConfig { feature_codes: true, ..config };
        if c.is_none() { PbxConfig::direct(config) } else { config }
    })?;
    domains.a.start_sidecall(&Office::config())?;
    domains.start_b(&Office::config())?;
    let (called, home) = domains.c.as_ref().map_or((&domains.b, lab::sidecall::PBX), |inner| (inner, INNER));
    let mut people = Vec::new();
    for (n, name) in (0..).zip(NAMES) {
        let (at, node, pbx) = match n {
            0 => (&domains.a, domains.a.sidecall(), lab::sidecall::PBX),
            _ => (called, domains.b.sidecall(), home),
        };
        node.entry(&at.number(n), json!({"name": name, "pbx": pbx}));
        people.push((at.number(n), Hosted::start(node, &at.number(n))?, at.phone(n)?));
    }
    let people = People::new(true, &called.pbx, people);
    let log = move || {
        let [at_a, at_b] = [&domains.a, &domains.b].map(|domain| domain.sidecall().calls());
        format!("A: {at_a:#?}\nB: {at_b:#?}\n{}", domains.log())
    };
    Ok(Opened { people, log: Box::new(log) })
}

/// What is around the PBX where calls come to somebody else: one of the other kind, if there is one.
fn other(kind: Kind) -> Kind {
    let other = if kind == Kind::Asterisk { Kind::FreeSwitch } else { Kind::Asterisk };
    if other.find().is_ok() { other } else { Kind::Asterisk }
}

/// Runs all that there are in this setting, and leaves what became of each for the table of `tests/run`.
fn transfers(setting: Setting, kind: Kind) {
    let open = || lab::or_skip(kind, open(setting, kind, other(kind)));
    let Some(mut opened) = open() else { return };
    let (mut column, mut problems) = (String::new(), String::new());
    for transfer in TRANSFERS {
        let result = match transfer.left_out(setting.is_outside(), kind) {
            Some(reason) => reason,
            None => match transfer.run(&mut opened.people, || ()) {
                Ok(()) => "yes",
                Err(problem) => {
                    let _ = writeln!(problems, "{}: {problem}", transfer.name);
                    eprintln!("{kind}, {}, {}: {problem}\n{}", setting.title(), transfer.name, (opened.log)());
                    // What is still up there disturbs nobody here.
                    opened = open().unwrap();
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
        let Office { people, sidecall, .. } = &mut office;
        let again = || {
            sidecall.restart().unwrap();
            sidecall.wait_until_attached().unwrap();
        };
        if let Err(problem) = transfer.run(people, again) {
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
    let settings = [Setting::OnePbx, Setting::FromOutside, Setting::Behind];
    let columns = || settings.into_iter().flat_map(|at| [Kind::Asterisk, Kind::FreeSwitch].map(|kind| (at, kind)));
    let head = columns().map(|(setting, kind)| format!("{}, {kind}", setting.title()));
    let mut played = vec![["played"].map(str::to_owned).into_iter().chain(head).collect::<Vec<_>>()];
    played.extend(TRANSFERS.iter().map(|transfer| {
        let cells =
            columns().map(|(setting, kind)| transfer.left_out(setting.is_outside(), kind).unwrap_or("yes").to_owned());
        [transfer.name.to_owned()].into_iter().chain(cells).collect()
    }));
    assert_eq!(shown, played);
}
