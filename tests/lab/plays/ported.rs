//! B5 where the DNS alone says who serves the called number.

use super::*;

/// A number of A's range, once, whose entry A still has: B's fifth extension.
pub(super) fn moved_to_b(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    let number = theatre.domains.b.number(6);
    let records =
        Records::default().naptr(&number, (100, 10), 60, "E2U+pstn:tel", "!^(.*)$!tel:\\1;npdi;rn=+13105559999!");
    let knot = Knot::start(&records, 60)?;
    let lnp = lnp(&knot) + "[[node.lnp.route]]\nrn_prefix = \"+1310555\"\ntrunk = \"sidecall\"\n";
    theatre.raise(Between::Trunk, &lnp)?;
    theatre.domains.a.sidecall().number(&number, "Grace, before she left", false);
    let stale = Hosted::start(theatre.domains.a.sidecall(), &number)?;
    theatre.domains.b.serve(6, "Grace");
    let client = theatre.domains.b.client(6)?;
    let (alice, grace) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(6)?);
    let (olds, graces) = (Since::now(&stale), Since::now(&client));
    let alices = Since::now(theatre.alice());
    let wire = Wire::tap(theatre, told)?;
    let Some((call, there)) = theatre.connect(&alice, &number, &grace, told) else { return Ok(()) };
    let received = graces.peer(Some(&theatre.domains.a.number(1)));
    told.expect(received.is_some(), "Grace's client at B was not told of Alice");
    let back = alices.peer(Some(&number));
    told.expect(back.is_some(), "Alice's client was not told of Grace");
    let (one, other) = (("Alice", theatre.alice() as _), ("Grace", &client as _));
    theatre.write_both((received.as_deref(), one), (back.as_deref(), other), told);
    told.expect(olds.stays_without(0), "the client that Grace had at A was told of the call");
    wire.on_the_trunk(theatre, received.as_deref(), told)?;
    let calls = calls_to(theatre.domains.a.sidecall(), &number);
    let reason = calls.first().and_then(|call| call["reason"].as_str()).unwrap_or_default().to_owned();
    told.expect(reason == "ported-out", format!("the reason is {reason}"));
    told.say(format!("A's node decided: {reason}; her old client there is told nothing, her client at B is"));
    hang_up(&call, &there, told);
    theatre.nothing_astray(&[other, ("Grace, before she left", &stale)], told);
    Ok(())
}
