//! All channels of an Asterisk.

use std::collections::{HashMap, HashSet};

use super::dictionary::{HOLDING, UP, leg, member};
use crate::ami::{Action, Client, Event};
use crate::core::endpoint::Endpoints;
use crate::pbx::hearing::{Hearing, Kind, Member};
use crate::pbx::vocabulary::{raw_number, side, tenant};
use crate::pbx::{Error, LiveLeg, Mark, Snapshot};

/// What is asked for with each channel.
const VARIABLES: &str = "SIDECALL,SIDECALL_SIDE,SIDECALL_CALLING,SIDECALL_WITHHELD,SIDECALL_CALLED,SIDECALL_CALL,\
    SIDECALL_RECEIVED,SIDECALL_TENANT,SIDECALL_REFUSED";

/// Two lists, whole or an error: a failed snapshot is not an empty one.
pub(super) async fn take(client: &Client, endpoints: &Endpoints) -> Result<Snapshot, Error> {
    let entries = client.list(Action::new("Status")?.with("Variables", VARIABLES)?).await?;
    let bridges = client.list(Action::new("BridgeList")?).await?;
    Ok(read(&entries, &bridges, endpoints))
}

fn read(channels: &[Event], bridges: &[Event], endpoints: &Endpoints) -> Snapshot {
    let waiting = bridges.iter().filter(|b| b.get("BridgeTechnology").as_deref() == Some(HOLDING));
    let waiting: HashSet<_> = waiting.filter_map(|bridge| bridge.get("BridgeUniqueid")).collect();
    let mut hearing = Hearing::default();
    let members: Vec<_> = channels.iter().filter_map(|entry| Some((member(entry, endpoints)?, entry))).collect();
    for (member, entry) in &members {
        let bridge = entry.get("BridgeID").filter(|bridge| !bridge.is_empty() && !waiting.contains(bridge));
        if let Some(bridge) = bridge {
            hearing.enter(&bridge, member.clone(), None);
        }
    }
    let legs = members.into_iter().map(|(member, entry)| channel(member, entry, &hearing)).collect();
    Snapshot { legs, hearing }
}

fn channel(member: Member, entry: &Event, hearing: &Hearing) -> LiveLeg {
    let Member { leg: id, kind, device } = member;
    // A leg that was made for another has that one's id as its `Linkedid`.
    let by = leg(entry, "Linkedid").filter(|linked| *linked != id && kind == Kind::Real);
    LiveLeg {
        mark: mark(entry),
        by,
        device,
        answered: entry.get("ChannelState").as_deref() == Some(UP),
        hears: hearing.heard_by(&id),
        leg: id,
    }
}

/// `Variable: SIDECALL_CALLED=1002`
fn mark(entry: &Event) -> Option<Mark> {
    let values: HashMap<String, String> = entry
        .get_all("Variable")
        .filter_map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    // It has none while an attendant has the call.
    let ours = values.get("SIDECALL").map(|_| "");
    let called = values.get("SIDECALL_CALLED").map(String::as_str).or(ours)?;
    Some(Mark {
        side: side(values.get("SIDECALL_SIDE")?)?,
        calling: raw_number(values.get("SIDECALL_CALLING").map_or("", String::as_str)),
        withheld: values.get("SIDECALL_WITHHELD").is_some_and(|said| said == "yes"),
        called: raw_number(called),
        received: values.get("SIDECALL_RECEIVED").cloned(),
        tenant: values.get("SIDECALL_TENANT").and_then(|name| tenant(name)),
        refused: values.get("SIDECALL_REFUSED").is_some_and(|said| said == "yes"),
        call: values.get("SIDECALL_CALL").and_then(|c| c.parse().ok()),
    })
}
