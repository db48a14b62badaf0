//! One PBX: connect, attach, follow, reconcile, reconnect.
//!
//! Down → (connected, subscribed) → Syncing → (snapshot reconciled) → Up ⇄ Standby (another agent is in
//! charge); any → Down when the link is lost. The first snapshot waits a moment for the calls that the node takes for
//! live. While a snapshot is under way announcements are answered at once, and all other events wait until it is
//! reconciled, so that none is older than what it is applied to.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;

use super::call::{Way, live_calls};
use super::charge::{Attached, Charge, Checked};
use super::config::PbxConfig;
use super::context::LinkContext;
use super::follow::Follower;
use super::messages::{Courier, Messages};
use super::status::Status;
use super::{Shared, direct};
use crate::contract::{CallView, LinkState};
use crate::core::backoff::Backoff;
use crate::core::name::LegId;
use crate::monitor::Beat;
use crate::monitor::agent as metrics;
use crate::pbx::freeswitch::direct::Held;
use crate::pbx::{Announcement, Error, Pbx, PbxCommands, PbxEvents, PbxLink, Snapshot};

/// How often each connection is asked for a sign of life, and the PBX who is in charge.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// How often a snapshot is taken while calls are up: what no event told and nothing made us suspect
/// is found then.
const AUDIT_EVERY: Duration = Duration::from_secs(60);

/// The least time between two snapshots.
const SNAPSHOT_REST: Duration = Duration::from_secs(1);

/// How long a snapshot waits for the node to say which calls it takes for live. Reports of these calls must follow
/// those that the node has.
const CLAIMS_WITHIN: Duration = Duration::from_secs(1);

/// Connecting, with all log-ins.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// How often a link shows that it goes on, and how long it may say nothing: in `direct` mode calls wait for it.
const PULSE: Duration = Duration::from_millis(500);
const HUNG: Duration = Duration::from_secs(3);

/// Keeps one PBX attached until `shutdown`.
pub(super) async fn supervise(
    shared: Arc<Shared>,
    pbx: PbxConfig,
    listener: Option<TcpListener>,
    shutdown: CancellationToken,
) {
    let endpoint = pbx.endpoint();
    let quirks = endpoint.quirks();
    let messages = Messages::new(quirks.slots, pbx.context.as_str());
    let status = Mutex::new(Status::new(pbx.kind, &shared.id));
    let context = Arc::new(LinkContext {
        shared,
        pbx,
        quirks,
        messages,
        status,
        status_changed: Notify::new(),
        messages_sent: Notify::new(),
    });
    let (held_sender, held) = mpsc::channel(256);
    let _direct = listener.map(|listener| direct::listen(&context, listener, held_sender.clone()));
    let courier = Courier::start(&context);
    let over = CancellationToken::new();
    let reporter = super::status::report(&context, over.clone());
    let mut pulse = tokio::time::interval(PULSE);
    pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let follower = Follower::new(Arc::clone(&context));
    let alive = context.shared.tasks.beat(format!("link to {}", context.pbx.name), HUNG);
    let mut link = Supervised { follower, context, courier, held, alive, pulse };
    link.run(&*endpoint, shutdown).await;
    link.courier.stop().await;
    over.cancel();
    let _ = reporter.await;
}

struct Supervised {
    context: Arc<LinkContext>,
    courier: Courier,
    follower: Follower,
    held: mpsc::Receiver<(Announcement, Held)>,
    alive: Beat,
    pulse: Interval,
}

/// Why a session with a PBX is over.
enum Over {
    Shutdown,
    Lost(String),
}

type Later<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// Waits for what is under way, or for ever.
async fn done<T>(later: &mut Later<T>) -> T {
    let result = match later {
        Some(future) => future.await,
        None => std::future::pending().await,
    };
    *later = None;
    result
}

impl Supervised {
    async fn run(&mut self, pbx: &dyn Pbx, shutdown: CancellationToken) {
        let mut failures = 0;
        while !shutdown.is_cancelled() {
            let connected = tokio::select! {
                connected = self.meanwhile(connect(pbx)) => connected,
                () = shutdown.cancelled() => return,
            };
            let why = match connected {
                Ok(PbxLink { commands, events }) => {
                    self.courier.commands(Some(Arc::clone(&commands)));
                    let mut synced = false;
                    let over = self.session(&commands, events, &shutdown, &mut synced).await;
                    // A PBX that takes our log-in and nothing more is as good as down.
                    if synced {
                        failures = 0;
                    }
                    self.courier.commands(None);
                    match over {
                        Over::Shutdown => return,
                        Over::Lost(why) => why,
                    }
                }
                Err(why) => why,
            };
            failures += 1;
            self.lost(&why, failures);
            let wait = Backoff::LINK.wait(failures, rand::random());
            tokio::select! {
                () = self.meanwhile(tokio::time::sleep(wait)) => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    fn lost(&self, why: &str, failures: u32) {
        let name = &self.context.pbx.name;
        // Once per loss: a PBX that is down for a night must not fill the log.
        if failures == 1 {
            tracing::warn!(pbx = %name, error = why, "no link to the PBX; trying again");
        } else {
            tracing::debug!(pbx = %name, error = why, failures, "still no link to the PBX");
        }
        self.context.status(|status| status.set(LinkState::Down, Some(why.to_owned())));
        metrics::link(name, LinkState::Down);
    }

    /// Waits for something while `direct` calls are answered: those need no event socket.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = self.pulse.tick() => self.alive.tick(),
                Some((announcement, held)) = self.held.recv() => self.follower.announced(announcement, Way::Direct(held)),
            }
        }
    }

    async fn session(
        &mut self,
        commands: &Arc<dyn PbxCommands>,
        mut events: Box<dyn PbxEvents>,
        shutdown: &CancellationToken,
        synced: &mut bool,
    ) -> Over {
        self.context.status(|status| status.set(LinkState::Syncing, None));
        let us = self.context.shared.id.clone();
        let charge = Charge::new(Arc::clone(commands), self.context.pbx.name.clone(), us);
        let attached = tokio::select! {
            attached = self.meanwhile(charge.attach()) => attached,
            () = shutdown.cancelled() => {
                self.goodbye(&**commands).await;
                return Over::Shutdown;
            }
        };
        match attached {
            Ok(attached) => self.attached(attached),
            Err(error) => return Over::Lost(error.to_string()),
        }
        // What the node takes for live: got, and being looked for in the snapshot under way.
        let mut claims: Later<Vec<CallView>> = self.live_calls();
        let (mut claimed, mut sought) = (Vec::new(), Vec::new());
        let mut patience = tokio::time::Instant::now() + CLAIMS_WITHIN;
        let mut asked = self.follower.ask();
        let mut snapshot: Later<Result<Snapshot, Error>> = None;
        // Here, or with the check under way.
        let mut charge = Some(charge);
        let mut check: Later<Result<(Charge, Checked), Error>> = None;
        // The first snapshot is due.
        let mut suspicion = true;
        let mut due = tokio::time::Instant::now();
        let mut last_snapshot = Instant::now();
        let mut tick = tokio::time::interval(CHECK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut closed = commands.closed();
        loop {
            let next = if claims.is_some() { due.max(patience) } else { due };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.goodbye(&**commands).await;
                    return Over::Shutdown;
                }
                // Before the events, which may leave no room for it.
                _ = self.pulse.tick() => self.alive.tick(),
                happened = events.next() => match happened {
                    None => return Over::Lost("the PBX closed the connection".to_owned()),
                    Some(happened) => suspicion |= self.follower.happened(commands, happened),
                },
                Some((announcement, held)) = self.held.recv() => self.follower.announced(announcement, Way::Direct(held)),
                taken = done(&mut snapshot) => {
                    last_snapshot = Instant::now();
                    due = tokio::time::Instant::now() + SNAPSHOT_REST;
                    let waited = match taken {
                        Ok(taken) => {
                            let waited = events.release(Some(&taken));
                            suspicion |= self.follower.reconcile(&taken, &asked, std::mem::take(&mut sought));
                            if !*synced {
                                *synced = true;
                                // A call that came just before us may be missing from the first list, and no event may
                                // tell of it, so a second list follows.
                                suspicion |= self.context.quirks.lists_channels_late;
                                self.up(&taken);
                            }
                            waited
                        }
                        // A failed snapshot is not an empty one: nothing is concluded from it.
                        Err(error) if error.is_disconnect() => return Over::Lost(error.to_string()),
                        Err(error) => {
                            tracing::warn!(pbx = %self.context.pbx.name, %error, "no snapshot; trying again");
                            claimed.append(&mut sought);
                            suspicion = true;
                            events.release(None)
                        }
                    };
                    suspicion |= self.follower.happened(commands, waited);
                }
                calls = done(&mut claims) => {
                    suspicion |= !calls.is_empty();
                    claimed = calls;
                }
                checked = done(&mut check) => match checked {
                    Ok((back, checked)) => {
                        charge = Some(back);
                        if self.checked(&checked, *synced) {
                            // The calls that are up were another agent's.
                            claims = self.live_calls();
                            patience = tokio::time::Instant::now() + CLAIMS_WITHIN;
                            suspicion = true;
                        }
                    }
                    Err(error) => return Over::Lost(error.to_string()),
                },
                () = &mut closed => return Over::Lost("a command connection is gone".to_owned()),
                _ = tick.tick() => {
                    if let Some(charge) = charge.take() {
                        check = Some(Box::pin(charge.look()));
                    }
                    suspicion |= self.follower.doubts();
                    suspicion |= self.follower.len() > 0 && last_snapshot.elapsed() >= AUDIT_EVERY;
                }
                () = tokio::time::sleep_until(next), if suspicion && snapshot.is_none() => {
                    suspicion = false;
                    sought = std::mem::take(&mut claimed);
                    asked = self.follower.ask();
                    asked.legs.extend(sought.iter().flat_map(|call| call.legs.iter().cloned()));
                    events.hold();
                    snapshot = Some(take(commands, &asked.legs));
                }
            }
        }
    }

    /// Asks the node for the calls that it takes for live.
    fn live_calls(&mut self) -> Later<Vec<CallView>> {
        self.follower.asks_the_node();
        Some(Box::pin(live_calls(Arc::clone(&self.context))))
    }

    fn attached(&mut self, attached: Attached) {
        self.follower.set_clock(attached.clock);
        if let Some(other) = attached.other {
            let name = &self.context.pbx.name;
            tracing::info!(pbx = %name, other, "taking over from another agent, or from an earlier run of this one");
        }
        self.context.status(|status| status.version = Some(attached.version));
    }

    fn up(&self, snapshot: &Snapshot) {
        let name = &self.context.pbx.name;
        tracing::info!(pbx = %name, channels = snapshot.legs.len(), followed = self.follower.len(), "attached");
        self.context.status(|status| status.set(LinkState::Up, None));
        metrics::link(name, LinkState::Up);
    }

    async fn goodbye(&self, commands: &dyn PbxCommands) {
        match commands.owner().await {
            // Another agent's name stays.
            Ok(owner) if owner.as_deref() == Some(&self.context.shared.id) => {
                if let Err(error) = commands.set_owner(None).await {
                    tracing::warn!(pbx = %self.context.pbx.name, %error, "could not say goodbye: calls wait for their hold");
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(pbx = %self.context.pbx.name, %error, "could not say goodbye"),
        }
        self.context.status(|status| status.set(LinkState::Down, Some("the agent was stopped".to_owned())));
    }

    /// True if we have come to be in charge.
    fn checked(&mut self, checked: &Checked, synced: bool) -> bool {
        self.follower.set_clock(checked.clock);
        let state = if checked.owner == self.context.shared.id { LinkState::Up } else { LinkState::Standby };
        let mut changed = false;
        if synced {
            self.context.status(|status| {
                changed = status.state() != state;
                if changed {
                    tracing::info!(pbx = %self.context.pbx.name, ?state, "who is in charge has changed");
                }
                status.set(state, None);
            });
            metrics::link(&self.context.pbx.name, state);
        }
        changed && state == LinkState::Up
    }
}

async fn connect(pbx: &dyn Pbx) -> Result<PbxLink, String> {
    match tokio::time::timeout(CONNECT_WITHIN, pbx.connect()).await {
        Ok(connected) => connected.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no log-in within {} s", CONNECT_WITHIN.as_secs())),
    }
}

fn take(
    commands: &Arc<dyn PbxCommands>,
    known: &[LegId],
) -> Pin<Box<dyn Future<Output = Result<Snapshot, Error>> + Send>> {
    let (commands, known) = (Arc::clone(commands), known.to_vec());
    Box::pin(async move { commands.snapshot(&known).await })
}
