//! All channels of an Asterisk.

use std::collections::HashMap;

use super::dictionary::{UP, leg};
use crate::ami::{Action, Client, Event};
use crate::core::name::LegId;
use crate::pbx::vocabulary::{raw_number, side, tenant};
use crate::pbx::{Error, LiveLeg, Mark, Snapshot};

/// What is asked for with each channel.
const VARIABLES: &str =
    "SIDECALL_SIDE,SIDECALL_CALLING,SIDECALL_CALLED,SIDECALL_CALL,SIDECALL_RECEIVED,SIDECALL_TENANT,SIDECALL_REFUSED";

/// One list, whole or an error: a failed snapshot is not an empty one.
pub(super) async fn take(client: &Client) -> Result<Snapshot, Error> {
    let entries = client.list(Action::new("Status")?.with("Variables", VARIABLES)?).await?;
    let mut bridges: HashMap<String, Vec<LegId>> = HashMap::new();
    let mut legs = Vec::with_capacity(entries.len());
    for entry in &entries {
        let Some(id) = leg(entry, "Uniqueid") else { continue };
        let bridge = entry.get("BridgeID").or_else(|| entry.get("BridgeId")).filter(|b| !b.is_empty());
        if let Some(bridge) = bridge {
            bridges.entry(bridge.into_owned()).or_default().push(id.clone());
        }
        legs.push(channel(id, entry));
    }
    for inside in bridges.values() {
        for live in legs.iter_mut().filter(|live| inside.contains(&live.leg)) {
            live.hears = inside.iter().filter(|other| **other != live.leg).cloned().collect();
        }
    }
    Ok(Snapshot { legs, bridges })
}

fn channel(id: LegId, entry: &Event) -> LiveLeg {
    // A leg that was made for another has that one's id as its `Linkedid`.
    let by = leg(entry, "Linkedid").filter(|linked| *linked != id);
    LiveLeg {
        mark: mark(entry),
        by,
        answered: entry.get("ChannelState").as_deref() == Some(UP),
        hears: Vec::new(),
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
    Some(Mark {
        side: side(values.get("SIDECALL_SIDE")?)?,
        calling: raw_number(values.get("SIDECALL_CALLING").map_or("", String::as_str)),
        called: raw_number(values.get("SIDECALL_CALLED")?),
        received: values.get("SIDECALL_RECEIVED").cloned(),
        tenant: values.get("SIDECALL_TENANT").and_then(|name| tenant(name)),
        refused: values.get("SIDECALL_REFUSED").is_some_and(|said| said == "yes"),
        call: values.get("SIDECALL_CALL").and_then(|c| c.parse().ok()),
    })
}
