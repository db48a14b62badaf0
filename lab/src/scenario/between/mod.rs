//! What is played between two organisations, with the wire watched.

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

use crate::net::knot::{Knot, Records, ZONE};
use crate::pbx::pstn::CallerId;
use crate::scenario::pair::{Between, SOON, Since, Theatre, Told, calls_to, write};
use crate::scenario::timeline::Story;
use crate::scenario::wire::Wire;
use crate::sidecall::domain;
use crate::{Call, Client, Hosted, Kind, PSTN, Phone, Result, Webhook, arrives, wait_until};

/// One play.
#[derive(Debug, Clone, Copy)]
pub struct Play {
    /// `B5` …
    pub behaviour: &'static str,
    /// One line for a person.
    pub title: &'static str,
    /// It needs a PBX behind B.
    pub inner: bool,
    /// It is the same between all PBXs: the tests play it between two of them.
    pub once: bool,
    run: fn(&mut Theatre, &mut Told) -> Result<()>,
}

/// All of them.
pub const PLAYS: &[Play] = &[
    Play {
        behaviour: "B5",
        title: "The DNS says that the number has moved to B: it takes the trunk there",
        inner: false,
        once: false,
        run: ported::moved_to_b,
    },
    Play {
        behaviour: "B5",
        title: "Only the DNS knows that B has the number: its client is found, and that of one without a record isn't",
        inner: false,
        once: false,
        run: ported::only_in_the_dns,
    },
    Play {
        behaviour: "B5",
        title: "B asks the DNS before the call is let in: a number that has come is paired, one that has left isn't",
        inner: false,
        once: false,
        run: ported::asked_where_it_arrives,
    },
    Play {
        behaviour: "B5",
        title: "The DNS says that B's node serves the number, and the offer goes there",
        inner: false,
        once: true,
        run: unlisted::found_in_the_dns,
    },
    Play {
        behaviour: "B6",
        title: "The first address comes with the call over the packet trunk, to the second client",
        inner: false,
        once: false,
        run: over_the_trunk,
    },
    Play {
        behaviour: "B6",
        title: "The carrier drops User-to-User: the first address comes as Call-Info",
        inner: false,
        once: false,
        run: carrier::by_call_info,
    },
    Play {
        behaviour: "B7",
        title: "The second client's address goes back; then both write to each other",
        inner: false,
        once: false,
        run: and_back,
    },
    Play {
        behaviour: "B7",
        title: "A softphone can't answer an address: its node does",
        inner: false,
        once: false,
        run: second_side::softphone,
    },
    Play {
        behaviour: "B7",
        title: "A webhook needn't answer an address: its node does",
        inner: false,
        once: false,
        run: second_side::webhook,
    },
    Play {
        behaviour: "B7",
        title: "Alice's client is a softphone: her node takes the second address for it",
        inner: false,
        once: true,
        run: first_side::softphone,
    },
    Play {
        behaviour: "B7",
        title: "Alice's client is a webhook: her node takes the second address for it",
        inner: false,
        once: true,
        run: first_side::webhook,
    },
    Play {
        behaviour: "B8",
        title: "A menu finds the extension: its client is told, and nobody is asked about the main number",
        inner: false,
        once: false,
        run: attendant::menu,
    },
    Play {
        behaviour: "B8",
        title: "The operator finds the extension and transfers the call",
        inner: false,
        once: false,
        run: attendant::operator,
    },
    Play {
        behaviour: "B8",
        title: "The menu's operator asks Carol first, and then connects her",
        inner: false,
        once: false,
        run: attendant::consulted,
    },
    Play {
        behaviour: "B8",
        title: "Somebody answers the main number in person, asks Carol, and then connects her",
        inner: false,
        once: false,
        run: attendant::received,
    },
    Play {
        behaviour: "B8",
        title: "The agent starts again while the main number rings: who answers is found all the same",
        inner: false,
        once: false,
        run: attendant::resumed,
    },
    Play {
        behaviour: "B9",
        title: "The attendant is a PBX behind the call server: the address crosses the second hop",
        inner: true,
        once: false,
        run: attendant::behind,
    },
    Play {
        behaviour: "B10",
        title: "Nothing was done where the call comes from: B's node knows both numbers",
        inner: false,
        once: false,
        run: from_a_mobile,
    },
    Play {
        behaviour: "B11",
        title: "The network drops the header: the address goes from node to node",
        inner: false,
        once: false,
        run: offered::as_is,
    },
    Play {
        behaviour: "B11",
        title: "The network shows the caller in national format: still the same call",
        inner: false,
        once: false,
        run: offered::national,
    },
    Play {
        behaviour: "B11",
        title: "The caller's number is withheld: matched, and still withheld",
        inner: false,
        once: false,
        run: offered::withheld,
    },
    Play {
        behaviour: "B11",
        title: "Two withheld calls with two offers at once: nobody is told anything",
        inner: false,
        once: false,
        run: ambiguous::two_withheld,
    },
    Play {
        behaviour: "B11",
        title: "Over HTTPS, between nodes that know each other by tokens: the same",
        inner: false,
        once: true,
        run: https::by_token,
    },
    Play {
        behaviour: "B11",
        title: "Over HTTPS, between nodes that know each other by certificates: the same",
        inner: false,
        once: true,
        run: https::by_certificate,
    },
    Play {
        behaviour: "B13",
        title: "Bob transfers Alice to Carol: the old pair ends, the new one is made, across the trunk",
        inner: false,
        once: false,
        run: handed_on::over_the_trunk,
    },
    Play {
        behaviour: "B13",
        title: "The same where the address came from node to node",
        inner: false,
        once: false,
        run: handed_on::after_an_offer,
    },
];

impl Play {
    /// Plays it.
    pub fn play(&self, theatre: &mut Theatre) -> Told {
        let mut told = theatre.tell(self.behaviour, self.title);
        theatre.forget_letters();
        if let Err(error) = (self.run)(theatre, &mut told) {
            told.problems.push(error.to_string());
        }
        theatre.nothing_astray(&[], &mut told);
        told.ok = told.problems.is_empty();
        told
    }
}

fn hang_up(call: &Call, there: &Call, told: &mut Told) {
    call.hang_up();
    told.expect(there.wait_ended(SOON), "the call did not end at the other side");
}

/// Alice calls a number of B's over the trunk and somebody answers; what the wire and the clients saw.
fn over_the_trunk(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, bob) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?);
    let (first, second, third) =
        (theatre.domains.a.number(1), theatre.domains.b.number(1), Since::now(theatre.there(2)));
    let (alices, bobs) = (Since::now(theatre.alice()), Since::now(theatre.there(1)));
    let wire = Wire::tap(theatre, told)?;
    let Some((call, there)) = theatre.connect(&alice, &second, &bob, told) else { return Ok(()) };
    let received = bobs.peer(Some(&first));
    told.expect(received.is_some(), "Bob's client was not told of Alice");
    told.say(format!("Bob's client is told of {first}: {}", received.as_deref().unwrap_or("nothing")));
    let back = alices.peer(Some(&second));
    let (one, other) = (("Alice", theatre.alice() as _), ("Bob", theatre.there(1) as _));
    theatre.write_both((received.as_deref(), one), (back.as_deref(), other), told);
    told.expect(third.stays_without(0), "Carol's client was told of somebody");
    told.expect(there.calling() == first, format!("Bob's phone shows {}", there.calling()));
    wire.on_the_trunk(theatre, received.as_deref(), told)?;
    hang_up(&call, &there, told);
    told.expect(bobs.ended(Some(&first)), "Bob's client was not told of the end");
    let (a, b) = (theatre.domains.a.sidecall(), theatre.domains.b.sidecall());
    let out = ["announced", "decided packet called-not-served", "routed packet with the address", "answered at far"];
    Story::of(a, &second).begins(&out, told);
    let come = ["announced", "decided local called-has-client", "routed local", "answered at second"];
    Story::of(b, &second).begins(&come, told);
    Ok(())
}

fn and_back(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, bob) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?);
    let wire = Wire::tap(theatre, told)?;
    let addresses = talk_and_write(theatre, &alice, &bob, Some(&theatre.domains.a.number(1)), told);
    let [to_alice, to_bob] = addresses.unwrap_or_default();
    wire.on_the_trunk(theatre, Some(&to_alice), told)?;
    theatre.nothing_astray(&[], told);
    for (domain, address) in [(&mut theatre.domains.a, &to_alice), (&mut theatre.domains.b, &to_bob)] {
        for (later, status) in [(30, 202), (31, 404)] {
            domain.sidecall_mut().age(later)?;
            let answer = write(domain.sidecall(), address, "late");
            told.expect(answer == status, format!("{later} s later a text to {address} is answered with {answer}"));
        }
    }
    told.say("a minute after the call neither address is good any more");
    // Agents and clients were cut off.
    theatre.lower();
    Ok(())
}

/// Alice calls Bob; both clients get each other's address, write, and are told of the end. `shown` is
/// Alice's number as Bob's client may see it. Her address and his, if both were told.
fn talk_and_write(
    theatre: &Theatre,
    alice: &Phone,
    bob: &Phone,
    shown: Option<&str>,
    told: &mut Told,
) -> Option<[String; 2]> {
    let second = theatre.domains.b.number(1);
    let (alices, bobs) = (Since::now(theatre.alice()), Since::now(theatre.there(1)));
    let (call, there) = theatre.connect(alice, &second, bob, told)?;
    let (at_bob, at_alice) = (bobs.peer(shown), alices.peer(Some(&second)));
    told.expect(at_bob.is_some(), format!("Bob's client was not told of {shown:?}"));
    told.expect(at_alice.is_some(), "Alice's client was not told of Bob");
    let (Some(to_alice), Some(to_bob)) = (at_bob, at_alice) else {
        hang_up(&call, &there, told);
        return None;
    };
    told.say(format!("Bob's client has {to_alice} ({})", shown.unwrap_or("the number is withheld")));
    told.say(format!("Alice's client has {to_bob}"));
    let (a, b) = (theatre.domains.a.sidecall(), theatre.domains.b.sidecall());
    told.expect(to_alice.starts_with(&a.url("/a/")), "Alice's address is none of her node's");
    told.expect(to_bob.starts_with(&b.url("/a/")), "Bob's address is none of his node's");
    let both = |told: &mut Told| {
        let (one, other) = (("Alice", theatre.alice() as _), ("Bob", theatre.there(1) as _));
        theatre.write_both((Some(&to_alice), one), (Some(&to_bob), other), told);
    };
    both(told);
    hang_up(&call, &there, told);
    told.expect(alices.ended(Some(&second)), "Alice's client was not told of the end");
    told.expect(bobs.ended(shown), "Bob's client was not told of the end");
    both(told);
    told.say("texts went both ways while they talked, and one more each way shortly after");
    Some([to_alice, to_bob])
}

fn from_a_mobile(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Network, "")?;
    theatre.domains.pstn.caller_id(CallerId::National);
    let (mobile, bob) = (theatre.domains.pstn.mobile(0)?, theatre.domains.b.phone(1)?);
    let node = theatre.domains.b.sidecall();
    node.number(mobile.number(), "Frank", false);
    let client = Hosted::start(node, mobile.number())?;
    let (franks, bobs) = (Since::now(&client), Since::now(theatre.there(1)));
    let wire = Wire::tap(theatre, told)?;
    let Some((call, there)) = theatre.connect(&mobile, &theatre.domains.b.number(1), &bob, told) else { return Ok(()) };
    let to_frank = bobs.peer(Some(mobile.number()));
    told.expect(to_frank.is_some(), "Bob's client was not told of Frank");
    let to_bob = franks.peer(Some(&theatre.domains.b.number(1)));
    told.expect(to_bob.is_some(), "Frank's client was not told of Bob");
    let (one, other) = (("Frank", &client as _), ("Bob", theatre.there(1) as _));
    theatre.write_both((to_frank.as_deref(), one), (to_bob.as_deref(), other), told);
    told.say("shown as a national number, the caller is known all the same: both clients have each other's address");
    wire.on_the_network(1, theatre, told)?;
    hang_up(&call, &there, told);
    theatre.nothing_astray(&[one], told);
    theatre.domains.pstn.caller_id(CallerId::AsIs);
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
