//! B5 where the DNS alone says who serves the called number.

use super::*;
use crate::scenario::portability::{asking, moved, route};
use crate::{Knot, Sidecall};

/// Routing numbers of A's and of B's.
const AT_A: &str = "+12125559999";
const AT_B: &str = "+13105559999";

/// What A's node is told: to ask the DNS, and that a trunk leads to B.
pub(super) fn a_asks(knot: &Knot) -> String {
    asking(knot, "own_routing_numbers = [\"+1212555\"]\ndeadline_ms = 300\n") + &route("+1310555")
}

/// Grace was A's customer and has taken her number along to B. A's directory still has her entry, and her old client is
/// still connected there.
pub(super) fn moved_to_b(domains: &mut Domains) -> Step<()> {
    let number = domains.b.number(6);
    let knot = Knot::start(&moved([(number.as_str(), AT_B)], 60), 60)?;
    domains.start_sidecall(Between::Trunk, [&a_asks(&knot), ""])?;
    domains.a.sidecall().number(&number, "Grace, before she left", false);
    let (stale, client) = (Hosted::start(domains.a.sidecall(), &number)?, domains.b.client(6, "Grace")?);
    let ([alice, ..], grace) = (domains.people()?, domains.b.participant(6, "Grace", &client)?);
    let olds = Since::now(&stale);
    let (call, there) = domains.connect(&alice.phone, &number, &grace.phone)?;
    let received = domains.pair(&alice, &grace)?;
    expect(olds.stays_without(0), "the client that Grace had at A was told of the call")?;
    domains.carry_over(2, &received)?;
    decided(domains.a.sidecall(), &number, "ported-out")?;
    domains.say("A's node decided: ported-out; her old client there is told nothing, her client at B is");
    hang_up(&call, &there)?;
    domains.nothing_astray(&[grace.reader(), ("Grace, before she left", &stale)])
}

/// A's directory has neither number, and A has no trunk for either. The DNS has a record of Grace's alone.
pub(super) fn only_in_the_dns(domains: &mut Domains) -> Step<()> {
    let knot = Knot::start(&moved([(domains.b.number(6).as_str(), AT_B)], 60), 60)?;
    domains.start_sidecall(Between::Routed, [&a_asks(&knot), ""])?;
    for (n, name, reason) in [(6, "Grace", "called-not-served"), (7, "Heidi", "no-trunk")] {
        let client = domains.b.client(n, name)?;
        let ([alice, ..], called) = (domains.people()?, domains.b.participant(n, name, &client)?);
        let (call, there) = domains.connect(&alice.phone, &called.number, &called.phone)?;
        if n == 6 {
            let to_alice = domains.pair(&alice, &called)?;
            domains.carry_over(2, &to_alice)?;
        } else {
            let nobody = Since::all_stay_without(&[alice.client, called.client]);
            expect(nobody, "somebody was told without an answer of the DNS")?;
            domains.carry_nothing(1)?;
        }
        decided(domains.a.sidecall(), &called.number, reason)?;
        hang_up(&call, &there)?;
        domains.nothing_astray(&[called.reader()])?;
    }
    domains
        .say("the DNS knows Grace's number: packet trunk, both write; it doesn't know Heidi's: PSTN, nobody is told");
    Ok(())
}

/// Frank's mobile calls B. Bob's number has come to B. Grace's has left B, which still has her entry and her client.
pub(super) fn asked_where_it_arrives(domains: &mut Domains) -> Step<()> {
    let (bobs, graces) = (domains.b.number(1), domains.b.number(6));
    let knot = Knot::start(&moved([(bobs.as_str(), AT_B), (&graces, AT_A)], 60), 60)?;
    let lnp = asking(&knot, "own_routing_numbers = [\"+1310555\"]\nterminating = true\ndeadline_ms = 300\n");
    domains.start_sidecall(Between::Network, ["", &lnp])?;
    let (mobile, b) = (domains.pstn.mobile(0)?, &domains.b);
    let number = mobile.number().to_owned();
    b.sidecall().number(&number, "Frank", false);
    let (franks, stale) = (Hosted::start(b.sidecall(), &number)?, b.client(6, "Grace, before she left")?);
    let frank = Participant::new("Frank", &number, mobile, &franks);
    let [_, bob, _] = domains.people()?;
    let grace = b.participant(6, "Grace, before she left", &stale)?;
    for (called, reason) in [(&bob, "ported-in"), (&grace, "ported-out")] {
        let at_frank = Since::now(&franks);
        let (call, there) = domains.connect(&frank.phone, &called.number, &called.phone)?;
        if called.number == bobs {
            domains.pair(&frank, called)?;
        } else {
            let nobody = Since::all_stay_without(&[at_frank, called.client]);
            expect(nobody, "somebody was told of a number that has left")?;
        }
        decided(b.sidecall(), &called.number, reason)?;
        hang_up(&call, &there)?;
    }
    domains.nothing_astray(&[frank.reader(), grace.reader()])?;
    domains
        .say("the DNS says that Bob's number has come: both write; and that Grace's has left: the call alone goes on");
    Ok(())
}

/// Why the newest call to a number took its route.
fn decided(node: &Sidecall, number: &str, reason: &str) -> Step<()> {
    let calls = calls_to(node, number);
    let is = calls.first().and_then(|call| call["reason"].as_str()).unwrap_or_default();
    expect(is == reason, format!("the call to {number} was decided as {is:?}, not {reason:?}"))
}
