//! What is played between two organisations, with the wire watched.

mod ambiguous;
mod carrier;
mod first_side;
mod https;
mod unlisted;

use serde_json::json;

use super::knot::{Knot, Records, ZONE};
use super::pstn::CallerId;
use super::sidecall::domain;
use super::story::Story;
use super::theatre::{Between, SOON, Since, Theatre, Told, calls_to, write};
use super::wire::Wire;
use super::{Call, Hosted, Kind, PSTN, Phone, Result, Webhook, wait_until};

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
        run: ported,
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
        run: softphone,
    },
    Play {
        behaviour: "B7",
        title: "A webhook needn't answer an address: its node does",
        inner: false,
        once: false,
        run: webhook,
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
        run: menu,
    },
    Play {
        behaviour: "B8",
        title: "The operator finds the extension and transfers the call",
        inner: false,
        once: false,
        run: operator,
    },
    Play {
        behaviour: "B8",
        title: "The menu's operator asks Carol first, and then connects her",
        inner: false,
        once: false,
        run: consulted,
    },
    Play {
        behaviour: "B8",
        title: "Somebody answers the main number in person, asks Carol, and then connects her",
        inner: false,
        once: false,
        run: received,
    },
    Play {
        behaviour: "B8",
        title: "The agent starts again while the main number rings: who answers is found all the same",
        inner: false,
        once: false,
        run: resumed,
    },
    Play {
        behaviour: "B9",
        title: "The attendant is a PBX behind the call server: the address crosses the second hop",
        inner: true,
        once: false,
        run: behind,
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
        run: offered,
    },
    Play {
        behaviour: "B11",
        title: "The network shows the caller in national format: still the same call",
        inner: false,
        once: false,
        run: offered_national,
    },
    Play {
        behaviour: "B11",
        title: "The caller's number is withheld: matched, and still withheld",
        inner: false,
        once: false,
        run: offered_withheld,
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
        run: handed_on,
    },
    Play {
        behaviour: "B13",
        title: "The same where the address came from node to node",
        inner: false,
        once: false,
        run: handed_on_after_an_offer,
    },
];

impl Play {
    /// Plays it.
    pub fn play(&self, theatre: &mut Theatre) -> Told {
        let mut told = theatre.tell(self.behaviour, self.title);
        if let Err(error) = (self.run)(theatre, &mut told) {
            told.problems.push(error.to_string());
        }
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
    let bobs = Since::now(theatre.there(1));
    let wire = Wire::tap(theatre, told)?;
    let Some((call, there)) = theatre.connect(&alice, &second, &bob, told) else { return Ok(()) };
    let received = bobs.peer(Some(&first));
    told.expect(received.is_some(), "Bob's client was not told of Alice");
    told.say(format!("Bob's client is told of {first}: {}", received.as_deref().unwrap_or("nothing")));
    told.expect(third.peers() == 0, "Carol's client was told of somebody");
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
    let both = |to_bob_says: &str, to_alice_says: &str, told: &mut Told| {
        let at_bob = write(a, &to_bob, to_bob_says) == 202 && bobs.text(to_bob_says);
        let at_alice = write(b, &to_alice, to_alice_says) == 202 && alices.text(to_alice_says);
        told.expect(at_bob && at_alice, format!("at Bob's: {at_bob}, at Alice's: {at_alice}: {to_bob_says}"));
    };
    both("hello Bob", "hello Alice", told);
    hang_up(&call, &there, told);
    told.expect(alices.ended(Some(&second)), "Alice's client was not told of the end");
    told.expect(bobs.ended(shown), "Bob's client was not told of the end");
    both("one more", "and one more", told);
    told.say("texts went both ways while they talked, and one more each way shortly after");
    Some([to_alice, to_bob])
}

fn softphone(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    softphone_between(Between::Trunk, theatre, told)
}

fn softphone_between(between: Between, theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(between, "")?;
    let (alice, phone) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(3)?);
    let number = theatre.domains.b.number(3);
    theatre.domains.b.serve(3, "Dan");
    let address = format!("sip:{}@{}", theatre.domains.b.plan().extension(3), domain(&theatre.domains.b.pbx));
    theatre.domains.b.sidecall().bind(&number, &address);
    let (alices, wire) = (Since::now(theatre.alice()), Wire::tap(theatre, told)?);
    let Some((call, there)) = theatre.connect(&alice, &number, &phone, told) else { return Ok(()) };
    let told_by_sip = phone.wait_for("MESSAGE", 1, SOON);
    let text = told_by_sip.first().map(|message| message.body.clone()).unwrap_or_default();
    let mut words = text.split_whitespace().map(|word| word.trim_end_matches(['.', ',']));
    let address = words.find(|word| word.starts_with(&theatre.domains.a.sidecall().url("/a/")));
    told.expect(address.is_some(), format!("the softphone was told {text:?}"));
    wire.carries(between, theatre, address, told)?;
    told.say(format!("Dan's softphone shows: {}", text.split(" sidecall:").next().unwrap_or_default()));
    let to_dan = alices.peer(Some(&number));
    told.expect(to_dan.is_some(), "B's node did not answer for the softphone");
    if let Some(to_dan) = to_dan {
        let sent = write(theatre.domains.a.sidecall(), &to_dan, "hello Dan");
        let arrived = wait_until(SOON, || phone.received("MESSAGE").iter().any(|m| m.body.contains("hello Dan")));
        told.expect(sent == 202 && arrived, "a text did not reach the softphone");
        told.say("Alice's client has an address of B's node, and a text to it is shown by the softphone");
    }
    hang_up(&call, &there, told);
    Ok(())
}

fn webhook(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, phone) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(4)?);
    let number = theatre.domains.b.number(4);
    theatre.domains.b.serve(4, "Erin");
    let hook = Webhook::start()?;
    hook.bind(theatre.domains.b.sidecall(), &number);
    let (alices, wire) = (Since::now(theatre.alice()), Wire::tap(theatre, told)?);
    let Some((call, there)) = theatre.connect(&alice, &number, &phone, told) else { return Ok(()) };
    told.expect(hook.wait_for("peer", 1, SOON).len() == 1, "the webhook was not told of Alice");
    let peers = hook.taken("peer");
    wire.on_the_trunk(theatre, peers.first().and_then(|peer| peer["peer"]["address"].as_str()), told)?;
    let to_erin = alices.peer(Some(&number));
    told.expect(to_erin.is_some(), "B's node did not answer for the webhook");
    if let Some(to_erin) = to_erin {
        let sent = write(theatre.domains.a.sidecall(), &to_erin, "hello Erin");
        told.expect(sent == 202 && hook.wait_for("message", 1, SOON).len() == 1, "a text did not reach the webhook");
        told.say("the webhook got Alice's address, Alice's client an address of B's node, and a text came signed");
    }
    hang_up(&call, &there, told);
    told.expect(
        hook.wait_for("ended", 1, SOON).len() == 1 && hook.refused() == 0,
        "the webhook was not told of the end",
    );
    Ok(())
}

/// Nobody asked B's node about the main number.
fn never_asked(theatre: &Theatre, main: &str, told: &mut Told) {
    told.expect(calls_to(theatre.domains.b.sidecall(), main).is_empty(), "B's node was asked about the main number");
}

fn menu(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, carol) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(2)?);
    let main = theatre.domains.b.plan().main;
    let wire = Wire::tap(theatre, told)?;
    let keyed = |call: &Call| call.dtmf(&theatre.domains.b.plan().extension(2));
    let address = attendant(theatre, (&alice, &carol), main, keyed, told);
    wire.on_the_trunk(theatre, address.as_deref(), told)?;
    never_asked(theatre, main, told);
    Ok(())
}

/// Alice calls a main number, does what it takes to reach Carol, and is paired with her. Her address, as Carol's client
/// has it.
fn attendant(
    theatre: &Theatre,
    (alice, carol): (&Phone, &Phone),
    main: &str,
    reach: impl Fn(&Call),
    told: &mut Told,
) -> Option<String> {
    let (first, extension) = (theatre.domains.a.number(1), theatre.domains.b.number(2));
    let (alices, carols, bobs) =
        (Since::now(theatre.alice()), Since::now(theatre.there(2)), Since::now(theatre.there(1)));
    let call = alice.call(main);
    if !told.expect(call.wait_answered(SOON), "the attendant does not answer") {
        return None;
    }
    told.say(format!("Alice calls {main}; the attendant answers"));
    told.expect(carols.stays_without(0), "somebody was told while the attendant talked");
    reach(&call);
    let Some(there) = carol.answer_next(SOON) else {
        told.expect(false, "Carol's phone does not ring");
        return None;
    };
    let received = carols.peer(Some(&first));
    told.expect(received.is_some(), "Carol's client was not told of Alice");
    told.expect(alices.peer(Some(&extension)).is_some(), "Alice's client was not told of Carol");
    told.say("the extension is found: Alice's and Carol's clients have each other's address");
    told.expect(bobs.peers() == 0, "Bob's client was told of somebody");
    hang_up(&call, &there, told);
    told.expect(carols.ended(Some(&first)) && alices.ended(Some(&extension)), "not both were told of the end");
    received
}

/// The operator is a person, Dan: without a client here.
fn operator(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, dan, carol) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(5)?, theatre.domains.b.phone(2)?);
    let number = theatre.domains.b.number(5);
    let (first, extension) = (theatre.domains.a.number(1), theatre.domains.b.number(2));
    let (alices, carols) = (Since::now(theatre.alice()), Since::now(theatre.there(2)));
    let wire = Wire::tap(theatre, told)?;
    let Some((call, there)) = theatre.connect(&alice, &number, &dan, told) else { return Ok(()) };
    told.expect(carols.stays_without(0), "somebody was told while the operator talked");
    told.expect(there.refer_to(&theatre.domains.b.plan().extension(2)) == Some(202), "the transfer was refused");
    let Some(third) = carol.answer_next(SOON) else {
        told.expect(false, "Carol's phone does not ring");
        return Ok(());
    };
    let received = carols.peer(Some(&first));
    told.expect(received.is_some(), "Carol's client was not told of Alice");
    told.expect(alices.peer(Some(&extension)).is_some(), "Alice's client was not told of Carol");
    told.say("the operator transfers to Carol: her client and Alice's have each other's address");
    wire.on_the_trunk(theatre, received.as_deref(), told)?;
    hang_up(&call, &third, told);
    Ok(())
}

/// Bob is the operator of the menu.
fn consulted(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    let main = theatre.domains.b.plan().main;
    let zero = |call: &Call, told: &mut Told| {
        told.expect(call.wait_answered(SOON), "the attendant does not answer");
        call.dtmf("0");
    };
    connected(theatre, main, zero, told)
}

/// The main number rings at Bob's phone, and nothing is in between.
fn received(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    let main = theatre.domains.b.plan().reception();
    connected(theatre, &main, |_, _| (), told)
}

/// Nobody announces Alice, and no event tells the new agent of her.
fn resumed(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, bob) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?);
    let (first, operator, main) =
        (theatre.domains.a.number(1), theatre.domains.b.number(1), theatre.domains.b.plan().reception());
    let call = alice.call(&main);
    let Some(there) = bob.next_call(SOON) else {
        told.expect(false, "the operator's phone does not ring");
        return Ok(());
    };
    there.ring();
    let node = theatre.domains.b.sidecall_mut();
    node.restart()?;
    node.wait_until_attached()?;
    let (alices, bobs) = (Since::now(theatre.alice()), Since::now(theatre.there(1)));
    there.answer();
    told.expect(bobs.peer(Some(&first)).is_some(), "the operator's client was not told of Alice");
    told.expect(alices.peer(Some(&operator)).is_some(), "Alice's client was not told of the operator");
    told.say("B's agent starts again while Bob's phone rings; he answers, and his client and Alice's are paired");
    never_asked(theatre, &main, told);
    hang_up(&call, &there, told);
    Ok(())
}

/// Bob answers a call to `main`, calls Carol, and then puts Alice through.
fn connected(theatre: &mut Theatre, main: &str, reach: impl Fn(&Call, &mut Told), told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, bob, carol) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?, theatre.domains.b.phone(2)?);
    let first = theatre.domains.a.number(1);
    let (operator, third) = (theatre.domains.b.number(1), theatre.domains.b.number(2));
    let (alices, carols) = (Since::now(theatre.alice()), Since::now(theatre.there(2)));
    let bobs = Since::now(theatre.there(1));
    let wire = Wire::tap(theatre, told)?;
    let call = alice.call(main);
    reach(&call, told);
    let Some(there) = bob.answer_next(SOON) else {
        told.expect(false, "the operator's phone does not ring");
        return Ok(());
    };
    told.expect(bobs.peer(Some(&first)).is_some(), "the operator's client was not told of Alice");
    told.expect(there.hold(), "the operator can't hold the call");
    let consult = bob.call(&theatre.domains.b.plan().extension(2));
    let Some(asked) = carol.answer_next(SOON) else {
        told.expect(false, "Carol's phone does not ring");
        return Ok(());
    };
    told.expect(consult.wait_answered(SOON) && carols.peer(Some(&operator)).is_some(), "Carol was not paired with Bob");
    told.expect(there.attended_transfer_to(&consult) == Some(202), "the transfer was refused");
    let received = carols.peer(Some(&first));
    told.expect(received.is_some(), "Carol's client was not told of Alice");
    told.expect(alices.peer(Some(&third)).is_some(), "Alice's client was not told of Carol");
    told.expect(carols.ended(Some(&operator)), "Carol's client was not told that Bob has left");
    told.expect(bobs.ended(Some(&first)), "Bob's client was not told that it is over with Alice");
    told.expect(alices.ended(Some(&operator)), "Alice's client was not told that it is over with Bob");
    told.say(
        "Bob, the operator, asks Carol and puts Alice through: Alice's and Carol's clients are paired, his is told",
    );
    never_asked(theatre, main, told);
    wire.on_the_trunk(theatre, received.as_deref(), told)?;
    hang_up(&call, &asked, told);
    Ok(())
}

fn behind(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Trunk, "")?;
    let (alice, inner) = (theatre.domains.a.phone(1)?, theatre.domains.c.as_ref().expect("a PBX behind B"));
    let (carol, main, first) = (inner.phone(2)?, inner.plan().main, theatre.domains.a.number(1));
    let (number, keys) = (inner.number(2), inner.plan().extension(2));
    let node = theatre.domains.b.sidecall();
    node.entry(&number, json!({"name": "Carol", "pbx": super::domains::INNER}));
    let client = Hosted::start(node, &number)?;
    let (alices, carols) = (Since::now(theatre.alice()), Since::now(&client));
    let wire = Wire::tap(theatre, told)?;
    let call = alice.call(main);
    if !told.expect(call.wait_answered(SOON), "the attendant does not answer") {
        return Ok(());
    }
    call.dtmf(&keys);
    let Some(there) = carol.answer_next(SOON) else {
        told.expect(false, "the phone behind the call server does not ring");
        return Ok(());
    };
    let received = carols.peer(Some(&first));
    told.expect(received.is_some(), "Carol's client was not told of Alice");
    told.expect(alices.peer(Some(&number)).is_some(), "Alice's client was not told of Carol");
    told.say("the attendant behind the call server finds Carol: both clients have each other's address");
    never_asked(theatre, main, told);
    wire.on_both_hops(theatre, received.as_deref(), told)?;
    hang_up(&call, &there, told);
    Ok(())
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
    told.expect(bobs.peer(Some(mobile.number())).is_some(), "Bob's client was not told of Frank");
    told.expect(franks.peer(Some(&theatre.domains.b.number(1))).is_some(), "Frank's client was not told of Bob");
    told.say("shown as a national number, the caller is known all the same: both clients have each other's address");
    wire.on_the_network(1, theatre, told)?;
    hang_up(&call, &there, told);
    theatre.domains.pstn.caller_id(CallerId::AsIs);
    Ok(())
}

fn offered(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    between_nodes(theatre, CallerId::AsIs, told)
}

fn offered_national(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    between_nodes(theatre, CallerId::National, told)
}

fn offered_withheld(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    between_nodes(theatre, CallerId::Withheld, told)
}

fn between_nodes(theatre: &mut Theatre, shown: CallerId, told: &mut Told) -> Result<()> {
    theatre.raise(Between::Network, "")?;
    offered_and_paired(theatre, shown, told)
}

fn offered_and_paired(theatre: &mut Theatre, shown: CallerId, told: &mut Told) -> Result<()> {
    theatre.domains.pstn.caller_id(shown);
    let (alice, bob) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?);
    let first = theatre.domains.a.number(1);
    let wire = Wire::tap(theatre, told)?;
    talk_and_write(theatre, &alice, &bob, (shown != CallerId::Withheld).then_some(first.as_str()), told);
    theatre.domains.pstn.caller_id(CallerId::AsIs);
    if shown == CallerId::AsIs {
        for (node, end) in [(theatre.domains.a.sidecall(), "second"), (theatre.domains.b.sidecall(), "first")] {
            let whole = super::theatre::there(node, &theatre.domains.b.number(1), end);
            told.expect(whole.is_ok(), format!("of the {end} end: {whole:?}"));
        }
        told.say("both nodes tell the call as one story, the other organisation's part included");
    }
    wire.on_the_network(1, theatre, told)?;
    let second = theatre.domains.b.number(1);
    let (a, b) = (theatre.domains.a.sidecall(), theatre.domains.b.sidecall());
    let out = ["announced", "decided pstn no-trunk", "routed pstn", "offered to b: accepted", "answered at far"];
    Story::of(a, &second).begins(&out, told);
    let come = Story::of(b, &second);
    come.begins(&["announced", "decided local called-has-client", "routed local", "answered at second"], told);
    come.tells(&["heard by offer of a", "paired", "pushed peer: delivered"], told);
    if shown == CallerId::Withheld {
        let everything = format!("{:?}", theatre.there(1).all().iter().rev().take(6).collect::<Vec<_>>());
        told.expect(!everything.contains(&first), "the withheld number was shown to Bob's client");
    }
    Ok(())
}

fn handed_on(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    handed_on_between(Between::Trunk, theatre, told)
}

fn handed_on_after_an_offer(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    handed_on_between(Between::Network, theatre, told)
}

fn handed_on_between(between: Between, theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    theatre.raise(between, "")?;
    let (alice, bob, carol) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?, theatre.domains.b.phone(2)?);
    let (first, second, third) =
        (theatre.domains.a.number(1), theatre.domains.b.number(1), theatre.domains.b.number(2));
    let (alices, bobs, carols) =
        (Since::now(theatre.alice()), Since::now(theatre.there(1)), Since::now(theatre.there(2)));
    let wire = Wire::tap(theatre, told)?;
    let Some((call, there)) = theatre.connect(&alice, &second, &bob, told) else { return Ok(()) };
    told.expect(
        bobs.peer(Some(&first)).is_some() && alices.peer(Some(&second)).is_some(),
        "Alice and Bob were not paired",
    );
    told.expect(there.refer_to(&theatre.domains.b.plan().extension(2)) == Some(202), "the transfer was refused");
    let Some(now) = carol.answer_next(SOON) else {
        told.expect(false, "Carol's phone does not ring");
        return Ok(());
    };
    told.say("Bob transfers to Carol, who answers");
    told.expect(bobs.ended(Some(&first)), "Bob's client was not told that it is over");
    let received = carols.peer(Some(&first));
    told.expect(received.is_some(), "Carol's client was not told of Alice");
    told.expect(alices.peer(Some(&third)).is_some(), "Alice's client was not told of Carol");
    told.expect(alices.ended(Some(&second)), "Alice's client was not told that it is over with Bob");
    told.say("Bob's client is told that it is over, Carol's and Alice's clients have each other's address");
    hang_up(&call, &now, told);
    told.expect(carols.ended(Some(&first)) && alices.ended(Some(&third)), "not both were told of the end");
    wire.carries(between, theatre, received.as_deref(), told)?;
    let (a, b) = (theatre.domains.a.sidecall(), theatre.domains.b.sidecall());
    // Alice's own leg stays as it is; at B her call is Bob's, and then Carol's.
    let both =
        ["announced", "decided", "routed", "answered", "paired", "pushed peer", "pushed peer", "parted", "ended"];
    Story::of(a, &second).tells(&both, told);
    let bobs = ["announced", "decided local", "routed local", "answered at second", "paired", "pushed peer", "parted"];
    Story::of(b, &second).tells(&bobs, told);
    Story::of(b, &third).begins(&["announced", "decided local", "routed local", "answered at second"], told);
    Ok(())
}

/// A number of A's range, once, whose entry A still has: B's fifth extension.
fn ported(theatre: &mut Theatre, told: &mut Told) -> Result<()> {
    let number = theatre.domains.b.number(6);
    let records =
        Records::default().naptr(&number, (100, 10), 60, "E2U+pstn:tel", "!^(.*)$!tel:\\1;npdi;rn=+13105559999!");
    let knot = Knot::start(&records, 60)?;
    let lnp = lnp(&knot) + "[[node.lnp.route]]\nrn_prefix = \"+1310555\"\ntrunk = \"sidecall\"\n";
    theatre.raise(Between::Trunk, &lnp)?;
    theatre.domains.a.sidecall().number(&number, "Grace, before she left", false);
    let stale = Hosted::start(theatre.domains.a.sidecall(), &number)?;
    theatre.domains.b.serve(6, "Grace");
    let client = theatre.domains.b.client(6)?;
    let (alice, grace) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(6)?);
    let (olds, graces) = (Since::now(&stale), Since::now(&client));
    let wire = Wire::tap(theatre, told)?;
    let Some((call, there)) = theatre.connect(&alice, &number, &grace, told) else { return Ok(()) };
    let received = graces.peer(Some(&theatre.domains.a.number(1)));
    told.expect(received.is_some(), "Grace's client at B was not told of Alice");
    told.expect(olds.stays_without(0), "the client that Grace had at A was told of the call");
    wire.on_the_trunk(theatre, received.as_deref(), told)?;
    let calls = calls_to(theatre.domains.a.sidecall(), &number);
    let reason = calls.first().and_then(|call| call["reason"].as_str()).unwrap_or_default().to_owned();
    told.expect(reason == "ported-out", format!("the reason is {reason}"));
    told.say(format!("A's node decided: {reason}; her old client there is told nothing, her client at B is"));
    hang_up(&call, &there, told);
    Ok(())
}

/// The DNS server is asked who serves a number.
fn lnp(knot: &Knot) -> String {
    format!(
        "[node.lnp]\nown_routing_numbers = [\"+1212555\"]\ndeadline_ms = 300\n\
         [[node.lnp.source]]\nname = \"enum\"\nkind = \"enum\"\nsuffix = \"{ZONE}\"\nservers = [\"{}\"]\n",
        knot.address()
    )
}
