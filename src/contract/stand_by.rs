//! What a node that stands by says of itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The refusals of a node that waits for the database of another one begin with this, and so does its `/healthz`.
pub const STANDS_BY: &str = "the node stands by";

/// What a node that stands by can do, as its `/readyz` says in `stand_by`. Earlier versions say it in `detail` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StandByState {
    /// It sees that another node has the database, and takes the database over once that one ends or fails.
    Waits,
    /// It couldn't take the database over now: the server fails, or can't be reached.
    Unable,
    /// It has taken the database over, and is about to serve.
    TakesOver,
    /// A state that only a later version knows.
    #[serde(other)]
    Other,
}

impl StandByState {
    /// What a node says whose refusal has this detail and no `stand_by`. None if it doesn't stand by.
    pub fn of_earlier_version(detail: &str) -> Option<StandByState> {
        let reason = detail.strip_prefix(STANDS_BY)?;
        Some(match reason {
            ": it takes over the database" => StandByState::TakesOver,
            reason if reason.ends_with(" has the database") => StandByState::Waits,
            _ => StandByState::Unable,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_one_word_and_a_later_one_is_read() {
        let words = [StandByState::Waits, StandByState::Unable, StandByState::TakesOver]
            .map(|state| serde_json::to_value(state).unwrap());
        assert_eq!(words, ["waits", "unable", "takes_over"]);
        assert_eq!(serde_json::from_str::<StandByState>("\"follows\"").unwrap(), StandByState::Other);
    }

    #[test]
    fn an_earlier_version_says_its_state_in_words() {
        for (detail, expected) in [
            ("the node stands by: process 7 on b has the database", Some(StandByState::Waits)),
            ("the node stands by: another process has the database", Some(StandByState::Waits)),
            ("the node stands by: the database isn't available", Some(StandByState::Unable)),
            ("the node stands by: it takes over the database", Some(StandByState::TakesOver)),
            ("the database is not available", None),
        ] {
            assert_eq!(StandByState::of_earlier_version(detail), expected, "{detail}");
        }
    }
}
