//! How many wrong codes may be dialled.

use std::collections::VecDeque;
use std::time::Duration;

use crate::core::base::time::UnixMillis;
use crate::core::numbering::number::Number;

/// A wrong code counts for so long.
pub const GUESS_WINDOW: Duration = Duration::from_secs(10 * 60);
/// Wrong codes of one calling number in that time.
pub const GUESSES_OF_NUMBER: usize = 5;
/// Wrong codes of all calling numbers in that time.
pub const GUESSES_IN_TOTAL: usize = 100;

/// The wrong codes of the last ten minutes.
#[derive(Debug, Default)]
pub struct DialGuesses(VecDeque<(UnixMillis, Number)>);

impl DialGuesses {
    /// Whether this number may dial a code. If not, the right code is refused too: it might be a guess.
    pub fn is_allowed(&mut self, number: &Number, now: UnixMillis) -> bool {
        while self.0.front().is_some_and(|(at, _)| *at + GUESS_WINDOW <= now) {
            self.0.pop_front();
        }
        let own = self.0.iter().filter(|(_, other)| other == number).count();
        own < GUESSES_OF_NUMBER && self.0.len() < GUESSES_IN_TOTAL
    }

    /// A number that was allowed to dial a code has dialled a wrong one.
    pub fn add(&mut self, number: Number, now: UnixMillis) {
        self.0.push_back((now, number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: UnixMillis = UnixMillis(1_000_000);

    fn number(n: usize) -> Number {
        format!("+1212555{n:04}").parse().unwrap()
    }

    fn guess(guesses: &mut DialGuesses, n: usize, now: UnixMillis) -> bool {
        let is_allowed = guesses.is_allowed(&number(n), now);
        if is_allowed {
            guesses.add(number(n), now);
        }
        is_allowed
    }

    #[test]
    fn a_number_dials_five_wrong_codes_in_ten_minutes() {
        let mut guesses = DialGuesses::default();
        let minute = |n: u64| START + Duration::from_secs(60 * n);
        assert!((0..5).all(|n| guess(&mut guesses, 1, minute(n))));
        assert!(!guess(&mut guesses, 1, minute(9)));
        assert!(guess(&mut guesses, 2, minute(9)), "another number has its own");
        assert!(guess(&mut guesses, 1, minute(10)), "the first one is forgotten");
        assert!(!guess(&mut guesses, 1, minute(10)));
    }

    #[test]
    fn all_numbers_together_dial_a_hundred() {
        let mut guesses = DialGuesses::default();
        assert_eq!((0..1000).filter(|n| guess(&mut guesses, *n, START)).count(), 100);
        assert!(guess(&mut guesses, 1000, START + GUESS_WINDOW));
    }

    proptest! {
        #[test]
        fn no_ten_minutes_have_more(steps in prop::collection::vec((0u64..200, 0usize..30), 0..400)) {
            let (mut guesses, mut now) = (DialGuesses::default(), START);
            let mut allowed: Vec<(UnixMillis, usize)> = Vec::new();
            for (seconds, n) in steps {
                now = now + Duration::from_secs(seconds);
                if guess(&mut guesses, n, now) {
                    allowed.push((now, n));
                }
                let recent = allowed.iter().filter(|(at, _)| now < *at + GUESS_WINDOW);
                let own = recent.clone().filter(|(_, other)| *other == n).count();
                prop_assert!(own <= GUESSES_OF_NUMBER && recent.count() <= GUESSES_IN_TOTAL);
            }
        }
    }
}
