//! B12's verdict: a call with sidecall is exactly the same call without it, but for the differences that
//! `docs/DIFFERENCES.md` lists.
//!
//! Some calls vary by themselves: threads of a PBX race, and the same call gives now these records and now others.
//! So a call with sidecall must be, as a whole, one of the runs without: what every phone got and what every PBX wrote
//! down is compared with one and the same run, the first or one that follows. Two in three of these are played while all
//! cores are busy or crowded, since the winner of a race depends on that too. Nothing is left out of the comparison, and
//! no run is rewritten.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::pbx::conf;
use crate::scenario::voice::{Observation, RECORDS};

/// Maximum number of runs of a call without sidecall. An Asterisk gives its rarest variant about once in ten runs.
const RUNS: usize = 40;
/// How many threads have work on each core meanwhile, from one run without sidecall to the next.
const LOADS: [usize; 3] = [1, 0, 4];
/// Maximum number of runs without sidecall of all calls together, besides the first run of each.
const RUNS_IN_ALL: usize = 80;

/// One call, as it was without sidecall and with it.
#[derive(Debug)]
pub struct Compared<'a> {
    /// Its name in the table.
    pub call: &'a str,
    /// With sidecall, it takes the packet trunk.
    pub packet: bool,
    /// Its runs without sidecall; one, or more.
    pub without: Vec<Observation>,
    /// Its run with sidecall.
    pub with: Observation,
}

/// A table of differences in `docs/DIFFERENCES.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// What sidecall adds to a call over one trunk.
    Sidecall,
    /// What differs between the packet trunk and the telephone network.
    Trunk,
}

impl Table {
    /// Its rows.
    ///
    /// # Panics
    /// If the document doesn't have it, or a row can't be read.
    fn rows(self) -> Vec<Listed> {
        let text = conf::project_file("docs/DIFFERENCES.md").expect("docs/DIFFERENCES.md");
        let heading = match self {
            Table::Sidecall => "## On the same trunk",
            Table::Trunk => "## Packet trunk instead of the telephone network",
        };
        let (_, rest) = text.split_once(heading).unwrap_or_else(|| panic!("no {heading:?} in the document"));
        let lines = rest.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
        lines.skip(2).map(|line| Listed::parse(line).unwrap_or_else(|| panic!("unreadable row: {line}"))).collect()
    }
}

/// A row of such a table.
#[derive(Debug)]
struct Listed {
    calls: Vec<String>,
    pbxs: Vec<String>,
    change: Change,
    /// The call varies by itself, and some of its variants haven't got this difference.
    sometimes: bool,
}

/// All calls that take the packet trunk, in the table.
const EVERY: &str = "every packet call";

impl Listed {
    /// `| call; call | PBX; PBX to PBX | where | without | with | why |`. What stands for `…` in a cell is the same text
    /// in the whole row. Where the reason begins with `sometimes`, the difference may be absent.
    fn parse(line: &str) -> Option<Listed> {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, calls, pbxs, place, without, with, why, _] = cells[..] else { return None };
        let list = |cell: &str| cell.split("; ").map(str::to_owned).collect();
        // The code spans of a cell.
        let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        let change = Change { place: place.to_owned(), without: code(without), with: code(with) };
        Some(Listed { calls: list(calls), pbxs: list(pbxs), change, sometimes: why.starts_with("sometimes") })
    }

    fn is_of(&self, call: &Compared, pbxs: &str) -> bool {
        let here = |pattern: &String| match (pattern.split_once(" to "), pbxs.split_once(" to ")) {
            (Some((a, b)), Some((from, to))) => (a == "any" || a == from) && (b == "any" || b == to),
            _ => pattern == pbxs,
        };
        let this = |name: &String| name == call.call || (name == EVERY && call.packet);
        self.pbxs.iter().any(here) && self.calls.iter().any(this)
    }
}

/// What differs in one field of a line, or a whole line. A line is a message that somebody got, or a row of a PBX's
/// records.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    /// `1001, call 1: INVITE`
    place: String,
    /// What is there without sidecall alone.
    without: Vec<String>,
    /// What is there with sidecall alone.
    with: Vec<String>,
}

impl Change {
    /// A line more, or less. A row of the table stands for one of these, and for as many changes of a field as there are.
    fn is_whole(&self) -> bool {
        self.without.len() > 1 || self.with.len() > 1
    }

    /// A listed change is this one.
    fn is(&self, found: &Change) -> bool {
        let mut rest = None;
        let mut same = |listed: &[String], found: &[String]| {
            listed.len() == found.len()
                && listed.iter().zip(found).all(|(listed, found)| fits(listed, found, &mut rest))
        };
        self.place == found.place && same(&self.without, &found.without) && same(&self.with, &found.with)
    }
}

/// Whether a listed text is this one, where `…` stands for `rest`.
fn fits(listed: &str, found: &str, rest: &mut Option<String>) -> bool {
    let Some((begin, end)) = listed.split_once('…') else { return listed == found };
    let Some(here) = found.strip_prefix(begin).and_then(|text| text.strip_suffix(end)) else { return false };
    rest.get_or_insert_with(|| here.to_owned()) == here
}

/// Compares calls. `again` plays one without sidecall once more, where its first run isn't what it was with sidecall.
/// Returns where a call differs from every run without sidecall, and where a difference that the table lists isn't there.
pub fn differences(
    pbxs: &str,
    table: Table,
    calls: &mut [Compared],
    mut again: impl FnMut(usize) -> Observation,
) -> Vec<String> {
    let listed = table.rows();
    let mut left = RUNS_IN_ALL;
    let mut found = Vec::new();
    for (n, call) in calls.iter_mut().enumerate() {
        let rows = call.rows(&listed, pbxs);
        while !call.nearest(&rows).1.is_empty() && call.without.len() < RUNS && left > 0 {
            let load = LOADS[call.without.len() % LOADS.len()];
            call.without.push(under_load(load, || again(n)));
            left -= 1;
        }
        let (run, places) = call.nearest(&rows);
        found.extend(places.iter().map(|place| call.report(pbxs, place, run, &rows)));
        if call.without.len() > 1 {
            eprintln!("{pbxs}: {}: {} runs without sidecall", call.call, call.without.len());
        }
    }
    found
}

/// Runs something while so many threads have work on each core.
fn under_load<T>(threads_per_core: usize, run: impl FnOnce() -> T) -> T {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stopped = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stopped);
        for _ in 0..threads_per_core * thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while !stopped.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        run()
    })
}

/// Fails if there are differences that aren't as listed.
///
/// # Panics
/// If there are.
pub fn none_but_listed(pbxs: &str, found: &[String]) {
    assert!(found.is_empty(), "{pbxs}: {} places are not as listed\n{}", found.len(), found.join("\n"));
}

impl Compared<'_> {
    /// The run without sidecall that this table compares with the one with it.
    ///
    /// # Panics
    /// If the table can't be read.
    pub fn compared_with(&self, pbxs: &str, table: Table) -> &Observation {
        let listed = table.rows();
        self.nearest(&self.rows(&listed, pbxs)).0
    }

    /// Those rows of a table that are about it.
    fn rows<'a>(&self, listed: &'a [Listed], pbxs: &str) -> Vec<&'a Listed> {
        listed.iter().filter(|row| row.is_of(self, pbxs)).collect()
    }

    /// The run without sidecall that is most like the one with it, and the places where it differs otherwise than listed.
    fn nearest(&self, rows: &[&Listed]) -> (&Observation, Vec<String>) {
        let runs = self.without.iter().map(|run| (run, self.unlisted(run, rows)));
        runs.min_by_key(|(_, places)| places.len()).expect("a call has a run without sidecall")
    }

    /// The places where a run without sidecall differs otherwise than listed.
    fn unlisted(&self, run: &Observation, rows: &[&Listed]) -> Vec<String> {
        let mut places: BTreeSet<String> = self.with.places().chain(run.places()).cloned().collect();
        places.extend(rows.iter().filter_map(|row| Some(row.change.place.rsplit_once(": ")?.0.to_owned())));
        let as_listed = |place: &String| {
            let here = listed_at(place, rows);
            let found = changes(place, run.lines(place), self.with.lines(place));
            here.iter().all(|row| row.sometimes || found.iter().any(|found| row.change.is(found)))
                && found.iter().all(|found| here.iter().any(|row| row.change.is(found)))
                && found.iter().filter(|change| change.is_whole()).count()
                    <= here.iter().filter(|row| row.change.is_whole()).count()
        };
        places.into_iter().filter(|place| !as_listed(place)).collect()
    }

    fn report(&self, pbxs: &str, place: &str, nearest: &Observation, rows: &[&Listed]) -> String {
        let list = |lines: &[String]| lines.join("\n      ");
        let mut text = format!("{}, {place}\n    with:\n      {}", self.call, list(self.with.lines(place)));
        text += &format!("\n    nearest of {} without:\n      {}", self.without.len(), list(nearest.lines(place)));
        let elsewhere = self.without.iter().filter(|run| run.lines(place) == self.with.lines(place)).count();
        text += &format!("\n    {elsewhere} of these are the same here, and differ elsewhere; as rows of the table:");
        let code = |parts: &[String]| parts.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>().join(" ");
        for change in changes(place, nearest.lines(place), self.with.lines(place)) {
            let (without, with) = (code(&change.without), code(&change.with));
            text += &format!("\n| {} | {pbxs} | {} | {without} | {with} | |", self.call, change.place);
        }
        let listed = listed_at(place, rows);
        if listed.is_empty() { text } else { text + &format!("\n    listed: {listed:#?}") }
    }
}

/// The listed changes at a place.
fn listed_at<'a>(place: &str, rows: &[&'a Listed]) -> Vec<&'a Listed> {
    rows.iter().copied().filter(|row| row.change.place.rsplit_once(": ").is_some_and(|(at, _)| at == place)).collect()
}

/// What differs between the lines of a place.
fn changes(place: &str, without: &[String], with: &[String]) -> Vec<Change> {
    let (mut old, mut new): (Vec<&String>, Vec<&String>) = (without.iter().collect(), with.iter().collect());
    if !place.starts_with(RECORDS) && old.len() == new.len() {
        return old.into_iter().zip(new).flat_map(|(old, new)| changes_of_line(place, old, new)).collect();
    }
    // Rows have no order of their own, and where a message is missing no other stands in its place: lines that are the
    // most alike are the same line.
    remove_common(&mut old, &mut new);
    let mut found = Vec::new();
    while let Some((o, n)) = most_alike(&old, &new) {
        found.extend(changes_of_line(place, old.remove(o), new.remove(n)));
    }
    found.extend(old.into_iter().map(|line| whole(place, line, "")));
    found.extend(new.into_iter().map(|line| whole(place, "", line)));
    found
}

/// Which two lines differ least.
fn most_alike(old: &[&String], new: &[&String]) -> Option<(usize, usize)> {
    let pairs = (0..old.len()).flat_map(|o| (0..new.len()).map(move |n| (o, n)));
    pairs.min_by_key(|(o, n)| changes_of_line("", old[*o], new[*n]).len())
}

/// What differs in a line, field by field.
fn changes_of_line(place: &str, without: &str, with: &str) -> Vec<Change> {
    if without == with {
        return Vec::new();
    }
    let (old, new) = (fields(without), fields(with));
    let (mut gone, mut come): (Vec<&String>, Vec<&String>) = (old.iter().collect(), new.iter().collect());
    remove_common(&mut gone, &mut come);
    if gone.is_empty() && come.is_empty() {
        // The same in another order.
        return vec![whole(place, without, with)];
    }
    let change = |without: Option<&String>, with: Option<&String>| Change {
        place: format!("{place}: {}", old[0]),
        without: without.into_iter().cloned().collect(),
        with: with.into_iter().cloned().collect(),
    };
    let mut found = Vec::new();
    for field in gone {
        let same = come.iter().position(|other| (*field == old[0] && **other == new[0]) || key(field) == key(other));
        found.push(change(Some(field), same.map(|at| come.remove(at))));
    }
    found.extend(come.into_iter().map(|field| change(None, Some(field))));
    found
}

/// A line that is there more or less.
fn whole(place: &str, without: &str, with: &str) -> Change {
    let (old, new) = (fields(without), fields(with));
    let what = old.first().or(new.first()).cloned().unwrap_or_default();
    Change { place: format!("{place}: {what}"), without: old, with: new }
}

fn fields(line: &str) -> Vec<String> {
    line.split(" | ").filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// By what a field is the same one with another value: `Reason:`, `src=`.
fn key(field: &str) -> &str {
    if field.starts_with("has ") { field } else { field.split([' ', '"']).next().unwrap_or_default() }
}

/// Removes what is in both, as often as it is.
fn remove_common(a: &mut Vec<&String>, b: &mut Vec<&String>) {
    a.retain(|item| match b.iter().position(|other| other == item) {
        Some(at) => {
            b.remove(at);
            false
        }
        None => true,
    });
}

#[cfg(test)]
#[path = "differences_tests.rs"]
mod tests;
