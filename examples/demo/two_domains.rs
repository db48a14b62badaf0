//! Two organisations, each with its own PBX, agent and node: B5 to B13, with the wire watched.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use crate::bill::{Bill, Place};
use crate::show::Show;
use crate::trouble::{Trouble, Venue, guard, sentence};
use crate::{Interrupted, go_on, story, voice};
use lab::net::knot::{Knot, Records};
use lab::scenario::between::Play;
use lab::scenario::pair::{Between, Since, Theatre, Told};
use lab::scenario::site::carried;
use lab::sidecall::encode;
use lab::{Capture, Domains, Kind, PSTN, Sidecall};

/// One play with what was seen from outside: one line of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Seen {
    #[serde(flatten)]
    pub(crate) told: Told,
    /// The calls on the trunks, as captured; `None` if this machine can't capture.
    pub(crate) wire: Option<Vec<OnWire>>,
    /// What the nodes told clients.
    pub(crate) pushes: Vec<Push>,
}

/// The INVITE of one call on one trunk.
#[derive(Debug, Serialize)]
pub(crate) struct OnWire {
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) calling: String,
    pub(crate) called: String,
    /// The header as it is there.
    pub(crate) user_to_user: Option<String>,
    /// What it means.
    pub(crate) address: Option<String>,
}

/// A client is told of whom it talks to.
#[derive(Debug, Serialize)]
pub(crate) struct Push {
    pub(crate) node: &'static str,
    pub(crate) name: String,
    pub(crate) number: String,
    /// From when the node knew who talks until the client had it.
    pub(crate) ms: i64,
}

/// Plays what is wanted; what it was played on, if that still stands.
pub(crate) fn play(pair: (Kind, Kind), bill: &Bill, show: &mut Show) -> Result<Option<Theatre>, Interrupted> {
    let (place, (near, far)) = (Place::Between(pair.0, pair.1), pair);
    let plays = bill.between(pair);
    let inner = plays.iter().any(|play| play.inner);
    let behind = if inner { format!(", {near} behind B's") } else { String::new() };
    show.step(&format!(
        "starting two organisations, A with {near}, B with {far}{behind}, and a telephone network between them"
    ));
    let open = || open(pair, inner);
    let mut venue = Venue::new();
    let begun = venue.play(
        open,
        |theatre| {
            show.step("playing between the two organisations, with agent and node at both\n");
            show.words(|| story::organisations(near, far, theatre));
            Ok(tap(theatre)?.err())
        },
        |_| true,
    );
    go_on()?;
    match begun {
        Ok(None) => {}
        Ok(Some(why)) => eprintln!("What is on the wire isn't shown: {why}\n"),
        Err(trouble) => show.trouble("starting the two organisations", &trouble),
    }
    if bill.has("B12") {
        let compare = |theatre: &mut Theatre| {
            let plain = voice::hear_between(theatre)?;
            Ok(voice::compare_between(theatre, plain)?)
        };
        let compared = venue.play(open, compare, |compared| compared.ok);
        go_on()?;
        match compared {
            Ok(compared) => show.play(("B12", place), compared.ok, &compared, story::voice),
            Err(trouble) => show.failed(("B12", place), voice::BETWEEN, &trouble),
        }
    }
    for play in plays {
        let seen = guard(|| lacks(play)).and_then(|()| venue.play(open, |on| one(on, play), |seen| seen.told.ok));
        go_on()?;
        match seen {
            Ok(seen) => show.play((play.behaviour, place), seen.told.ok, &seen, story::seen),
            Err(trouble) => show.failed((play.behaviour, place), play.title, &trouble),
        }
    }
    Ok(venue.into_open())
}

/// Where nothing can be captured, plays are shown without that.
fn open((near, far): (Kind, Kind), inner: bool) -> Result<Theatre, Trouble> {
    let mut theatre = if inner { Theatre::with_inner(near, far, near)? } else { Theatre::set(near, far)? };
    if tap(&theatre)?.is_err() {
        theatre.may_be_unwatched();
    }
    Ok(theatre)
}

/// Both status pages, with a call to look at.
pub(crate) fn pages(theatre: &mut Theatre) -> Result<Vec<(&'static str, String)>, Trouble> {
    theatre.raise(Between::TrunkOfPeers, "")?;
    let (alice, bob) = (theatre.domains.a.phone(1)?, theatre.domains.b.phone(1)?);
    let mut told = theatre.tell("B6", "One more call, to look at");
    let (first, second) = (theatre.domains.a.number(1), theatre.domains.b.number(1));
    let (alices, bobs) = (Since::now(theatre.alice()), Since::now(theatre.there(1)));
    if let Some((call, _there)) = theatre.connect(&alice, &second, &bob, &mut told) {
        let _ = (bobs.peer(Some(&first)), alices.peer(Some(&second)));
        // People talk for longer than it takes to tell their clients.
        std::thread::sleep(Duration::from_secs(1));
        call.hang_up();
    }
    Ok(nodes(theatre).into_iter().map(|(name, node)| (name, node.url("/"))).collect())
}

/// The nodes that run.
fn nodes(theatre: &Theatre) -> Vec<(&'static str, &Sidecall)> {
    let both = [("A", &theatre.domains.a), ("B", &theatre.domains.b)];
    both.into_iter().filter_map(|(name, domain)| Some((name, domain.running()?))).collect()
}

/// What a play needs beyond PBXs is here.
fn lacks(play: &Play) -> Result<(), Trouble> {
    if play.behaviour == "B5" {
        Knot::start(&Records::default(), 60)?;
    }
    Ok(())
}

/// A capture, or why there can't be one.
fn tap(theatre: &Theatre) -> Result<Result<Capture, String>, Trouble> {
    match theatre.domains.capture() {
        Ok(capture) => Ok(Ok(capture)),
        Err(error) if error.is_missing() => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn one(theatre: &mut Theatre, play: &Play) -> Result<Seen, Trouble> {
    let begin = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let capture = tap(theatre)?.ok();
    let mut told = play.play(theatre);
    told.problems = told.problems.iter().map(|problem| sentence(problem)).collect();
    let wire = match capture {
        Some(capture) => Some(on_wire(&theatre.domains, capture)?),
        None => None,
    };
    let pushes = pushes(theatre, i64::try_from(begin).unwrap_or_default());
    Ok(Seen { told, wire, pushes })
}

fn on_wire(domains: &Domains, capture: Capture) -> Result<Vec<OnWire>, Trouble> {
    let packets = capture.stop()?;
    let mut hosts = vec![(domains.a.pbx.trunk_sip().ip(), "A"), (domains.b.pbx.trunk_sip().ip(), "B")];
    hosts.push((PSTN, "network"));
    hosts.extend(domains.c.as_ref().map(|inner| (inner.pbx.trunk_sip().ip(), "PBX behind B")));
    let name = |ip: IpAddr| hosts.iter().find(|(at, _)| *at == ip).map(|(_, name)| *name);
    let read = |packet: lab::Packet| {
        Some(OnWire {
            from: name(packet.from.ip())?,
            to: name(packet.to.ip()).filter(|_| packet.from.ip() != packet.to.ip())?,
            calling: packet.message.calling().to_owned(),
            called: packet.message.called().to_owned(),
            user_to_user: packet.message.header("User-to-User").map(str::to_owned),
            address: carried(&packet.message),
        })
    };
    Ok(packets.invites().into_iter().filter_map(read).collect())
}

/// What the nodes that run have told since `begin` (ms since 1970).
fn pushes(theatre: &Theatre, begin: i64) -> Vec<Push> {
    let mut found = Vec::new();
    for (name, node) in nodes(theatre) {
        let deliveries = node.calls().into_iter().flat_map(|call| match call["deliveries"].clone() {
            Value::Array(deliveries) => deliveries,
            _ => Vec::new(),
        });
        for delivery in deliveries.filter(|d| d["message"] == "peer") {
            let times = delivery["created"].as_i64().zip(delivery["delivered"].as_i64());
            let Some((created, delivered)) = times.filter(|(created, _)| *created >= begin) else { continue };
            let number = delivery["number"].as_str().unwrap_or_default().to_owned();
            let entry = node.get(&format!("/v1/numbers/{}", encode(&number)));
            let whose = entry["name"].as_str().unwrap_or(&number).to_owned();
            found.push((created, Push { node: name, name: whose, number, ms: delivered - created }));
        }
    }
    found.sort_by_key(|(created, _)| *created);
    found.into_iter().map(|(_, push)| push).collect()
}
