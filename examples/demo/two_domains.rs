//! Two organisations, each with its own PBX, agent and node: B5 to B13, with the wire watched.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;

use crate::bill::{Bill, Place};
use crate::show::Show;
use crate::trouble::{Trouble, Venue, guard, sentence};
use crate::{Interrupted, go_on, text, voice};
use lab::net::knot::{Knot, Records};
use lab::scenario::between::DomainScenario;
use lab::scenario::report::Report;
use lab::scenario::wire::carried;
use lab::sidecall::encode;
use lab::{Capture, Domains, Kind, PSTN, Sidecall};

/// One play with what was seen from outside: one line of `--json`.
#[derive(Debug, Serialize)]
pub(crate) struct Observed {
    #[serde(flatten)]
    pub(crate) report: Report,
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

/// Runs what is wanted; where it ran, if that still stands.
pub(crate) fn run(pair: (Kind, Kind), bill: &Bill, show: &mut Show) -> Result<Option<Domains>, Interrupted> {
    let (place, (near, far)) = (Place::Between(pair.0, pair.1), pair);
    let scenarios = bill.between(pair);
    let inner = scenarios.iter().any(|scenario| scenario.inner);
    let behind = if inner { format!(", {near} behind B's") } else { String::new() };
    show.step(&format!(
        "starting two organisations, A with {near}, B with {far}{behind}, and a telephone network between them"
    ));
    let open = || open(pair, inner);
    let mut venue = Venue::new();
    let begun = venue.run(
        open,
        |domains| {
            show.step("playing between the two organisations, with agent and node at both\n");
            show.words(|| text::organisations(near, far, domains));
            Ok(tap(domains)?.err())
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
        let compare = |domains: &mut Domains| {
            let plain = voice::listen_between(domains)?;
            Ok(voice::compared_between(domains, plain)?)
        };
        let compared = venue.run(open, compare, |compared| compared.ok);
        go_on()?;
        show.played(("B12", place), voice::BETWEEN, compared, |compared| compared.ok, text::voice);
    }
    for scenario in scenarios {
        let seen =
            guard(|| lacks(scenario)).and_then(|()| venue.run(open, |on| one(on, scenario), |seen| seen.report.ok));
        go_on()?;
        show.played((scenario.behaviour, place), scenario.title, seen, |seen| seen.report.ok, text::observed);
    }
    Ok(venue.into_open())
}

/// Where nothing can be captured, plays are shown without that.
fn open((near, far): (Kind, Kind), inner: bool) -> Result<Domains, Trouble> {
    let mut domains = Domains::start(near, far, inner.then_some(near))?;
    domains.may_be_unwatched = tap(&domains)?.is_err();
    Ok(domains)
}

/// The nodes that run.
fn nodes(domains: &Domains) -> Vec<(&'static str, &Sidecall)> {
    let both = [("A", &domains.a), ("B", &domains.b)];
    both.into_iter().filter_map(|(name, domain)| Some((name, domain.running.as_ref()?))).collect()
}

/// What a play needs beyond PBXs is here.
fn lacks(scenario: &DomainScenario) -> Result<(), Trouble> {
    if scenario.behaviour == "B5" {
        Knot::start(&Records::default(), 60)?;
    }
    Ok(())
}

/// A capture, or why there can't be one.
fn tap(domains: &Domains) -> Result<Result<Capture, String>, Trouble> {
    match domains.capture() {
        Ok(capture) => Ok(Ok(capture)),
        Err(error) if error.is_missing() => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

fn one(domains: &mut Domains, scenario: &DomainScenario) -> Result<Observed, Trouble> {
    let begin = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let capture = tap(domains)?.ok();
    let mut report = scenario.run(domains);
    report.problems = report.problems.iter().map(|problem| sentence(problem)).collect();
    let wire = match capture {
        Some(capture) => Some(on_wire(domains, capture)?),
        None => None,
    };
    let pushes = pushes(domains, i64::try_from(begin).unwrap_or_default());
    Ok(Observed { report, wire, pushes })
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
fn pushes(domains: &Domains, begin: i64) -> Vec<Push> {
    let mut found = Vec::new();
    for (name, node) in nodes(domains) {
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
