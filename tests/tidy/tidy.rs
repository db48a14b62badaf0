//! Holds the architecture: what lives where, which way imports run, and what the documents promise.
//!
//! Nothing in a file is exempt, tests included. What is known to break a rule stands in `known.txt`, and may only become
//! less.

use std::fs;
use std::path::Path;

mod alerts;
mod documents;
mod files;
mod imports;
mod known;
mod marks;
mod mentions;
mod names;
mod plan;
mod sources;
mod vocabulary;
mod words;

use known::Findings;
use sources::Tree;

fn page(path: &str) -> String {
    fs::read_to_string(sources::root().join(path)).unwrap()
}

#[test]
fn nothing_breaks_a_rule_that_is_not_known_to() {
    let tree = Tree::read();
    let mentions = mentions::mentions(&tree);
    let found = Findings::from([
        ("plan", imports::rooms_off_the_plan(&tree)),
        ("rooms", imports::rooms(&mentions)),
        ("node-layers", imports::layers(&plan::NODE, &tree, &mentions)),
        ("core-layers", imports::layers(&plan::CORE, &tree, &mentions)),
        ("pure-core", imports::impure_core(&mentions)),
        ("http", words::http(&mentions)),
        ("kind", words::kinds(&mentions)),
        ("exchange", words::exchanges(&mentions)),
        ("sql", words::sql(&mentions)),
        ("anyhow", words::anyhow(&mentions)),
        ("metrics", words::metrics(&tree, &page("docs/METRICS.md"))),
        ("size", files::sizes(&tree)),
        ("purpose", files::purposes(&tree)),
        ("mirror", files::mirrors(&tree)),
        ("vocabulary", vocabulary::avoided(&tree)),
        ("duplicate", names::duplicates(&tree)),
    ]);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("known.txt");
    let known = fs::read_to_string(&path).unwrap();
    if std::env::var("TIDY_BLESS").is_ok_and(|wanted| wanted == "1") {
        let blessed = known::bless(&known, &found).unwrap_or_else(|more| panic!("more than before:\n{more}"));
        return fs::write(path, blessed).unwrap();
    }
    let news = known::news(&known, &found);
    assert!(news.is_empty(), "\n{news}");
}

#[test]
fn the_plan_is_the_one_in_the_documentation() {
    assert_eq!(imports::differences_in_the_documentation(&page("docs/ARCHITECTURE.md")), Vec::<String>::new());
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
