//! One PBX: connect, attach, follow, reconcile, reconnect.
//!
//! Down → (connected, subscribed) → Syncing → (snapshot reconciled) → Up ⇄ Standby (another agent has
//! attached after us); any → Down when the link is lost. While a snapshot is under way announcements
//! are answered at once, and all other events wait until it is reconciled, so that none is older than
//! what it is applied to.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::call::{Call, Start, Way};
use super::config::PbxConfig;
use super::status::Status;
use super::tracker::{Key, Said, Tracker};
use super::{Shared, direct, hold, messages, micros};
use crate::contract::{CallRequest, LinkState, SipMessages};
use crate::core::age::Clock;
use crate::core::backoff::Backoff;
use crate::core::name::LegId;
use crate::core::plan::NumberPlan;
use crate::core::route::{Reason, Route};
use crate::core::{address::Address, uui};
use crate::monitor::agent as metrics;
use crate::pbx::freeswitch::direct::Held;
use crate::pbx::{Announcement, Answer, Commands, Error, Events, Happened, Link, Mark, Raw, Snapshot};

/// How often each connection is asked for a sign of life, and the PBX who is in charge.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// How often a snapshot is taken while calls are up: what no event told and nothing made us suspect
/// is found then.
const AUDIT_EVERY: Duration = Duration::from_secs(60);

/// The least time between two snapshots.
const SNAPSHOT_REST: Duration = Duration::from_secs(1);

/// Connecting, with both log-ins.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// What the calls of one PBX share.
#[derive(Debug)]
pub(super) struct LinkContext {
    pub shared: Arc<Shared>,
    pub pbx: PbxConfig,
    /// A command failed because the link is gone.
    pub broken: Notify,
    /// SIP MESSAGEs to send.
    pub messages: mpsc::UnboundedSender<SipMessages>,
    pub status: Mutex<Status>,
    pub status_changed: Notify,
}

impl LinkContext {
    /// Hands on what the node asks to be sent.
    pub(super) fn send_messages(&self, reply: SipMessages) {
        if !reply.messages.is_empty() {
            let _ = self.messages.send(reply);
        }
    }
}

/// Keeps one PBX attached until `shutdown`.
pub(super) async fn supervise(
    shared: Arc<Shared>,
    pbx: PbxConfig,
    listener: Option<TcpListener>,
    shutdown: CancellationToken,
) {
    let (send, receive) = mpsc::unbounded_channel();
    let status = Mutex::new(Status::new(pbx.kind, &shared.id));
    let context = Arc::new(LinkContext {
        shared,
        pbx,
        broken: Notify::new(),
        messages: send,
        status,
        status_changed: Notify::new(),
    });
    let (held_sender, held) = mpsc::channel(256);
    let _direct = listener.map(|listener| direct::listen(listener, held_sender.clone()));
    let courier = messages::Courier::start(&context, receive);
    let _reporter = super::status::report(&context);
    let plan = context.pbx.plan();
    let mut link = Supervised {
        context,
        plan,
        courier,
        tracker: Tracker::default(),
        calls: HashMap::new(),
        clock: Clock::default(),
        held,
    };
    link.run(shutdown).await;
}

struct Supervised {
    context: Arc<LinkContext>,
    plan: NumberPlan,
    courier: messages::Courier,
    tracker: Tracker,
    calls: HashMap<Key, Call>,
    clock: Clock,
    held: mpsc::Receiver<(Announcement, Held)>,
}

/// Why a session with a PBX is over.
enum Over {
    Shutdown,
    Lost(String),
}

type Checked = Result<(Option<String>, Option<(i64, i64, i64)>), Error>;
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
    async fn run(&mut self, shutdown: CancellationToken) {
        let mut failures = 0;
        while !shutdown.is_cancelled() {
            let link = self.context.pbx.link();
            let connected = tokio::select! {
                connected = connect(link) => connected,
                () = shutdown.cancelled() => return,
            };
            let why = match connected {
                Ok((commands, events)) => {
                    self.courier.commands(Some(commands.clone()));
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
                () = tokio::time::sleep(wait) => {}
                () = shutdown.cancelled() => return,
                () = self.direct_without_link() => {}
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

    /// `direct` calls are answered also while the event socket is away; never returns.
    async fn direct_without_link(&mut self) {
        while let Some((announcement, held)) = self.held.recv().await {
            self.announced(announcement, Way::Direct(held));
        }
        std::future::pending().await
    }

    async fn session(&mut self, commands: &Commands, mut events: Events, shutdown: &CancellationToken, synced: &mut bool) -> Over {
        self.context.status(|status| status.set(LinkState::Syncing, None));
        if let Err(error) = self.attach(commands).await {
            return Over::Lost(error.to_string());
        }
        let mut waiting: Vec<Raw> = Vec::new();
        let mut known = self.tracker.legs();
        let mut snapshot: Later<Result<Snapshot, Error>> = Some(take(commands, &known));
        let mut check: Later<Checked> = None;
        let mut suspicion = false;
        let mut last_snapshot = Instant::now();
        let mut tick = tokio::time::interval(CHECK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.goodbye(commands).await;
                    return Over::Shutdown;
                }
                raw = events.next() => match raw {
                    None => return Over::Lost("the PBX closed the connection".to_owned()),
                    Some(raw) if raw.is_announcement() || snapshot.is_none() => {
                        suspicion |= self.event(commands, &mut events, &raw);
                    }
                    Some(raw) => waiting.push(raw),
                },
                Some((announcement, held)) = self.held.recv() => self.announced(announcement, Way::Direct(held)),
                taken = done(&mut snapshot) => {
                    last_snapshot = Instant::now();
                    match taken {
                        Ok(taken) => {
                            events.restart(&taken);
                            self.reconcile(&taken, &known, !*synced).await;
                            for raw in waiting.drain(..) {
                                suspicion |= self.event(commands, &mut events, &raw);
                            }
                            if !*synced {
                                *synced = true;
                                self.up(&taken);
                            }
                        }
                        // A failed snapshot is not an empty one: nothing is concluded from it.
                        Err(error) if error.is_disconnect() => return Over::Lost(error.to_string()),
                        Err(error) => {
                            tracing::warn!(pbx = %self.context.pbx.name, %error, "no snapshot; trying again");
                            suspicion = true;
                        }
                    }
                }
                checked = done(&mut check) => match checked {
                    Ok((owner, clock)) => self.checked(commands, owner, clock, *synced).await,
                    Err(error) => return Over::Lost(error.to_string()),
                },
                () = self.context.broken.notified() => return Over::Lost("the command connection is gone".to_owned()),
                _ = tick.tick() => {
                    if check.is_none() {
                        check = Some(Box::pin(look(commands.clone())));
                    }
                    suspicion |= !self.tracker.is_idle() && last_snapshot.elapsed() >= AUDIT_EVERY;
                }
                () = tokio::time::sleep(SNAPSHOT_REST), if suspicion && snapshot.is_none() => {
                    suspicion = false;
                    known = self.tracker.legs();
                    snapshot = Some(take(commands, &known));
                }
            }
        }
    }

    /// From here on the dialplan announces calls to us.
    async fn attach(&mut self, commands: &Commands) -> Result<(), Error> {
        let version = commands.version().await?;
        let (owner, clock) = look(commands.clone()).await?;
        self.set_clock(clock);
        let (us, name) = (&self.context.shared.id, &self.context.pbx.name);
        if let Some(other) = owner.filter(|owner| owner != us) {
            tracing::info!(pbx = %name, other, "taking over from another agent, or from an earlier run of this one");
        }
        commands.set_owner(Some(us)).await?;
        self.context.status(|status| status.version = Some(version));
        Ok(())
    }

    fn up(&self, snapshot: &Snapshot) {
        let name = &self.context.pbx.name;
        tracing::info!(pbx = %name, channels = snapshot.legs.len(), followed = self.calls.len(), "attached");
        self.context.status(|status| status.set(LinkState::Up, None));
        metrics::link(name, LinkState::Up);
    }

    async fn goodbye(&self, commands: &Commands) {
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

    fn set_clock(&mut self, clock: Option<(i64, i64, i64)>) {
        if let Some((pbx, asked, arrived)) = clock {
            self.clock.set(pbx, asked, arrived);
        }
    }

    async fn checked(
        &mut self,
        commands: &Commands,
        owner: Option<String>,
        clock: Option<(i64, i64, i64)>,
        synced: bool,
    ) {
        self.set_clock(clock);
        let us = &self.context.shared.id;
        let state = match owner {
            Some(owner) if owner == *us => LinkState::Up,
            Some(_) => LinkState::Standby,
            None => {
                // A reload that clears the global variables, or the other agent's goodbye.
                let back = commands.set_owner(Some(us)).await;
                if back.is_ok() { LinkState::Up } else { return }
            }
        };
        if synced {
            self.context.status(|status| {
                if status.state() != state {
                    tracing::info!(pbx = %self.context.pbx.name, ?state, "who is in charge has changed");
                }
                status.set(state, None);
            });
            metrics::link(&self.context.pbx.name, state);
        }
    }

    /// Reads an event; true if it shows that others are missing.
    fn event(&mut self, commands: &Commands, events: &mut Events, raw: &Raw) -> bool {
        let mut gap = false;
        for happened in events.read(raw) {
            match happened {
                Happened::Announced(announcement) => self.announced(*announcement, Way::Commands(commands.clone())),
                Happened::Gap { why } => {
                    tracing::warn!(pbx = %self.context.pbx.name, why, "events are missing: asking for a snapshot");
                    metrics::gap(&self.context.pbx.name);
                    gap = true;
                }
                happened => {
                    // A bridge whose legs never answered: something in between is missing.
                    let said = self.tracker.happened(&happened);
                    self.tell(said);
                }
            }
        }
        gap
    }

    fn announced(&mut self, held: Announcement, way: Way) {
        if held.agent != self.context.shared.id {
            tracing::debug!(pbx = %self.context.pbx.name, leg = %held.leg, "announced to another agent");
            return;
        }
        let arrived = Instant::now();
        let age = held.sent.and_then(|sent| self.clock.age(sent, micros())).unwrap_or_default();
        let left = hold::time_left(held.hold, age, self.context.shared.deadline);
        let Some(request) = self.request(&held.leg, &held.mark, None) else {
            return self.not_a_number(held, way, left.is_some());
        };
        let Some((key, old)) = self.tracker.announce(&held.leg, &held.mark.called) else { return };
        self.tell(old);
        metrics::announced(&self.context.pbx.name, age);
        let start = Start::Held { announcement: Box::new(held), left, way, arrived };
        self.calls.insert(key, Call::start(&self.context, request, start));
    }

    /// Nothing to decide and nobody to pair: the dialplan goes on.
    fn not_a_number(&self, held: Announcement, way: Way, in_time: bool) {
        let reason = Reason::NotANumber;
        metrics::answered(&self.context.pbx.name, reason, "yes", Duration::ZERO);
        let answer = Answer { call: None, route: Route::Pstn, trunk: None, address: None, reason };
        self.context.shared.calls.spawn(async move {
            let result = match way {
                Way::Commands(commands) if in_time => commands.answer(&held, &answer).await,
                Way::Commands(_) => Ok(()),
                Way::Direct(session) => session.answer(&answer).await,
            };
            if let Err(error) = result {
                tracing::debug!(%error, leg = %held.leg, "the answer did not arrive");
            }
        });
    }

    fn request(&self, leg: &LegId, mark: &Mark, routed: Option<Reason>) -> Option<CallRequest> {
        let received_address = mark.received.as_deref().and_then(|header| match received(header) {
            Ok(address) => Some(address),
            Err(error) => {
                tracing::debug!(pbx = %self.context.pbx.name, %leg, %error, "the received header carries no address");
                metrics::address_refused(&self.context.pbx.name);
                None
            }
        });
        Some(CallRequest {
            pbx: self.context.pbx.name.clone(),
            leg: leg.clone(),
            calling: self.plan.read(&mark.calling),
            called: self.plan.read(&mark.called)?,
            side: mark.side,
            received_address,
            routed,
        })
    }

    fn tell(&mut self, said: impl IntoIterator<Item = Said>) {
        for Said { key, event, last } in said {
            if let Some(call) = self.calls.get_mut(&key) {
                call.tell(event, last);
            }
            if last {
                self.calls.remove(&key);
            }
        }
    }

    async fn reconcile(&mut self, snapshot: &Snapshot, known: &[LegId], ask_node: bool) {
        let gone = self.tracker.missing(snapshot, known);
        self.tell(gone);
        let found: Vec<_> = self.tracker.found(snapshot).into_iter().map(|(l, m)| (l.clone(), m.clone())).collect();
        for (leg, mark) in found {
            let Some(request) = self.request(&leg, &mark, Some(Reason::NotAnnounced)) else { continue };
            let Some((key, _)) = self.tracker.announce(&leg, &mark.called) else { continue };
            let call = Call::start(&self.context, request, Start::Found { call: mark.call });
            self.calls.insert(key, call);
        }
        let news = self.tracker.catch_up(snapshot);
        self.tell(news);
        if ask_node {
            self.end_forgotten(snapshot);
        }
    }

    /// Calls that the node takes for live though their legs are gone: they ended while no agent was
    /// there.
    fn end_forgotten(&self, snapshot: &Snapshot) {
        let context = Arc::clone(&self.context);
        let there: std::collections::HashSet<LegId> = snapshot.legs.iter().map(|l| l.leg.clone()).collect();
        let asked = crate::agent::now();
        self.context.shared.calls.spawn(async move {
            let stop = context.shared.stop.clone();
            tokio::select! {
                () = super::call::end_forgotten(&context, &there, asked) => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

async fn connect(link: Result<Link, String>) -> Result<(Commands, Events), String> {
    match tokio::time::timeout(CONNECT_WITHIN, link?.connect()).await {
        Ok(connected) => connected.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no log-in within {} s", CONNECT_WITHIN.as_secs())),
    }
}

fn take(commands: &Commands, known: &[LegId]) -> Pin<Box<dyn Future<Output = Result<Snapshot, Error>> + Send>> {
    let (commands, known) = (commands.clone(), known.to_vec());
    Box::pin(async move { commands.snapshot(&known).await })
}

/// Signs of life, who is in charge, and what time it is there.
async fn look(commands: Commands) -> Checked {
    commands.ping().await?;
    let asked = micros();
    let clock = commands.clock().await?.map(|pbx| (pbx, asked, micros()));
    Ok((commands.owner().await?, clock))
}

/// The address in a header from a trusted trunk: `User-to-User`, or `Call-Info: <uri>;purpose=impp`
/// (RFC 6993).
fn received(header: &str) -> Result<Address, String> {
    match header.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        Some((uri, _)) => uri.parse().map_err(|e| format!("{e}")),
        None => uui::decode(header).map_err(|e| format!("{e}")),
    }
}
