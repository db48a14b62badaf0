//! Two organisations, each with its own PBX, agent and node: B5 to B13, with the wire watched.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use crate::lab::knot::{Knot, Records};
use crate::lab::plays::Play;
use crate::lab::sidecall::encode;
use crate::lab::stage::carried;
use crate::lab::theatre::{Between, Since, Theatre, Told};
use crate::lab::{Capture, Domains, Kind, LabError, PSTN, Sidecall};
use crate::show::{Place, Show};
use crate::{Bill, go_on, story, voice};

/// Lines of progress.
pub(crate) const STEPS: usize = 2;

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

/// About how long it takes.
pub(crate) fn seconds(bill: &Bill) -> usize {
    15 + 4 * bill.between().len() + 10 * usize::from(bill.has("B12"))
}

/// Plays what is wanted. `None` if this machine lacks something for all of it.
pub(crate) fn play((near, far): (Kind, Kind), bill: &Bill, show: &mut Show) -> Result<Option<Theatre>, String> {
    let place = Place::Between(near, far);
    let mut plays = Vec::new();
    for play in bill.between() {
        match missing(play)? {
            Some(why) => show.skip((play.behaviour, place), play.title, &why),
            None => plays.push(play),
        }
    }
    if plays.is_empty() && !bill.has("B12") {
        return Ok(None);
    }
    let inner = plays.iter().any(|play| play.inner);
    let behind = if inner { format!(", {near} behind B's") } else { String::new() };
    show.step(&format!(
        "starting two organisations, A with {near}, B with {far}{behind}, and a telephone network between them"
    ));
    let theatre = if inner { Theatre::with_inner(near, far, near) } else { Theatre::set(near, far) };
    let mut theatre = match theatre {
        Ok(theatre) => theatre,
        Err(error) if error.is_missing() => {
            show.step("nothing of this can be played here\n");
            let compared = bill.has("B12").then_some(("B12", voice::BETWEEN));
            for (behaviour, title) in plays.iter().map(|play| (play.behaviour, play.title)).chain(compared) {
                show.skip((behaviour, place), title, &error.to_string());
            }
            return Ok(None);
        }
        Err(error) => return Err(error.to_string()),
    };
    go_on()?;
    let plain = bill.has("B12").then(|| voice::hear_between(&theatre)).transpose()?;
    go_on()?;
    show.step("playing between the two organisations, with agent and node at both\n");
    show.words(|| story::organisations(near, far, &theatre));
    if let Err(error) = tap(&theatre)? {
        eprintln!("What is on the wire isn't shown: {error}\n");
        theatre.may_be_unwatched();
    }
    if let Some(plain) = plain {
        let compared = voice::compare_between(&mut theatre, plain)?;
        go_on()?;
        show.play(("B12", place), compared.ok, &compared, story::voice);
    }
    for play in plays {
        go_on()?;
        let seen = one(&mut theatre, play)?;
        go_on()?;
        show.play((play.behaviour, place), seen.told.ok, &seen, story::seen);
    }
    Ok(Some(theatre))
}

/// Both status pages, with a call to look at.
pub(crate) fn pages(theatre: &mut Theatre) -> Result<[(&'static str, String); 2], String> {
    let what = |error: LabError| error.to_string();
    theatre.raise(Between::TrunkOfPeers, "").map_err(what)?;
    let (alice, bob) = (theatre.domains.a.phone(1).map_err(what)?, theatre.domains.b.phone(1).map_err(what)?);
    let mut told = theatre.tell("B6", "One more call, to look at");
    let (first, second) = (theatre.domains.a.number(1), theatre.domains.b.number(1));
    let (alices, bobs) = (Since::now(theatre.alice()), Since::now(theatre.there(1)));
    if let Some((call, _there)) = theatre.connect(&alice, &second, &bob, &mut told) {
        let _ = (bobs.peer(Some(&first)), alices.peer(Some(&second)));
        // People talk for longer than it takes to tell their clients.
        std::thread::sleep(Duration::from_secs(1));
        call.hang_up();
    }
    Ok(nodes(theatre).map(|(name, node)| (name, node.url("/"))))
}

fn nodes(theatre: &Theatre) -> [(&'static str, &Sidecall); 2] {
    [("A", theatre.domains.a.sidecall()), ("B", theatre.domains.b.sidecall())]
}

/// What a play needs beyond PBXs, if it isn't here.
fn missing(play: &Play) -> Result<Option<String>, String> {
    if play.behaviour != "B5" {
        return Ok(None);
    }
    match Knot::start(&Records::default(), 60) {
        Ok(_) => Ok(None),
        Err(error) if error.is_missing() => Ok(Some(error.to_string())),
        Err(error) => Err(error.to_string()),
    }
}

/// A capture, or why there can't be one.
fn tap(theatre: &Theatre) -> Result<Result<Capture, String>, String> {
    match theatre.domains.capture() {
        Ok(capture) => Ok(Ok(capture)),
        Err(error) if error.is_missing() => Ok(Err(error.to_string())),
        Err(error) => Err(error.to_string()),
    }
}

fn one(theatre: &mut Theatre, play: &Play) -> Result<Seen, String> {
    let begin = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let capture = tap(theatre)?.ok();
    let told = play.play(theatre);
    let wire = match capture {
        Some(capture) => Some(on_wire(&theatre.domains, capture)?),
        None => None,
    };
    // A play that failed may have failed before there were nodes.
    let pushes = if told.ok { pushes(theatre, i64::try_from(begin).unwrap_or_default()) } else { Vec::new() };
    Ok(Seen { told, wire, pushes })
}

fn on_wire(domains: &Domains, capture: Capture) -> Result<Vec<OnWire>, String> {
    let packets = capture.stop().map_err(|e| e.to_string())?;
    let mut hosts = vec![(domains.a.pbx.trunk_sip().ip(), "A"), (domains.b.pbx.trunk_sip().ip(), "B")];
    hosts.push((PSTN, "network"));
    hosts.extend(domains.c.as_ref().map(|inner| (inner.pbx.trunk_sip().ip(), "PBX behind B")));
    let name = |ip: IpAddr| hosts.iter().find(|(at, _)| *at == ip).map(|(_, name)| *name);
    let read = |packet: crate::lab::Packet| {
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

/// What both nodes have told since `begin` (ms since 1970).
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
