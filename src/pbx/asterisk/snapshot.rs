//! All channels of an Asterisk.

use std::collections::HashSet;

use super::translator::{HOLDING, UP, leg, member, variable};
use crate::ami::{Action, AmiClient, AmiEvent};
use crate::core::numbering::endpoint_names::Endpoints;
use crate::pbx::event::{raw_number, side, tenant};
use crate::pbx::topology::{ChannelKind, Member, Topology};
use crate::pbx::{CallTags, LiveLeg, PbxError, Snapshot};

/// What is asked for with each channel.
const VARIABLES: &str = "SIDECALL,SIDECALL_SIDE,SIDECALL_CALLING,SIDECALL_WITHHELD,SIDECALL_CALLED,SIDECALL_CALL,\
    SIDECALL_RECEIVED,SIDECALL_TENANT,SIDECALL_REFUSED";

/// Two lists, whole or an error: a failed snapshot is not an empty one.
pub(super) async fn take(client: &AmiClient, endpoints: &Endpoints) -> Result<Snapshot, PbxError> {
    let entries = client.list(Action::new("Status")?.with("Variables", VARIABLES)?).await?;
    let bridges = client.list(Action::new("BridgeList")?).await?;
    Ok(read(&entries, &bridges, endpoints))
}

pub(super) fn read(channels: &[AmiEvent], bridges: &[AmiEvent], endpoints: &Endpoints) -> Snapshot {
    let waiting = bridges.iter().filter(|b| b.get("BridgeTechnology").as_deref() == Some(HOLDING));
    let waiting: HashSet<_> = waiting.filter_map(|bridge| bridge.get("BridgeUniqueid")).collect();
    let mut topology = Topology::default();
    let members: Vec<_> = channels.iter().filter_map(|entry| Some((member(entry, endpoints)?, entry))).collect();
    for (member, entry) in &members {
        let bridge = entry.get("BridgeID").filter(|bridge| !bridge.is_empty() && !waiting.contains(bridge));
        if let Some(bridge) = bridge {
            topology.enter(&bridge, member.clone(), None);
        }
    }
    let halves = members.iter().filter_map(|(member, _)| match &member.kind {
        ChannelKind::Intermediate(common, _) => Some(common.clone()),
        ChannelKind::Real | ChannelKind::Nobody => None,
    });
    let locals = halves.collect();
    let legs = members.into_iter().map(|(member, entry)| channel(member, entry, &topology)).collect();
    Snapshot { legs, topology, locals }
}

fn channel(member: Member, entry: &AmiEvent, topology: &Topology) -> LiveLeg {
    let Member { leg: id, kind, device } = member;
    // A leg that was made for another has that one's id as its `Linkedid`.
    let by = leg(entry, "Linkedid").filter(|linked| *linked != id && kind == ChannelKind::Real);
    LiveLeg {
        tags: tags(entry),
        by,
        device,
        answered: entry.get("ChannelState").as_deref() == Some(UP),
        hears: topology.heard_by(&id),
        leg: id,
    }
}

fn tags(entry: &AmiEvent) -> Option<CallTags> {
    let said = |name| variable(entry, &["Variable"], name);
    let yes = |name| said(name).as_deref() == Some("yes");
    // It has none while an attendant has the call.
    let called = said("SIDECALL_CALLED").or_else(|| said("SIDECALL").map(|_| String::new()))?;
    Some(CallTags {
        side: side(&said("SIDECALL_SIDE")?)?,
        calling: raw_number(&said("SIDECALL_CALLING").unwrap_or_default()),
        withheld: yes("SIDECALL_WITHHELD"),
        called: raw_number(&called),
        received: said("SIDECALL_RECEIVED"),
        tenant: said("SIDECALL_TENANT").and_then(|name| tenant(&name)),
        refused: yes("SIDECALL_REFUSED"),
        call: said("SIDECALL_CALL").and_then(|c| c.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ami::{AmiFrame, fuzz::decode};
    use crate::pbx::Device;

    const RECORDED: &[u8] = include_bytes!("../../../fixtures/ami/status.recv");

    /// A call between two phones, and two callers at a main number, one of whom shows no number.
    #[test]
    fn what_is_not_set_is_nothing_that_was_said() {
        let (frames, error) = decode(RECORDED, &[]);
        assert!(error.is_none());
        let entries: Vec<_> = frames.into_iter().filter_map(AmiFrame::into_event).collect();
        let entries: Vec<_> = entries.into_iter().filter(|entry| entry.name() == "Status").collect();
        let legs = read(&entries, &[], &Endpoints::default()).legs;
        let all_tags: Vec<_> = legs.iter().map(|leg| leg.tags.clone()).collect();
        let tags = |calling: &str, called: &str| Some(CallTags::originating(calling, called));
        assert_eq!(all_tags, [None, tags("1000", "1001"), tags("", ""), tags("1000", "")]);
        assert_eq!(legs[1].device, Device::named("1000"));
        assert_eq!((&legs[0].by, &legs[0].hears[..]), (&Some(legs[1].leg.clone()), &[legs[1].leg.clone()][..]));
    }
}
