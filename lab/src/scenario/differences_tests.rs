//! The comparison on calls that were never made.

use super::*;

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn observe(place: &str, text: &str) -> Observation {
    let mut observed = Observation::default();
    *observed.at(place) = lines(text);
    observed
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
        without: without.iter().map(|text| observe(place, text)).collect(),
        with: observe(place, with),
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
        let mut observed = observe("1000, call 1", a);
        observed.at(place).extend(lines(b));
        observed
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
            let (text, name) = call.strip_prefix("installed: ").map_or((&text, &call[..]), |name| (&installed, name));
            assert!(text.contains(&format!("\"{name}\"")), "no test plays {call:?}");
        }
        for kind in row.pbxs.iter().flat_map(|pbxs| pbxs.split(" to ")) {
            assert!(["any", "Asterisk", "FreeSWITCH"].contains(&kind), "there is no PBX {kind:?}");
        }
    }
}
