//! Which SIP MESSAGEs the agent of a PBX is given.

use crate::contract::{SipMessage, SipMessages};
use crate::core::far::Sent;
use crate::core::name::PbxName;
use crate::node::app::App;
use crate::push::HandedOut;

impl App {
    /// The SIP MESSAGEs that the agent of a PBX is to send now. An agent that has no link, or stops, is given none: it
    /// could only give them back.
    pub(in crate::node) async fn hand_out_sip(&self, pbx: &PbxName, agent: Option<&str>) -> SipMessages {
        if !self.links.sends(pbx, agent) {
            return SipMessages::default();
        }
        let HandedOut { messages, answers, .. } = self.push.hand_out_sip(pbx, agent).await;
        for (call, number) in answers {
            self.live.change_remote(&call, |far| far.answers.get_mut(&number).map(Sent::hand_out));
        }
        SipMessages { messages }
    }

    /// The SIP MESSAGEs that this agent may not have received, under the same condition.
    pub(in crate::node) fn unconfirmed_sip(&self, pbx: &PbxName, agent: &str) -> Vec<SipMessage> {
        match self.links.sends(pbx, Some(agent)) {
            true => self.push.unconfirmed_sip(pbx, agent),
            false => Vec::new(),
        }
    }
}
