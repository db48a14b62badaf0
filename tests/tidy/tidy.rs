//! Holds the architecture: what lives where, which way imports run, and what the documents promise.
//!
//! Nothing in a file is exempt, tests included.

use std::fs;

mod alerts;
mod dialplans;
mod documents;
mod files;
mod findings;
mod imports;
mod listing;
mod marks;
mod mentions;
mod names;
mod plan;
mod sources;
mod statements;
mod vocabulary;
mod words;

use sources::Tree;

fn page(path: &str) -> String {
    fs::read_to_string(sources::root().join(path)).unwrap()
}

#[test]
fn nothing_breaks_a_rule() {
    let tree = Tree::read();
    let mentions = mentions::mentions(&tree);
    let found = [
        ("plan", imports::rooms_off_the_plan(&tree)),
        ("rooms", imports::rooms(&mentions)),
        ("node-layers", imports::layers(&plan::NODE, &tree, &mentions)),
        ("core-layers", imports::layers(&plan::CORE, &tree, &mentions)),
        ("pure-core", imports::impure_core(&mentions)),
        ("http", words::http(&mentions)),
        ("kind", words::kinds(&mentions)),
        ("exchange", words::exchanges(&mentions)),
        ("sql", words::sql(&mentions)),
        ("statements", statements::lacking(&tree, &statements::schemas(&sources::root()))),
        ("anyhow", words::anyhow(&mentions)),
        ("metrics", words::metrics(&tree, &page("docs/METRICS.md"))),
        ("size", files::sizes(&tree)),
        ("purpose", files::purposes(&tree)),
        ("mirror", files::mirrors(&tree)),
        ("vocabulary", vocabulary::avoided(&tree)),
        ("duplicate", names::duplicates(&tree)),
    ];
    let broken = found.iter().flat_map(|(rule, found)| found.iter().map(move |finding| format!("{rule}: {finding}")));
    assert_eq!(broken.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn the_plan_is_the_one_in_the_documentation() {
    assert_eq!(imports::differences_in_the_documentation(&page("docs/ARCHITECTURE.md")), Vec::<String>::new());
}

#[test]
fn the_documentation_lists_each_file() {
    assert_eq!(listing::differences(&page("docs/ARCHITECTURE.md"), &Tree::read()), Vec::<String>::new());
}

#[test]
fn the_lines_for_an_asterisk_filter_what_callers_write() {
    assert_eq!(dialplans::careless(&dialplans::shipped(&sources::root())), Vec::<String>::new());
}

#[test]
fn every_behaviour_has_a_diagram_and_tests_that_there_are() {
    assert_eq!(documents::behaviours(&page("docs/BEHAVIOURS.md"), &Tree::read_texts()), Vec::<String>::new());
}

#[test]
fn every_claim_has_a_test_on_each_pbx() {
    assert_eq!(documents::claims(&page("docs/CLAIMS.md"), &Tree::read_texts()), Vec::<String>::new());
}

#[test]
fn every_claim_of_messages_has_a_test() {
    assert_eq!(documents::messages(&page("docs/CLAIMS.md"), &Tree::read_texts()), Vec::<String>::new());
}

#[test]
fn every_fault_of_others_has_a_test() {
    assert_eq!(documents::faults(&page("docs/FAULTS.md"), &Tree::read_texts()), Vec::<String>::new());
}

#[test]
fn no_test_is_ignored() {
    assert_eq!(marks::ignored(&Tree::read_texts()), Vec::<String>::new());
}

#[test]
fn tests_on_a_freeswitch_are_marked() {
    assert_eq!(marks::unmarked(&Tree::read_texts()), Vec::<String>::new());
}
