//! B6 where a carrier drops `User-to-User`.

use super::*;

/// Alice calls Bob over a trunk of the network's, which hands on `Call-Info` and which B trusts.
pub(super) fn by_call_info(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Carrier, "")?;
    let pbx = &domains.b.pbx;
    let (before, with) = match pbx.kind() {
        Kind::Asterisk => ("sidecall".to_owned(), "sidecall|pstn".to_owned()),
        Kind::FreeSwitch => {
            let before = pbx.console("global_getvar sidecall_trusted").trim().to_owned();
            (before.clone(), format!("{before},{PSTN}/32"))
        }
    };
    let carries = |does: bool| {
        domains.pstn.carries_call_info(does);
        pbx.set("sidecall_trusted", if does { &with } else { &before });
    };
    carries(true);
    let result = run(domains, report);
    carries(false);
    result
}

fn run(domains: &Domains, report: &mut Report) -> Result<()> {
    let (alice, bob) = (domains.a.phone(1)?, domains.b.phone(1)?);
    let wire = Wire::tap(domains, report)?;
    let addresses = talk_and_write(domains, &alice, &bob, Some(&domains.a.number(1)), report);
    wire.by_the_carrier(domains, addresses.as_ref().map(|[to_alice, _]| to_alice.as_str()), report)?;
    let second = domains.b.number(1);
    Timeline::of(domains.b.sidecall(), &second).tells(&["heard by signalling", "pushed peer: delivered"], report);
    Ok(())
}
