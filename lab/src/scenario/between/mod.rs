//! Scenarios between two organisations, with the wire watched: B5 to B13.

mod attendant;
mod offered;
mod other_clients;
mod ported;

use other_clients::{ADA, DAN, ERIN, EVA, run as other_client};

use crate::pbx::pstn::CallerId;
use crate::scenario::domains::Participant;
use crate::scenario::report::{Report, SOON, Since, calls_to, write};
use crate::scenario::sides::{Between, Known};
use crate::scenario::timeline::{Timeline, tells_the_other_end};
use crate::scenario::{Step, answer, expect, sound_both_ways};
use crate::{Call, Domains, Hosted};

/// No more lines of configuration at either side.
const NO_MORE: [&str; 2] = ["", ""];

/// One scenario between two organisations.
#[derive(Debug, Clone, Copy)]
pub struct DomainScenario {
    pub behaviour: &'static str,
    pub title: &'static str,
    /// It needs a PBX behind B.
    pub inner: bool,
    /// It is the same between all PBXs: the tests run it between two of them.
    pub once: bool,
    run: fn(&mut Domains) -> Step<()>,
}

/// All of them.
pub const DOMAIN_SCENARIOS: &[DomainScenario] = &[
    scenario("B5", ported::moved_to_b).titled("The DNS says that the number has moved to B: it takes the trunk there"),
    scenario("B5", ported::only_in_the_dns).titled(
        "Only the DNS knows that B has the number: its client is found, and that of one without a record isn't",
    ),
    scenario("B5", ported::asked_where_it_arrives)
        .titled("B asks the DNS before the call is let in: a number that has come is paired, one that has left isn't"),
    scenario("B5", offered::found_in_the_dns)
        .titled("The DNS says that B's node serves the number, and the offer goes there")
        .once(),
    scenario("B6", over_the_trunk)
        .titled("The first address comes with the call over the packet trunk, to the second client"),
    scenario("B6", offered::by_call_info)
        .titled("The carrier drops User-to-User: the first address comes as Call-Info"),
    scenario("B7", and_back).titled("The second client's address goes back; then both write to each other"),
    scenario("B7", |domains| other_client(domains, Between::Trunk, &DAN))
        .titled("A softphone can't answer an address: its node does"),
    scenario("B7", |domains| other_client(domains, Between::Trunk, &ERIN))
        .titled("A webhook needn't answer an address: its node does"),
    scenario("B7", |domains| other_client(domains, Between::Trunk, &ADA))
        .titled("Alice's client is a softphone: her node takes the second address for it")
        .once(),
    scenario("B7", |domains| other_client(domains, Between::Trunk, &EVA))
        .titled("Alice's client is a webhook: her node takes the second address for it")
        .once(),
    scenario("B8", attendant::menu)
        .titled("A menu finds the extension: its client is told, and nobody is asked about the main number"),
    scenario("B8", attendant::operator).titled("The operator finds the extension and transfers the call"),
    scenario("B8", |domains| attendant::consulted(domains, true))
        .titled("The menu's operator asks Carol first, and then connects her"),
    scenario("B8", |domains| attendant::consulted(domains, false))
        .titled("Somebody answers the main number in person, asks Carol, and then connects her"),
    scenario("B8", attendant::resumed)
        .titled("The agent starts again while the main number rings: who answers is found all the same"),
    DomainScenario { inner: true, ..scenario("B9", attendant::behind) }
        .titled("The attendant is a PBX behind the call server: the address crosses the second hop"),
    scenario("B10", from_a_mobile).titled("Nothing was done where the call comes from: B's node knows both numbers"),
    scenario("B11", |domains| offered::shown(domains, CallerId::AsIs))
        .titled("The network drops the header: the address goes from node to node"),
    scenario("B11", |domains| offered::shown(domains, CallerId::National))
        .titled("The network shows the caller in national format: still the same call"),
    scenario("B11", |domains| offered::shown(domains, CallerId::Withheld))
        .titled("The caller's number is withheld: matched, and still withheld"),
    scenario("B11", offered::two_withheld)
        .titled("Two withheld calls with two offers at once: nobody is told anything"),
    scenario("B11", |domains| offered::over_https(domains, Known::ByToken))
        .titled("Over HTTPS, between nodes that know each other by tokens: the same")
        .once(),
    scenario("B11", |domains| offered::over_https(domains, Known::ByCertificate))
        .titled("Over HTTPS, between nodes that know each other by certificates: the same")
        .once(),
    scenario("B13", |domains| transferred(domains, Between::Trunk))
        .titled("Bob transfers Alice to Carol: the old pair ends, the new one is made, across the trunk"),
    scenario("B13", |domains| transferred(domains, Between::Network))
        .titled("The same where the address came from node to node"),
];

const fn scenario(behaviour: &'static str, run: fn(&mut Domains) -> Step<()>) -> DomainScenario {
    DomainScenario { behaviour, title: "", inner: false, once: false, run }
}

impl DomainScenario {
    const fn titled(self, title: &'static str) -> DomainScenario {
        DomainScenario { title, ..self }
    }

    const fn once(self) -> DomainScenario {
        DomainScenario { once: true, ..self }
    }

    /// Runs it.
    pub fn run(&self, domains: &mut Domains) -> Report {
        domains.begin();
        let played = (self.run)(domains).and_then(|()| domains.nothing_astray(&[]));
        Report {
            behaviour: self.behaviour,
            title: self.title,
            near: domains.a.pbx.kind().word(),
            remote: domains.b.pbx.kind().word(),
            events: std::mem::take(&mut domains.state.borrow_mut().events),
            ok: played.is_ok(),
            problems: played.err().into_iter().collect(),
        }
    }
}

fn hang_up(call: &Call, there: &Call) -> Step<()> {
    call.hang_up();
    expect(there.wait_ended(SOON), "the call did not end at the other side")
}

/// Two people in a call hear each other.
fn sound_between((a, one): (&Call, &Participant), (b, other): (&Call, &Participant)) -> Step<()> {
    sound_both_ways((a, &one.phone), (b, &other.phone), SOON)
}

/// Alice calls Bob over the trunk; what the wire, the clients and both nodes' timelines show.
fn over_the_trunk(domains: &mut Domains) -> Step<()> {
    domains.start_sidecall(Between::Trunk, NO_MORE)?;
    let [alice, bob, carol] = domains.people()?;
    let (call, there) = domains.connect(&alice.phone, &bob.number, &bob.phone)?;
    let received = domains.pair(&alice, &bob)?;
    domains.say(format!("Bob's client is told of {}: {received}", alice.number));
    expect(carol.client.stays_without(0), "Carol's client was told of somebody")?;
    expect(there.calling() == alice.number, format!("Bob's phone shows {}", there.calling()))?;
    domains.carry_over(2, &received)?;
    hang_up(&call, &there)?;
    bob.is_told_of_the_end_with(&alice)?;
    let out = ["announced", "decided packet called-not-served", "routed packet with the address", "answered at remote"];
    Timeline::of(domains.a.sidecall(), &bob.number).begins(&out)?;
    let come = ["announced", "decided local called-has-client", "routed local", "answered at second"];
    Timeline::of(domains.b.sidecall(), &bob.number).begins(&come)
}

fn and_back(domains: &mut Domains) -> Step<()> {
    domains.start_sidecall(Between::Trunk, NO_MORE)?;
    let [to_alice, to_bob] = talk_and_write(domains, true)?;
    domains.carry_over(2, &to_alice)?;
    domains.nothing_astray(&[])?;
    for (domain, address) in [(&mut domains.a, &to_alice), (&mut domains.b, &to_bob)] {
        for (later, status) in [(30, 202), (31, 404)] {
            domain.sidecall_mut().age(later)?;
            let answer = write(domain.sidecall(), address, "late");
            expect(answer == status, format!("{later} s later a text to {address} is answered with {answer}"))?;
        }
    }
    domains.say("a minute after the call neither address is good any more");
    // Agents and clients were cut off.
    domains.stop_sidecall();
    Ok(())
}

/// Alice calls Bob; both clients get each other's address, write, and are told of the end. Bob's client may see Alice's
/// number if it is `shown`. Her address and his.
fn talk_and_write(domains: &Domains, shown: bool) -> Step<[String; 2]> {
    let [alice, bob, _] = domains.people()?;
    let shown = shown.then_some(alice.number.as_str());
    let (call, there) = domains.connect(&alice.phone, &bob.number, &bob.phone)?;
    let to_alice = bob.client.peer(shown).ok_or_else(|| format!("Bob's client was not told of {shown:?}"))?;
    let to_bob = alice.is_told_of(&bob)?;
    domains.say(format!("Bob's client has {to_alice} ({})", shown.unwrap_or("the number is withheld")));
    domains.say(format!("Alice's client has {to_bob}"));
    let is_of = |address: &str, domain: &crate::Domain| address.starts_with(&domain.sidecall().url("/a/"));
    expect(is_of(&to_alice, &domains.a), "Alice's address is none of her node's")?;
    expect(is_of(&to_bob, &domains.b), "Bob's address is none of his node's")?;
    let both_write = || domains.write([(&to_bob, bob.reader()), (&to_alice, alice.reader())]);
    both_write()?;
    hang_up(&call, &there)?;
    alice.is_told_of_the_end_with(&bob)?;
    expect(bob.client.ended(shown), "Bob's client was not told of the end")?;
    both_write()?;
    domains.say("texts went both ways while they talked, and one more each way shortly after");
    Ok([to_alice, to_bob])
}

/// The network shows Frank's mobile as a national number.
fn from_a_mobile(domains: &mut Domains) -> Step<()> {
    domains.start_sidecall(Between::Network, NO_MORE)?;
    domains.pstn.caller_id(CallerId::National);
    let (mobile, node) = (domains.pstn.mobile(0)?, domains.b.sidecall());
    let number = mobile.number().to_owned();
    node.number(&number, "Frank", false);
    let client = Hosted::start(node, &number)?;
    let ([_, bob, _], frank) = (domains.people()?, Participant::new("Frank", &number, mobile, &client));
    let (call, there) = domains.connect(&frank.phone, &bob.number, &bob.phone)?;
    domains.pair(&frank, &bob)?;
    domains.say("shown as a national number, the caller is known all the same: both clients have each other's address");
    domains.carry_nothing(1)?;
    hang_up(&call, &there)?;
    domains.nothing_astray(&[frank.reader()])?;
    domains.pstn.caller_id(CallerId::AsIs);
    Ok(())
}

/// Bob transfers Alice to Carol.
fn transferred(domains: &mut Domains, between: Between) -> Step<()> {
    domains.start_sidecall(between, NO_MORE)?;
    let [alice, bob, carol] = domains.people()?;
    let (call, there) = domains.connect(&alice.phone, &bob.number, &bob.phone)?;
    let (to_alice, to_bob) = (bob.is_told_of(&alice)?, alice.is_told_of(&bob)?);
    let old_pair_writes = || domains.write([(&to_bob, bob.reader()), (&to_alice, alice.reader())]);
    old_pair_writes()?;
    expect(there.refer_to(carol.phone.number()) == Some(202), "the transfer was refused")?;
    let now = answer(&carol.phone, SOON)?;
    sound_between((&call, &alice), (&now, &carol))?;
    domains.say("Bob transfers to Carol, who answers");
    bob.is_told_of_the_end_with(&alice)?;
    let received = domains.pair(&alice, &carol)?;
    alice.is_told_of_the_end_with(&bob)?;
    domains.say("Bob's client is told that it is over, Carol's and Alice's clients have each other's address");
    // The addresses of the old pair are good for a while yet, and still reach nobody else.
    old_pair_writes()?;
    domains.say("the new pair writes both ways; a text to Bob's address still reaches Bob's client alone");
    hang_up(&call, &now)?;
    carol.is_told_of_the_end_with(&alice)?;
    alice.is_told_of_the_end_with(&carol)?;
    domains.carry(between, &received)?;
    let (a, b) = (domains.a.sidecall(), domains.b.sidecall());
    // Alice's own leg stays as it is; at B her call is Bob's, and then Carol's.
    let both =
        ["announced", "decided", "routed", "answered", "paired", "pushed peer", "pushed peer", "parted", "ended"];
    Timeline::of(a, &bob.number).tells(&both)?;
    let bobs = ["announced", "decided local", "routed local", "answered at second", "paired", "pushed peer", "parted"];
    Timeline::of(b, &bob.number).tells(&bobs)?;
    Timeline::of(b, &carol.number).begins(&["announced", "decided local", "routed local", "answered at second"])
}
