//! One call: decide, answer, register, report in order.
//!
//! Each call has a task of its own, so the events of a call stay in order whatever the others do, and
//! a node that is slow for one call holds up no other.

pub(super) mod hold;
mod replayed_reports;
pub(super) mod reply_path;
mod turn;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::agent::call::replayed_reports::ReplayedReports;
use crate::agent::call::reply_path::ReplyPath;
use crate::agent::call::turn::{Patience, in_turn, pause};
use crate::agent::link::context::LinkContext;
use crate::agent::node_client_error::NodeClientError;
use crate::agent::nodes::Handovers;
use crate::contract::{CallDecision, CallEvent, CallEvents, CallReport, CallRequest, CallView};
use crate::core::base::name::{CallId, LegId};
use crate::core::base::node_list::InUse;
use crate::core::routing::route::{Reason, Route};
use crate::monitor::brief;
use crate::monitor::metrics::agent as metrics;
use crate::monitor::{micros, now};
use crate::pbx::{Announcement, DialStrings, DialplanAnswer, PbxError};

/// Events that go into one report.
const BATCH: usize = 32;

/// Times that the task of one call may break before its call is left alone.
const BROKEN_MAX: u32 = 3;

/// How a call comes to us.
#[derive(Debug)]
pub(super) enum Start {
    /// It is held.
    Held(Box<HeldCall>),
    /// It was found in a snapshot; it may have been decided before.
    Found { call: Option<CallId> },
}

/// A call that waits for an answer.
#[derive(Debug)]
pub(super) struct HeldCall {
    pub announcement: Announcement,
    /// Its numbers, for the answer.
    pub dial_strings: DialStrings,
    /// The longest that it waits for a decision; none if it must go on without.
    pub left: Option<Duration>,
    pub reply_path: ReplyPath,
    /// When it arrived here.
    pub arrived: Instant,
}

/// What a call's task is told.
#[derive(Debug)]
struct Told {
    report: CallReport,
    last: bool,
}

/// The sending side of a call's task.
#[derive(Debug)]
pub(super) struct CallHandle {
    told: UnboundedSender<Told>,
    /// See [`CallHandle::over`]. The task holds the other reference.
    over: Arc<OnceLock<CallId>>,
    task: JoinHandle<()>,
}

impl CallHandle {
    /// Starts the task of a call.
    pub(super) fn start(context: &Arc<LinkContext>, request: CallRequest, start: Start) -> CallHandle {
        let (told, events) = unbounded_channel();
        let routed = request.routed.unwrap_or(Reason::NotAnnounced);
        let task = Task::new(context, request, routed);
        let over = Arc::clone(&task.over);
        let task = context.shared.calls.spawn(task.run(start, events));
        CallHandle { told, over, task }
    }

    /// Answers an announcement of a call that is followed already: its leg has come to another context, where
    /// the number is written in another way. Which of its trunks was tried is the dialplan's to know.
    pub(super) fn answer_again(context: &Arc<LinkContext>, request: CallRequest, waiting: HeldCall) {
        let mut task = Task::new(context, request, Reason::NotAnnounced);
        context.shared.calls.spawn(brief("call", async move { task.decide(waiting).await }));
    }

    /// Tells the node, in its turn.
    pub(super) fn tell(&self, seq: u64, event: CallEvent, last: bool) {
        let report = CallReport { seq, at: now(), event };
        // The task ends before its call only when the agent stops.
        let _ = self.told.send(Told { report, last });
    }

    /// Lets the call's task finish: it reports what it was told, and ends.
    pub(super) fn finish(self) -> JoinHandle<()> {
        self.task
    }

    /// The node's id of the call, once it has said that the call is over and drops what it is told of it.
    pub(super) fn over(&self) -> Option<&CallId> {
        self.over.get()
    }
}

/// The number of the report after this one. The clock puts it above those of an earlier agent, unless the clock went back:
/// then the node's list of live calls does.
pub(super) fn next_seq(seq: u64) -> u64 {
    (seq.min(CallReport::SEQ_MAX) + 1).max(u64::try_from(micros()).unwrap_or(0))
}

struct Task {
    context: Arc<LinkContext>,
    request: CallRequest,
    /// The node's id, once it has given one.
    call: Option<CallId>,
    /// Why the call went on, as far as we know.
    routed: Reason,
    replayed: ReplayedReports,
    patience: Patience,
    /// Tells when a node works again.
    in_use: watch::Receiver<InUse>,
    /// See [`CallHandle::over`].
    over: Arc<OnceLock<CallId>>,
}

impl Task {
    fn new(context: &Arc<LinkContext>, request: CallRequest, routed: Reason) -> Task {
        let (context, replayed) = (Arc::clone(context), ReplayedReports::default());
        let (patience, in_use) = (Patience::default(), context.shared.node.watch());
        Task { context, request, call: None, routed, replayed, patience, in_use, over: Arc::default() }
    }

    async fn run(mut self, start: Start, mut events: UnboundedReceiver<Told>) {
        let stop = self.context.shared.stop.clone();
        // From before the first request: the node that answers it may be left right afterwards.
        let mut handovers = self.context.shared.node.handovers();
        let work = async {
            match start {
                // If it breaks, its socket closes or its hold runs out: the dialplan goes on.
                Start::Held(waiting) => drop(brief("call", self.decide(*waiting)).await),
                Start::Found { call } => self.call = call,
            }
            // What it reports when it breaks is lost, and the rest of the call is still told.
            for _ in 0..BROKEN_MAX {
                if brief("call", self.follow(&mut events, &mut handovers)).await.is_some() {
                    return;
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = stop.cancelled() => {}
        }
    }

    async fn decide(&mut self, waiting: HeldCall) {
        let HeldCall { announcement: held, dial_strings, left, reply_path, arrived } = waiting;
        let held = &held;
        let decision = match left {
            Some(left) => self.context.shared.node.decide(&self.request, left).await,
            None => Err(NodeClientError::Late(held.hold)),
        };
        let answer = match decision {
            Ok(CallDecision { call, route, trunk, address, reason }) => {
                self.routed = reason;
                self.call = Some(call.clone());
                DialplanAnswer { call: Some(call), route, trunk, address, dial_strings, reason }
            }
            Err(error) => {
                self.routed = match error {
                    NodeClientError::Late(_) => Reason::Late,
                    NodeClientError::Refused { .. } => Reason::NodeError,
                    _ => Reason::NodeUnreachable,
                };
                tracing::debug!(%error, leg = %held.leg, "no decision");
                let reason = self.routed;
                DialplanAnswer { call: None, route: Route::Pstn, trunk: None, address: None, dial_strings, reason }
            }
        };
        let asked = arrived.elapsed();
        let result = reply_path.answer(held, &answer, arrived, left).await;
        self.note(held, &answer, asked, result);
    }

    fn note(
        &mut self,
        held: &Announcement,
        answer: &DialplanAnswer,
        asked: Duration,
        result: Option<Result<(), PbxError>>,
    ) {
        let applied = match result {
            Some(Ok(())) => "yes",
            // It said nothing to the dialplan that the dialplan would not do by itself.
            None if answer.call.is_none() => "no",
            None => {
                self.dropped();
                "late"
            }
            Some(Err(error)) => {
                tracing::debug!(%error, leg = %held.leg, "the answer did not arrive");
                "failed"
            }
        };
        metrics::answered(&self.context.pbx.name, self.routed, applied, asked);
        tracing::info!(
            call = self.call.as_ref().map(CallId::as_str),
            pbx = %self.request.pbx,
            leg = %self.request.leg,
            calling = self.request.calling.as_ref().map(ToString::to_string),
            called = %self.request.called,
            route = answer.route.as_str(),
            reason = self.routed.as_str(),
            ms = asked.as_secs_f64() * 1e3,
            applied,
            "call decided"
        );
    }

    /// A decision came, but too late to be used: the node must know that the call went another way.
    fn dropped(&mut self) {
        self.routed = Reason::Late;
        self.call = None;
    }

    /// Reports until the call is over.
    async fn follow(&mut self, events: &mut UnboundedReceiver<Told>, handovers: &mut Handovers) {
        if self.call.is_none() {
            // The node must know the call before it is answered, or a client that binds during the
            // ringing would come too late.
            self.register(events).await;
        }
        let mut batch = Vec::with_capacity(4);
        loop {
            let told = tokio::select! {
                biased;
                told = events.recv_many(&mut batch, BATCH) => told,
                // The node may have lost the call. A report without events finds that out.
                () = in_turn(handovers) => {
                    self.report(&CallEvents { events: Vec::new() }, events).await;
                    continue;
                }
            };
            if told == 0 {
                return;
            }
            let last = batch.iter().any(|told| told.last);
            if let Some(call) = self.call.as_ref().filter(|_| last) {
                self.context.end_messages(call);
            }
            let report = CallEvents { events: batch.drain(..).map(|told| told.report).collect() };
            self.report(&report, events).await;
            if last {
                return;
            }
        }
    }

    async fn report(&mut self, batch: &CallEvents, more: &UnboundedReceiver<Told>) {
        let mut again = None;
        for attempt in 1.. {
            let Some(call) = self.call.clone() else {
                if !self.register(more).await {
                    return;
                }
                again = Some(self.replayed.before(batch));
                continue;
            };
            let before = self.in_use.borrow().recoveries;
            match self.context.shared.node.report(&call, again.as_ref().unwrap_or(batch)).await {
                Ok(reply) => {
                    self.replayed.add(&batch.events);
                    if reply.over {
                        let _ = self.over.set(call);
                    }
                    return self.context.send_messages(reply.sip);
                }
                // It lost the call, or never wrote it down: it gets to know it again.
                Err(error) if error.is_unknown_call() => {
                    self.call = None;
                    // It says so of a call that it has just registered: not in a tight circle.
                    if attempt > 1 && !self.wait(attempt, before, &error, more).await {
                        return;
                    }
                }
                Err(error) if error.is_final() => {
                    tracing::warn!(%error, %call, "the node does not take what happened to a call");
                    return;
                }
                Err(error) => {
                    if !self.wait(attempt, before, &error, more).await {
                        return;
                    }
                }
            }
        }
    }

    /// Makes the node know the call; false if that was given up.
    async fn register(&mut self, more: &UnboundedReceiver<Told>) -> bool {
        self.request.routed = Some(self.routed);
        for attempt in 1.. {
            let before = self.in_use.borrow().recoveries;
            match self.context.shared.node.register(&self.request).await {
                Ok(decision) => {
                    self.call = Some(decision.call);
                    return true;
                }
                Err(error) if error.is_final() => {
                    tracing::warn!(%error, leg = %self.request.leg, "the node does not take a call");
                    return false;
                }
                Err(error) => {
                    if !self.wait(attempt, before, &error, more).await {
                        return false;
                    }
                }
            }
        }
        false
    }

    /// Waits before the next attempt; false when the call is long over. `before` is how many recoveries came before the last one.
    async fn wait(
        &mut self,
        attempt: u32,
        before: u32,
        error: &NodeClientError,
        more: &UnboundedReceiver<Told>,
    ) -> bool {
        if !self.patience.lasts(more.is_closed()) {
            tracing::warn!(%error, leg = %self.request.leg, "gave up telling the node about a call that is over");
            return false;
        }
        metrics::report_retried(&self.context.pbx.name);
        pause(attempt, before, &mut self.in_use).await;
        true
    }
}

/// The calls on this PBX that the node takes for live; asks until it says.
pub(super) async fn live_calls(context: Arc<LinkContext>) -> Vec<CallView> {
    let mut in_use = context.shared.node.watch();
    for attempt in 1.. {
        let before = in_use.borrow().recoveries;
        match context.shared.node.live_calls(&context.pbx.name).await {
            Ok(calls) => return calls,
            Err(error) if error.is_final() => {
                tracing::warn!(%error, "the node does not tell its live calls");
                break;
            }
            Err(_) => pause(attempt, before, &mut in_use).await,
        }
    }
    Vec::new()
}

/// Tells the node that legs of a call that nobody follows are gone.
pub(super) async fn end_forgotten(context: &LinkContext, call: &CallId, last_seq: u64, gone: Vec<LegId>) {
    let seq = next_seq(last_seq);
    let ended =
        (seq..).zip(gone).map(|(seq, leg)| CallReport { seq, at: now(), event: CallEvent::Ended { leg, cause: None } });
    let ended: Vec<_> = ended.collect();
    for events in ended.chunks(BATCH) {
        let events = CallEvents { events: events.to_vec() };
        match context.shared.node.report(call, &events).await {
            Ok(reply) => context.send_messages(reply.sip),
            // Nothing is left of it.
            Err(error) if error.is_unknown_call() => return,
            Err(error) => return tracing::warn!(%error, %call, "could not end a call that is over"),
        }
    }
}
