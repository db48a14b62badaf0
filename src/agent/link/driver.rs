//! Drives a [`LinkSession`]: turns what comes from the PBX, the node and the clock into inputs, and does what it says.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::sync::Mutex;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Supervised;
use super::ownership::Ownership;
use super::requests_in_flight::RequestsInFlight;
use super::session::{LinkAction, LinkInput, LinkSession, SessionEnd};
use crate::agent::call::reply_path::ReplyPath;
use crate::agent::follow::reconcile::Asked;
use crate::contract::LinkState;
use crate::monitor::metrics::agent as metrics;
use crate::pbx::{PbxCommands, PbxEvents, PbxLink};

/// How often each connection is asked for a sign of life, and the PBX who is in charge.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// Runs a session over a connection that has just been made.
pub(super) async fn run(link: &mut Supervised, pbx: PbxLink, shutdown: &CancellationToken) -> SessionEnd {
    let (mut driver, actions) = Driver::new(link, pbx);
    for action in actions {
        driver.act(action).await;
    }
    driver.run(shutdown).await
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

struct Driver<'a> {
    link: &'a mut Supervised,
    commands: Arc<dyn PbxCommands>,
    events: Box<dyn PbxEvents>,
    session: LinkSession,
    /// Locked by attaching, and by one check at a time.
    ownership: Arc<Mutex<Ownership>>,
    /// What was followed when the last snapshot was asked for.
    asked: Asked,
    pending: RequestsInFlight,
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

impl Driver<'_> {
    fn new(link: &mut Supervised, pbx: PbxLink) -> (Driver<'_>, Vec<LinkAction>) {
        let PbxLink { commands, events } = pbx;
        let us = link.context.shared.id.clone();
        let ownership = Ownership::new(Arc::clone(&commands), link.context.pbx.name.clone(), us.clone());
        let asked = link.follower.ask();
        let (session, actions) = LinkSession::start(now(), us, link.context.quirks);
        let (ownership, pending) = (Arc::new(Mutex::new(ownership)), RequestsInFlight::default());
        (Driver { link, commands, events, session, ownership, asked, pending }, actions)
    }

    async fn run(mut self, shutdown: &CancellationToken) -> SessionEnd {
        // The first tick comes at once, when the session is attached.
        let mut tick = tokio::time::interval(CHECK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut handovers = self.link.context.shared.node.handovers();
        let commands = Arc::clone(&self.commands);
        let mut closed = commands.closed();
        loop {
            let attached = self.session.is_attached();
            let input = tokio::select! {
                biased;
                () = shutdown.cancelled() => LinkInput::Shutdown,
                // Before the events, which may leave no room for it.
                _ = self.link.pulse.tick() => {
                    self.link.alive.tick();
                    continue;
                }
                events = self.events.next(), if attached => match events {
                    None => LinkInput::EventsEnded,
                    Some(events) => match self.link.follower.apply(&commands, events) {
                        true => LinkInput::Suspicion,
                        false => continue,
                    },
                },
                Some((announcement, held)) = self.link.held.recv() => {
                    self.link.follower.announced(announcement, ReplyPath::Direct(held));
                    continue;
                }
                input = self.pending.next() => input,
                () = &mut closed, if attached => LinkInput::CommandsClosed,
                () = handovers.next(), if attached => LinkInput::NodeChanged,
                _ = tick.tick(), if attached => {
                    LinkInput::Tick { followed: self.link.follower.len(), doubts: self.link.follower.doubts() }
                }
                () = sleep_until(self.session.wakes_at()) => LinkInput::Due,
            };
            if let Some(end) = self.tell(input).await {
                return end;
            }
        }
    }

    /// Tells the session, and does what it says. Returns how it ended, if it did.
    async fn tell(&mut self, input: LinkInput) -> Option<SessionEnd> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for action in self.session.handle(now(), input) {
                match action {
                    LinkAction::End(end) => return Some(end),
                    action => inputs.extend(self.act(action).await),
                }
            }
        }
        None
    }

    /// Does what the session says. What that shows at once is an input.
    async fn act(&mut self, action: LinkAction) -> Option<LinkInput> {
        let Supervised { context, follower, .. } = &mut *self.link;
        let pbx = &context.pbx.name;
        let mut suspicion = false;
        match action {
            LinkAction::ReportSyncing => context.status(|status| status.set(LinkState::Syncing, None)),
            LinkAction::Attach => self.pending.attach(&self.ownership),
            LinkAction::SetClock(clock) => follower.set_clock(clock),
            LinkAction::LogTakeover(other) => {
                tracing::info!(%pbx, other, "taking over from another agent, or from an earlier run of this one");
            }
            LinkAction::ReportVersion(version) => context.status(|status| status.version = Some(version)),
            LinkAction::AskClaims => {
                follower.asks_the_node();
                self.pending.ask_claims(context);
            }
            LinkAction::Check => self.pending.check(&self.ownership),
            LinkAction::TakeSnapshot { claimed } => {
                self.asked = follower.ask();
                self.asked.legs.extend(claimed);
                self.events.hold();
                self.pending.take_snapshot(&self.commands, &self.asked.legs);
            }
            LinkAction::Reconcile { snapshot, claims } => {
                suspicion = follower.reconcile(&snapshot, &self.asked, claims);
            }
            LinkAction::LogAttached { channels } => {
                tracing::info!(%pbx, channels, followed = follower.len(), "attached");
            }
            LinkAction::LogOwnership(state) => tracing::info!(%pbx, ?state, "who is in charge has changed"),
            LinkAction::ReportOwnership(state) => {
                context.status(|status| status.set(state, None));
                metrics::link(pbx, state);
            }
            LinkAction::Release(snapshot) => {
                suspicion = follower.apply(&self.commands, self.events.release(Some(&snapshot)));
            }
            LinkAction::ReleaseUnread { why } => {
                tracing::warn!(%pbx, error = %why, "no snapshot; trying again");
                suspicion = follower.apply(&self.commands, self.events.release(None));
            }
            LinkAction::SayGoodbye => {
                self.pending.give_up_attaching();
                self.link.goodbye(&*self.commands).await;
            }
            // The loop's matter.
            LinkAction::End(_) => {}
        }
        suspicion.then_some(LinkInput::Suspicion)
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
