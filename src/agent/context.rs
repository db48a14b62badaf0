//! What the calls of one PBX share.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::Shared;
use super::config::PbxConfig;
use super::messages::Messages;
use super::status::Status;
use crate::pbx::PbxQuirks;

/// What the calls of one PBX share.
#[derive(Debug)]
pub(super) struct LinkContext {
    pub shared: Arc<Shared>,
    pub pbx: PbxConfig,
    pub quirks: PbxQuirks,
    /// SIP MESSAGEs to send.
    pub messages: Messages,
    pub status: Mutex<Status>,
    pub status_changed: Notify,
    pub messages_sent: Notify,
}

impl LinkContext {
    pub(super) fn new(shared: Arc<Shared>, pbx: PbxConfig, quirks: PbxQuirks) -> LinkContext {
        LinkContext {
            messages: Messages::new(quirks.slots, pbx.context.as_str()),
            status: Mutex::new(Status::new(pbx.kind, &shared.id)),
            shared,
            pbx,
            quirks,
            status_changed: Notify::new(),
            messages_sent: Notify::new(),
        }
    }
}
