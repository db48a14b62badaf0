//! B13 between two organisations.

use super::*;

pub(super) fn over_the_trunk(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    transferred(Between::Trunk, theatre, told)
}

pub(super) fn after_an_offer(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    transferred(Between::Network, theatre, told)
}

fn transferred(between: Between, theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(between, "")?;
    let (alice, bob, carol) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?, theatre.domains.b.phone(2)?);
    let (first, second, third) =
        (theatre.domains.a.number(1), theatre.domains.b.number(1), theatre.domains.b.number(2));
    let (alices, bobs, carols) =
        (Since::now(theatre.alice()), Since::now(theatre.there(1)), Since::now(theatre.there(2)));
    let wire = Wire::tap(theatre, told)?;
    let Some((call, there)) = theatre.connect(&alice, &second, &bob, told) else { return Ok(()) };
    let (from_bob, to_bob) = (bobs.peer(Some(&first)), alices.peer(Some(&second)));
    told.expect(from_bob.is_some() && to_bob.is_some(), "Alice and Bob were not paired");
    let [at_alice, at_bob, at_carol] =
        [("Alice", theatre.alice()), ("Bob", theatre.there(1)), ("Carol", theatre.there(2))]
            .map(|(who, at)| (who, at as _));
    theatre.write_both((from_bob.as_deref(), at_alice), (to_bob.as_deref(), at_bob), told);
    told.expect(there.refer_to(&theatre.domains.b.plan().extension(2)) == Some(202), "the transfer was refused");
    let Some(now) = carol.answer_next(SOON) else {
        told.expect(false, "Carol's phone does not ring");
        return Ok(());
    };
    told.hear((&call, &alice), (&now, &carol));
    told.say("Bob transfers to Carol, who answers");
    told.expect(bobs.ended(Some(&first)), "Bob's client was not told that it is over");
    let received = carols.peer(Some(&first));
    told.expect(received.is_some(), "Carol's client was not told of Alice");
    let back = alices.peer(Some(&third));
    told.expect(back.is_some(), "Alice's client was not told of Carol");
    told.expect(alices.ended(Some(&second)), "Alice's client was not told that it is over with Bob");
    told.say("Bob's client is told that it is over, Carol's and Alice's clients have each other's address");
    theatre.write_both((received.as_deref(), at_alice), (back.as_deref(), at_carol), told);
    // The addresses of the old pair are good for a while yet, and still reach nobody else.
    theatre.write_both((from_bob.as_deref(), at_alice), (to_bob.as_deref(), at_bob), told);
    told.say("the new pair writes both ways; a text to Bob's address still reaches Bob's client alone");
    hang_up(&call, &now, told);
    told.expect(carols.ended(Some(&first)) && alices.ended(Some(&third)), "not both were told of the end");
    wire.carries(between, theatre, received.as_deref(), told)?;
    let (a, b) = (theatre.domains.a.sidecall(), theatre.domains.b.sidecall());
    // Alice's own leg stays as it is; at B her call is Bob's, and then Carol's.
    let both =
        ["announced", "decided", "routed", "answered", "paired", "pushed peer", "pushed peer", "parted", "ended"];
    Story::of(a, &second).tells(&both, told);
    let bobs = ["announced", "decided local", "routed local", "answered at second", "paired", "pushed peer", "parted"];
    Story::of(b, &second).tells(&bobs, told);
    Story::of(b, &third).begins(&["announced", "decided local", "routed local", "answered at second"], told);
    Ok(())
}
