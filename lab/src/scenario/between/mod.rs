//! Scenarios between two organisations, with the wire watched.

mod ambiguous;
mod attendant;
mod carrier;
mod first_side;
mod handed_on;
mod https;
mod offered;
mod ported;
mod second_side;
mod unlisted;

use serde_json::json;

use crate::Domains;
use crate::net::knot::{Knot, Records, ZONE};
use crate::pbx::pstn::CallerId;
use crate::scenario::domains::partner;
use crate::scenario::report::{Report, SOON, Since, calls_to, write};
use crate::scenario::sides::Between;
use crate::scenario::timeline::Timeline;
use crate::scenario::wire::Wire;
use crate::sidecall::domain;
use crate::{Call, Client, Hosted, Kind, PSTN, Phone, Result, Webhook, arrives, wait_until};

/// One scenario between two organisations.
#[derive(Debug, Clone, Copy)]
pub struct DomainScenario {
    /// `B5` …
    pub behaviour: &'static str,
    /// One line for a person.
    pub title: &'static str,
    /// It needs a PBX behind B.
    pub inner: bool,
    /// It is the same between all PBXs: the tests run it between two of them.
    pub once: bool,
    run: fn(&mut Domains, &mut Report) -> Result<()>,
}

/// All of them.
pub const DOMAIN_SCENARIOS: &[DomainScenario] = &[
    scenario("B5", "The DNS says that the number has moved to B: it takes the trunk there", ported::moved_to_b),
    scenario(
        "B5",
        "Only the DNS knows that B has the number: its client is found, and that of one without a record isn't",
        ported::only_in_the_dns,
    ),
    scenario(
        "B5",
        "B asks the DNS before the call is let in: a number that has come is paired, one that has left isn't",
        ported::asked_where_it_arrives,
    ),
    DomainScenario {
        once: true,
        ..scenario(
            "B5",
            "The DNS says that B's node serves the number, and the offer goes there",
            unlisted::found_in_the_dns,
        )
    },
    scenario("B6", "The first address comes with the call over the packet trunk, to the second client", over_the_trunk),
    scenario("B6", "The carrier drops User-to-User: the first address comes as Call-Info", carrier::by_call_info),
    scenario("B7", "The second client's address goes back; then both write to each other", and_back),
    scenario("B7", "A softphone can't answer an address: its node does", second_side::softphone),
    scenario("B7", "A webhook needn't answer an address: its node does", second_side::webhook),
    DomainScenario {
        once: true,
        ..scenario(
            "B7",
            "Alice's client is a softphone: her node takes the second address for it",
            first_side::softphone,
        )
    },
    DomainScenario {
        once: true,
        ..scenario("B7", "Alice's client is a webhook: her node takes the second address for it", first_side::webhook)
    },
    scenario(
        "B8",
        "A menu finds the extension: its client is told, and nobody is asked about the main number",
        attendant::menu,
    ),
    scenario("B8", "The operator finds the extension and transfers the call", attendant::operator),
    scenario("B8", "The menu's operator asks Carol first, and then connects her", attendant::consulted),
    scenario(
        "B8",
        "Somebody answers the main number in person, asks Carol, and then connects her",
        attendant::received,
    ),
    scenario(
        "B8",
        "The agent starts again while the main number rings: who answers is found all the same",
        attendant::resumed,
    ),
    DomainScenario {
        inner: true,
        ..scenario(
            "B9",
            "The attendant is a PBX behind the call server: the address crosses the second hop",
            attendant::behind,
        )
    },
    scenario("B10", "Nothing was done where the call comes from: B's node knows both numbers", from_a_mobile),
    scenario("B11", "The network drops the header: the address goes from node to node", offered::as_is),
    scenario("B11", "The network shows the caller in national format: still the same call", offered::national),
    scenario("B11", "The caller's number is withheld: matched, and still withheld", offered::withheld),
    scenario("B11", "Two withheld calls with two offers at once: nobody is told anything", ambiguous::two_withheld),
    DomainScenario {
        once: true,
        ..scenario("B11", "Over HTTPS, between nodes that know each other by tokens: the same", https::by_token)
    },
    DomainScenario {
        once: true,
        ..scenario(
            "B11",
            "Over HTTPS, between nodes that know each other by certificates: the same",
            https::by_certificate,
        )
    },
    scenario(
        "B13",
        "Bob transfers Alice to Carol: the old pair ends, the new one is made, across the trunk",
        handed_on::over_the_trunk,
    ),
    scenario("B13", "The same where the address came from node to node", handed_on::after_an_offer),
];

const fn scenario(
    behaviour: &'static str,
    title: &'static str,
    run: fn(&mut Domains, &mut Report) -> Result<()>,
) -> DomainScenario {
    DomainScenario { behaviour, title, inner: false, once: false, run }
}

impl DomainScenario {
    /// Runs it.
    pub fn run(&self, domains: &mut Domains) -> Report {
        let mut report = domains.tell(self.behaviour, self.title);
        domains.forget_letters();
        if let Err(error) = (self.run)(domains, &mut report) {
            report.problems.push(error.to_string());
        }
        domains.nothing_astray(&[], &mut report);
        report.ok = report.problems.is_empty();
        report
    }
}

/// Answers the next call at this phone. It is reported if the phone does not ring.
fn answer(whose: &str, phone: &Phone, report: &mut Report) -> Option<Call> {
    let call = phone.answer_next(SOON);
    report.expect(call.is_some(), format!("{whose} phone does not ring"));
    call
}

fn hang_up(call: &Call, there: &Call, report: &mut Report) {
    call.hang_up();
    report.expect(there.wait_ended(SOON), "the call did not end at the other side");
}

/// Alice calls a number of B's over the trunk and somebody answers; what the wire and the clients saw.
fn over_the_trunk(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Trunk, "")?;
    let (alice, bob) = (domains.a.phone(1)?, domains.b.phone(1)?);
    let (first, second, third) = (domains.a.number(1), domains.b.number(1), Since::now(domains.there(2)));
    let (alices, bobs) = (Since::now(domains.alice()), Since::now(domains.there(1)));
    let wire = Wire::tap(domains, report)?;
    let Some((call, there)) = domains.connect(&alice, &second, &bob, report) else { return Ok(()) };
    let received = domains.pair(partner("Alice", &first, alices), partner("Bob", &second, bobs), report);
    report.say(format!("Bob's client is told of {first}: {}", received.as_deref().unwrap_or("nothing")));
    report.expect(third.stays_without(0), "Carol's client was told of somebody");
    report.expect(there.calling() == first, format!("Bob's phone shows {}", there.calling()));
    wire.on_the_trunk(domains, received.as_deref(), report)?;
    hang_up(&call, &there, report);
    report.expect(bobs.ended(Some(&first)), "Bob's client was not told of the end");
    let (a, b) = (domains.a.sidecall(), domains.b.sidecall());
    let out = ["announced", "decided packet called-not-served", "routed packet with the address", "answered at remote"];
    Timeline::of(a, &second).begins(&out, report);
    let come = ["announced", "decided local called-has-client", "routed local", "answered at second"];
    Timeline::of(b, &second).begins(&come, report);
    Ok(())
}

fn and_back(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Trunk, "")?;
    let (alice, bob) = (domains.a.phone(1)?, domains.b.phone(1)?);
    let wire = Wire::tap(domains, report)?;
    let addresses = talk_and_write(domains, &alice, &bob, Some(&domains.a.number(1)), report);
    let [to_alice, to_bob] = addresses.unwrap_or_default();
    wire.on_the_trunk(domains, Some(&to_alice), report)?;
    domains.nothing_astray(&[], report);
    for (domain, address) in [(&mut domains.a, &to_alice), (&mut domains.b, &to_bob)] {
        for (later, status) in [(30, 202), (31, 404)] {
            domain.sidecall_mut().age(later)?;
            let answer = write(domain.sidecall(), address, "late");
            report.expect(answer == status, format!("{later} s later a text to {address} is answered with {answer}"));
        }
    }
    report.say("a minute after the call neither address is good any more");
    // Agents and clients were cut off.
    domains.stop_sidecall();
    Ok(())
}

/// Alice calls Bob; both clients get each other's address, write, and are told of the end. `shown` is
/// Alice's number as Bob's client may see it. Her address and his, if both were told.
fn talk_and_write(
    domains: &Domains,
    alice: &Phone,
    bob: &Phone,
    shown: Option<&str>,
    report: &mut Report,
) -> Option<[String; 2]> {
    let second = domains.b.number(1);
    let (alices, bobs) = (Since::now(domains.alice()), Since::now(domains.there(1)));
    let (call, there) = domains.connect(alice, &second, bob, report)?;
    let (at_bob, at_alice) = (bobs.peer(shown), alices.peer(Some(&second)));
    report.expect(at_bob.is_some(), format!("Bob's client was not told of {shown:?}"));
    report.expect(at_alice.is_some(), "Alice's client was not told of Bob");
    let (Some(to_alice), Some(to_bob)) = (at_bob, at_alice) else {
        hang_up(&call, &there, report);
        return None;
    };
    report.say(format!("Bob's client has {to_alice} ({})", shown.unwrap_or("the number is withheld")));
    report.say(format!("Alice's client has {to_bob}"));
    let (a, b) = (domains.a.sidecall(), domains.b.sidecall());
    report.expect(to_alice.starts_with(&a.url("/a/")), "Alice's address is none of her node's");
    report.expect(to_bob.starts_with(&b.url("/a/")), "Bob's address is none of his node's");
    let both = |report: &mut Report| {
        let (one, other) = (("Alice", domains.alice() as _), ("Bob", domains.there(1) as _));
        domains.write_both((Some(&to_alice), one), (Some(&to_bob), other), report);
    };
    both(report);
    hang_up(&call, &there, report);
    report.expect(alices.ended(Some(&second)), "Alice's client was not told of the end");
    report.expect(bobs.ended(shown), "Bob's client was not told of the end");
    both(report);
    report.say("texts went both ways while they talked, and one more each way shortly after");
    Some([to_alice, to_bob])
}

fn from_a_mobile(domains: &mut Domains, report: &mut Report) -> Result<()> {
    domains.start_sidecall(Between::Network, "")?;
    domains.pstn.caller_id(CallerId::National);
    let (mobile, bob) = (domains.pstn.mobile(0)?, domains.b.phone(1)?);
    let node = domains.b.sidecall();
    node.number(mobile.number(), "Frank", false);
    let client = Hosted::start(node, mobile.number())?;
    let (franks, bobs) = (Since::now(&client), Since::now(domains.there(1)));
    let wire = Wire::tap(domains, report)?;
    let Some((call, there)) = domains.connect(&mobile, &domains.b.number(1), &bob, report) else { return Ok(()) };
    domains.pair(partner("Frank", mobile.number(), franks), partner("Bob", &domains.b.number(1), bobs), report);
    report.say("shown as a national number, the caller is known all the same: both clients have each other's address");
    wire.on_the_network(1, domains, report)?;
    hang_up(&call, &there, report);
    domains.nothing_astray(&[("Frank", &client)], report);
    domains.pstn.caller_id(CallerId::AsIs);
    Ok(())
}

/// The DNS server is asked who serves a number. A's routing numbers begin with `+1212555`.
fn lnp(knot: &Knot) -> String {
    asking(knot, "own_routing_numbers = [\"+1212555\"]\n")
}

/// The same for a node with these lines of `[node.lnp]`.
fn asking(knot: &Knot, lines: &str) -> String {
    format!(
        "[node.lnp]\n{lines}deadline_ms = 300\n\
         [[node.lnp.source]]\nname = \"enum\"\nkind = \"enum\"\nsuffix = \"{ZONE}\"\nservers = [\"{}\"]\n",
        knot.address()
    )
}
