//! B6 where a carrier drops `User-to-User`.

use super::*;

/// Alice calls Bob over a trunk of the network's, which hands on `Call-Info` and which B trusts.
pub(super) fn by_call_info(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Carrier, "")?;
    let pbx = &theatre.domains.b.pbx;
    let (before, with) = match pbx.kind() {
        Kind::Asterisk => ("sidecall".to_owned(), "sidecall|pstn".to_owned()),
        Kind::FreeSwitch => {
            let before = pbx.console("global_getvar sidecall_trusted").trim().to_owned();
            (before.clone(), format!("{before},{PSTN}/32"))
        }
    };
    let carries = |does: bool| {
        theatre.domains.pstn.carries_call_info(does);
        pbx.set("sidecall_trusted", if does { &with } else { &before });
    };
    carries(true);
    let played = play(theatre, told);
    carries(false);
    played
}

fn play(theatre: &Theatre, told: &mut Told) -> Result<()> {
    let (alice, bob) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?);
    let wire = Wire::tap(theatre, told)?;
    let addresses = talk_and_write(theatre, &alice, &bob, Some(&theatre.domains.a.number(1)), told);
    wire.by_the_carrier(theatre, addresses.as_ref().map(|[to_alice, _]| to_alice.as_str()), told)?;
    let second = theatre.domains.b.number(1);
    Story::of(theatre.domains.b.sidecall(), &second).tells(&["heard by signalling", "pushed peer: delivered"], told);
    Ok(())
}
