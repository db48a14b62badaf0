//! Checks that this machine reaches the portability sources.

use super::report::DoctorReport;
use crate::config::Config;
use crate::core::numbering::number::Number;

/// A number that is never assigned: the North American plan reserves 555-0100 to 0199 for examples. Any
/// answer will do.
const NOBODY: &str = "12125550100";

pub(super) async fn check(config: &Config, number: Option<&Number>, report: &mut DoctorReport) -> anyhow::Result<()> {
    let lnp = match config.node.portability() {
        Ok(lnp) => lnp,
        Err(error) => {
            return report.problem("portability", error.to_string(), "correct it; the node doesn't start like this");
        }
    };
    if !lnp.is_configured() {
        return Ok(());
    }
    let number = match number {
        Some(number @ Number::E164(_)) => number.clone(),
        _ => Number::e164(NOBODY)?,
    };
    let deadline = config.node.lnp.deadline();
    for heard in lnp.explain(&number).await {
        let about = format!("portability {}", heard.source);
        let took = heard.took.as_millis();
        match heard.said {
            Err(error) => report.problem(
                &about,
                format!("it does not answer for {number}: {error}"),
                "look at its keys in [[node.lnp.source]]; until then calls are routed without it",
            )?,
            Ok(_) if heard.took > deadline => report.warning(
                &about,
                format!("it took {took} ms to answer for {number}, and calls wait {} ms at most", deadline.as_millis()),
                "ask a server that is nearer; a first answer is kept, so this may be about first calls only",
            )?,
            Ok(_) => report.ok(&about, format!("it answers for {number} in {took} ms"))?,
        }
    }
    Ok(())
}
