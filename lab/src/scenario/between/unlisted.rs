//! B5 and B11 where A's node doesn't know which numbers are B's, but the DNS does.

use super::*;

/// Alice calls Bob, and Bob calls Alice: neither number is in a `prefixes` of A's for B.
pub(super) fn found_in_the_dns(domains: &mut Domains, report: &mut Report) -> Result<()> {
    let (first, second) = (domains.a.number(1), domains.b.number(1));
    let node = format!("!^.*$!http://{}!", domains.nodes[1]);
    let knot = Knot::start(&Records::default().naptr(&second, (100, 10), 60, "E2U+x-sidecall:https", &node), 60)?;
    domains.start_sidecall(Between::Unlisted, &lnp(&knot))?;
    offered::offered_and_paired(domains, CallerId::AsIs, report)?;
    let served = ["decided pstn no-trunk served by b", "offered to b: accepted"];
    Timeline::of(domains.a.sidecall(), &second).tells(&served, report);
    let (alice, bob) = (domains.a.phone(1)?, domains.b.phone(1)?);
    let (alices, bobs) = (Since::now(domains.alice()), Since::now(domains.there(1)));
    let Some((call, there)) = domains.connect(&bob, &first, &alice, report) else { return Ok(()) };
    domains.pair(partner("Alice", &first, alices), partner("Bob", &second, bobs), report);
    report.say("the DNS says too that B may offer a call of Bob's");
    hang_up(&call, &there, report);
    Timeline::of(domains.b.sidecall(), &first).tells(&["offered to a: accepted", "pushed peer"], report);
    Ok(())
}
