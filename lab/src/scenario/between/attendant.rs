//! B8 and B9: somebody, or a menu, finds the extension.

use super::*;

/// Nobody asked B's node about the main number.
fn never_asked(domains: &Domains, main: &str, report: &mut Report) {
    report.expect(calls_to(domains.b.sidecall(), main).is_empty(), "B's node was asked about the main number");
}

pub(super) fn menu(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Trunk, "")?;
    let (alice, carol) = (domains.a.phone(1)?, domains.b.phone(2)?);
    let main = domains.b.plan().main;
    let wire = Wire::tap(domains, report)?;
    let keyed = |call: &Call| call.dtmf(&domains.b.plan().extension(2));
    let address = attendant(domains, (&alice, &carol), main, keyed, report);
    wire.on_the_trunk(domains, address.as_deref(), report)?;
    never_asked(domains, main, report);
    Ok(())
}

/// Alice calls a main number, does what it takes to reach Carol, and is paired with her. Her address, as Carol's client
/// has it.
fn attendant(
    domains: &Domains,
    (alice, carol): (&Phone, &Phone),
    main: &str,
    reach: impl Fn(&Call),
    report: &mut Report,
) -> Option<String> {
    let (first, extension) = (domains.a.number(1), domains.b.number(2));
    let (alices, carols, bobs) =
        (Since::now(domains.alice()), Since::now(domains.there(2)), Since::now(domains.there(1)));
    let call = alice.call(main);
    if !report.expect(call.wait_answered(SOON), "the attendant does not answer") {
        return None;
    }
    report.say(format!("Alice calls {main}; the attendant answers"));
    reach(&call);
    let Some(there) = carol.next_call(SOON) else {
        report.expect(false, "Carol's phone does not ring");
        return None;
    };
    there.ring();
    report.expect(carols.stays_without(0), "Carol's client was told before she answered");
    there.answer();
    report.sound_both_ways((&call, alice), (&there, carol));
    let received = domains.pair(partner("Alice", &first, alices), partner("Carol", &extension, carols), report);
    report.say("the extension is found: Alice's and Carol's clients have each other's address, and both write");
    report.expect(bobs.stays_without(0), "Bob's client was told of somebody");
    hang_up(&call, &there, report);
    report.expect(carols.ended(Some(&first)) && alices.ended(Some(&extension)), "not both were told of the end");
    received
}

/// The operator is a person, Dan: without a client here.
pub(super) fn operator(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Trunk, "")?;
    let (alice, dan, carol) = (domains.a.phone(1)?, domains.b.phone(5)?, domains.b.phone(2)?);
    let number = domains.b.number(5);
    let (first, extension) = (domains.a.number(1), domains.b.number(2));
    let (alices, carols) = (Since::now(domains.alice()), Since::now(domains.there(2)));
    let wire = Wire::tap(domains, report)?;
    let Some((call, there)) = domains.connect(&alice, &number, &dan, report) else { return Ok(()) };
    report.expect(carols.stays_without(0), "somebody was told while the operator talked");
    report.expect(there.refer_to(&domains.b.plan().extension(2)) == Some(202), "the transfer was refused");
    let Some(third) = answer("Carol's", &carol, report) else { return Ok(()) };
    report.sound_both_ways((&call, &alice), (&third, &carol));
    let received = domains.pair(partner("Alice", &first, alices), partner("Carol", &extension, carols), report);
    report.say("the operator transfers to Carol: her client and Alice's have each other's address, and both write");
    wire.on_the_trunk(domains, received.as_deref(), report)?;
    hang_up(&call, &third, report);
    Ok(())
}

/// Bob is the operator of the menu.
pub(super) fn consulted(domains: &mut Domains, report: &mut Report) -> Result<()> {
    let main = domains.b.plan().main;
    let zero = |call: &Call, report: &mut Report| {
        report.expect(call.wait_answered(SOON), "the attendant does not answer");
        call.dtmf("0");
    };
    connected(domains, main, zero, report)
}

/// The main number rings at Bob's phone, and nothing is in between.
pub(super) fn received(domains: &mut Domains, report: &mut Report) -> Result<()> {
    let main = domains.b.plan().reception();
    connected(domains, &main, |_, _| (), report)
}

/// Nobody announces Alice, and no event tells the new agent of her.
pub(super) fn resumed(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Trunk, "")?;
    let (alice, bob) = (domains.a.phone(1)?, domains.b.phone(1)?);
    let (first, operator, main) = (domains.a.number(1), domains.b.number(1), domains.b.plan().reception());
    let call = alice.call(&main);
    let Some(there) = bob.next_call(SOON) else {
        report.expect(false, "the operator's phone does not ring");
        return Ok(());
    };
    there.ring();
    let node = domains.b.sidecall_mut();
    node.restart()?;
    node.wait_until_attached()?;
    let (alices, bobs) = (Since::now(domains.alice()), Since::now(domains.there(1)));
    there.answer();
    report.sound_both_ways((&call, &alice), (&there, &bob));
    domains.pair(partner("Alice", &first, alices), partner("Bob", &operator, bobs), report);
    report.say("B's agent starts again while Bob's phone rings; he answers, and his client and Alice's are paired");
    never_asked(domains, &main, report);
    hang_up(&call, &there, report);
    Ok(())
}

/// Bob answers a call to `main`, calls Carol, and then puts Alice through.
fn connected(domains: &mut Domains, main: &str, reach: impl Fn(&Call, &mut Report), report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Trunk, "")?;
    let (alice, bob, carol) = (domains.a.phone(1)?, domains.b.phone(1)?, domains.b.phone(2)?);
    let first = domains.a.number(1);
    let (operator, third) = (domains.b.number(1), domains.b.number(2));
    let (alices, carols) = (Since::now(domains.alice()), Since::now(domains.there(2)));
    let bobs = Since::now(domains.there(1));
    let wire = Wire::tap(domains, report)?;
    let call = alice.call(main);
    reach(&call, report);
    let Some(there) = answer("the operator's", &bob, report) else { return Ok(()) };
    report.sound_both_ways((&call, &alice), (&there, &bob));
    report.expect(bobs.peer(Some(&first)).is_some(), "the operator's client was not told of Alice");
    report.expect(there.hold(), "the operator can't hold the call");
    let consult = bob.call(&domains.b.plan().extension(2));
    let Some(asked) = answer("Carol's", &carol, report) else { return Ok(()) };
    report
        .expect(consult.wait_answered(SOON) && carols.peer(Some(&operator)).is_some(), "Carol was not paired with Bob");
    report.sound_both_ways((&consult, &bob), (&asked, &carol));
    report.expect(there.consulted_transfer_to(&consult) == Some(202), "the transfer was refused");
    report.sound_both_ways((&call, &alice), (&asked, &carol));
    let received = domains.pair(partner("Alice", &first, alices), partner("Carol", &third, carols), report);
    report.expect(carols.ended(Some(&operator)), "Carol's client was not told that Bob has left");
    report.expect(bobs.ended(Some(&first)), "Bob's client was not told that it is over with Alice");
    report.expect(alices.ended(Some(&operator)), "Alice's client was not told that it is over with Bob");
    report.say(
        "Bob, the operator, asks Carol and puts Alice through: Alice's and Carol's clients are paired, his is told",
    );
    never_asked(domains, main, report);
    wire.on_the_trunk(domains, received.as_deref(), report)?;
    hang_up(&call, &asked, report);
    Ok(())
}

pub(super) fn behind(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Trunk, "")?;
    let (alice, inner) = (domains.a.phone(1)?, domains.c.as_ref().expect("a PBX behind B"));
    let (carol, main, first) = (inner.phone(2)?, inner.plan().main, domains.a.number(1));
    let (number, keys) = (inner.number(2), inner.plan().extension(2));
    let node = domains.b.sidecall();
    node.entry(&number, json!({"name": "Carol", "pbx": crate::scenario::domains::INNER}));
    let client = Hosted::start(node, &number)?;
    let (alices, carols) = (Since::now(domains.alice()), Since::now(&client));
    let wire = Wire::tap(domains, report)?;
    let call = alice.call(main);
    if !report.expect(call.wait_answered(SOON), "the attendant does not answer") {
        return Ok(());
    }
    call.dtmf(&keys);
    let Some(there) = answer("Carol's", &carol, report) else { return Ok(()) };
    report.sound_both_ways((&call, &alice), (&there, &carol));
    let received = domains.pair(partner("Alice", &first, alices), partner("Carol behind B", &number, carols), report);
    report.say(
        "the attendant behind the call server finds Carol: both clients have each other's address, and both write",
    );
    never_asked(domains, main, report);
    wire.on_both_hops(domains, received.as_deref(), report)?;
    hang_up(&call, &there, report);
    domains.nothing_astray(&[("Carol behind B", &client)], report);
    Ok(())
}
