//! What the node is told about a link: at each change, and every two seconds.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::context::LinkContext;
use crate::agent::node_client_error::NodeClientError;
use crate::contract::{LinkState, PbxKind, PbxReport, SipMessageOutcome};
use crate::core::base::node_list::InUse;
use crate::monitor::metrics::agent as metrics;
use crate::monitor::now;

/// How often the node hears of us; the reply may bring messages to send.
const EVERY: Duration = Duration::from_secs(2);

/// How long to wait if no node can take a report: a stand-by may be about to take over.
const AGAIN: Duration = Duration::from_millis(500);

/// How long outcomes of messages are collected: a hundred of them make one report.
const OUTCOMES_WITHIN: Duration = Duration::from_millis(50);

/// How long the last report may take.
const LAST_WITHIN: Duration = Duration::from_secs(1);

/// Outcomes that are kept for a node that can't be reached.
const OUTCOMES_MAX: usize = 10_000;
/// Outcomes of one report: the node takes 256 kB.
const OUTCOMES_AT_ONCE: usize = 500;

/// How a link is, and what was sent over it since the last report.
#[derive(Debug)]
pub(in crate::agent) struct LinkStatus {
    kind: PbxKind,
    agent: String,
    state: LinkState,
    since: crate::core::base::time::UnixMillis,
    error: Option<String>,
    /// The PBX's own words for its version.
    pub version: Option<String>,
    sent: Vec<SipMessageOutcome>,
    /// Addresses in headers that were not taken, since the start.
    refused: u64,
}

impl LinkStatus {
    pub(in crate::agent) fn new(kind: PbxKind, agent: &str) -> LinkStatus {
        LinkStatus {
            kind,
            agent: agent.to_owned(),
            state: LinkState::Down,
            since: now(),
            error: None,
            version: None,
            sent: Vec::new(),
            refused: 0,
        }
    }

    pub(in crate::agent) fn set(&mut self, state: LinkState, error: Option<String>) {
        if self.state != state {
            self.since = now();
            self.state = state;
        }
        self.error = error;
    }

    /// A report to this node, if there are several.
    fn take(&mut self, node: Option<String>) -> PbxReport {
        PbxReport {
            kind: self.kind,
            agent: self.agent.clone(),
            link: self.state,
            since: self.since,
            error: self.error.clone(),
            version: self.version.clone(),
            node,
            sent: self.sent.drain(..self.sent.len().min(OUTCOMES_AT_ONCE)).collect(),
            refused: self.refused,
        }
    }

    /// Keeps what a report could not tell, before what came since.
    fn put_back(&mut self, mut sent: Vec<SipMessageOutcome>) {
        sent.append(&mut self.sent);
        sent.truncate(OUTCOMES_MAX);
        self.sent = sent;
    }
}

impl LinkContext {
    /// Notes how a message went: the node is told soon, of several messages at once.
    pub(in crate::agent) fn outcome(&self, outcome: SipMessageOutcome) {
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if status.sent.len() < OUTCOMES_MAX {
            status.sent.push(outcome);
        }
        drop(status);
        self.messages_sent.notify_one();
    }

    /// Counts an address that was not taken. The node is told with the next report: whoever sends a
    /// thousand of them makes no thousand reports.
    pub(in crate::agent) fn address_refused(&self, why: &'static str) {
        metrics::address_refused(&self.pbx.name, why);
        self.status.lock().unwrap_or_else(PoisonError::into_inner).refused += 1;
    }

    /// Changes the status; the node is told at once.
    pub(in crate::agent) fn status(&self, change: impl FnOnce(&mut LinkStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
        self.status_changed.notify_one();
    }

    async fn report_status(&self) -> Result<(), NodeClientError> {
        let report = self.status.lock().unwrap_or_else(PoisonError::into_inner).take(self.shared.node.used());
        match self.shared.node.report_pbx(&self.pbx.name, &report).await {
            Ok(reply) => {
                self.send_messages(reply);
                if !self.status.lock().unwrap_or_else(PoisonError::into_inner).sent.is_empty() {
                    self.messages_sent.notify_one();
                }
            }
            Err(error) => {
                tracing::debug!(%error, pbx = %self.pbx.name, "could not report the link");
                self.status.lock().unwrap_or_else(PoisonError::into_inner).put_back(report.sent);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// Waits until another node or process than this is used: it knows nothing of the link.
async fn knows_nothing(in_use: &mut watch::Receiver<InUse>, known: InUse) {
    // Without a sender, the agent is over.
    let _ = in_use.wait_for(|now| (now.node, now.handovers) != (known.node, known.handovers)).await;
}

/// Reports until `over`, and then once more, so that the node knows what was sent and that nobody
/// is attached.
pub(in crate::agent) fn report(context: &Arc<LinkContext>, over: CancellationToken) -> JoinHandle<()> {
    let context = Arc::clone(context);
    let (tasks, name, stop) = (context.shared.tasks.clone(), format!("reports of {}", context.pbx.name), over.clone());
    tasks.spawn(name, &stop, async move {
        let mut in_use = context.shared.node.watch();
        while !over.is_cancelled() {
            let known = *in_use.borrow();
            if let Err(error) = context.report_status().await {
                // What changes meanwhile is told with the next attempt, not by more of them.
                let pause = if error.is_absent() && !error.is_auth() { AGAIN } else { EVERY };
                tokio::select! {
                    () = tokio::time::sleep(pause) => continue,
                    () = knows_nothing(&mut in_use, known) => continue,
                    () = over.cancelled() => break,
                }
            }
            tokio::select! {
                () = context.status_changed.notified() => {}
                () = knows_nothing(&mut in_use, known) => {}
                () = async {
                    context.messages_sent.notified().await;
                    tokio::time::sleep(OUTCOMES_WITHIN).await;
                } => {}
                () = tokio::time::sleep(EVERY) => {}
                () = over.cancelled() => {}
            }
        }
        let _ = tokio::time::timeout(LAST_WITHIN, context.report_status()).await;
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::sip_messages::bare;

    #[test]
    fn outcomes_that_no_node_took_stay_in_order_and_are_bounded() {
        let outcome = |n: usize| bare(n.to_string());
        let mut status = LinkStatus::new(PbxKind::Asterisk, "me");
        status.sent.push(outcome(1));
        let report = status.take(None);
        status.sent.push(outcome(2));
        status.put_back(report.sent);
        assert_eq!(status.sent, [outcome(1), outcome(2)]);
        status.put_back((0..OUTCOMES_MAX).map(outcome).collect());
        assert_eq!(status.sent.len(), OUTCOMES_MAX);
        // More than one request may have is told by several.
        assert_eq!(status.take(None).sent.len(), OUTCOMES_AT_ONCE);
        assert_eq!(status.sent.len(), OUTCOMES_MAX - OUTCOMES_AT_ONCE);
    }
}
