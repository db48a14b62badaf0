//! B7 where the first client isn't a hosted one: the first node takes the second address for it.

use super::*;

/// Ada's softphone is shown Bob, and what is written to her address.
pub(super) fn softphone(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Trunk, "")?;
    let a = &domains.a;
    let (ada, number) = (a.phone(3)?, a.number(3));
    a.serve(3, "Ada");
    a.sidecall().bind(&number, &format!("sip:{}@{}", a.plan().extension(3), domain(&a.pbx)));
    called_by(domains, (&ada, &number), ("Ada", &ada), report)?;
    report.say("Ada's softphone shows Bob's address, and a text to her own");
    Ok(())
}

/// Eva's webhook is told of Bob, and gets what is written to her address.
pub(super) fn webhook(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Trunk, "")?;
    let a = &domains.a;
    let (eva, number) = (a.phone(4)?, a.number(4));
    a.serve(4, "Eva");
    let hook = Webhook::start()?;
    hook.bind(a.sidecall(), &number);
    called_by(domains, (&eva, &number), ("Eva", &hook), report)?;
    report.expect(hook.wait_for("ended", 1, SOON).len() == 1, "the webhook was not told of the end");
    report.expect(hook.refused() == 0, "a signature was wrong");
    report.say("Eva's webhook gets Bob's address, and a text to her own, signed");
    Ok(())
}

/// Somebody of A's, whose client is `own`, calls Bob, whose client is a hosted one; then both write.
fn called_by(
    domains: &Domains,
    (phone, number): (&Phone, &str),
    own: (&str, &dyn Client),
    report: &mut Report,
) -> Result<()> {
    let bob = domains.b.phone(1)?;
    let (second, bobs) = (domains.b.number(1), Since::now(domains.there(1)));
    let wire = Wire::tap(domains, report)?;
    let Some((call, there)) = domains.connect(phone, &second, &bob, report) else { return Ok(()) };
    let received = bobs.peer(Some(number));
    report.expect(received.is_some(), format!("Bob's client was not told of {number}"));
    wire.on_the_trunk(domains, received.as_deref(), report)?;
    let at_b = domains.b.sidecall().url("/a/");
    report.expect(arrives(SOON, || own.1.shows(&at_b)), "the first client did not get Bob's address");
    let to_bob = own.1.shown().iter().find_map(|shown| Some(format!("{at_b}{}", token(shown.split_once(&at_b)?.1))));
    domains.write_both((received.as_deref(), own), (to_bob.as_deref(), ("Bob", domains.there(1))), report);
    hang_up(&call, &there, report);
    report.expect(bobs.ended(Some(number)), "Bob's client was not told of the end");
    domains.nothing_astray(&[own], report);
    Ok(())
}

/// The token that a text begins with.
fn token(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c)).next().unwrap_or_default()
}
