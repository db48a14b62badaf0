//! B8 and B13 as a table: ways in which a call comes to somebody else, on each PBX of the play.

use serde::Serialize;

use crate::bill::{Bill, Place};
use crate::show::Show;
use crate::trouble::{Venue, sentence};
use crate::{Interrupted, go_on, text};
use lab::Kind;
use lab::scenario::people::Office;
use lab::scenario::transfers::Transfer;

/// One transfer on one PBX: one line of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Moved {
    behaviour: &'static str,
    pub(crate) title: &'static str,
    pub(crate) near: &'static str,
    #[serde(rename = "far")]
    remote: Option<&'static str>,
    /// What the clients of 1000 to 1003 were told, in order.
    pub(crate) told: [String; 4],
    pub(crate) ok: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<String>,
}

/// What became of one on one PBX.
pub(crate) enum Cell {
    /// That PBX has no such transfer.
    HasNone,
    /// It was played.
    Moved(Moved),
    /// It could not be played to its end; the line above the table's row says why.
    Failed,
}

pub(crate) fn run(bill: &Bill, show: &mut Show) -> Result<(), Interrupted> {
    if bill.transfers().is_empty() {
        return Ok(());
    }
    let kinds = bill.nears();
    let names: Vec<String> = kinds.iter().map(Kind::to_string).collect();
    show.step(&format!("transfers, a pick-up, a parked call, a conference on {}\n", names.join(" and ")));
    show.words(|| text::transfers_head(&kinds));
    let mut offices: Vec<Venue<Office>> = kinds.iter().map(|_| Venue::new()).collect();
    for (transfer, behaviour) in bill.transfers() {
        let mut row = Vec::new();
        for (kind, office) in kinds.iter().zip(&mut offices) {
            row.push(one((transfer, behaviour), *kind, office, show)?);
        }
        show.words(|| text::transfer(behaviour, transfer, &row));
    }
    show.words(|| println!());
    Ok(())
}

fn one(
    (transfer, behaviour): (&Transfer, &'static str),
    kind: Kind,
    office: &mut Venue<Office>,
    show: &mut Show,
) -> Result<Cell, Interrupted> {
    if transfer.only.is_some_and(|only| only != kind) {
        return Ok(Cell::HasNone);
    }
    let moved = office.run(
        || Ok(Office::open(kind)?),
        |open| {
            let played = transfer.run(&mut open.people, || ());
            let told = [0, 1, 2, 3].map(|n| open.people.told(n));
            let problems: Vec<String> = played.err().iter().map(|problem| sentence(problem)).collect();
            let (title, near, ok) = (transfer.name, kind.word(), problems.is_empty());
            Ok(Moved { behaviour, title, near, remote: None, told, ok, problems })
        },
        |moved| moved.ok,
    );
    go_on()?;
    let played = show.played((behaviour, Place::On(kind)), transfer.name, moved, |moved| moved.ok, |_| ());
    Ok(played.map_or(Cell::Failed, Cell::Moved))
}
