//! The events of a call, from the agent that follows it.

use std::collections::{BTreeSet, HashMap};

use axum::http::StatusCode;

use crate::contract::CallReport;
use crate::core::call::{Call, Event};
use crate::core::exchange::{Effect, Exchange, Refused};
use crate::core::name::CallId;
use crate::node::Problem;
use crate::node::app::App;
use crate::store::{Commit, StoreError};

/// Calls whose state could not be written, and what still follows from their events. The agent is
/// told of the failure and repeats itself, or the sweep does it.
#[derive(Debug, Default)]
pub(in crate::node) struct Backlog(HashMap<CallId, Vec<Effect>>);

impl Backlog {
    pub(in crate::node) fn add(&mut self, call: &CallId, effects: Vec<Effect>) {
        self.0.entry(call.clone()).or_default().extend(effects);
    }

    fn take(&mut self, call: &CallId) -> Option<Vec<Effect>> {
        self.0.remove(call)
    }

    pub(in crate::node) fn holds(&self, call: &CallId) -> bool {
        self.0.contains_key(call)
    }

    pub(in crate::node) fn calls(&self) -> Vec<CallId> {
        self.0.keys().cloned().collect()
    }
}

/// What events came to.
struct Applied {
    /// The calls that are different now, and their way to the database.
    changed: Vec<CallId>,
    write: Result<Commit, StoreError>,
    effects: Vec<Effect>,
    refused: Option<Refused>,
}

impl App {
    /// Applies events in order. When this returns, they are written down, and so is what follows. It isn't cut off by
    /// an agent that has waited long enough, nor by the time-out: applied again, they would lead to nothing.
    pub(in crate::node) async fn report(&self, id: &CallId, reports: &[CallReport]) -> Result<(), Problem> {
        let (app, id, reports) = (self.clone(), id.clone(), reports.to_vec());
        App::to_the_end(async move { app.take_in(&id, &reports).await }).await
    }

    async fn take_in(&self, id: &CallId, reports: &[CallReport]) -> Result<(), Problem> {
        let reports = self.identify(id, reports).await?;
        let Applied { changed: ids, write, effects, refused } = self.apply(id, &reports)?;
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
            let mut backlog = self.backlog();
            ids.iter().for_each(|other| backlog.add(other, Vec::new()));
            backlog.add(id, left);
            return Err(error.into());
        }
        match refused {
            Some(refused) => Err(Problem::invalid("events", refused.to_string())),
            None => Ok(()),
        }
    }

    /// In the exchange alone: what is different now is on its way to the database.
    fn apply(&self, id: &CallId, reports: &[CallReport]) -> Result<Applied, Problem> {
        let mut exchange = self.exchange();
        let Some(call) = exchange.call(id) else {
            return Err(Problem::field(StatusCode::NOT_FOUND, "call", Refused::UnknownCall.to_string()));
        };
        let mut last = call.last_seq;
        let (mut touched, mut refused) = (BTreeSet::new(), None);
        let mut effects = match self.backlog().take(id) {
            Some(effects) => {
                touched.insert(id.clone());
                effects
            }
            None => Vec::new(),
        };
        for report in reports {
            if report.seq > last {
                last = report.seq;
                touched.insert(id.clone());
                touched.extend(owners(&exchange, id, &report.event));
            }
            match exchange.apply(id, report.seq, report.at, &report.event) {
                Ok(new) => effects.extend(new),
                // Late news of a call that is over is no news.
                Err(Refused::Ended) => {}
                Err(error) => refused = Some(error),
            }
        }
        let calls: Vec<Call> = touched.iter().filter_map(|id| exchange.call(id).cloned()).collect();
        let changed = calls.iter().map(|call| call.id.clone()).collect();
        // Under the lock, so that no older state is written after it. An empty write is in its place in the
        // queue too: a repeat waits for what it repeats.
        Ok(Applied { changed, write: self.store.save_calls(calls), effects, refused })
    }

    /// Does what follows from an event.
    async fn follow(&self, effect: &Effect) -> Result<(), StoreError> {
        match effect {
            Effect::Paired(pair) => {
                self.look_for_offer(pair).await?;
                self.settle(pair).await?;
                self.compare(&pair.call);
                Ok(())
            }
            Effect::Parted(pair) => self.settle(pair).await,
            Effect::Ended(call) => {
                tracing::info!(%call, "ended");
                self.end_far(call);
                self.push.end_call(call, false);
                self.compare(call);
                self.store.drop_pending(call, false).await
            }
        }
    }
}

/// The calls whose legs an event changes: those that it names, and those they hear.
fn owners(exchange: &Exchange, id: &CallId, event: &Event) -> Vec<CallId> {
    let Some(pbx) = exchange.call(id).map(|call| &call.pbx) else { return Vec::new() };
    let mut found = Vec::new();
    for leg in event.legs() {
        let Some(call) = exchange.call_of(pbx, leg) else { continue };
        found.push(call.id.clone());
        let heard = call.legs.get(leg).into_iter().flat_map(|leg| &leg.bridges);
        found.extend(heard.filter_map(|(other, _)| exchange.call_of(pbx, other)).map(|call| call.id.clone()));
    }
    found
}
