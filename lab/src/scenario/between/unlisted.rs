//! B5 and B11 where A's node doesn't know which numbers are B's, but the DNS does.

use super::*;

/// Alice calls Bob, and Bob calls Alice: neither number is in a `prefixes` of A's for B.
pub(super) fn found_in_the_dns(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    let (first, second) = (theatre.domains.a.number(1), theatre.domains.b.number(1));
    let node = format!("!^.*$!http://{}!", theatre.nodes[1]);
    let knot = Knot::start(&Records::default().naptr(&second, (100, 10), 60, "E2U+x-sidecall:https", &node), 60)?;
    theatre.raise(Between::Unlisted, &lnp(&knot))?;
    offered::offered_and_paired(theatre, CallerId::AsIs, told)?;
    let served = ["decided pstn no-trunk served by b", "offered to b: accepted"];
    Story::of(theatre.domains.a.sidecall(), &second).tells(&served, told);
    let (alice, bob) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?);
    let (alices, bobs) = (Since::now(theatre.alice()), Since::now(theatre.there(1)));
    let Some((call, there)) = theatre.connect(&bob, &first, &alice, told) else { return Ok(()) };
    let (to_bob, to_alice) = (alices.peer(Some(&second)), bobs.peer(Some(&first)));
    told.expect(to_bob.is_some() && to_alice.is_some(), "not both were told when Bob called Alice");
    let (one, other) = (("Alice", theatre.alice() as _), ("Bob", theatre.there(1) as _));
    theatre.write_both((to_alice.as_deref(), one), (to_bob.as_deref(), other), told);
    told.say("the DNS says too that B may offer a call of Bob's");
    hang_up(&call, &there, told);
    Story::of(theatre.domains.b.sidecall(), &first).tells(&["offered to a: accepted", "pushed peer"], told);
    Ok(())
}
