//! B13 between two organisations.

use super::*;

pub(super) fn over_the_trunk(domains: &mut Domains, report: &mut Report) -> Result<()> {
    transferred(Between::Trunk, domains, report)
}

pub(super) fn after_an_offer(domains: &mut Domains, report: &mut Report) -> Result<()> {
    transferred(Between::Network, domains, report)
}

fn transferred(between: Between, domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(between, "")?;
    let (alice, bob, carol) = (domains.a.phone(1)?, domains.b.phone(1)?, domains.b.phone(2)?);
    let (first, second, third) = (domains.a.number(1), domains.b.number(1), domains.b.number(2));
    let (alices, bobs, carols) =
        (Since::now(domains.alice()), Since::now(domains.there(1)), Since::now(domains.there(2)));
    let wire = Wire::tap(domains, report)?;
    let Some((call, there)) = domains.connect(&alice, &second, &bob, report) else { return Ok(()) };
    let (from_bob, to_bob) = (bobs.peer(Some(&first)), alices.peer(Some(&second)));
    report.expect(from_bob.is_some() && to_bob.is_some(), "Alice and Bob were not paired");
    let [at_alice, at_bob] = [("Alice", domains.alice()), ("Bob", domains.there(1))].map(|(who, at)| (who, at as _));
    domains.write_both((from_bob.as_deref(), at_alice), (to_bob.as_deref(), at_bob), report);
    report.expect(there.refer_to(&domains.b.plan().extension(2)) == Some(202), "the transfer was refused");
    let Some(now) = answer("Carol's", &carol, report) else { return Ok(()) };
    report.sound_both_ways((&call, &alice), (&now, &carol));
    report.say("Bob transfers to Carol, who answers");
    report.expect(bobs.ended(Some(&first)), "Bob's client was not told that it is over");
    let received = domains.pair(partner("Alice", &first, alices), partner("Carol", &third, carols), report);
    report.expect(alices.ended(Some(&second)), "Alice's client was not told that it is over with Bob");
    report.say("Bob's client is told that it is over, Carol's and Alice's clients have each other's address");
    // The addresses of the old pair are good for a while yet, and still reach nobody else.
    domains.write_both((from_bob.as_deref(), at_alice), (to_bob.as_deref(), at_bob), report);
    report.say("the new pair writes both ways; a text to Bob's address still reaches Bob's client alone");
    hang_up(&call, &now, report);
    report.expect(carols.ended(Some(&first)) && alices.ended(Some(&third)), "not both were told of the end");
    wire.carries(between, domains, received.as_deref(), report)?;
    let (a, b) = (domains.a.sidecall(), domains.b.sidecall());
    // Alice's own leg stays as it is; at B her call is Bob's, and then Carol's.
    let both =
        ["announced", "decided", "routed", "answered", "paired", "pushed peer", "pushed peer", "parted", "ended"];
    Timeline::of(a, &second).tells(&both, report);
    let bobs = ["announced", "decided local", "routed local", "answered at second", "paired", "pushed peer", "parted"];
    Timeline::of(b, &second).tells(&bobs, report);
    Timeline::of(b, &third).begins(&["announced", "decided local", "routed local", "answered at second"], report);
    Ok(())
}
