//! B8 and B13 as a table: every way in which a call comes to somebody else, on each PBX of the play.

use serde::Serialize;

use crate::lab::Kind;
use crate::lab::office::Office;
use crate::lab::transfers::{TRANSFERS, Transfer};
use crate::show::{Place, Show};
use crate::{Bill, go_on, story};

/// About how long one takes.
pub(crate) const SECONDS: usize = 6;

/// The ones in which an attendant, machine or person, finds the extension.
const ATTENDANTS: [&str; 4] =
    ["IVR menu", "blind, by the called", "attended, by the called", "attended, by feature code"];

/// One transfer on one PBX: one line of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Moved {
    behaviour: &'static str,
    pub(crate) title: &'static str,
    pub(crate) near: &'static str,
    far: Option<&'static str>,
    /// What the clients of 1000 to 1003 were told, in order.
    pub(crate) told: [String; 4],
    pub(crate) ok: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<String>,
}

/// How many are played.
pub(crate) fn plays(bill: &Bill) -> usize {
    let has = |transfer: &Transfer, kind: &Kind| transfer.only.is_none_or(|only| only == *kind);
    let on = |transfer| bill.nears().iter().filter(|kind| has(transfer, kind)).count();
    TRANSFERS.iter().filter(|transfer| counts_for(transfer, bill).is_some()).map(on).sum()
}

/// Lines of progress.
pub(crate) fn steps(bill: &Bill) -> usize {
    usize::from(plays(bill) > 0)
}

/// The behaviour that a transfer is played for.
fn counts_for(transfer: &Transfer, bill: &Bill) -> Option<&'static str> {
    let attendant = ATTENDANTS.contains(&transfer.name).then_some("B8");
    attendant.into_iter().chain(["B13"]).find(|behaviour| bill.has(behaviour))
}

pub(crate) fn play(bill: &Bill, show: &mut Show) -> Result<(), String> {
    if plays(bill) == 0 {
        return Ok(());
    }
    let kinds = bill.nears();
    let names: Vec<String> = kinds.iter().map(Kind::to_string).collect();
    show.step(&format!("transfers, pick-ups, forwards, queues, a conference on {}\n", names.join(" and ")));
    show.words(|| story::transfers_head(&kinds));
    let mut offices: Vec<Option<Office>> = kinds.iter().map(|_| None).collect();
    for transfer in TRANSFERS {
        let Some(behaviour) = counts_for(transfer, bill) else { continue };
        let mut row = Vec::new();
        for (kind, office) in kinds.iter().zip(&mut offices) {
            if transfer.only.is_some_and(|only| only != *kind) {
                row.push(None);
                continue;
            }
            let place = Place::On(*kind);
            let moved = one(transfer, behaviour, *kind, office);
            go_on()?;
            show.play((behaviour, place), moved.ok, &moved, |_| ());
            row.push(Some(moved));
        }
        show.words(|| story::transfer(behaviour, transfer, &row));
    }
    show.words(|| println!());
    Ok(())
}

/// In the office that there is, or a new one; one in which something went wrong is closed.
fn one(transfer: &Transfer, behaviour: &'static str, kind: Kind, office: &mut Option<Office>) -> Moved {
    let mut told = [const { String::new() }; 4];
    let open = office.take().map_or_else(|| Office::open(kind).map_err(|error| error.to_string()), Ok);
    let played = open.and_then(|mut open| {
        let played = transfer.play(&mut open.staff);
        told = [0, 1, 2, 3].map(|n| open.staff.told(n));
        *office = played.is_ok().then_some(open);
        played
    });
    let problems: Vec<String> = played.err().into_iter().collect();
    Moved { behaviour, title: transfer.name, near: kind.word(), far: None, told, ok: problems.is_empty(), problems }
}
