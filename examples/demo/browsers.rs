//! The last plays: people on the phone with browsers beside it, and one with a terminal.

use serde::Serialize;

use crate::bill::{BROWSERS, Bill, Place};
use crate::show::Show;
use crate::trouble::Venue;
use crate::{Interrupted, go_on, text};
use lab::scenario::desks::{DESK_SCENARIOS, Desks};

/// It was played to its end: one line of `--json`.
#[derive(Debug, Serialize)]
struct Watched {
    behaviour: &'static str,
    title: &'static str,
    near: &'static str,
    #[serde(rename = "far")]
    remote: Option<&'static str>,
    ok: bool,
}

pub(crate) fn run(bill: &Bill, show: &mut Show) -> Result<(), Interrupted> {
    if bill.lacks_browser() {
        show.words(text::without_browser);
    }
    let Some(kind) = bill.browsers() else { return Ok(()) };
    show.step(&format!("two people with browsers beside their phones on {kind}, and one with a terminal\n"));
    let mut desks = Venue::new();
    for scenario in DESK_SCENARIOS {
        let title = scenario.title;
        let watched = desks.run(
            || Ok(Desks::open(kind)?),
            |open| {
                (scenario.run)(open)?;
                Ok(Watched { behaviour: BROWSERS, title, near: kind.word(), remote: None, ok: true })
            },
            |watched| watched.ok,
        );
        go_on()?;
        show.played((BROWSERS, Place::On(kind)), title, watched, |watched| watched.ok, |_| text::browsers(scenario));
    }
    Ok(())
}
