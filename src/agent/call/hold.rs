//! How much of a hold is left for a decision.

use std::time::Duration;

/// How far behind the deadline an answer may be written: inside the margin, with room to spare.
const SLACK: Duration = Duration::from_millis(20);

/// What the way back takes at worst: the answer must reach the channel before its wait is over.
/// `Redirect` and `uuid_break` hit whatever runs then.
const MARGIN: Duration = Duration::from_millis(50);

/// The time that is left to decide, if any: at most `deadline`, and inside what `age` has left of the
/// `hold`.
pub(in crate::agent) fn time_left(hold: Duration, age: Duration, deadline: Duration) -> Option<Duration> {
    let left = hold.checked_sub(age)?.checked_sub(MARGIN.min(hold / 2))?;
    Some(left.min(deadline)).filter(|left| !left.is_zero())
}

/// Until when, counted as `left` is, an answer may be written.
pub(in crate::agent) fn write_within(hold: Duration, left: Duration) -> Duration {
    left + SLACK.min(hold / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn the_deadline_lies_inside_the_hold() {
        assert_eq!(time_left(MS(500), MS(0), MS(400)), Some(MS(400)));
        assert_eq!(time_left(MS(300), MS(0), MS(400)), Some(MS(250)));
        assert_eq!(time_left(MS(500), MS(200), MS(400)), Some(MS(250)));
        assert_eq!(time_left(MS(60), MS(0), MS(400)), Some(MS(30)));
    }

    #[test]
    fn an_answer_is_written_inside_the_hold_however_short_it_is() {
        assert_eq!(write_within(MS(500), MS(400)), MS(420));
        for hold in [2, 16, 30, 60, 100, 500] {
            let left = time_left(MS(hold), MS(0), MS(400)).unwrap();
            assert!(write_within(MS(hold), left) < MS(hold), "{hold}");
        }
    }

    #[test]
    fn an_old_announcement_is_never_answered() {
        assert_eq!(time_left(MS(500), MS(450), MS(400)), None);
        assert_eq!(time_left(MS(500), MS(5_000), MS(400)), None);
        assert_eq!(time_left(MS(0), MS(0), MS(400)), None);
    }
}
