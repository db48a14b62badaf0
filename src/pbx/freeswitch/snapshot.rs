//! All channels of a FreeSWITCH.

use std::collections::HashSet;

use serde::Deserialize;

use super::translator::{made_for, member, room, tags};
use crate::core::base::name::LegId;
use crate::esl::{Command, EslClient, EslEvent};
use crate::pbx::topology::{ChannelKind, Member, Topology};
use crate::pbx::{LiveLeg, PbxError, Snapshot};

/// Channels that are asked about in one write.
const BATCH: usize = 64;

/// `show channels as json`: `{"row_count":2,"rows":[{"uuid":"…",…}]}`; no `rows` if there are none.
#[derive(Deserialize)]
struct Channels {
    row_count: u64,
    #[serde(default)]
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    uuid: LegId,
}

/// Asks for the list and then for each channel. Anything but a whole answer is an error: a failed
/// snapshot is not an empty one.
pub(super) async fn take(client: &EslClient, known: &[LegId]) -> Result<Snapshot, PbxError> {
    let listed = list(client).await?;
    let mut seen = HashSet::new();
    let every: Vec<LegId> = known.iter().cloned().chain(listed).filter(|leg| seen.insert(leg.clone())).collect();
    let mut channels = Vec::with_capacity(every.len());
    for batch in every.chunks(BATCH) {
        let commands: Result<Vec<_>, _> = batch.iter().map(|l| Command::api("uuid_dump", &[l.as_str()])).collect();
        let replies = client.pipeline(commands?).await?;
        for reply in replies {
            if reply.is_ok() {
                channels.push(EslEvent::new(reply.body().clone()));
            } else if !reply.text().contains("No such channel") {
                return Err(PbxError::unexpected("uuid_dump", &reply.text()));
            }
        }
    }
    Ok(read(&channels))
}

async fn list(client: &EslClient) -> Result<Vec<LegId>, PbxError> {
    let reply = client.api("show", &["channels", "as", "json"]).await?.accepted()?;
    let unexpected = || PbxError::unexpected("show channels", &reply.text());
    let channels: Channels = serde_json::from_slice(reply.body()).map_err(|_| unexpected())?;
    if channels.row_count != channels.rows.len() as u64 {
        return Err(unexpected());
    }
    Ok(channels.rows.into_iter().map(|row| row.uuid).collect())
}

pub(super) fn read(dumps: &[EslEvent]) -> Snapshot {
    let channels: Vec<_> = dumps.iter().filter_map(|dump| Some((member(dump)?, dump))).collect();
    let answered = |dump: &EslEvent| dump.get("Answer-State").as_deref() == Some("answered");
    let up: HashSet<_> = channels.iter().filter(|(_, dump)| answered(dump)).map(|(m, _)| m.leg.clone()).collect();
    let mut topology = Topology::default();
    for (member, dump) in &channels {
        let bridge = bridge(&member.leg, dump).filter(|(_, other)| other.iter().all(|other| up.contains(other)));
        if let Some((bridge, _)) = bridge.filter(|_| up.contains(&member.leg)) {
            topology.enter(&bridge, member.clone(), None);
        }
    }
    let legs = channels.into_iter().map(|(Member { leg, kind, device }, dump)| LiveLeg {
        tags: tags(dump),
        by: made_for(dump).filter(|_| kind == ChannelKind::Real),
        device,
        answered: up.contains(&leg),
        hears: topology.heard_by(&leg),
        leg,
    });
    let legs = legs.collect();
    Snapshot { legs, topology, ..Snapshot::default() }
}

/// The bridge or conference that a channel is in, and with whom.
fn bridge(leg: &LegId, dump: &EslEvent) -> Option<(String, Option<LegId>)> {
    let [bridged, application, conference] =
        dump.fields(["variable_bridge_to", "variable_current_application", "variable_conference_uuid"]);
    if let Some(other) = bridged.and_then(|other| other.parse::<LegId>().ok()) {
        return Some((room(&[leg.clone(), other.clone()]), Some(other)));
    }
    // The variable outlives the conference.
    let conference = conference.filter(|_| application.as_deref() == Some("conference"))?;
    Some((conference.into_owned(), None))
}
