//! B11: the first address goes from node to node.

use super::*;

pub(super) fn as_is(domains: &mut Domains, report: &mut Report) -> Result<()> {
    between_nodes(domains, CallerId::AsIs, report)
}

pub(super) fn national(domains: &mut Domains, report: &mut Report) -> Result<()> {
    between_nodes(domains, CallerId::National, report)
}

pub(super) fn withheld(domains: &mut Domains, report: &mut Report) -> Result<()> {
    between_nodes(domains, CallerId::Withheld, report)
}

fn between_nodes(domains: &mut Domains, shown: CallerId, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Network, "")?;
    offered_and_paired(domains, shown, report)
}

pub(super) fn offered_and_paired(domains: &mut Domains, shown: CallerId, report: &mut Report) -> Result<()> {
    domains.pstn.caller_id(shown);
    let (alice, bob) = (domains.a.phone(1)?, domains.b.phone(1)?);
    let first = domains.a.number(1);
    let wire = Wire::tap(domains, report)?;
    talk_and_write(domains, &alice, &bob, (shown != CallerId::Withheld).then_some(first.as_str()), report);
    domains.pstn.caller_id(CallerId::AsIs);
    if shown == CallerId::AsIs {
        for (node, end) in [(domains.a.sidecall(), "second"), (domains.b.sidecall(), "first")] {
            let whole = crate::scenario::report::there(node, &domains.b.number(1), end);
            report.expect(whole.is_ok(), format!("of the {end} end: {whole:?}"));
        }
        report.say("both nodes tell the call as one story, the other organisation's part included");
    }
    wire.on_the_network(1, domains, report)?;
    let second = domains.b.number(1);
    let (a, b) = (domains.a.sidecall(), domains.b.sidecall());
    let out = ["announced", "decided pstn no-trunk", "routed pstn", "offered to b: accepted", "answered at remote"];
    Timeline::of(a, &second).begins(&out, report);
    let come = Timeline::of(b, &second);
    come.begins(&["announced", "decided local called-has-client", "routed local", "answered at second"], report);
    come.tells(&["heard by offer of a", "paired", "pushed peer: delivered"], report);
    if shown == CallerId::Withheld {
        let everything = format!("{:?}", domains.there(1).all().iter().rev().take(6).collect::<Vec<_>>());
        report.expect(!everything.contains(&first), "the withheld number was shown to Bob's client");
    }
    Ok(())
}
