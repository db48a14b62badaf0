//! B8 and B9: somebody, or a menu, finds the extension.

use super::*;
use crate::Phone;
use crate::scenario::domains::INNER;
use serde_json::json;

/// Nobody asked B's node about the main number.
fn never_asked(domains: &Domains, main: &str) -> Step<()> {
    expect(calls_to(domains.b.sidecall(), main).is_empty(), "B's node was asked about the main number")
}

/// Calls the menu at a main number, and keys what leads to an extension.
fn key(domains: &Domains, phone: &Phone, main: &str, digits: &str) -> Step<Call> {
    domains.tap()?;
    let call = phone.call(main);
    expect(call.wait_answered(SOON), "the attendant does not answer")?;
    domains.say(format!("Alice calls {main}; the attendant answers"));
    call.dtmf(digits);
    Ok(call)
}

fn rings(phone: &Phone) -> Step<Call> {
    let call = phone.next_call(SOON).ok_or_else(|| format!("{} does not ring", phone.number()))?;
    call.ring();
    Ok(call)
}

pub(super) fn menu(domains: &mut Domains) -> Step<()> {
    domains.start_sidecall(Between::Trunk, NO_MORE)?;
    let [alice, bob, carol] = domains.people()?;
    let main = domains.b.plan().main;
    let call = key(domains, &alice.phone, main, carol.phone.number())?;
    let there = rings(&carol.phone)?;
    expect(carol.client.stays_without(0), "Carol's client was told before she answered")?;
    there.answer();
    sound_between((&call, &alice), (&there, &carol))?;
    let address = domains.pair(&alice, &carol)?;
    domains.say("the extension is found: Alice's and Carol's clients have each other's address, and both write");
    expect(bob.client.stays_without(0), "Bob's client was told of somebody")?;
    hang_up(&call, &there)?;
    carol.is_told_of_the_end_with(&alice)?;
    alice.is_told_of_the_end_with(&carol)?;
    domains.carry_over(2, &address)?;
    never_asked(domains, main)
}

/// The operator is a person without a client.
pub(super) fn operator(domains: &mut Domains) -> Step<()> {
    domains.start_sidecall(Between::Trunk, NO_MORE)?;
    let ([alice, _, carol], dan) = (domains.people()?, domains.b.phone(5)?);
    let (call, there) = domains.connect(&alice.phone, &domains.b.number(5), &dan)?;
    expect(carol.client.stays_without(0), "somebody was told while the operator talked")?;
    expect(there.refer_to(carol.phone.number()) == Some(202), "the transfer was refused")?;
    let third = answer(&carol.phone, SOON)?;
    sound_between((&call, &alice), (&third, &carol))?;
    let received = domains.pair(&alice, &carol)?;
    domains.say("the operator transfers to Carol: her client and Alice's have each other's address, and both write");
    domains.carry_over(2, &received)?;
    hang_up(&call, &third)
}

/// Nobody announces Alice, and no event tells the new agent of her.
pub(super) fn resumed(domains: &mut Domains) -> Step<()> {
    domains.start_sidecall(Between::Trunk, NO_MORE)?;
    let (alice, bob, main) = (domains.a.phone(1)?, domains.b.phone(1)?, domains.b.plan().reception());
    let call = alice.call(&main);
    let there = rings(&bob)?;
    let node = domains.b.sidecall_mut();
    node.restart()?;
    node.wait_until_attached()?;
    let clients = domains.clients();
    let alice = Participant::new("Alice", &domains.a.number(1), alice, clients[0]);
    let bob = Participant::new("Bob", &domains.b.number(1), bob, clients[1]);
    there.answer();
    sound_between((&call, &alice), (&there, &bob))?;
    domains.pair(&alice, &bob)?;
    domains.say("B's agent starts again while Bob's phone rings; he answers, and his client and Alice's are paired");
    never_asked(domains, &main)?;
    hang_up(&call, &there)
}

/// Bob answers a call to a main number, as the operator of the menu or in person, calls Carol, and then puts Alice
/// through.
pub(super) fn consulted(domains: &mut Domains, by_menu: bool) -> Step<()> {
    domains.start_sidecall(Between::Trunk, NO_MORE)?;
    let [alice, bob, carol] = domains.people()?;
    let plan = domains.b.plan();
    let main = if by_menu { plan.main.to_owned() } else { plan.reception() };
    let call = if by_menu {
        key(domains, &alice.phone, &main, "0")?
    } else {
        domains.tap()?;
        alice.phone.call(&main)
    };
    let there = answer(&bob.phone, SOON)?;
    sound_between((&call, &alice), (&there, &bob))?;
    bob.is_told_of(&alice)?;
    expect(there.hold(), "the operator can't hold the call")?;
    let consult = bob.phone.call(carol.phone.number());
    let asked = answer(&carol.phone, SOON)?;
    expect(consult.wait_answered(SOON), "Carol does not answer Bob")?;
    carol.is_told_of(&bob)?;
    sound_between((&consult, &bob), (&asked, &carol))?;
    expect(there.consulted_transfer_to(&consult) == Some(202), "the transfer was refused")?;
    sound_between((&call, &alice), (&asked, &carol))?;
    let received = domains.pair(&alice, &carol)?;
    carol.is_told_of_the_end_with(&bob)?;
    bob.is_told_of_the_end_with(&alice)?;
    alice.is_told_of_the_end_with(&bob)?;
    domains.say(
        "Bob, the operator, asks Carol and puts Alice through: Alice's and Carol's clients are paired, his is told",
    );
    never_asked(domains, &main)?;
    domains.carry_over(2, &received)?;
    hang_up(&call, &asked)
}

pub(super) fn behind(domains: &mut Domains) -> Step<()> {
    domains.start_sidecall(Between::Trunk, NO_MORE)?;
    let (inner, node) = (domains.c.as_ref().expect("a PBX behind B"), domains.b.sidecall());
    let number = inner.number(2);
    node.entry(&number, json!({"name": "Carol", "pbx": INNER}));
    let client = Hosted::start(node, &number)?;
    let ([alice, ..], carol) = (domains.people()?, inner.participant(2, "Carol behind B", &client)?);
    let main = inner.plan().main;
    let call = key(domains, &alice.phone, main, carol.phone.number())?;
    let there = answer(&carol.phone, SOON)?;
    sound_between((&call, &alice), (&there, &carol))?;
    let received = domains.pair(&alice, &carol)?;
    domains.say(
        "the attendant behind the call server finds Carol: both clients have each other's address, and both write",
    );
    never_asked(domains, main)?;
    domains.carry_over(3, &received)?;
    hang_up(&call, &there)?;
    domains.nothing_astray(&[carol.reader()])
}
