//! What the calls of one PBX share.

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc};

use super::Shared;
use super::config::PbxConfig;
use super::status::Status;
use crate::contract::SipMessages;

/// What the calls of one PBX share.
#[derive(Debug)]
pub(super) struct LinkContext {
    pub shared: Arc<Shared>,
    pub pbx: PbxConfig,
    /// SIP MESSAGEs to send.
    pub messages: mpsc::UnboundedSender<SipMessages>,
    pub status: Mutex<Status>,
    pub status_changed: Notify,
}

impl LinkContext {
    /// Hands on what the node asks to be sent.
    pub(super) fn send_messages(&self, reply: SipMessages) {
        if !reply.messages.is_empty() {
            let _ = self.messages.send(reply);
        }
    }
}
