//! B5 where the DNS alone says who serves the called number.

use super::*;
use crate::Sidecall;

/// A number of A's range, once, whose entry A still has: B's fifth extension.
pub(super) fn moved_to_b(domains: &mut Domains, report: &mut Report) -> Result<()> {
    let number = domains.b.number(6);
    let knot = Knot::start(&moved(Records::default(), &number, "+13105559999"), 60)?;
    let lnp = lnp(&knot) + "[[node.lnp.route]]\nrn_prefix = \"+1310555\"\ntrunk = \"sidecall\"\n";
    domains.start_sidecall(Between::Trunk, &lnp)?;
    domains.a.sidecall().number(&number, "Grace, before she left", false);
    let stale = Hosted::start(domains.a.sidecall(), &number)?;
    domains.b.serve(6, "Grace");
    let client = domains.b.client(6)?;
    let (alice, grace) = (domains.a.phone(1)?, domains.b.phone(6)?);
    let (olds, graces) = (Since::now(&stale), Since::now(&client));
    let alices = Since::now(domains.alice());
    let wire = Wire::tap(domains, report)?;
    let Some((call, there)) = domains.connect(&alice, &number, &grace, report) else { return Ok(()) };
    let first = domains.a.number(1);
    let received = domains.pair(partner("Alice", &first, alices), partner("Grace", &number, graces), report);
    report.expect(olds.stays_without(0), "the client that Grace had at A was told of the call");
    wire.on_the_trunk(domains, received.as_deref(), report)?;
    decided(domains.a.sidecall(), &number, "ported-out", report);
    report.say("A's node decided: ported-out; her old client there is told nothing, her client at B is");
    hang_up(&call, &there, report);
    domains.nothing_astray(&[("Grace", &client), ("Grace, before she left", &stale)], report);
    Ok(())
}

/// A's node has neither number in its directory, and no trunk for either. The DNS has a record of Grace's alone.
pub(super) fn only_in_the_dns(domains: &mut Domains, report: &mut Report) -> Result<()> {
    let [graces, heidis] = [6, 7].map(|n| domains.b.number(n));
    let knot = Knot::start(&moved(Records::default(), &graces, "+13105559999"), 60)?;
    let lnp = lnp(&knot) + "[[node.lnp.route]]\nrn_prefix = \"+1310555\"\ntrunk = \"sidecall\"\n";
    domains.start_sidecall(Between::Routed, &lnp)?;
    let (alice, first) = (domains.a.phone(1)?, domains.a.number(1));
    for (n, name, number, reason) in [(6, "Grace", &graces, "called-not-served"), (7, "Heidi", &heidis, "no-trunk")] {
        domains.b.serve(n, name);
        let (client, phone) = (domains.b.client(n)?, domains.b.phone(n)?);
        let (alices, theirs) = (Since::now(domains.alice()), Since::now(&client));
        let wire = Wire::tap(domains, report)?;
        let Some((call, there)) = domains.connect(&alice, number, &phone, report) else { return Ok(()) };
        if n == 6 {
            let to_alice = domains.pair(partner("Alice", &first, alices), partner(name, number, theirs), report);
            wire.on_the_trunk(domains, to_alice.as_deref(), report)?;
        } else {
            report.expect(Since::all_stay_without(&[alices, theirs]), "somebody was told without an answer of the DNS");
            wire.on_the_network(1, domains, report)?;
        }
        decided(domains.a.sidecall(), number, reason, report);
        hang_up(&call, &there, report);
        domains.nothing_astray(&[(name, &client)], report);
    }
    report.say("the DNS knows Grace's number: packet trunk, both write; it doesn't know Heidi's: PSTN, nobody is told");
    Ok(())
}

/// Calls come to B from a mobile. Bob's number has come to B, and Grace's has left, whose entry and client B still has.
pub(super) fn asked_where_it_arrives(domains: &mut Domains, report: &mut Report) -> Result<()> {
    let [bobs, graces] = [1, 6].map(|n| domains.b.number(n));
    let records = moved(moved(Records::default(), &bobs, "+13105559999"), &graces, "+12125559999");
    let knot = Knot::start(&records, 60)?;
    let lnp = asking(&knot, "own_routing_numbers = [\"+1310555\"]\nterminating = true\n");
    domains.start_sidecall_with(Between::Network, ["", &lnp])?;
    let (mobile, b) = (domains.pstn.mobile(0)?, &domains.b);
    b.sidecall().number(mobile.number(), "Frank", false);
    b.serve(6, "Grace, before she left");
    let (franks, stale) = (Hosted::start(b.sidecall(), mobile.number())?, b.client(6)?);
    for (n, number, reason) in [(1, &bobs, "ported-in"), (6, &graces, "ported-out")] {
        let phone = b.phone(n)?;
        let (at_frank, at_there) = (Since::now(&franks), Since::now(if n == 1 { domains.there(1) } else { &stale }));
        let Some((call, there)) = domains.connect(&mobile, number, &phone, report) else { return Ok(()) };
        if n == 1 {
            domains.pair(partner("Frank", mobile.number(), at_frank), partner("Bob", number, at_there), report);
        } else {
            let told_nothing = Since::all_stay_without(&[at_frank, at_there]);
            report.expect(told_nothing, "somebody was told of a number that has left");
        }
        decided(b.sidecall(), number, reason, report);
        hang_up(&call, &there, report);
    }
    domains.nothing_astray(&[("Frank", &franks), ("Grace, before she left", &stale)], report);
    report
        .say("the DNS says that Bob's number has come: both write; and that Grace's has left: the call alone goes on");
    Ok(())
}

/// A number whose routing number is another operator's.
fn moved(records: Records, number: &str, rn: &str) -> Records {
    records.naptr(number, (100, 10), 60, "E2U+pstn:tel", &format!("!^(.*)$!tel:\\1;npdi;rn={rn}!"))
}

/// Why the newest call to a number took its route.
fn decided(node: &Sidecall, number: &str, reason: &str, report: &mut Report) {
    let calls = calls_to(node, number);
    let is = calls.first().and_then(|call| call["reason"].as_str()).unwrap_or_default();
    report.expect(is == reason, format!("the call to {number} was decided as {is:?}, not {reason:?}"));
}
