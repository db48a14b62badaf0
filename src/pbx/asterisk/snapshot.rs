//! All channels of an Asterisk.

use std::collections::HashSet;

use super::layout::is_genuine;
use super::translator::{HOLDING, UP, leg, member, variable};
use crate::ami::{Action, AmiClient, AmiEvent};
use crate::core::numbering::endpoint_names::Endpoints;
use crate::pbx::event::{raw_number, side, tenant};
use crate::pbx::topology::{ChannelKind, Member, Topology};
use crate::pbx::{CallTags, LiveLeg, PbxError, Snapshot};

/// What is asked for with each channel.
const VARIABLES: &str = "SIDECALL,SIDECALL_SIDE,SIDECALL_CALLING,SIDECALL_WITHHELD,SIDECALL_CALLED,SIDECALL_ANSWER,\
    SIDECALL_CALL,SIDECALL_RECEIVED,SIDECALL_TENANT,SIDECALL_REFUSED";

/// Two lists, whole or an error: a failed snapshot is not an empty one.
pub(super) async fn take(client: &AmiClient, endpoints: &Endpoints) -> Result<Snapshot, PbxError> {
    let entries = client.list(Action::new("Status")?.with("Variables", VARIABLES)?).await?;
    let bridges = client.list(Action::new("BridgeList")?).await?;
    Ok(read(&entries, &bridges, endpoints))
}

/// An entry into which a caller has written lines counts as none.
pub(super) fn read(channels: &[AmiEvent], bridges: &[AmiEvent], endpoints: &Endpoints) -> Snapshot {
    // Whoever waits in a bridge hears nobody there.
    let talks = |bridge: &AmiEvent| bridge.get("BridgeTechnology").is_some_and(|technology| technology != HOLDING);
    let talking = bridges.iter().filter(|bridge| is_genuine(bridge, &[]) && talks(bridge));
    let talking: HashSet<_> = talking.filter_map(|bridge| bridge.get("BridgeUniqueid")).collect();
    let mut topology = Topology::default();
    let channels = channels.iter().filter(|entry| is_genuine(entry, &[""]));
    let members: Vec<_> = channels.filter_map(|entry| Some((member(entry, endpoints)?, entry))).collect();
    for (member, entry) in &members {
        if let Some(bridge) = entry.get("BridgeID").filter(|bridge| talking.contains(bridge)) {
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
    // The first field of an answer; or a variable, with an agent or a snippet of an earlier version.
    let answer = said("SIDECALL_ANSWER");
    let call = answer.as_deref().and_then(|answer| answer.split('|').next()).map(str::to_owned);
    let call = call.or_else(|| said("SIDECALL_CALL"));
    Some(CallTags {
        side: side(&said("SIDECALL_SIDE")?)?,
        calling: raw_number(&said("SIDECALL_CALLING").unwrap_or_default()),
        withheld: yes("SIDECALL_WITHHELD"),
        called: raw_number(&called),
        received: said("SIDECALL_RECEIVED"),
        tenant: said("SIDECALL_TENANT").and_then(|name| tenant(&name)),
        refused: yes("SIDECALL_REFUSED"),
        call: call.and_then(|call| call.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ami::{AmiFrame, fuzz::decode};
    use crate::pbx::Device;
    use crate::pbx::asterisk::fuzz::printed;

    const RECORDED: &[u8] = include_bytes!("../../../fixtures/ami/status.recv");

    fn bridge(id: &str, technology: &str, name: &str) -> AmiEvent {
        printed(&format!(
            "Event: BridgeListItem\nBridgeUniqueid: {id}\nBridgeTechnology: {technology}\nBridgeName: {name}\n\
             BridgeNumChannels: 2\n"
        ))
    }

    /// A call between two phones, and two callers at a main number, one of whom shows no number.
    #[test]
    fn what_is_not_set_is_nothing_that_was_said() {
        let (frames, error) = decode(RECORDED, &[]);
        assert!(error.is_none());
        let entries: Vec<_> = frames.into_iter().filter_map(AmiFrame::into_event).collect();
        let entries: Vec<_> = entries.into_iter().filter(|entry| entry.name() == "Status").collect();
        let bridges = [bridge("1869ecdf-8a84-475c-975a-ffd1de7f5fce", "simple_bridge", "")];
        let legs = read(&entries, &bridges, &Endpoints::default()).legs;
        let all_tags: Vec<_> = legs.iter().map(|leg| leg.tags.clone()).collect();
        let tags = |calling: &str, called: &str| Some(CallTags::originating(calling, called));
        assert_eq!(all_tags, [None, tags("1000", "1001"), tags("", ""), tags("1000", "")]);
        assert_eq!(legs[1].device, Device::named("1000"));
        assert_eq!((&legs[0].by, &legs[0].hears[..]), (&Some(legs[1].leg.clone()), &[legs[1].leg.clone()][..]));
    }

    #[test]
    fn who_waits_hears_nobody_whatever_the_bridges_name_is() {
        let entry =
            |leg: &str| printed(&format!("Event: Status\nChannel: PJSIP/1000-{leg}\nUniqueid: {leg}\nBridgeID: b\n"));
        let heard = |bridges: &[AmiEvent]| {
            let legs = read(&[entry("1"), entry("2")], bridges, &Endpoints::default()).legs;
            legs.into_iter().map(|leg| leg.hears.len()).collect::<Vec<_>>()
        };
        assert_eq!(heard(&[bridge("b", "simple_bridge", "")]), [1, 1]);
        assert_eq!(heard(&[bridge("b", HOLDING, "room")]), [0, 0]);
        assert_eq!(heard(&[bridge("b", HOLDING, "room\nX: ")]), [0, 0]);
        assert_eq!(heard(&[]), [0, 0]);
    }

    #[test]
    fn the_calls_id_is_in_the_answer_or_beside_it() {
        let (new, old) = ("01a20359-3d8c-7322-ae1c-79c8dd9a1abc", "01a20359-3d8c-7322-ae1c-79c8dd9a1abd");
        let call = |more: &str| {
            let text = format!(
                "Event: Status\nChannel: PJSIP/1000-00000001\nUniqueid: 1.1\nVariable: SIDECALL_SIDE=originating\n\
                 Variable: SIDECALL_CALLED=1001\n{more}"
            );
            let entry = printed(&text);
            read(&[entry], &[], &Endpoints::default()).legs[0].tags.clone().unwrap().call.map(|call| call.to_string())
        };
        let answer = format!("Variable: SIDECALL_ANSWER={new}|packet|called-has-client||||||\n");
        let beside = format!("Variable: SIDECALL_CALL={old}\n");
        assert_eq!(call(&answer).as_deref(), Some(new));
        assert_eq!(call(&beside).as_deref(), Some(old));
        assert_eq!(call(&format!("{beside}{answer}")).as_deref(), Some(new));
        assert_eq!(call("Variable: SIDECALL_ANSWER=|pstn|late||||||\n"), None);
        assert_eq!(call("Variable: SIDECALL_ANSWER=(null)\nVariable: SIDECALL_CALL=(null)\n"), None);
    }
}
