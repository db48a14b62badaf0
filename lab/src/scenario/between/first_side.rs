//! B7 where the first client isn't a hosted one: the first node takes the second address for it.

use super::*;

/// Ada's softphone is shown Bob, and what is written to her address.
pub(super) fn softphone(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let a = &theatre.domains.a;
    let (ada, number) = (a.phone(3)?, a.number(3));
    a.serve(3, "Ada");
    a.sidecall().bind(&number, &format!("sip:{}@{}", a.plan().extension(3), domain(&a.pbx)));
    called_by(theatre, (&ada, &number), ("Ada", &ada), told)?;
    told.say("Ada's softphone shows Bob's address, and a text to her own");
    Ok(())
}

/// Eva's webhook is told of Bob, and gets what is written to her address.
pub(super) fn webhook(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let a = &theatre.domains.a;
    let (eva, number) = (a.phone(4)?, a.number(4));
    a.serve(4, "Eva");
    let hook = Webhook::start()?;
    hook.bind(a.sidecall(), &number);
    called_by(theatre, (&eva, &number), ("Eva", &hook), told)?;
    told.expect(hook.wait_for("ended", 1, SOON).len() == 1, "the webhook was not told of the end");
    told.expect(hook.refused() == 0, "a signature was wrong");
    told.say("Eva's webhook gets Bob's address, and a text to her own, signed");
    Ok(())
}

/// Somebody of A's, whose client is `own`, calls Bob, whose client is a hosted one; then both write.
fn called_by(
    theatre: &Theatre,
    (phone, number): (&Phone, &str),
    own: (&str, &dyn Client),
    told: &mut Told,
) -> Result<()> {
    let bob = theatre.domains.b.phone(1)?;
    let (second, bobs) = (theatre.domains.b.number(1), Since::now(theatre.there(1)));
    let wire = Wire::tap(theatre, told)?;
    let Some((call, there)) = theatre.connect(phone, &second, &bob, told) else { return Ok(()) };
    let received = bobs.peer(Some(number));
    told.expect(received.is_some(), format!("Bob's client was not told of {number}"));
    wire.on_the_trunk(theatre, received.as_deref(), told)?;
    let at_b = theatre.domains.b.sidecall().url("/a/");
    told.expect(arrives(SOON, || own.1.shows(&at_b)), "the first client did not get Bob's address");
    let to_bob = own.1.shown().iter().find_map(|shown| Some(format!("{at_b}{}", token(shown.split_once(&at_b)?.1))));
    theatre.write_both((received.as_deref(), own), (to_bob.as_deref(), ("Bob", theatre.there(1))), told);
    hang_up(&call, &there, told);
    told.expect(bobs.ended(Some(number)), "Bob's client was not told of the end");
    theatre.nothing_astray(&[own], told);
    Ok(())
}

/// The token that a text begins with.
fn token(text: &str) -> &str {
    text.split(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c)).next().unwrap_or_default()
}
