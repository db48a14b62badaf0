//! Where everything that is played goes to: the story or lines of JSON, and what it all came to.

use std::io::{IsTerminal, stdout};

use serde::Serialize;

use crate::bill::{BEHAVIOURS, Place};
use crate::trouble::{Trouble, noted};

/// What became of a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Ok,
    NotOk,
    Skipped,
}

/// The showing.
pub(crate) struct Show {
    json: bool,
    step: usize,
    steps: usize,
    plays: usize,
    outcomes: Vec<(&'static str, Place, Outcome)>,
}

/// Something that was not played: one line of `--json`.
#[derive(Debug, Serialize)]
struct Unplayed<'a> {
    behaviour: &'static str,
    title: &'a str,
    near: &'static str,
    #[serde(rename = "far")]
    remote: Option<&'static str>,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<[&'a str; 1]>,
}

impl Show {
    pub(crate) fn new(json: bool, plays: usize, steps: usize) -> Show {
        Show { json, step: 0, steps, plays, outcomes: Vec::new() }
    }

    /// Progress, for whoever waits.
    pub(crate) fn step(&mut self, text: &str) {
        self.step += 1;
        eprintln!("{}/{}  {text}", self.step, self.steps);
    }

    /// Words that belong to the story alone.
    pub(crate) fn words(&self, tell: impl FnOnce()) {
        if !self.json {
            tell();
        }
    }

    /// One play: it went well or not, can't be played here, or was not played to its end.
    pub(crate) fn played<T: Serialize>(
        &mut self,
        (behaviour, place): (&'static str, Place),
        title: &str,
        played: Result<T, Trouble>,
        ok: impl Fn(&T) -> bool,
        tell: impl FnOnce(&T),
    ) -> Option<T> {
        let (near, remote) = place.words();
        let unplayed =
            |skipped, problems| print_json(&Unplayed { behaviour, title, near, remote, ok: false, skipped, problems });
        let outcome = match &played {
            Ok(one) => {
                if self.json {
                    print_json(one)
                } else {
                    tell(one)
                }
                if ok(one) { Outcome::Ok } else { Outcome::NotOk }
            }
            Err(Trouble::Missing(why)) => {
                match self.json {
                    true => unplayed(Some(why.as_str()), None),
                    false => println!("{behaviour:4} {title}\n     skipped: {why}\n"),
                }
                Outcome::Skipped
            }
            Err(Trouble::Broke(why)) => {
                match self.json {
                    true => unplayed(None, Some([why.as_str()])),
                    false => println!("{behaviour:4} {title}\n     PROBLEM on {place}: {why}\n     NOT OK\n"),
                }
                Outcome::NotOk
            }
        };
        self.outcomes.push((behaviour, place, outcome));
        // Else the story says it.
        if self.json || !stdout().is_terminal() {
            let what = if outcome == Outcome::Ok { "ok" } else { "NOT OK" };
            eprintln!("     {} of {}  {behaviour}  {place}  {what}", self.outcomes.len(), self.plays);
        }
        played.ok()
    }

    /// Something beside the plays that did not work; the plays that need it say so again.
    pub(crate) fn trouble(&self, what: &str, trouble: &Trouble) {
        let (Trouble::Missing(why) | Trouble::Broke(why)) = trouble;
        eprintln!("     PROBLEM with {what}: {why}");
    }

    /// Everything was played and went as it must.
    pub(crate) fn all_ok(&self) -> bool {
        self.outcomes.iter().all(|(.., outcome)| *outcome == Outcome::Ok)
    }

    /// What it came to: a table of behaviours and places.
    pub(crate) fn verdict(&self) {
        let say = |line: String| if self.json { eprintln!("{line}") } else { println!("{line}") };
        let mut places: Vec<Place> = Vec::new();
        for (_, place, _) in &self.outcomes {
            if !places.contains(place) {
                places.push(*place);
            }
        }
        let row = |first: &str, cells: Vec<String>| {
            let cells =
                cells.iter().zip(&places).map(|(cell, place)| format!("  {cell:width$}", width = width(*place)));
            format!("{first:4}{}", cells.collect::<String>()).trim_end().to_owned()
        };
        say(row("", places.iter().map(Place::to_string).collect()));
        for behaviour in BEHAVIOURS.iter().filter(|b| self.outcomes.iter().any(|(of, ..)| of == *b)) {
            say(row(behaviour, places.iter().map(|place| self.cell(behaviour, *place)).collect()));
        }
        let n = self.outcomes.iter().filter(|(.., outcome)| *outcome == Outcome::Ok).count();
        say(format!("\n{n} of {} plays went as they must.", self.outcomes.len()));
        let failed = self.outcomes.iter().find(|(.., outcome)| *outcome == Outcome::NotOk);
        if let Some((behaviour, ..)) = failed {
            say(format!("Play one again with ./install.sh --demo --behaviour {behaviour}."));
        }
        if let Some(file) = noted() {
            say(format!("The details of what went wrong are in {}: send it along if you report it.", file.display()));
        }
    }

    fn cell(&self, behaviour: &str, place: Place) -> String {
        let here = || self.outcomes.iter().filter(|(of, at, _)| *of == behaviour && *at == place);
        let count = |wanted| here().filter(|(.., outcome)| *outcome == wanted).count();
        match (count(Outcome::NotOk), count(Outcome::Skipped), here().count()) {
            (.., 0) => "–".to_owned(),
            (0, 0, 1) => "ok".to_owned(),
            (0, 0, all) => format!("ok ({all})"),
            (0, skipped, all) => format!("skipped ({skipped} of {all})"),
            (wrong, _, all) => format!("NOT OK ({wrong} of {all})"),
        }
    }
}

/// Of a column: what is in it has room.
fn width(place: Place) -> usize {
    place.to_string().chars().count().max("skipped (1 of 1)".len())
}

fn print_json<T: Serialize>(one: &T) {
    println!("{}", serde_json::to_string(one).expect("lines of words and numbers"));
}
