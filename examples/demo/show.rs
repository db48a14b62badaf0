//! Where everything that is played goes to: the story or lines of JSON, and what it all came to.

use serde::Serialize;

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
    step: u32,
    steps: u32,
    outcomes: Vec<(&'static str, Outcome)>,
}

/// Something that could not be played: one line of `--json`.
#[derive(Debug, Serialize)]
struct Skipped<'a> {
    behaviour: &'static str,
    title: &'a str,
    skipped: &'a str,
    ok: bool,
}

impl Show {
    pub(crate) fn new(json: bool, steps: u32) -> Show {
        Show { json, step: 0, steps, outcomes: Vec::new() }
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

    /// One play.
    pub(crate) fn play<T: Serialize>(&mut self, behaviour: &'static str, ok: bool, one: &T, tell: impl FnOnce(&T)) {
        self.outcomes.push((behaviour, if ok { Outcome::Ok } else { Outcome::NotOk }));
        if self.json { print_json(one) } else { tell(one) }
    }

    /// One that could not be played, and why.
    pub(crate) fn skip(&mut self, behaviour: &'static str, title: &str, why: &str) {
        self.outcomes.push((behaviour, Outcome::Skipped));
        if self.json {
            print_json(&Skipped { behaviour, title, skipped: why, ok: false });
        } else {
            println!("{behaviour:4} {title}\n     skipped: {why}\n");
        }
    }

    /// Everything was played and went as it must.
    pub(crate) fn all_ok(&self) -> bool {
        self.outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Ok)
    }

    /// What it came to, in one line.
    pub(crate) fn verdict(&self) {
        let of = |wanted| {
            let mut names: Vec<&str> = Vec::new();
            for (behaviour, _) in self.outcomes.iter().filter(|(_, outcome)| *outcome == wanted) {
                if !names.contains(behaviour) {
                    names.push(behaviour);
                }
            }
            names.join(", ")
        };
        self.words(|| {
            let (wrong, skipped) = (of(Outcome::NotOk), of(Outcome::Skipped));
            let n = self.outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Ok).count();
            println!("{n} of {} plays went as they must.", self.outcomes.len());
            if !wrong.is_empty() {
                println!("NOT OK: {wrong}");
            }
            if !skipped.is_empty() {
                println!("skipped, at least in part: {skipped}");
            }
        });
    }
}

fn print_json<T: Serialize>(one: &T) {
    println!("{}", serde_json::to_string(one).expect("lines of words and numbers"));
}
