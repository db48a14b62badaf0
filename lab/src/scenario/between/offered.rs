//! B6 and B11 where a trunk drops `User-to-User`: the first address goes from node to node, or as `Call-Info`.

use super::*;
use crate::net::knot::Records;
use crate::scenario::portability::asking;
use crate::{Kind, Knot, PSTN, wait_until};

/// The network shows Alice's number so.
pub(super) fn shown(domains: &mut Domains, shown: CallerId) -> Step<()> {
    from_node_to_node(domains, Between::Network, NO_MORE, shown)
}

/// Every request between nodes, agents and clients goes over TLS, and each node's certificate is signed by a CA that only
/// those know who were told of it. B's node answers for a softphone too, at an https address.
pub(super) fn over_https(domains: &mut Domains, known: Known) -> Step<()> {
    from_node_to_node(domains, Between::Https(known), NO_MORE, CallerId::AsIs)?;
    if known == Known::ByToken { Ok(()) } else { other_client(domains, Between::Https(known), &DAN) }
}

/// Alice calls Bob, and the network shows her number so.
fn from_node_to_node(domains: &mut Domains, between: Between, more: [&str; 2], shown: CallerId) -> Step<()> {
    domains.start_sidecall(between, more)?;
    domains.pstn.caller_id(shown);
    talk_and_write(domains, shown != CallerId::Withheld)?;
    domains.pstn.caller_id(CallerId::AsIs);
    let (a, b, second) = (domains.a.sidecall(), domains.b.sidecall(), domains.b.number(1));
    if shown == CallerId::AsIs {
        tells_the_other_end(a, &second, "second")?;
        tells_the_other_end(b, &second, "first")?;
        domains.say("both nodes tell the call as one story, the other organisation's part included");
    }
    domains.carry_nothing(1)?;
    let out = ["announced", "decided pstn no-trunk", "routed pstn", "offered to b: accepted", "answered at remote"];
    Timeline::of(a, &second).begins(&out)?;
    let come = Timeline::of(b, &second);
    come.begins(&["announced", "decided local called-has-client", "routed local", "answered at second"])?;
    // The offer travels beside the call, and may come a moment after the answer.
    for first in ["heard by offer of a", "paired"] {
        come.tells(&[first, "pushed peer: delivered"])?;
    }
    if shown == CallerId::Withheld {
        let everything = format!("{:?}", domains.clients()[1].all().iter().rev().take(6).collect::<Vec<_>>());
        expect(!everything.contains(&domains.a.number(1)), "the withheld number was shown to Bob's client")?;
    }
    Ok(())
}

/// A's configuration doesn't say which numbers are B's, but the DNS does. Alice calls Bob, and Bob calls Alice.
pub(super) fn found_in_the_dns(domains: &mut Domains) -> Step<()> {
    let second = domains.b.number(1);
    let node = format!("!^.*$!http://{}!", domains.nodes[1]);
    let knot = Knot::start(&Records::default().naptr(&second, (100, 10), 60, "E2U+x-sidecall:https", &node), 60)?;
    let lnp = asking(&knot, "own_routing_numbers = [\"+1212555\"]\ndeadline_ms = 300\n");
    from_node_to_node(domains, Between::Unlisted, [&lnp, ""], CallerId::AsIs)?;
    let served = ["decided pstn no-trunk served by b", "offered to b: accepted"];
    Timeline::of(domains.a.sidecall(), &second).tells(&served)?;
    let [alice, bob, _] = domains.people()?;
    let (call, there) = domains.connect(&bob.phone, &alice.number, &alice.phone)?;
    domains.pair(&alice, &bob)?;
    domains.say("the DNS says too that B may offer a call of Bob's");
    hang_up(&call, &there)?;
    Timeline::of(domains.b.sidecall(), &alice.number).tells(&["offered to a: accepted", "pushed peer"])
}

/// Alice and Anna call Bob at the same time, and the network withholds both numbers. B's node has two offers and can't
/// know which call each belongs to, so it must tell nobody.
pub(super) fn two_withheld(domains: &mut Domains) -> Step<()> {
    domains.start_sidecall(Between::Network, NO_MORE)?;
    let client = domains.a.client(2, "Anna")?;
    domains.pstn.caller_id(CallerId::Withheld);
    let ([alice, bob, _], anna) = (domains.people()?, domains.a.participant(2, "Anna", &client)?);
    let clients = [&alice, &anna, &bob].map(|who| who.client);
    let accepted = || {
        let calls = calls_to(domains.a.sidecall(), &bob.number).into_iter();
        calls.filter(|call| call["phase"] != "ended" && call["remote"]["offer"]["state"] == "accepted").count()
    };
    domains.tap()?;
    let calls = [&alice, &anna].map(|who| (who, who.phone.call(&bob.number)));
    let there: Vec<Call> = (0..2).filter_map(|_| bob.phone.next_call(SOON)).collect();
    expect(there.len() == 2, format!("{} calls came", there.len()))?;
    expect(wait_until(SOON, || accepted() == 2), "not both offers were taken")?;
    there.iter().for_each(Call::answer);
    for (who, call) in &calls {
        let hears = call.wait_answered(SOON) && call.wait_hears(&bob.phone, SOON);
        expect(hears, format!("{} doesn't hear Bob", who.name))?;
        let heard = || there.iter().any(|there| there.hears(&who.phone));
        expect(wait_until(SOON, heard), format!("Bob doesn't hear {}", who.name))?;
    }
    expect(Since::all_stay_without(&clients), "somebody's client was told of somebody")?;
    domains.say("both calls are answered, everybody hears everybody, and no client is told of anybody");
    domains.carry_nothing(2)?;
    calls.iter().for_each(|(_, call)| call.hang_up());
    expect(there.iter().all(|there| there.wait_ended(SOON)), "a call did not end at the other side")?;
    expect(Since::all_stay_without(&clients), "somebody was told of somebody at the end")?;
    domains.pstn.caller_id(CallerId::AsIs);
    Ok(())
}

/// Alice calls Bob over a trunk of the network's, which hands on `Call-Info` and which B trusts.
pub(super) fn by_call_info(domains: &mut Domains) -> Step<()> {
    domains.start_sidecall(Between::Carrier, NO_MORE)?;
    let pbx = &domains.b.pbx;
    let (before, with) = match pbx.kind() {
        Kind::Asterisk => ("sidecall".to_owned(), "sidecall|pstn".to_owned()),
        Kind::FreeSwitch => {
            let before = pbx.console("global_getvar sidecall_trusted").trim().to_owned();
            (before.clone(), format!("{before},{PSTN}/32"))
        }
    };
    let carries = |does: bool| {
        domains.pstn.carries_call_info(does);
        pbx.set("sidecall_trusted", if does { &with } else { &before });
    };
    carries(true);
    let [to_alice, _] = talk_and_write(domains, true)?;
    domains.carry_by_call_info(&to_alice)?;
    let heard = ["heard by signalling", "pushed peer: delivered"];
    Timeline::of(domains.b.sidecall(), &domains.b.number(1)).tells(&heard)?;
    carries(false);
    Ok(())
}
