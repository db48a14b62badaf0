//! Whether the hold fits the PBX, the agent's deadline and a caller's patience.

use std::ops::RangeInclusive;

use crate::contract::PbxKind;

/// What FreeSWITCH's snippet waits, in ms: 60 and the rest, of five digits at most.
const FREESWITCH_WAITS: RangeInclusive<u64> = 60..=99_999;
/// The longest hold that callers don't notice, in ms.
const LONG: u64 = 2_000;

/// What is wrong with a hold that the snippet has set, and what to do.
pub(super) fn fault(kind: PbxKind, hold: &str, deadline_ms: u64) -> Option<(String, &'static str)> {
    let Ok(ms) = hold.parse::<u64>() else {
        return Some(("the hold is no number of milliseconds: no call is announced".to_owned(), "set it to 500"));
    };
    if hold == "0" {
        return None;
    }
    // The snippet compares text: it takes 0500 for no number.
    if kind == PbxKind::Freeswitch && (!FREESWITCH_WAITS.contains(&ms) || ms.to_string() != hold) {
        let found = format!(
            "the hold is {hold} ms, which the snippet can't wait: no call is held, and no phone can enrol a browser"
        );
        return Some((found, "set it to 500"));
    }
    if ms > LONG {
        let found = format!("the hold is {ms} ms: callers wait as long when the agent hangs");
        return Some((found, "500 is enough"));
    }
    (ms <= deadline_ms).then(|| {
        let found = format!("agent.deadline_ms is {deadline_ms} and the hold {ms} ms: late decisions are dropped");
        (found, "set agent.deadline_ms some 100 ms below the hold")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(kind: PbxKind, hold: &str, words: Option<&str>) {
        let fault = fault(kind, hold, 400);
        let is_said = fault.as_ref().map(|(found, _)| words.is_some_and(|words| found.contains(words)));
        assert_eq!(is_said, words.map(|_| true), "{hold}: {fault:?}");
    }

    #[test]
    fn a_hold_is_a_number_of_milliseconds_that_the_pbx_can_wait() {
        for kind in [PbxKind::Freeswitch, PbxKind::Asterisk] {
            for text in ["half a second", "0.5", "500ms", "-500"] {
                says(kind, text, Some("no number of milliseconds: no call is announced"));
            }
            says(kind, "0", None);
            says(kind, "500", None);
            says(kind, "60", Some("late decisions are dropped"));
            says(kind, "400", Some("late decisions are dropped"));
            says(kind, "2001", Some("callers wait as long"));
        }
        for hold in ["1", "59", "100000", "0500", "+500", "00"] {
            says(PbxKind::Freeswitch, hold, Some("no call is held, and no phone can enrol a browser"));
        }
        says(PbxKind::Asterisk, "59", Some("late decisions are dropped"));
        says(PbxKind::Asterisk, "100000", Some("callers wait as long"));
    }
}
