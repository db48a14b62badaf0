//! The last play: two people on the phone, each with a browser beside it.

use serde::Serialize;

use crate::bill::{BROWSERS, Bill, Place};
use crate::show::Show;
use crate::trouble::guard;
use crate::{Interrupted, go_on, text};
use lab::scenario::desks::Desks;

const TITLE: &str = "Two browsers beside a call show each other's names, camera, screen and messages";

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
    show.step(&format!("two people with browsers beside their phones on {kind}\n"));
    let watched = guard(|| {
        Desks::open(kind)?.share()?;
        Ok(Watched { behaviour: BROWSERS, title: TITLE, near: kind.word(), remote: None, ok: true })
    });
    go_on()?;
    show.played((BROWSERS, Place::On(kind)), TITLE, watched, |watched| watched.ok, |_| text::browsers(TITLE));
    Ok(())
}
