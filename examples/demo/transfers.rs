//! B8 and B13 as a table: every way in which a call comes to somebody else, on each PBX of the play.

use serde::Serialize;

use crate::lab::Kind;
use crate::lab::transfers::{Office, TRANSFERS, Transfer};
use crate::show::Show;
use crate::{Bill, go_on, story};

/// Lines of progress.
pub(crate) const STEPS: u32 = 1;

/// The ones in which an attendant, machine or person, finds the extension.
const ATTENDANTS: [&str; 4] =
    ["IVR menu", "blind, by the called", "attended, by the called", "attended, by feature code"];

/// One transfer on one PBX: one line of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Moved {
    behaviour: &'static str,
    pub(crate) title: &'static str,
    pub(crate) pbx: &'static str,
    /// What the clients of 1000 to 1003 were told, in order.
    pub(crate) told: [String; 4],
    pub(crate) ok: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) problems: Vec<String>,
}

/// Whether there is anything to play.
pub(crate) fn has_any(bill: &Bill) -> bool {
    TRANSFERS.iter().any(|transfer| counts_for(transfer, bill).is_some())
}

/// The behaviour that a transfer is played for.
fn counts_for(transfer: &Transfer, bill: &Bill) -> Option<&'static str> {
    let attendant = ATTENDANTS.contains(&transfer.name).then_some("B8");
    // A menu hands nobody over who talked before.
    let voice = (transfer.name != "IVR menu").then_some("B13");
    attendant.into_iter().chain(voice).find(|behaviour| bill.has(behaviour))
}

pub(crate) fn play(bill: &Bill, show: &mut Show) -> Result<(), String> {
    let mut kinds = vec![bill.near];
    kinds.extend(Some(bill.far).filter(|far| *far != bill.near && far.find().is_ok()));
    let names: Vec<String> = kinds.iter().map(Kind::to_string).collect();
    show.step(&format!("transfers, pick-ups, forwards, queues, a conference on {}\n", names.join(" and ")));
    show.words(|| story::transfers_head(&kinds));
    for transfer in TRANSFERS {
        let Some(behaviour) = counts_for(transfer, bill) else { continue };
        let mut row = Vec::new();
        for kind in &kinds {
            if transfer.only.is_some_and(|only| only != *kind) {
                row.push(None);
                continue;
            }
            let moved = one(transfer, behaviour, *kind)?;
            go_on()?;
            show.play(behaviour, moved.ok, &moved, |_| ());
            row.push(Some(moved));
        }
        show.words(|| story::transfer(behaviour, transfer, &row));
    }
    show.words(|| println!());
    Ok(())
}

fn one(transfer: &Transfer, behaviour: &'static str, kind: Kind) -> Result<Moved, String> {
    let mut office = Office::open(kind).map_err(|e| format!("{kind}: {e}"))?;
    go_on()?;
    let played = transfer.play(&mut office.staff);
    let (told, problems) = match played {
        Ok(told) => (told, Vec::new()),
        Err(problem) => ([0, 1, 2, 3].map(|n| office.staff.told(n)), vec![problem]),
    };
    Ok(Moved { behaviour, title: transfer.name, pbx: kind.word(), told, ok: problems.is_empty(), problems })
}
