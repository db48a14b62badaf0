//! SIP MESSAGEs that the node asks for: sent through the PBX one after the other, each once.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
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
        // It ends with the link alone, which drops it.
        let (tasks, name, never) =
            (context.shared.tasks.clone(), format!("courier of {}", context.pbx.name), CancellationToken::new());
        let task = tasks.spawn(name, &never, async move {
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
    // Over a link that is gone already nothing is sent, and that much is known.
    let commands = commands.filter(|commands| commands.closed().now_or_never().is_none());
    let outcome = match commands {
        Some(commands) => outcome(&message.id, commands.send_message(&from, message).await.err().as_ref()),
        None => SipOutcome { id: message.id.clone(), error: Some("no link to the PBX".to_owned()), unknown: false },
    };
    metrics::sip_message(&context.pbx.name, outcome.error.is_none());
    outcome
}

/// A message of unknown outcome may have arrived: the node doesn't have it sent again.
fn outcome(id: &str, error: Option<&Error>) -> SipOutcome {
    let unknown = error.is_some_and(|error| error.is_disconnect() || error.is_timeout());
    SipOutcome { id: id.to_owned(), error: error.map(ToString::to_string), unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_pbx_has_refused_is_known_not_to_have_arrived() {
        assert_eq!(outcome("1", None), SipOutcome { id: "1".to_owned(), error: None, unknown: false });
        assert!(outcome("1", Some(&Error::Unanswered)).unknown);
        assert!(!outcome("1", Some(&crate::esl::Error::Refused("no such user".to_owned()).into())).unknown);
    }
}
