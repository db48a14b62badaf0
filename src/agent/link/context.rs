//! What the calls of one PBX share.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::status::LinkStatus;
use crate::agent::Shared;
use crate::agent::config::PbxConfig;
use crate::agent::sip_messages::Messages;
use crate::pbx::PbxQuirks;

/// What the calls of one PBX share.
#[derive(Debug)]
pub(in crate::agent) struct LinkContext {
    pub shared: Arc<Shared>,
    pub pbx: PbxConfig,
    pub quirks: PbxQuirks,
    /// SIP MESSAGEs to send.
    pub messages: Messages,
    pub status: Mutex<LinkStatus>,
    pub status_changed: Notify,
    pub messages_sent: Notify,
}

impl LinkContext {
    pub(in crate::agent) fn new(shared: Arc<Shared>, pbx: PbxConfig, quirks: PbxQuirks) -> LinkContext {
        LinkContext {
            messages: Messages::new(quirks.slots, pbx.context.as_str()),
            status: Mutex::new(LinkStatus::new(pbx.kind, &shared.id)),
            shared,
            pbx,
            quirks,
            status_changed: Notify::new(),
            messages_sent: Notify::new(),
        }
    }
}
