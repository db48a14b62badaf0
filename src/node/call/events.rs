//! The events of a call, from the agent that follows it.

use axum::http::StatusCode;

use crate::contract::CallReport;
use crate::core::exchange::Effect;
use crate::core::name::{AgentId, CallId};
use crate::node::Problem;
use crate::node::app::App;
use crate::node::state::{Applied, CallUnavailable};
use crate::store::StoreError;

impl App {
    /// Applies events in order. When this returns, they are written down, and so is what follows. It isn't cut off by
    /// an agent that has waited long enough, nor by the time-out: applied again, they would lead to nothing.
    /// `agent` is which agent numbered them, if it says. True if the call had ended before one of them.
    pub(in crate::node) async fn report(
        &self,
        id: &CallId,
        agent: Option<AgentId>,
        reports: &[CallReport],
    ) -> Result<bool, Problem> {
        let (app, id, reports) = (self.clone(), id.clone(), reports.to_vec());
        App::to_the_end(async move { app.take_in(&id, agent.as_ref(), &reports).await }).await
    }

    async fn take_in(&self, id: &CallId, agent: Option<&AgentId>, reports: &[CallReport]) -> Result<bool, Problem> {
        let reports = self.identify(id, agent, reports).await?;
        let unavailable = |error: CallUnavailable| Problem::field(StatusCode::NOT_FOUND, "call", error.to_string());
        let applied = self.live.apply(id, agent, &reports).map_err(unavailable)?;
        let Applied { changed, write, effects, refused, was_over } = applied;
        let written = match write {
            Ok(commit) => commit.wait().await,
            Err(error) => Err(error),
        };
        let mut failed = written.err();
        let mut left = Vec::new();
        for effect in effects {
            if failed.is_none() {
                failed = self.follow(&effect).await.err();
            }
            if failed.is_some() {
                left.push(effect);
            }
        }
        if let Some(error) = failed {
            self.live.retry_later(&changed, id, left);
            return Err(error.into());
        }
        match refused {
            Some(refused) => Err(Problem::invalid("events", refused.to_string())),
            None => Ok(was_over),
        }
    }

    /// Does what follows from an event.
    async fn follow(&self, effect: &Effect) -> Result<(), StoreError> {
        match effect {
            Effect::Paired(pair) => {
                self.look_for_offer(pair).await?;
                self.pairing.reconcile(pair).await?;
                self.outbound.sync_timeline(&pair.call);
                Ok(())
            }
            Effect::Parted(pair) => self.pairing.reconcile(pair).await,
            Effect::Ended(call) => {
                tracing::info!(%call, "ended");
                self.outbound.end_call(call);
                self.push.end_call(call, false);
                self.outbound.sync_timeline(call);
                self.store.drop_pending(call, false).await
            }
        }
    }
}
