//! The events of a call, from the agent that follows it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::contract::CallReport;
use crate::core::base::name::{AgentId, CallId};
use crate::core::call::LegEvent;
use crate::core::call::exchange::{Effect, EventRefusal, Pair};
use crate::node::call::identify::identify;
use crate::node::live_calls::{Applied, CallUnavailable, LiveCalls};
use crate::node::pairing::Pairing;
use crate::node::peering::inbound::Inbound;
use crate::node::peering::outbound::Outbound;
use crate::node::ringing::Ringing;
use crate::node::run_to_completion::run_to_completion;
use crate::push::Push;
use crate::store::{Store, StoreError};

/// Why a call's events were not applied.
#[derive(Debug, thiserror::Error)]
pub(in crate::node) enum ReportError {
    #[error(transparent)]
    Unknown(#[from] CallUnavailable),
    #[error(transparent)]
    Refused(#[from] EventRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Applies what agents report of calls.
#[derive(Clone)]
pub(in crate::node) struct Reports {
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) pairing: Arc<Pairing>,
    pub(in crate::node) outbound: Arc<Outbound>,
    pub(in crate::node) inbound: Arc<Inbound>,
    pub(in crate::node) ringing: Arc<Ringing>,
    pub(in crate::node) push: Push,
    pub(in crate::node) store: Store,
}

impl Reports {
    /// Applies events in order. When this returns, they are written down, and so is what follows. It isn't cut off by
    /// an agent that has waited long enough, nor by the time-out: applied again, they would lead to nothing.
    /// `agent` is which agent numbered them, if it says. True if the call had ended before one of them.
    pub(in crate::node) async fn apply(
        &self,
        id: &CallId,
        agent: Option<AgentId>,
        reports: Vec<CallReport>,
    ) -> Result<bool, ReportError> {
        let (own, id) = (self.clone(), id.clone());
        run_to_completion(async move { own.apply_now(&id, agent.as_ref(), reports).await }).await
    }

    async fn apply_now(
        &self,
        id: &CallId,
        agent: Option<&AgentId>,
        reports: Vec<CallReport>,
    ) -> Result<bool, ReportError> {
        let reports = identify(&self.live, &self.store, id, agent, reports).await?;
        let Applied { changed, write, effects, refused, was_over } = self.live.apply(id, agent, &reports)?;
        let written = match write {
            Ok(commit) => commit.wait().await,
            Err(error) => Err(error),
        };
        let mut failed = written.err();
        let mut left = Vec::new();
        let has_lost_leg = reports.iter().any(|report| matches!(report.event, LegEvent::Ended { .. }));
        let mut regrouped = BTreeSet::from_iter((has_lost_leg && self.live.is_live(id)).then(|| id.clone()));
        let (mut parted, mut paired) = (BTreeSet::new(), Vec::new());
        for effect in effects {
            match &effect {
                Effect::Paired(pair) => {
                    regrouped.insert(pair.call.clone());
                    paired.push(pair.clone());
                }
                Effect::Parted(pair) => {
                    regrouped.insert(pair.call.clone());
                    parted.insert(pair.call.clone());
                }
                // What follows from these tells its clients, too.
                Effect::AnsweredByUnknown(call) | Effect::Ended(call) => _ = regrouped.remove(call),
            }
            if failed.is_none() {
                failed = self.follow(&effect).await.err();
            }
            if failed.is_some() {
                left.push(effect);
            }
        }
        let remaining = parted.iter().flat_map(|call| self.live.pairs_in(call));
        let remaining: Vec<Pair> = remaining.filter(|pair| !paired.contains(pair)).collect();
        if failed.is_none() {
            failed = self.tell_progress(&regrouped, &remaining).await.err();
        }
        if let Some(error) = failed {
            tracing::warn!(call = %id, %error, "what follows from a call's events failed: it is tried again");
            self.live.retry_later(&changed, id, left);
            return Err(error.into());
        }
        match refused {
            Some(refused) => Err(refused.into()),
            None => Ok(was_over),
        }
    }

    /// Does what follows from an event.
    async fn follow(&self, effect: &Effect) -> Result<(), StoreError> {
        match effect {
            Effect::Paired(pair) => {
                self.inbound.match_answered_call(pair).await?;
                self.pairing.reconcile(pair).await?;
                self.outbound.sync_timeline(&pair.call);
                Ok(())
            }
            Effect::Parted(pair) => self.pairing.reconcile(pair).await,
            Effect::AnsweredByUnknown(call) => {
                self.tell_left_out(call).await?;
                self.ringing.tell_answered_by_unknown(call).await
            }
            Effect::Ended(call) => {
                tracing::info!(%call, "ended");
                self.outbound.end_call(call);
                self.push.end_call(call, false);
                self.outbound.sync_timeline(call);
                self.store.drop_pending(vec![call.clone()], false).await?;
                self.tell_left_out(call).await
            }
        }
    }

    /// Tells clients how calls go on that no other client is told of. What fails here is told when the call ends.
    ///
    /// In the calls of `regrouped`, somebody else than the called number may have answered, or the call goes on without somebody.
    /// A number that has lost one party of a conference may still talk with another, which has no client: those are the
    /// `remaining` pairs.
    async fn tell_progress(&self, regrouped: &BTreeSet<CallId>, remaining: &[Pair]) -> Result<(), StoreError> {
        for call in regrouped {
            self.tell_left_out(call).await?;
        }
        for pair in remaining {
            self.ringing.tell_answered(pair).await?;
        }
        Ok(())
    }

    /// Tells the clients of numbers that missed a call, or for which it is over.
    async fn tell_left_out(&self, call: &CallId) -> Result<(), StoreError> {
        self.ringing.tell_missed(call).await?;
        self.ringing.tell_over(call).await
    }
}
