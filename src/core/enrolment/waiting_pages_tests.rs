//! Pages, their codes and their answers, by times that the tests set.

use std::collections::HashSet;

use super::*;
use proptest::prelude::*;

const SECRET: [u8; 32] = [7; 32];
const NOW: UnixMillis = UnixMillis(1_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn id(n: usize) -> DialledEnrolmentId {
    n.to_string().parse().unwrap()
}

fn add(pages: &mut WaitingPages<usize>, n: usize, random: u32, now: UnixMillis) -> Result<DialCode, TooManyPages> {
    pages.add(id(n), SECRET, "Chrome".parse().unwrap(), random, now)
}

/// What the page is told if it asks now.
fn ask(pages: &mut WaitingPages<usize>, n: usize, now: UnixMillis) -> PageAnswer<usize> {
    match pages.begin_request(&id(n), &SECRET, now) {
        Some(request) => pages.answer(&id(n), request, now),
        None => PageAnswer::Gone,
    }
}

#[test]
fn a_page_is_enrolled_by_its_code_once() {
    let (mut pages, now) = (WaitingPages::default(), NOW);
    let [first, second] = [1, 2].map(|n| add(&mut pages, n, 100, now).unwrap());
    assert_eq!([first, second].map(|code| code.to_string()), ["000100", "000101"]);
    assert_eq!(pages.dial(DialCode::new(102), now), None);
    assert_eq!(pages.dial(second, now), Some((id(2), "Chrome".parse().unwrap())));
    assert_eq!(pages.dial(second, now), None, "it is used up");
    assert_eq!(ask(&mut pages, 2, now), PageAnswer::Waiting);
    pages.resolve(&id(2), Some(42));
    assert_eq!(ask(&mut pages, 1, now), PageAnswer::Waiting);
    assert_eq!(ask(&mut pages, 2, now), PageAnswer::Enrolled(42));
    assert_eq!(ask(&mut pages, 2, now), PageAnswer::Gone);
}

#[test]
fn a_page_that_cannot_be_enrolled_is_gone() {
    let (mut pages, now) = (WaitingPages::default(), NOW);
    let code = add(&mut pages, 1, 100, now).unwrap();
    pages.dial(code, now).unwrap();
    pages.resolve(&id(1), None);
    assert_eq!(ask(&mut pages, 1, now), PageAnswer::Gone);
}

#[test]
fn a_code_lasts_two_minutes_and_an_answer_longer() {
    let (mut pages, start) = (WaitingPages::default(), NOW);
    let codes = [1, 2].map(|n| add(&mut pages, n, 100, start).unwrap());
    let last = start + (CODE_LASTS - SECOND);
    pages.dial(codes[0], last).unwrap();
    pages.resolve(&id(1), Some(42));
    let end = start + CODE_LASTS;
    assert_eq!((ask(&mut pages, 2, last), ask(&mut pages, 2, end)), (PageAnswer::Waiting, PageAnswer::Gone));
    assert_eq!(pages.dial(codes[1], end), None);
    assert_eq!(ask(&mut pages, 1, last + (ANSWER_LASTS - SECOND)), PageAnswer::Enrolled(42));
}

#[test]
fn the_last_request_gets_the_answer() {
    let (mut pages, now) = (WaitingPages::default(), NOW);
    let code = add(&mut pages, 1, 100, now).unwrap();
    let requests = [(); 2].map(|()| pages.begin_request(&id(1), &SECRET, now).unwrap());
    assert_eq!(pages.answer(&id(1), requests[0], now), PageAnswer::Superseded);
    pages.dial(code, now).unwrap();
    pages.resolve(&id(1), Some(42));
    assert_eq!(pages.answer(&id(1), requests[0], now), PageAnswer::Superseded);
    assert_eq!(pages.answer(&id(1), requests[1], now), PageAnswer::Enrolled(42));
}

#[test]
fn whoever_lacks_the_secret_learns_nothing() {
    let (mut pages, now) = (WaitingPages::default(), NOW);
    add(&mut pages, 1, 100, now).unwrap();
    assert_eq!(pages.begin_request(&id(1), &[8; 32], now), None);
    assert_eq!(pages.begin_request(&id(2), &SECRET, now), None);
}

#[test]
fn so_many_pages_wait() {
    let (mut pages, now) = (WaitingPages::default(), NOW);
    let codes: HashSet<DialCode> = (0..PAGES_MAX).map(|n| add(&mut pages, n, u32::MAX, now).unwrap()).collect();
    assert_eq!(codes.len(), PAGES_MAX);
    assert_eq!(add(&mut pages, PAGES_MAX, 1, now), Err(TooManyPages));
    assert!(add(&mut pages, PAGES_MAX, 1, now + CODE_LASTS).is_ok());
}

#[derive(Debug, Clone)]
enum Step {
    Add(u32),
    Dial(u32),
    Resolve(usize, bool),
    Ask(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u32..20).prop_map(Step::Add),
        (0u32..20).prop_map(Step::Dial),
        (0usize..20, any::<bool>()).prop_map(|(n, is_enrolled)| Step::Resolve(n, is_enrolled)),
        (0usize..20).prop_map(Step::Ask),
        (0u64..60).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn a_code_is_one_pages_and_a_page_is_told_once(steps in prop::collection::vec(step(), 0..200)) {
        let (mut pages, mut now, mut added) = (WaitingPages::default(), NOW, 0);
        let (mut dialled, mut told) = (HashSet::new(), HashSet::new());
        for step in steps {
            match step {
                Step::Add(random) => {
                    let code = add(&mut pages, added, random, now).unwrap();
                    prop_assert_eq!(pages.pages.values().filter(|page| page.code == code).count(), 1);
                    added += 1;
                }
                Step::Dial(code) => {
                    if let Some((id, _)) = pages.dial(DialCode::new(code), now) {
                        prop_assert!(dialled.insert(id), "two phones have dialled it");
                    }
                }
                // The node resolves only what was dialled.
                Step::Resolve(n, is_enrolled) if dialled.contains(&id(n)) && !told.contains(&n) => {
                    pages.resolve(&id(n), is_enrolled.then_some(n));
                }
                Step::Ask(n) => {
                    if let PageAnswer::Enrolled(answer) = ask(&mut pages, n, now) {
                        prop_assert_eq!(answer, n);
                        prop_assert!(dialled.contains(&id(n)) && told.insert(n), "it was told before");
                    }
                }
                Step::Resolve(..) => {}
                Step::Wait(seconds) => now = now + Duration::from_secs(seconds),
            }
        }
    }
}
