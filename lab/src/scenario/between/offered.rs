//! B11: the first address goes from node to node.

use super::*;

pub(super) fn as_is(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    between_nodes(theatre, CallerId::AsIs, told)
}

pub(super) fn national(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    between_nodes(theatre, CallerId::National, told)
}

pub(super) fn withheld(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    between_nodes(theatre, CallerId::Withheld, told)
}

fn between_nodes(theatre: &mut Theatre, shown: CallerId, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Network, "")?;
    offered_and_paired(theatre, shown, told)
}

pub(super) fn offered_and_paired(theatre: &mut Theatre, shown: CallerId, told: &mut Told) -> Result<()> {
    theatre.domains.pstn.caller_id(shown);
    let (alice, bob) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?);
    let first = theatre.domains.a.number(1);
    let wire = Wire::tap(theatre, told)?;
    talk_and_write(theatre, &alice, &bob, (shown != CallerId::Withheld).then_some(first.as_str()), told);
    theatre.domains.pstn.caller_id(CallerId::AsIs);
    if shown == CallerId::AsIs {
        for (node, end) in [(theatre.domains.a.sidecall(), "second"), (theatre.domains.b.sidecall(), "first")] {
            let whole = crate::scenario::pair::there(node, &theatre.domains.b.number(1), end);
            told.expect(whole.is_ok(), format!("of the {end} end: {whole:?}"));
        }
        told.say("both nodes tell the call as one story, the other organisation's part included");
    }
    wire.on_the_network(1, theatre, told)?;
    let second = theatre.domains.b.number(1);
    let (a, b) = (theatre.domains.a.sidecall(), theatre.domains.b.sidecall());
    let out = ["announced", "decided pstn no-trunk", "routed pstn", "offered to b: accepted", "answered at far"];
    Story::of(a, &second).begins(&out, told);
    let come = Story::of(b, &second);
    come.begins(&["announced", "decided local called-has-client", "routed local", "answered at second"], told);
    come.tells(&["heard by offer of a", "paired", "pushed peer: delivered"], told);
    if shown == CallerId::Withheld {
        let everything = format!("{:?}", theatre.there(1).all().iter().rev().take(6).collect::<Vec<_>>());
        told.expect(!everything.contains(&first), "the withheld number was shown to Bob's client");
    }
    Ok(())
}
