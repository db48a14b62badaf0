//! All channels of a FreeSWITCH.

use std::collections::HashSet;

use serde::Deserialize;

use super::dictionary::{made_for, mark};
use crate::core::name::LegId;
use crate::esl::{Client, Command, Event, Format};
use crate::pbx::{Error, LiveLeg, Snapshot};

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
pub(super) async fn take(client: &Client, known: &[LegId]) -> Result<Snapshot, Error> {
    let listed = list(client).await?;
    let mut seen = HashSet::new();
    let every: Vec<LegId> = known.iter().cloned().chain(listed).filter(|leg| seen.insert(leg.clone())).collect();
    let mut legs = Vec::with_capacity(every.len());
    for batch in every.chunks(BATCH) {
        let commands: Result<Vec<_>, _> = batch.iter().map(|l| Command::api("uuid_dump", &[l.as_str()])).collect();
        let replies = client.pipeline(commands?).await?;
        for (leg, reply) in batch.iter().zip(replies) {
            if reply.is_ok() {
                legs.push(channel(leg, &Event::new(Format::Plain, reply.body().clone())));
            } else if !reply.text().contains("No such channel") {
                return Err(Error::unexpected("uuid_dump", &reply.text()));
            }
        }
    }
    Ok(Snapshot { legs, ..Snapshot::default() })
}

async fn list(client: &Client) -> Result<Vec<LegId>, Error> {
    let reply = client.api("show", &["channels", "as", "json"]).await?.accepted()?;
    let unexpected = || Error::unexpected("show channels", &reply.text());
    let channels: Channels = serde_json::from_slice(reply.body()).map_err(|_| unexpected())?;
    if channels.row_count != channels.rows.len() as u64 {
        return Err(unexpected());
    }
    Ok(channels.rows.into_iter().map(|row| row.uuid).collect())
}

fn channel(leg: &LegId, dump: &Event) -> LiveLeg {
    let [state, bridged] = dump.fields(["Answer-State", "variable_bridge_to"]);
    LiveLeg {
        leg: leg.clone(),
        mark: mark(dump),
        by: made_for(dump),
        device: None,
        answered: state.as_deref() == Some("answered"),
        hears: bridged.and_then(|other| other.parse().ok()).into_iter().collect(),
    }
}
