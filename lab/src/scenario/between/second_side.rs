//! B7 where the second client isn't a hosted one: the second node answers for it.

use super::*;

pub(super) fn softphone(domains: &mut Domains, report: &mut Report) -> Result<()> {
    softphone_between(Between::Trunk, domains, report)
}

pub(super) fn softphone_between(between: Between, domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(between, "")?;
    let (alice, phone) = (domains.a.phone(1)?, domains.b.phone(3)?);
    let number = domains.b.number(3);
    domains.b.serve(3, "Dan");
    let address = format!("sip:{}@{}", domains.b.plan().extension(3), domain(&domains.b.pbx));
    domains.b.sidecall().bind(&number, &address);
    let (alices, wire) = (Since::now(domains.alice()), Wire::tap(domains, report)?);
    let Some((call, there)) = domains.connect(&alice, &number, &phone, report) else { return Ok(()) };
    let told_by_sip = phone.wait_for("MESSAGE", 1, SOON);
    let text = told_by_sip.first().map(|message| message.body.clone()).unwrap_or_default();
    let mut words = text.split_whitespace().map(|word| word.trim_end_matches(['.', ',']));
    let address = words.find(|word| word.starts_with(&domains.a.sidecall().url("/a/")));
    report.expect(address.is_some(), format!("the softphone was told {text:?}"));
    wire.carries(between, domains, address, report)?;
    report.say(format!("Dan's softphone shows: {}", text.split(" sidecall:").next().unwrap_or_default()));
    let to_dan = alices.peer(Some(&number));
    report.expect(to_dan.is_some(), "B's node did not answer for the softphone");
    let (one, other) = (("Alice", domains.alice() as _), ("Dan", &phone as _));
    domains.write_both((address, one), (to_dan.as_deref(), other), report);
    report.say(
        "Alice's client has an address of B's node, a text to it is shown by the softphone, and one to Alice's by hers",
    );
    hang_up(&call, &there, report);
    domains.nothing_astray(&[other], report);
    Ok(())
}

pub(super) fn webhook(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Trunk, "")?;
    let (alice, phone) = (domains.a.phone(1)?, domains.b.phone(4)?);
    let number = domains.b.number(4);
    domains.b.serve(4, "Erin");
    let hook = Webhook::start()?;
    hook.bind(domains.b.sidecall(), &number);
    let (alices, wire) = (Since::now(domains.alice()), Wire::tap(domains, report)?);
    let Some((call, there)) = domains.connect(&alice, &number, &phone, report) else { return Ok(()) };
    report.expect(hook.wait_for("peer", 1, SOON).len() == 1, "the webhook was not told of Alice");
    let peers = hook.accepted("peer");
    let address = peers.first().and_then(|peer| peer["peer"]["address"].as_str());
    wire.on_the_trunk(domains, address, report)?;
    let to_erin = alices.peer(Some(&number));
    report.expect(to_erin.is_some(), "B's node did not answer for the webhook");
    let (one, other) = (("Alice", domains.alice() as _), ("Erin", &hook as _));
    domains.write_both((address, one), (to_erin.as_deref(), other), report);
    report.say(
        "the webhook got Alice's address, Alice's client an address of B's node, and a text to each came to it alone",
    );
    hang_up(&call, &there, report);
    domains.nothing_astray(&[other], report);
    report.expect(
        hook.wait_for("ended", 1, SOON).len() == 1 && hook.refused() == 0,
        "the webhook was not told of the end",
    );
    Ok(())
}
