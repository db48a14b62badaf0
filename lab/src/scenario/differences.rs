//! B12's verdict: a call with sidecall is exactly the same call without it, but for the differences that
//! `docs/BEHAVIOURS.md` lists.
//!
//! Some calls vary by themselves: threads of a PBX race, and the same call gives now these records and now others.
//! So a call with sidecall must be, as a whole, one of the runs without: what every phone got and what every PBX wrote
//! down is compared with one and the same run, the first or one that follows. Every other of these is played while all
//! cores are busy, since the winner of a race depends on that too. Nothing is left out of the comparison, and no run is
//! rewritten.

use std::collections::BTreeSet;

use crate::pbx::conf;
use crate::scenario::busy::Busy;
use crate::scenario::voice::{RECORDS, Seen};

/// Maximum number of runs of a call without sidecall. An Asterisk gives its rarest variant about once in ten runs.
const RUNS: usize = 40;
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
    pub without: Vec<Seen>,
    /// Its run with sidecall.
    pub with: Seen,
}

/// A table of differences in `docs/BEHAVIOURS.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// What sidecall adds to a call over one trunk.
    Sidecall,
    /// What differs between the packet trunk and the telephone network.
    Trunk,
}

impl Table {
    fn heading(self) -> &'static str {
        match self {
            Table::Sidecall => "#### On the same trunk",
            Table::Trunk => "#### Packet trunk instead of the telephone network",
        }
    }

    /// Its rows.
    ///
    /// # Panics
    /// If the document doesn't have it, or a row can't be read.
    fn rows(self) -> Vec<Listed> {
        let text = conf::project_file("docs/BEHAVIOURS.md").expect("docs/BEHAVIOURS.md");
        let (_, rest) =
            text.split_once(self.heading()).unwrap_or_else(|| panic!("no {:?} in the document", self.heading()));
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
pub fn compare(pbxs: &str, table: Table, calls: &mut [Compared], mut again: impl FnMut(usize) -> Seen) -> Vec<String> {
    let listed = table.rows();
    let mut left = RUNS_IN_ALL;
    let mut found = Vec::new();
    for (n, call) in calls.iter_mut().enumerate() {
        let rows = call.rows(&listed, pbxs);
        while !call.nearest(&rows).1.is_empty() && call.without.len() < RUNS && left > 0 {
            let _busy = (call.without.len() % 2 == 0).then(Busy::start);
            call.without.push(again(n));
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
    pub fn compared_with(&self, pbxs: &str, table: Table) -> &Seen {
        let listed = table.rows();
        self.nearest(&self.rows(&listed, pbxs)).0
    }

    /// Those rows of a table that are about it.
    fn rows<'a>(&self, listed: &'a [Listed], pbxs: &str) -> Vec<&'a Listed> {
        listed.iter().filter(|row| row.is_of(self, pbxs)).collect()
    }

    /// The run without sidecall that is most like the one with it, and the places where it differs otherwise than listed.
    fn nearest(&self, rows: &[&Listed]) -> (&Seen, Vec<String>) {
        let runs = self.without.iter().map(|run| (run, self.unlisted(run, rows)));
        runs.min_by_key(|(_, places)| places.len()).expect("a call has a run without sidecall")
    }

    /// The places where a run without sidecall differs otherwise than listed.
    fn unlisted(&self, run: &Seen, rows: &[&Listed]) -> Vec<String> {
        let mut places: BTreeSet<String> = self.with.places().chain(run.places()).collect();
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

    fn report(&self, pbxs: &str, place: &str, nearest: &Seen, rows: &[&Listed]) -> String {
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
    let (old, new) = (parts(without), parts(with));
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
    let (old, new) = (parts(without), parts(with));
    let what = old.first().or(new.first()).cloned().unwrap_or_default();
    Change { place: format!("{place}: {what}"), without: old, with: new }
}

fn parts(line: &str) -> Vec<String> {
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
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn seen(place: &str, text: &str) -> Seen {
        let mut seen = Seen::default();
        *seen.at(place) = lines(text);
        seen
    }

    fn changed(place: &str, without: &str, with: &str) -> Vec<[String; 3]> {
        let found = changes(place, &lines(without), &lines(with));
        found.into_iter().map(|c| [c.place, c.without.join(" "), c.with.join(" ")]).collect()
    }

    #[test]
    fn every_change_of_a_line_is_found() {
        let call = "1001, call 1";
        assert_eq!(changed(call, "INVITE | a | b\nBYE", "INVITE | a | b\nBYE"), [[""; 3]; 0]);
        assert_eq!(
            changed(call, "INVITE | a | b: 1\nBYE", "INVITE | a | b: 2\nBYE"),
            [["1001, call 1: INVITE", "b: 1", "b: 2"]]
        );
        // Another order, within a line and between two.
        assert_eq!(changed(call, "INVITE | a | b", "INVITE | b | a").len(), 1);
        assert_eq!(changed(call, "180\n183", "183\n180").len(), 2);
        // A line more, or less.
        assert_eq!(changed(call, "180", "180\n180"), [["1001, call 1: 180", "", "180"]]);
        // A field with another value, and another response.
        let found = changed(call, "503 to INVITE | Reason: 34 | has x", "603 to INVITE | Reason: 21 | has y");
        let of = |without: &str, with: &str| ["1001, call 1: 503 to INVITE", without, with].map(str::to_owned);
        let all = [("503 to INVITE", "603 to INVITE"), ("Reason: 34", "Reason: 21"), ("has x", ""), ("", "has y")];
        assert_eq!(found, all.map(|(without, with)| of(without, with)));
        assert_eq!(changed(call, "180\nBYE | a", "180"), [["1001, call 1: BYE", "BYE a", ""]]);
        // Rows of records have no order.
        let records = "records of A";
        assert_eq!(
            changed(records, "row | a=\"1\"\nrow | c", "row | a=\"2\"\nrow | c"),
            [["records of A: row", "a=\"1\"", "a=\"2\""]]
        );
        assert_eq!(
            changed(records, "row | a=\"1\"\nrow | c", "row | c\nrow | a=\"3\""),
            [["records of A: row", "a=\"1\"", "a=\"3\""]]
        );
    }

    #[test]
    fn a_row_of_the_table_is_that_change_and_no_other() {
        let row = "| x; y | Asterisk to any | records of A: row | `d=\"…@t,60\"` `e` | `d=\"…@t,9\"` | why |";
        assert!(Listed::parse("| x | Asterisk | at | `a` | `b` | sometimes: why |").unwrap().sometimes);
        let Listed { calls, pbxs, change: row, sometimes } = Listed::parse(row).unwrap();
        assert!(!sometimes);
        assert_eq!((calls, pbxs), (vec!["x".to_owned(), "y".into()], vec!["Asterisk to any".to_owned()]));
        let change = |without: [&str; 2], with: &str| Change {
            place: "records of A: row".into(),
            without: without.map(str::to_owned).to_vec(),
            with: vec![with.to_owned()],
        };
        assert!(row.is(&change(["d=\"1@t,60\"", "e"], "d=\"1@t,9\"")));
        assert!(!row.is(&change(["d=\"1@t,60\"", "e"], "d=\"2@t,9\"")));
        assert!(!row.is(&change(["d=\"1@t,60\"", "f"], "d=\"1@t,9\"")));
        assert!(!row.is(&change(["d=\"1@t,60\"", "e"], "d=\"1@t,8\"")));
    }

    #[test]
    fn a_call_is_one_that_was_seen_without_sidecall_and_has_every_listed_change() {
        let place = "1001, call 1";
        let call = |without: &[&str], with: &str| Compared {
            call: "x",
            packet: true,
            without: without.iter().map(|text| seen(place, text)).collect(),
            with: seen(place, with),
        };
        let row = |change, sometimes| Listed { calls: Vec::new(), pbxs: Vec::new(), change, sometimes };
        let change = Change { place: format!("{place}: INVITE"), without: vec![], with: vec!["b".into()] };
        let (listed, sometimes) = (row(change.clone(), false), row(change, true));
        let differs = |without: &[&str], with: &str, rows: &[&Listed]| call(without, with).nearest(rows).1;
        assert!(differs(&["INVITE | a"], "INVITE | a", &[]).is_empty());
        assert_eq!(differs(&["INVITE | a"], "INVITE | a | b", &[]), [place]);
        assert!(differs(&["INVITE | a", "INVITE | a | b"], "INVITE | a | b", &[]).is_empty());
        assert!(differs(&["INVITE | a"], "INVITE | a | b", &[&listed]).is_empty());
        // The listed change has gone, is another one, or isn't the only one.
        for with in ["INVITE | a", "INVITE | a | c", "INVITE | a | b | c"] {
            assert_eq!(differs(&["INVITE | a"], with, &[&listed]), [place]);
        }
        // It may be gone, but nothing else may be there.
        for with in ["INVITE | a", "INVITE | a | b"] {
            assert!(differs(&["INVITE | a"], with, &[&sometimes]).is_empty());
        }
        assert_eq!(differs(&["INVITE | a"], "INVITE | a | c", &[&sometimes]), [place]);
        // One line more is listed, and there are two.
        let more = Change { place: format!("{place}: 180"), without: vec![], with: vec!["180".into(), "x".into()] };
        let more = row(more, false);
        assert!(differs(&["INVITE"], "INVITE\n180 | x", &[&more]).is_empty());
        assert_eq!(differs(&["INVITE"], "INVITE\n180 | x\n180 | x", &[&more]), [place]);
        // What no single run has together isn't explained by two.
        let two = |a: &str, b: &str| {
            let mut seen = seen("1000, call 1", a);
            seen.at(place).extend(lines(b));
            seen
        };
        let without = vec![two("180", "BYE"), two("183", "CANCEL")];
        let crossed = Compared { call: "x", packet: false, without, with: two("180", "CANCEL") };
        assert_eq!(crossed.nearest(&[]).1.len(), 1);
        // The call isn't there at all.
        assert_eq!(differs(&["INVITE | a"], "", &[]), [place]);
    }

    /// Each name is one of a test's calls, so a row can't stand there unused.
    #[test]
    fn the_tables_name_calls_that_are_played() {
        let read = |file: &str| conf::project_file(file).unwrap();
        let tests = ["e2e_voice.rs", "e2e_voice_domains.rs", "e2e_voice_transfers.rs"];
        let text = tests.map(|file| read(&format!("tests/{file}"))).concat();
        let text = text + &["calls.rs", "transfers.rs"].map(|file| read(&format!("lab/src/scenario/{file}"))).concat();
        let installed = read("tests/e2e_voice_installed.rs");
        for row in [Table::Sidecall, Table::Trunk].into_iter().flat_map(Table::rows) {
            assert!(!row.change.without.is_empty() || !row.change.with.is_empty(), "{row:?} says nothing");
            for call in row.calls.iter().filter(|call| *call != EVERY) {
                let (text, name) =
                    call.strip_prefix("installed: ").map_or((&text, &call[..]), |name| (&installed, name));
                assert!(text.contains(&format!("\"{name}\"")), "no test plays {call:?}");
            }
            for kind in row.pbxs.iter().flat_map(|pbxs| pbxs.split(" to ")) {
                assert!(["any", "Asterisk", "FreeSWITCH"].contains(&kind), "there is no PBX {kind:?}");
            }
        }
    }
}
