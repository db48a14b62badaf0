//! SIP MESSAGEs that the node asks for: sent through the PBX beside each other, each once, and reported.

mod outbox;
mod recent_ids;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::agent::link::context::LinkContext;
use crate::agent::sip_messages::outbox::{Dropped, Outbox, SendResult, Why};
use crate::contract::{SipMessage, SipMessageOutcome, SipMessages};
use crate::core::base::name::CallId;
use crate::core::base::time::UnixMillis;
use crate::core::numbering::numbering_plan::PbxNumberingPlan;
use crate::monitor::metrics::agent as metrics;
use crate::monitor::now;
use crate::pbx::{PbxCommands, PbxError, Slots};

/// How often is looked for what has waited too long.
const EXPIRE_EVERY: Duration = Duration::from_secs(1);

/// The connection for messages is closed after so long without one: a connection that nothing has gone over may be
/// dead without anybody noticing, and a message that is sent over it is lost.
const IDLE: Duration = Duration::from_secs(30);

/// How long messages in flight may still take when the agent stops.
const STOP_WITHIN: Duration = Duration::from_millis(500);

/// What waits for the PBX.
#[derive(Debug)]
pub(super) struct Messages {
    outbox: Mutex<Outbox>,
    changed: Notify,
}

impl Messages {
    pub(super) fn new(slots: Slots, domain: &str) -> Messages {
        Messages { outbox: Mutex::new(Outbox::new(slots, domain)), changed: Notify::new() }
    }

    fn outbox<T>(&self, work: impl FnOnce(&mut Outbox) -> T) -> T {
        work(&mut self.outbox.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LinkContext {
    /// Takes in what the node asks to be sent.
    pub(super) fn send_messages(&self, reply: SipMessages) {
        let now = Instant::now();
        for message in reply.messages {
            self.dropped(self.messages.outbox(|outbox| outbox.add(message, now)).err());
        }
        self.messages.changed.notify_one();
    }

    /// A call is over: messages that are of no use after it are not sent any more.
    pub(super) fn end_messages(&self, call: &CallId) {
        self.dropped(self.messages.outbox(|outbox| outbox.end_call(call)));
    }

    /// Gives the node back what wasn't sent. Once the call is over, nobody needs the message any more.
    fn dropped(&self, dropped: impl IntoIterator<Item = Dropped>) {
        for Dropped { id, why, rest } in dropped {
            metrics::sip_dropped(&self.pbx.name, why.word());
            let error = Some(why.reason().to_owned());
            self.outcome(SipMessageOutcome {
                error,
                unsent: why != Why::CallEnded,
                rest_ms: rest.map(millis),
                ..bare(id)
            });
        }
    }
}

/// Sends messages as long as it lives.
#[derive(Debug)]
pub(super) struct Courier {
    commands: watch::Sender<Option<Arc<dyn PbxCommands>>>,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Courier {
    /// Starts sending what the link is asked to send.
    pub(super) fn start(context: &Arc<LinkContext>) -> Courier {
        let (commands, link) = watch::channel(None);
        let stop = CancellationToken::new();
        let round = Round { context: Arc::clone(context), link, flights: JoinSet::new(), stop: stop.clone() };
        let task = context.shared.tasks.spawn(format!("courier of {}", context.pbx.name), &stop, round.run());
        Courier { commands, stop, task: AbortOnDropHandle::new(task) }
    }

    /// The link that messages leave by.
    pub(super) fn commands(&self, commands: Option<Arc<dyn PbxCommands>>) {
        self.commands.send_replace(commands);
    }

    /// Ends, and notes the outcome of everything that the node has asked for.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

struct Round {
    context: Arc<LinkContext>,
    link: watch::Receiver<Option<Arc<dyn PbxCommands>>>,
    flights: JoinSet<SipMessageOutcome>,
    stop: CancellationToken,
}

impl Round {
    async fn run(mut self) {
        let plan = Arc::new(self.context.pbx.plan());
        let mut expire = tokio::time::interval(EXPIRE_EVERY);
        let mut used = Instant::now();
        loop {
            while let Some(message) = self.context.messages.outbox(|outbox| outbox.next(Instant::now())) {
                used = Instant::now();
                self.flights.spawn(unbroken(Arc::clone(&plan), self.link.borrow().clone(), message));
            }
            tokio::select! {
                () = self.context.messages.changed.notified() => {}
                Some(Ok(outcome)) = self.flights.join_next() => self.finished(outcome),
                _ = expire.tick() => {
                    self.context.dropped(self.context.messages.outbox(|outbox| outbox.expire(Instant::now())));
                    if self.flights.is_empty() && used.elapsed() >= IDLE
                        && let Some(commands) = self.link.borrow().as_ref()
                    {
                        commands.close_messages();
                    }
                }
                () = self.stop.cancelled() => return self.stopped().await,
            }
        }
    }

    async fn stopped(mut self) {
        self.context.dropped(self.context.messages.outbox(Outbox::close));
        let finishing = async {
            while let Some(finished) = self.flights.join_next().await {
                finished.into_iter().for_each(|outcome| self.finished(outcome));
            }
        };
        // What is still in flight then has no outcome, and the node waits for none.
        let _ = tokio::time::timeout(STOP_WITHIN, finishing).await;
    }

    fn finished(&self, outcome: SipMessageOutcome) {
        let (result, word) = result(&outcome);
        let (rest, dropped) = self.context.messages.outbox(|outbox| {
            if outcome.unsent {
                outbox.forget(&outcome.id);
            }
            outbox.finished(&outcome.id, result, Instant::now())
        });
        metrics::sip_message(&self.context.pbx.name, word);
        self.context.outcome(SipMessageOutcome { rest_ms: rest.map(millis), ..outcome });
        self.context.dropped(dropped);
    }
}

/// An outcome that says no more than that the PBX took the message.
pub(super) fn bare(id: String) -> SipMessageOutcome {
    SipMessageOutcome { id, error: None, at: None, unknown: false, unsent: false, rest_ms: None }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What an outcome says about the address, and its word in the metric. Without a reply of the PBX it says nothing.
fn result(outcome: &SipMessageOutcome) -> (SendResult, &'static str) {
    match outcome {
        SipMessageOutcome { error: None, .. } => (SendResult::Sent, "sent"),
        SipMessageOutcome { unsent: true, .. } => (SendResult::NotTried, "unsent"),
        SipMessageOutcome { unknown: true, .. } => (SendResult::NotTried, "unknown"),
        SipMessageOutcome { .. } => (SendResult::Failed, "failed"),
    }
}

/// Has an outcome even if sending panics: without one, the address would stay occupied.
async fn unbroken(
    plan: Arc<PbxNumberingPlan>,
    link: Option<Arc<dyn PbxCommands>>,
    message: SipMessage,
) -> SipMessageOutcome {
    let id = message.id.clone();
    let sent = AssertUnwindSafe(send(plan, link, message)).catch_unwind().await;
    sent.unwrap_or_else(|_| {
        let error = Some("sending it broke".to_owned());
        SipMessageOutcome { error, unknown: true, ..bare(id) }
    })
}

async fn send(
    plan: Arc<PbxNumberingPlan>,
    link: Option<Arc<dyn PbxCommands>>,
    message: SipMessage,
) -> SipMessageOutcome {
    // As somebody on this PBX would call them back; an extension of elsewhere can't be dialled here.
    let from = plan.show(&message.from).unwrap_or_else(|| "anonymous".to_owned());
    // Over a link that is gone already nothing is sent, and that much is known.
    match link.filter(|commands| commands.closed().now_or_never().is_none()) {
        Some(commands) => outcome(message.id.clone(), commands.send_message(&from, &message).await),
        None => outcome(message.id, Err(PbxError::unsent("there is no link"))),
    }
}

fn outcome(id: String, sent: Result<Instant, PbxError>) -> SipMessageOutcome {
    match sent {
        Ok(begun) => {
            let elapsed = i64::try_from(begun.elapsed().as_millis()).unwrap_or(0);
            SipMessageOutcome { at: Some(UnixMillis(now().0 - elapsed)), ..bare(id) }
        }
        Err(error) => {
            let unsent = error.is_unsent();
            let unknown = !unsent && (error.is_disconnect() || error.is_timeout());
            SipMessageOutcome { error: Some(error.to_string()), unknown, unsent, ..bare(id) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reply_of_the_pbx_makes_an_address_rest() {
        let told = |sent: Result<Instant, PbxError>| result(&outcome("1".to_owned(), sent)).0;
        assert_eq!(told(Ok(Instant::now())), SendResult::Sent);
        assert_eq!(told(Err(crate::esl::EslError::Refused("no such user".to_owned()).into())), SendResult::Failed);
        for ours in [PbxError::Unanswered, crate::esl::EslError::Timeout.into(), PbxError::unsent("no connection")] {
            assert_eq!(told(Err(ours)), SendResult::NotTried);
        }
    }

    #[test]
    fn only_what_the_pbx_was_never_asked_to_send_may_be_sent_again() {
        let told = |sent: Result<Instant, PbxError>| {
            let SipMessageOutcome { error, unknown, unsent, .. } = outcome("1".to_owned(), sent);
            (error.is_some(), unknown, unsent)
        };
        assert_eq!(told(Ok(Instant::now())), (false, false, false));
        assert_eq!(told(Err(PbxError::Unanswered)), (true, true, false));
        assert_eq!(told(Err(crate::esl::EslError::Timeout.into())), (true, true, false));
        assert_eq!(told(Err(crate::esl::EslError::Refused("no such user".to_owned()).into())), (true, false, false));
        assert_eq!(told(Err(PbxError::unsent(crate::esl::EslError::Timeout))), (true, false, true));
    }
}
