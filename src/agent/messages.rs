//! SIP MESSAGEs that the node asks for: sent through the PBX one after the other, each once.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::context::LinkContext;
use crate::contract::{SipMessage, SipMessages, SipOutcome};
use crate::core::plan::PbxPlan;
use crate::monitor::agent as metrics;
use crate::pbx::{Commands, Error};

/// Sends messages as long as it lives.
#[derive(Debug)]
pub(super) struct Courier {
    commands: watch::Sender<Option<Commands>>,
    _task: AbortOnDropHandle<()>,
}

impl Courier {
    /// Starts sending what `messages` brings.
    pub(super) fn start(context: &Arc<LinkContext>, mut messages: mpsc::UnboundedReceiver<SipMessages>) -> Courier {
        let (commands, watched) = watch::channel(None);
        let context = Arc::clone(context);
        let task = tokio::spawn(async move {
            let plan = context.pbx.plan();
            while let Some(SipMessages { messages }) = messages.recv().await {
                for message in messages {
                    let outcome = send(&context, &plan, &watched, &message).await;
                    context.outcome(outcome);
                }
            }
        });
        Courier { commands, _task: AbortOnDropHandle::new(task) }
    }

    /// The link that messages leave by.
    pub(super) fn commands(&self, commands: Option<Commands>) {
        self.commands.send_replace(commands);
    }
}

async fn send(
    context: &LinkContext,
    plan: &PbxPlan,
    link: &watch::Receiver<Option<Commands>>,
    message: &SipMessage,
) -> SipOutcome {
    // As somebody on this PBX would call them back; an extension of elsewhere can't be dialled here.
    let from = plan.show(&message.from).unwrap_or_else(|| "anonymous".to_owned());
    let commands = link.borrow().clone();
    let result = match commands {
        Some(commands) => commands.send_message(&from, message).await.map_err(|e| outcome_error(&e)),
        None => Err("no link to the PBX".to_owned()),
    };
    metrics::sip_message(&context.pbx.name, result.is_ok());
    SipOutcome { id: message.id.clone(), error: result.err() }
}

fn outcome_error(error: &Error) -> String {
    // A message of unknown outcome may have arrived: the node must not have it sent again.
    let unknown = error.is_disconnect() || error.is_timeout();
    if unknown { format!("outcome unknown: {error}") } else { error.to_string() }
}
