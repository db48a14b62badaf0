//! B7 where the second client isn't a hosted one: the second node answers for it.

use super::*;

pub(super) fn softphone(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    softphone_between(Between::Trunk, theatre, told)
}

pub(super) fn softphone_between(between: Between, theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(between, "")?;
    let (alice, phone) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(3)?);
    let number = theatre.domains.b.number(3);
    theatre.domains.b.serve(3, "Dan");
    let address = format!("sip:{}@{}", theatre.domains.b.plan().extension(3), domain(&theatre.domains.b.pbx));
    theatre.domains.b.sidecall().bind(&number, &address);
    let (alices, wire) = (Since::now(theatre.alice()), Wire::tap(theatre, told)?);
    let Some((call, there)) = theatre.connect(&alice, &number, &phone, told) else { return Ok(()) };
    let told_by_sip = phone.wait_for("MESSAGE", 1, SOON);
    let text = told_by_sip.first().map(|message| message.body.clone()).unwrap_or_default();
    let mut words = text.split_whitespace().map(|word| word.trim_end_matches(['.', ',']));
    let address = words.find(|word| word.starts_with(&theatre.domains.a.sidecall().url("/a/")));
    told.expect(address.is_some(), format!("the softphone was told {text:?}"));
    wire.carries(between, theatre, address, told)?;
    told.say(format!("Dan's softphone shows: {}", text.split(" sidecall:").next().unwrap_or_default()));
    let to_dan = alices.peer(Some(&number));
    told.expect(to_dan.is_some(), "B's node did not answer for the softphone");
    let (one, other) = (("Alice", theatre.alice() as _), ("Dan", &phone as _));
    theatre.write_both((address, one), (to_dan.as_deref(), other), told);
    told.say(
        "Alice's client has an address of B's node, a text to it is shown by the softphone, and one to Alice's by hers",
    );
    hang_up(&call, &there, told);
    theatre.nothing_astray(&[other], told);
    Ok(())
}

pub(super) fn webhook(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, phone) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(4)?);
    let number = theatre.domains.b.number(4);
    theatre.domains.b.serve(4, "Erin");
    let hook = Webhook::start()?;
    hook.bind(theatre.domains.b.sidecall(), &number);
    let (alices, wire) = (Since::now(theatre.alice()), Wire::tap(theatre, told)?);
    let Some((call, there)) = theatre.connect(&alice, &number, &phone, told) else { return Ok(()) };
    told.expect(hook.wait_for("peer", 1, SOON).len() == 1, "the webhook was not told of Alice");
    let peers = hook.taken("peer");
    let address = peers.first().and_then(|peer| peer["peer"]["address"].as_str());
    wire.on_the_trunk(theatre, address, told)?;
    let to_erin = alices.peer(Some(&number));
    told.expect(to_erin.is_some(), "B's node did not answer for the webhook");
    let (one, other) = (("Alice", theatre.alice() as _), ("Erin", &hook as _));
    theatre.write_both((address, one), (to_erin.as_deref(), other), told);
    told.say(
        "the webhook got Alice's address, Alice's client an address of B's node, and a text to each came to it alone",
    );
    hang_up(&call, &there, told);
    theatre.nothing_astray(&[other], told);
    told.expect(
        hook.wait_for("ended", 1, SOON).len() == 1 && hook.refused() == 0,
        "the webhook was not told of the end",
    );
    Ok(())
}
