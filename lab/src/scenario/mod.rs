//! Who sits where, the calls that they make, and what must come of them: for the tests and the demonstration.

pub mod between;
pub mod calls;
pub mod chaos;
pub mod desks;
pub mod differences;
pub mod domains;
mod letters;
pub mod people;
pub mod portability;
pub mod report;
pub mod sides;
pub mod site;
mod timeline;
pub mod transfers;
pub mod voice;
pub mod wire;

use std::time::Duration;

use crate::{Call, LabError, Phone};

/// What a step of a scenario gives, or what went wrong in it.
pub type Step<T> = Result<T, String>;

impl From<LabError> for String {
    fn from(error: LabError) -> String {
        error.to_string()
    }
}

/// `Err(problem)` unless `ok`.
pub fn expect(ok: bool, problem: impl Into<String>) -> Step<()> {
    if ok { Ok(()) } else { Err(problem.into()) }
}

/// Answers the next call of a phone, which must come within `limit`.
pub fn answer(phone: &Phone, limit: Duration) -> Step<Call> {
    phone.answer_next(limit).ok_or_else(|| format!("{} does not ring", phone.number()))
}

/// A call of `from`'s rings at `to`, who answers, and both hear each other. Each step may take `limit`.
pub fn talk(call: Call, from: &Phone, to: &Phone, limit: Duration) -> Step<(Call, Call)> {
    let there = to.next_call(limit).ok_or_else(|| format!("{} isn't called: {:?}", to.number(), call.status()))?;
    there.ring();
    expect(call.wait_ringing(limit), format!("{} does not hear it ring", from.number()))?;
    there.answer();
    expect(call.wait_answered(limit), format!("{} does not answer: {:?}", to.number(), call.status()))?;
    sound_both_ways((&call, from), (&there, to), limit)?;
    Ok((call, there))
}

/// The phones of two ends of a call hear each other within `limit`.
pub fn sound_both_ways((a, at_a): (&Call, &Phone), (b, at_b): (&Call, &Phone), limit: Duration) -> Step<()> {
    for (call, here, there) in [(a, at_a, at_b), (b, at_b, at_a)] {
        let hears = call.wait_hears(there, limit);
        expect(hears, format!("{} does not hear {}", here.number(), there.number()))?;
    }
    Ok(())
}
