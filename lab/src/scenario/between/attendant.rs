//! B8 and B9: somebody, or a menu, finds the extension.

use super::*;

/// Alice and Carol write to each other.
fn both_write(theatre: &Theatre, to_alice: Option<&str>, to_carol: Option<&str>, told: &mut Told) {
    told.expect(to_alice.is_some(), "Carol's client was not told of Alice");
    told.expect(to_carol.is_some(), "Alice's client was not told of Carol");
    let (one, other) = (("Alice", theatre.alice() as _), ("Carol", theatre.there(2) as _));
    theatre.write_both((to_alice, one), (to_carol, other), told);
}

/// Nobody asked B's node about the main number.
fn never_asked(theatre: &Theatre, main: &str, told: &mut Told) {
    told.expect(calls_to(theatre.domains.b.sidecall(), main).is_empty(), "B's node was asked about the main number");
}

pub(super) fn menu(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, carol) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(2)?);
    let main = theatre.domains.b.plan().main;
    let wire = Wire::tap(theatre, told)?;
    let keyed = |call: &Call| call.dtmf(&theatre.domains.b.plan().extension(2));
    let address = attendant(theatre, (&alice, &carol), main, keyed, told);
    wire.on_the_trunk(theatre, address.as_deref(), told)?;
    never_asked(theatre, main, told);
    Ok(())
}

/// Alice calls a main number, does what it takes to reach Carol, and is paired with her. Her address, as Carol's client
/// has it.
fn attendant(
    theatre: &Theatre,
    (alice, carol): (&Phone, &Phone),
    main: &str,
    reach: impl Fn(&Call),
    told: &mut Told,
) -> Option<String> {
    let (first, extension) = (theatre.domains.a.number(1), theatre.domains.b.number(2));
    let (alices, carols, bobs) =
        (Since::now(theatre.alice()), Since::now(theatre.there(2)), Since::now(theatre.there(1)));
    let call = alice.call(main);
    if !told.expect(call.wait_answered(SOON), "the attendant does not answer") {
        return None;
    }
    told.say(format!("Alice calls {main}; the attendant answers"));
    reach(&call);
    let Some(there) = carol.next_call(SOON) else {
        told.expect(false, "Carol's phone does not ring");
        return None;
    };
    there.ring();
    told.expect(carols.stays_without(0), "Carol's client was told before she answered");
    there.answer();
    told.hear((&call, alice), (&there, carol));
    let received = carols.peer(Some(&first));
    let back = alices.peer(Some(&extension));
    both_write(theatre, received.as_deref(), back.as_deref(), told);
    told.say("the extension is found: Alice's and Carol's clients have each other's address, and both write");
    told.expect(bobs.stays_without(0), "Bob's client was told of somebody");
    hang_up(&call, &there, told);
    told.expect(carols.ended(Some(&first)) && alices.ended(Some(&extension)), "not both were told of the end");
    received
}

/// The operator is a person, Dan: without a client here.
pub(super) fn operator(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, dan, carol) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(5)?, theatre.domains.b.phone(2)?);
    let number = theatre.domains.b.number(5);
    let (first, extension) = (theatre.domains.a.number(1), theatre.domains.b.number(2));
    let (alices, carols) = (Since::now(theatre.alice()), Since::now(theatre.there(2)));
    let wire = Wire::tap(theatre, told)?;
    let Some((call, there)) = theatre.connect(&alice, &number, &dan, told) else { return Ok(()) };
    told.expect(carols.stays_without(0), "somebody was told while the operator talked");
    told.expect(there.refer_to(&theatre.domains.b.plan().extension(2)) == Some(202), "the transfer was refused");
    let Some(third) = carol.answer_next(SOON) else {
        told.expect(false, "Carol's phone does not ring");
        return Ok(());
    };
    told.hear((&call, &alice), (&third, &carol));
    let received = carols.peer(Some(&first));
    let back = alices.peer(Some(&extension));
    both_write(theatre, received.as_deref(), back.as_deref(), told);
    told.say("the operator transfers to Carol: her client and Alice's have each other's address, and both write");
    wire.on_the_trunk(theatre, received.as_deref(), told)?;
    hang_up(&call, &third, told);
    Ok(())
}

/// Bob is the operator of the menu.
pub(super) fn consulted(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    let main = theatre.domains.b.plan().main;
    let zero = |call: &Call, told: &mut Told| {
        told.expect(call.wait_answered(SOON), "the attendant does not answer");
        call.dtmf("0");
    };
    connected(theatre, main, zero, told)
}

/// The main number rings at Bob's phone, and nothing is in between.
pub(super) fn received(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    let main = theatre.domains.b.plan().reception();
    connected(theatre, &main, |_, _| (), told)
}

/// Nobody announces Alice, and no event tells the new agent of her.
pub(super) fn resumed(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, bob) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?);
    let (first, operator, main) =
        (theatre.domains.a.number(1), theatre.domains.b.number(1), theatre.domains.b.plan().reception());
    let call = alice.call(&main);
    let Some(there) = bob.next_call(SOON) else {
        told.expect(false, "the operator's phone does not ring");
        return Ok(());
    };
    there.ring();
    let node = theatre.domains.b.sidecall_mut();
    node.restart()?;
    node.wait_until_attached()?;
    let (alices, bobs) = (Since::now(theatre.alice()), Since::now(theatre.there(1)));
    there.answer();
    told.hear((&call, &alice), (&there, &bob));
    let (to_alice, to_bob) = (bobs.peer(Some(&first)), alices.peer(Some(&operator)));
    told.expect(to_alice.is_some(), "the operator's client was not told of Alice");
    told.expect(to_bob.is_some(), "Alice's client was not told of the operator");
    let (one, other) = (("Alice", theatre.alice() as _), ("Bob", theatre.there(1) as _));
    theatre.write_both((to_alice.as_deref(), one), (to_bob.as_deref(), other), told);
    told.say("B's agent starts again while Bob's phone rings; he answers, and his client and Alice's are paired");
    never_asked(theatre, &main, told);
    hang_up(&call, &there, told);
    Ok(())
}

/// Bob answers a call to `main`, calls Carol, and then puts Alice through.
fn connected(theatre: &mut Theatre, main: &str, reach: impl Fn(&Call, &mut Told), told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, bob, carol) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?, theatre.domains.b.phone(2)?);
    let first = theatre.domains.a.number(1);
    let (operator, third) = (theatre.domains.b.number(1), theatre.domains.b.number(2));
    let (alices, carols) = (Since::now(theatre.alice()), Since::now(theatre.there(2)));
    let bobs = Since::now(theatre.there(1));
    let wire = Wire::tap(theatre, told)?;
    let call = alice.call(main);
    reach(&call, told);
    let Some(there) = bob.answer_next(SOON) else {
        told.expect(false, "the operator's phone does not ring");
        return Ok(());
    };
    told.hear((&call, &alice), (&there, &bob));
    told.expect(bobs.peer(Some(&first)).is_some(), "the operator's client was not told of Alice");
    told.expect(there.hold(), "the operator can't hold the call");
    let consult = bob.call(&theatre.domains.b.plan().extension(2));
    let Some(asked) = carol.answer_next(SOON) else {
        told.expect(false, "Carol's phone does not ring");
        return Ok(());
    };
    told.expect(consult.wait_answered(SOON) && carols.peer(Some(&operator)).is_some(), "Carol was not paired with Bob");
    told.hear((&consult, &bob), (&asked, &carol));
    told.expect(there.attended_transfer_to(&consult) == Some(202), "the transfer was refused");
    told.hear((&call, &alice), (&asked, &carol));
    let received = carols.peer(Some(&first));
    let back = alices.peer(Some(&third));
    both_write(theatre, received.as_deref(), back.as_deref(), told);
    told.expect(carols.ended(Some(&operator)), "Carol's client was not told that Bob has left");
    told.expect(bobs.ended(Some(&first)), "Bob's client was not told that it is over with Alice");
    told.expect(alices.ended(Some(&operator)), "Alice's client was not told that it is over with Bob");
    told.say(
        "Bob, the operator, asks Carol and puts Alice through: Alice's and Carol's clients are paired, his is told",
    );
    never_asked(theatre, main, told);
    wire.on_the_trunk(theatre, received.as_deref(), told)?;
    hang_up(&call, &asked, told);
    Ok(())
}

pub(super) fn behind(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, inner) = (theatre.domains.a.phone(1)?, theatre.domains.c.as_ref().expect("a PBX behind B"));
    let (carol, main, first) = (inner.phone(2)?, inner.plan().main, theatre.domains.a.number(1));
    let (number, keys) = (inner.number(2), inner.plan().extension(2));
    let node = theatre.domains.b.sidecall();
    node.entry(&number, json!({"name": "Carol", "pbx": crate::scenario::domains::INNER}));
    let client = Hosted::start(node, &number)?;
    let (alices, carols) = (Since::now(theatre.alice()), Since::now(&client));
    let wire = Wire::tap(theatre, told)?;
    let call = alice.call(main);
    if !told.expect(call.wait_answered(SOON), "the attendant does not answer") {
        return Ok(());
    }
    call.dtmf(&keys);
    let Some(there) = carol.answer_next(SOON) else {
        told.expect(false, "the phone behind the call server does not ring");
        return Ok(());
    };
    told.hear((&call, &alice), (&there, &carol));
    let received = carols.peer(Some(&first));
    told.expect(received.is_some(), "Carol's client was not told of Alice");
    let back = alices.peer(Some(&number));
    told.expect(back.is_some(), "Alice's client was not told of Carol");
    let (one, other) = (("Alice", theatre.alice() as _), ("Carol behind B", &client as _));
    theatre.write_both((received.as_deref(), one), (back.as_deref(), other), told);
    told.say(
        "the attendant behind the call server finds Carol: both clients have each other's address, and both write",
    );
    never_asked(theatre, main, told);
    wire.on_both_hops(theatre, received.as_deref(), told)?;
    hang_up(&call, &there, told);
    theatre.nothing_astray(&[other], told);
    Ok(())
}
