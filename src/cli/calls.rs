//! `calls`: lists live and recent calls, and shows one in detail.

use std::path::Path;

use clap::{Args, Subcommand};

use super::api_access::AdminArgs;
use super::api_client::Api;
use super::output;
use crate::contract::{
    CallList, CallView, DeliveryView, PairedNumbers, PeerDeliveryView, RemoteSideView, TimelineDetail, TimelineEvent,
};
use crate::core::base::name::{CallId, PbxName, PeerName};
use crate::core::base::time::UnixMillis;
use crate::core::call::remote_side::{Milestone, PeerDelivery};
use crate::core::numbering::number::Number;

/// Shows calls: who called whom, the route and the reason for it, and the messages sent to clients.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sidecall calls list --live
  sidecall calls list --limit 1000 --json | jq -r '.calls[].reason' | sort | uniq -c
  sidecall calls show 0193a5c2-7d1e-7a90-8f3b-2c4d5e6f7a8b

The reason says why a call took its route: caller-has-no-client, called-has-client, late, …")]
pub(super) struct CallsArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List live and recent calls, newest first.
    List {
        /// Only calls that have not ended.
        #[arg(long)]
        live: bool,
        /// Only calls on this PBX.
        #[arg(long, value_name = "NAME")]
        pbx: Option<PbxName>,
        /// Maximum number of calls to list.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Show one call: its timeline on both sides, and every message sent to clients.
    Show {
        /// The call's id, from `calls list` or the log.
        call: CallId,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

pub(super) async fn run(args: CallsArgs, config: &Path) -> anyhow::Result<()> {
    match args.command {
        Command::List { live, pbx, limit, admin } => {
            let json = admin.json;
            list(&admin.api(config)?, live, pbx.as_ref(), limit, json).await
        }
        Command::Show { call, admin } => {
            let json = admin.json;
            let view: CallView = admin.api(config)?.get(&["v1", "calls", call.as_str()], &[]).await?;
            if json { output::json(&view) } else { show(&view) }
        }
    }
}

async fn list(api: &Api, live: bool, pbx: Option<&PbxName>, limit: u32, json: bool) -> anyhow::Result<()> {
    let limit = limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    if live {
        query.push(("live", "true"));
    }
    if let Some(pbx) = pbx {
        query.push(("pbx", pbx.as_str()));
    }
    let list: CallList = api.get(&["v1", "calls"], &query).await?;
    if json {
        return output::json(&list);
    }
    let head = ["DECIDED", "PHASE", "CALLING", "CALLED", "ROUTE", "REASON", "TALKED", "PBX", "CALL"];
    output::table(&head, &list.calls.iter().map(row).collect::<Vec<_>>())
}

fn row(call: &CallView) -> Vec<String> {
    vec![
        output::moment(call.decided),
        word(&call.phase),
        number(call.calling.as_ref()),
        call.called.to_string(),
        call.route.as_str().to_owned(),
        call.reason.as_str().to_owned(),
        talked(call),
        call.pbx.to_string(),
        call.call.to_string(),
    ]
}

fn number(number: Option<&Number>) -> String {
    number.map_or_else(|| "withheld".to_owned(), Number::to_string)
}

/// The API's word for a value.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn talked(call: &CallView) -> String {
    match (call.answered, call.ended) {
        (Some(answered), Some(ended)) => output::span(ended - answered),
        (Some(_), None) => "still".to_owned(),
        (None, _) => "-".to_owned(),
    }
}

fn show(call: &CallView) -> anyhow::Result<()> {
    let trunk = call.trunk.as_ref().map(|trunk| format!(" by {trunk}")).unwrap_or_default();
    let route = format!("{}{trunk} ({})", call.route.as_str(), call.reason.as_str());
    let since = |at| format!("{}  (+{})", output::moment(at), output::span(at - call.decided));
    let mut facts = vec![
        ("call", call.call.to_string()),
        ("calling", number(call.calling.as_ref())),
        ("called", call.called.to_string()),
        ("pbx", format!("{}, {}, leg {}", call.pbx, word(&call.side), call.leg)),
        ("route", route),
        ("phase", word(&call.phase)),
        ("decided", output::moment(call.decided)),
    ];
    facts.extend(call.address.as_ref().map(|address| ("carried", address.to_string())));
    facts.extend(call.remote.iter().flat_map(remote_side));
    facts.extend(call.with.iter().map(|with| ("with", with.to_string())));
    facts.extend(call.answered.map(|at| ("answered", since(at))));
    facts.extend(call.ended.map(|at| ("ended", since(at))));
    facts.extend(call.cause.as_ref().map(|cause| ("cause", output::clean(cause))));
    for (name, fact) in facts {
        output::line(format!("{name:<9} {fact}"))?;
    }
    output::line("")?;
    if let Some(begun) = call.timeline.first().map(|step| step.at) {
        output::table(
            &["AT", "END", "PBX", "WHAT"],
            &call.timeline.iter().map(|step| told(step, begun)).collect::<Vec<_>>(),
        )?;
        output::line("")?;
    }
    if call.deliveries.is_empty() {
        return output::line(
            "Nothing was sent to clients: nobody with a client has been connected to somebody with one.",
        );
    }
    let head = ["CREATED", "MESSAGE", "TO", "FORM", "STATE", "TOOK", "TRIES", "ERROR"];
    output::table(&head, &call.deliveries.iter().map(delivery).collect::<Vec<_>>())
}

/// What the remote side's node told us, and what we told it.
fn remote_side(remote: &RemoteSideView) -> Vec<(&'static str, String)> {
    let by = |peer: &Option<PeerName>| peer.as_ref().map(|peer| format!(" ({peer})")).unwrap_or_default();
    let sent = |sent: &PeerDelivery| {
        let error = sent.error.as_deref().map(|error| format!(": {}", output::clean(error))).unwrap_or_default();
        format!("{}{}{error}", sent.state.as_str(), by(&sent.peer))
    };
    let mut facts = Vec::new();
    facts.extend(remote.source.map(|source| ("remote", format!("by {}{}", word(&source), by(&remote.peer)))));
    facts.extend(remote.linked_call.as_ref().map(|id| ("linked", id.to_string())));
    facts.extend(remote.offer.as_ref().map(|offer| ("offer", sent(offer))));
    facts.extend(remote.answers.iter().map(|answer| ("answer", format!("{} {}", answer.number, sent(&answer.sent)))));
    facts
}

/// A row of the timeline.
fn told(step: &TimelineEvent, begun: UnixMillis) -> Vec<String> {
    let at = if step.at < begun {
        format!("-{}", output::span(begun - step.at))
    } else {
        format!("+{}", output::span(step.at - begun))
    };
    let known_from = match &step.what {
        TimelineDetail::There { node, .. } => node.to_string(),
        _ => step.pbx.to_string(),
    };
    vec![at, word(&step.side), known_from, describe(&step.what)]
}

fn describe(what: &TimelineDetail) -> String {
    let two = |PairedNumbers { first, second }: &PairedNumbers| {
        format!("{} and {}", number(first.as_ref()), number(second.as_ref()))
    };
    let by = |peer: &Option<PeerName>| peer.as_ref().map(|peer| format!(" ({peer})")).unwrap_or_default();
    let because = |error: &Option<String>| {
        error.as_deref().map(|error| format!(": {}", output::clean(error))).unwrap_or_default()
    };
    let outcome = |PeerDeliveryView { peer, state, error, .. }: &PeerDeliveryView| {
        format!("{}{}{}", state.as_str(), by(peer), because(error))
    };
    match what {
        TimelineDetail::Announced { leg } => format!("announced, leg {leg}"),
        TimelineDetail::Decided { route, reason, serves } => {
            format!("decided {} ({}){}", route.as_str(), reason.as_str(), by(serves))
        }
        TimelineDetail::Routed { route, trunk, address } => {
            let trunk = trunk.as_ref().map(|trunk| format!(" by {trunk}")).unwrap_or_default();
            format!("routed {}{trunk}{}", route.as_str(), if *address { ", with the caller's address" } else { "" })
        }
        TimelineDetail::Offered(delivery) => format!("offered: {}", outcome(delivery)),
        TimelineDetail::Heard { source, peer, number: whose } => {
            format!("address of {} received by {}{}", number(whose.as_ref()), word(source), by(peer))
        }
        TimelineDetail::Answered { machine: true, .. } => "answered by the PBX itself".to_owned(),
        TimelineDetail::Answered { number, .. } => {
            number.as_ref().map_or_else(|| "answered".to_owned(), |number| format!("answered by {number}"))
        }
        TimelineDetail::Paired(pair) => format!("paired {}", two(pair)),
        TimelineDetail::Parted(pair) => format!("parted {}", two(pair)),
        TimelineDetail::Pushed { number, form, message, state, error, .. } => {
            let [message, form, state] = [message, form, state].map(|word| output::clean(word));
            format!("pushed {message} to {number}, {form}: {state}{}", because(error))
        }
        TimelineDetail::There { what, .. } => there(what),
        TimelineDetail::Replied { number, delivery } => {
            format!("answered for {number}: {}", outcome(delivery))
        }
        TimelineDetail::Ended { cause } => {
            format!("ended{}", cause.as_deref().map(|cause| format!(", {}", output::clean(cause))).unwrap_or_default())
        }
    }
}

/// An event of the remote node's timeline.
fn there(what: &Milestone) -> String {
    match what {
        Milestone::Announced => "announced there".to_owned(),
        Milestone::Decided { route: Some(route), reason: Some(reason) } => {
            format!("decided there {} ({})", route.as_str(), reason.as_str())
        }
        Milestone::Decided { .. } => "decided there".to_owned(),
        Milestone::Answered => "answered there".to_owned(),
        Milestone::Paired => "paired there".to_owned(),
        Milestone::Pushed => "pushed there".to_owned(),
        Milestone::Ended => "ended there".to_owned(),
    }
}

fn delivery(delivery: &DeliveryView) -> Vec<String> {
    vec![
        output::moment(delivery.created),
        output::clean(&delivery.message),
        delivery.number.to_string(),
        output::clean(&delivery.form),
        output::clean(&delivery.state),
        delivery.delivered.map_or_else(|| "-".to_owned(), |at| output::span(at - delivery.created)),
        delivery.attempts.to_string(),
        delivery.error.as_deref().map(output::clean).unwrap_or_default(),
    ]
}
