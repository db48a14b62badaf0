//! Which SIP MESSAGEs the agent of a PBX is given.

use std::sync::Arc;

use crate::contract::{PbxReport, SipMessage, SipMessages};
use crate::core::base::name::PbxName;
use crate::core::base::time::UnixMillis;
use crate::core::call::remote_side::PeerDelivery;
use crate::node::delivery::pbx_links::PbxLinks;
use crate::node::live_calls::LiveCalls;
use crate::push::{HandedOut, Push};

/// Gives agents the SIP MESSAGEs that they are to send. An agent that has no link, or stops, is given none: it could only
/// give them back.
pub(in crate::node) struct SipHandout {
    live: LiveCalls,
    push: Push,
    links: Arc<PbxLinks>,
}

impl SipHandout {
    pub(in crate::node) fn new(live: LiveCalls, push: Push, links: Arc<PbxLinks>) -> SipHandout {
        SipHandout { live, push, links }
    }

    /// An agent has said how its link to a PBX is.
    pub(in crate::node) fn link_reported(&self, pbx: &PbxName, report: PbxReport, now: UnixMillis) {
        if self.links.report(pbx.clone(), report, now) {
            self.push.wake(pbx);
        }
    }

    /// The SIP MESSAGEs that the agent of a PBX is to send now.
    pub(in crate::node) async fn hand_out(&self, pbx: &PbxName, agent: Option<&str>) -> SipMessages {
        if !self.links.sends(pbx, agent) {
            return SipMessages::default();
        }
        let HandedOut { messages, answers, .. } = self.push.hand_out_sip(pbx, agent).await;
        for (call, number) in answers {
            self.live.change_remote(&call, |remote| remote.answers.get_mut(&number).map(PeerDelivery::hand_out));
        }
        SipMessages { messages }
    }

    /// The SIP MESSAGEs that this agent may not have received.
    pub(in crate::node) fn unconfirmed(&self, pbx: &PbxName, agent: &str) -> Vec<SipMessage> {
        match self.links.sends(pbx, Some(agent)) {
            true => self.push.unconfirmed_sip(pbx, agent),
            false => Vec::new(),
        }
    }
}
