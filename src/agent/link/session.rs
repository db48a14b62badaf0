//! One session with a PBX, from attaching to its end: when a snapshot is taken, when the node is asked for its live calls,
//! who is in charge.
//!
//! A pure state machine without socket, clock or task. The driver tells it what has happened ([`LinkInput`]) and does what
//! it says ([`LinkAction`]), in that order.
//!
//! | phase | input | actions | next phase |
//! |---|---|---|---|
//! | (start) | | report `syncing`; attach | Attaching |
//! | Attaching | attached | set the clock; log whom we take over from; report the version; ask for claims; *suspect* | Syncing |
//! | Attaching | not attached | end | Over |
//! | Syncing | snapshot | reconcile; log; report `up`; release the events; *suspect* if the PBX lists channels late | Owner |
//! | Owner, Standby | snapshot | reconcile; release the events | |
//! | attached | snapshot failed | log; release the events unread; keep the claims unless newer ones came; *suspect* | |
//! | attached | snapshot failed, and the link is lost | end | Over |
//! | attached | claims | keep them for the next snapshot; *suspect* if there are any | |
//! | attached | suspicion | *suspect* | |
//! | attached | tick | check, unless a check is under way; *suspect* if a call looks wrong, or if an audit is due, and ask for claims as Owner | |
//! | Syncing, Owner | another process of a node works | ask for claims, but wait no longer than for those that were asked for before | |
//! | Syncing | checked | set the clock | |
//! | Owner | checked: we are in charge | set the clock; report `up` | |
//! | Owner | checked: another agent is | set the clock; log; report `standby` | Standby |
//! | Standby | checked: another agent is in charge | set the clock; report `standby` | |
//! | Standby | checked: we are | set the clock; log; report `up`; ask for claims; *suspect* | Owner |
//! | attached | check failed | end | Over |
//! | attached | due | take a snapshot, with the legs of the claims | |
//! | all but Over | events ended, commands closed | end | Over |
//! | all but Over | shutdown | say goodbye; end | Over |
//!
//! *Attached* stands for Syncing, Owner and Standby. To *suspect* means to want a snapshot: [`LinkSession::wakes_at`]
//! says when it is due. Suspicions that come while a snapshot is under way lead to one more. An input that isn't in the
//! table changes nothing, nor does a snapshot or a list of claims that was not asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ownership::{Attachment, Checked, Time};
use crate::contract::{CallView, LinkState};
use crate::core::base::name::LegId;
use crate::pbx::{PbxQuirks, Snapshot};

/// How often a snapshot is taken while calls are up, and once after the last one. It finds what no event told and nothing
/// made us suspect.
const AUDIT_EVERY: Duration = Duration::from_secs(60);

/// The least time between two snapshots.
const SNAPSHOT_REST: Duration = Duration::from_secs(1);

/// How long a snapshot waits for the node to say which calls it takes for live. Reports of these calls must follow
/// those that the node has.
const CLAIMS_WITHIN: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Attaching,
    /// Attached, and no snapshot has been reconciled.
    Syncing,
    /// Calls are announced to us.
    Owner,
    /// Calls are announced to another agent.
    Standby,
    Over,
}

/// What has happened.
#[derive(Debug)]
pub(super) enum LinkInput {
    Attached(Result<Attachment, String>),
    /// The calls that the node takes for live.
    Claims(Vec<CallView>),
    Snapshot(Result<Arc<Snapshot>, SnapshotError>),
    Checked(Result<Checked, String>),
    /// Events are missing, or a snapshot raised a question that only another one answers.
    Suspicion,
    /// Another process of a node works than before: it may lack what that one was told.
    NodeChanged,
    /// Time for a check. So many calls are followed, and some of them may look as if an event were missing.
    Tick {
        followed: usize,
        doubts: bool,
    },
    /// The time that [`LinkSession::wakes_at`] said has come.
    Due,
    EventsEnded,
    CommandsClosed,
    Shutdown,
}

/// Why there is no snapshot.
#[derive(Debug)]
pub(super) struct SnapshotError {
    pub why: String,
    /// The link is lost, too.
    pub disconnected: bool,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum LinkAction {
    ReportSyncing,
    /// Become the agent in charge; the result is an input.
    Attach,
    SetClock(Time),
    LogTakeover(String),
    ReportVersion(String),
    /// Ask the node which calls it takes for live, also if it is being asked; the answer is an input.
    AskClaims,
    /// Check who is in charge; the result is an input.
    Check,
    /// Ask for all channels, with the followed legs and these, and hold events back until the result is here.
    TakeSnapshot {
        claimed: Vec<LegId>,
    },
    /// Bring the followed calls in line with a snapshot, and with the calls that the node claimed before it was taken.
    Reconcile {
        snapshot: Arc<Snapshot>,
        claims: Vec<CallView>,
    },
    LogAttached {
        channels: usize,
    },
    LogOwnership(LinkState),
    /// Tell the node who is in charge, also if it has heard so before.
    ReportOwnership(LinkState),
    /// Go on from a snapshot, with the events that were held back.
    Release(Arc<Snapshot>),
    /// Log why there is no snapshot, and go on with the events that were held back.
    ReleaseUnread {
        why: String,
    },
    SayGoodbye,
    End(SessionEnd),
}

/// Why a session is over.
#[derive(Debug, PartialEq)]
pub(super) enum SessionEnd {
    Shutdown,
    Lost {
        why: String,
        /// A snapshot had been reconciled.
        synced: bool,
    },
}

/// A session with a PBX.
#[derive(Debug)]
pub(super) struct LinkSession {
    /// This agent's id.
    us: String,
    lists_late: bool,
    phase: Phase,
    /// A snapshot is wanted.
    suspicion: bool,
    /// The earliest time of the next snapshot.
    due: Instant,
    /// When the last snapshot came or failed; until the first one, when we attached.
    last_snapshot: Instant,
    /// What the node claimed, for the next snapshot.
    claimed: Option<Vec<CallView>>,
    /// While a snapshot is under way, the claims that it is taken for.
    sought: Option<Vec<CallView>>,
    /// While the node is asked for its claims, how long a snapshot waits for them.
    patience: Option<Instant>,
    /// A check is under way.
    checking: bool,
    /// Calls have been up since the last snapshot.
    busy: bool,
}

impl LinkSession {
    /// Begins a session of the agent `us`, over a connection that has just been made.
    pub(super) fn start(now: Instant, us: String, quirks: PbxQuirks) -> (LinkSession, Vec<LinkAction>) {
        let session = LinkSession {
            us,
            lists_late: quirks.lists_channels_late,
            phase: Phase::Attaching,
            suspicion: false,
            due: now,
            last_snapshot: now,
            claimed: None,
            sought: None,
            patience: None,
            checking: false,
            busy: false,
        };
        (session, vec![LinkAction::ReportSyncing, LinkAction::Attach])
    }

    /// Whether the PBX's events are read, and its connections watched and checked.
    pub(super) fn is_attached(&self) -> bool {
        matches!(self.phase, Phase::Syncing | Phase::Owner | Phase::Standby)
    }

    /// When [`LinkInput::Due`] is due, if no other input comes before.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let wanted = self.is_attached() && self.suspicion && self.sought.is_none();
        wanted.then(|| self.patience.map_or(self.due, |patience| patience.max(self.due)))
    }

    /// Says what to do, now that this has happened.
    pub(super) fn handle(&mut self, now: Instant, input: LinkInput) -> Vec<LinkAction> {
        match (self.phase, input) {
            (Phase::Over, _) => Vec::new(),
            (_, LinkInput::Shutdown) => {
                self.phase = Phase::Over;
                vec![LinkAction::SayGoodbye, LinkAction::End(SessionEnd::Shutdown)]
            }
            (_, LinkInput::EventsEnded) => self.lost("the PBX closed the connection".to_owned()),
            (_, LinkInput::CommandsClosed) => self.lost("a command connection is gone".to_owned()),
            (Phase::Attaching, LinkInput::Attached(Ok(attached))) => self.attached(now, attached),
            (Phase::Attaching, LinkInput::Attached(Err(why))) => self.lost(why),
            (Phase::Attaching, _) | (_, LinkInput::Attached(_)) => Vec::new(),
            (_, LinkInput::Claims(claims)) => {
                if self.patience.take().is_some() {
                    self.suspicion |= !claims.is_empty();
                    self.claimed = Some(claims);
                }
                Vec::new()
            }
            (_, LinkInput::Snapshot(result)) => match self.sought.take() {
                Some(sought) => self.listed(now, result, sought),
                None => Vec::new(),
            },
            (_, LinkInput::Checked(Ok(checked))) => self.checked(now, checked),
            (_, LinkInput::Checked(Err(why))) => self.lost(why),
            (_, LinkInput::Suspicion) => {
                self.suspicion = true;
                Vec::new()
            }
            // The next snapshot waits for them: what was claimed before may be another node's.
            (Phase::Syncing | Phase::Owner, LinkInput::NodeChanged) => vec![self.ask_claims(now)],
            (_, LinkInput::NodeChanged) => Vec::new(),
            (_, LinkInput::Tick { followed, doubts }) => {
                self.busy |= followed > 0;
                let audit = self.busy && self.sought.is_none() && now.duration_since(self.last_snapshot) >= AUDIT_EVERY;
                let checking = std::mem::replace(&mut self.checking, true);
                let mut actions = if checking { Vec::new() } else { vec![LinkAction::Check] };
                if doubts || audit {
                    self.suspicion = true;
                    // The node may have dropped what it was told: its list is compared with the snapshot.
                    actions
                        .extend((self.phase == Phase::Owner && self.patience.is_none()).then(|| self.ask_claims(now)));
                }
                actions
            }
            (_, LinkInput::Due) => match self.wakes_at() {
                Some(at) if at <= now => self.take_snapshot(),
                _ => Vec::new(),
            },
        }
    }

    fn lost(&mut self, why: String) -> Vec<LinkAction> {
        let synced = matches!(self.phase, Phase::Owner | Phase::Standby);
        self.phase = Phase::Over;
        vec![LinkAction::End(SessionEnd::Lost { why, synced })]
    }

    fn attached(&mut self, now: Instant, attached: Attachment) -> Vec<LinkAction> {
        let Attachment { version, other, clock } = attached;
        self.phase = Phase::Syncing;
        self.suspicion = true;
        self.due = now;
        self.last_snapshot = now;
        let mut actions = vec![LinkAction::SetClock(clock)];
        actions.extend(other.map(LinkAction::LogTakeover));
        actions.push(LinkAction::ReportVersion(version));
        actions.push(self.ask_claims(now));
        actions
    }

    fn ask_claims(&mut self, now: Instant) -> LinkAction {
        // What waits for an earlier answer waits no longer, however often the node changes.
        let is_due = self.wakes_at().is_some_and(|due| due <= now);
        if self.patience.is_none_or(|patience| patience <= now && !is_due) {
            self.patience = Some(now + CLAIMS_WITHIN);
        }
        LinkAction::AskClaims
    }

    fn take_snapshot(&mut self) -> Vec<LinkAction> {
        self.suspicion = false;
        let sought = self.claimed.take().unwrap_or_default();
        let claimed = sought.iter().flat_map(|call| call.legs.iter().cloned()).collect();
        self.sought = Some(sought);
        vec![LinkAction::TakeSnapshot { claimed }]
    }

    fn listed(
        &mut self,
        now: Instant,
        result: Result<Arc<Snapshot>, SnapshotError>,
        sought: Vec<CallView>,
    ) -> Vec<LinkAction> {
        self.last_snapshot = now;
        self.busy = false;
        self.due = now + SNAPSHOT_REST;
        match result {
            Ok(snapshot) => {
                let mut actions = vec![LinkAction::Reconcile { snapshot: Arc::clone(&snapshot), claims: sought }];
                if self.phase == Phase::Syncing {
                    self.phase = Phase::Owner;
                    // A call that came just before us may be missing from the first list, and no event may
                    // tell of it, so a second list follows.
                    self.suspicion |= self.lists_late;
                    actions.push(LinkAction::LogAttached { channels: snapshot.legs.len() });
                    actions.push(LinkAction::ReportOwnership(LinkState::Up));
                }
                actions.push(LinkAction::Release(snapshot));
                actions
            }
            Err(error) if error.disconnected => self.lost(error.why),
            // A failed snapshot is not an empty one: nothing is concluded from it.
            Err(error) => {
                // A list that came meanwhile is the node's latest.
                self.claimed.get_or_insert(sought);
                self.suspicion = true;
                vec![LinkAction::ReleaseUnread { why: error.why }]
            }
        }
    }

    fn checked(&mut self, now: Instant, checked: Checked) -> Vec<LinkAction> {
        self.checking = false;
        let mut actions = vec![LinkAction::SetClock(checked.clock)];
        // Until then the link counts as syncing, whoever is in charge.
        if self.phase == Phase::Syncing {
            return actions;
        }
        let (phase, state) = match checked.owner == self.us {
            true => (Phase::Owner, LinkState::Up),
            false => (Phase::Standby, LinkState::Standby),
        };
        let changed = std::mem::replace(&mut self.phase, phase) != phase;
        if changed {
            actions.push(LinkAction::LogOwnership(state));
        }
        actions.push(LinkAction::ReportOwnership(state));
        if changed && phase == Phase::Owner {
            // The calls that are up were another agent's.
            actions.push(self.ask_claims(now));
            self.suspicion = true;
        }
        actions
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
