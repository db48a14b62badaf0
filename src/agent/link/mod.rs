//! One PBX: connect, attach, follow, reconcile, reconnect.
//!
//! Down → (connected, subscribed) → Syncing → (snapshot reconciled) → Up ⇄ Standby (another agent is in
//! charge); any → Down when the link is lost. `session` decides what is done on a connection, and `driver` does it.
//! While a snapshot is under way announcements are answered at once, and all other events wait until it is
//! reconciled, so that none is older than what it is applied to.

pub(super) mod context;
mod driver;
mod ownership;
mod requests_in_flight;
mod session;
pub(super) mod status;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;

use self::session::SessionEnd;
use super::{Shared, direct_listener};
use crate::agent::call::reply_path::ReplyPath;
use crate::agent::config::PbxConfig;
use crate::agent::follow::Follower;
use crate::agent::link::context::LinkContext;
use crate::agent::sip_messages::Courier;
use crate::contract::LinkState;
use crate::core::base::backoff::Backoff;
use crate::monitor::Beat;
use crate::monitor::metrics::agent as metrics;
use crate::pbx::freeswitch::direct::Held;
use crate::pbx::{Announcement, Pbx, PbxCommands, PbxLink};

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
    let context = Arc::new(LinkContext::new(shared, pbx, quirks));
    let (held_sender, held) = mpsc::channel(256);
    let _direct = listener.map(|listener| direct_listener::listen(&context, listener, held_sender.clone()));
    let over = CancellationToken::new();
    let reporter = status::report(&context, over.clone());
    let mut link = Supervised::new(context, held);
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

impl Supervised {
    fn new(context: Arc<LinkContext>, held: mpsc::Receiver<(Announcement, Held)>) -> Supervised {
        let courier = Courier::start(&context);
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let follower = Follower::new(Arc::clone(&context));
        let alive = context.shared.tasks.beat(format!("link to {}", context.pbx.name), HUNG);
        Supervised { context, courier, follower, held, alive, pulse }
    }

    async fn run(&mut self, pbx: &dyn Pbx, shutdown: CancellationToken) {
        let mut failures = 0;
        while !shutdown.is_cancelled() {
            let connected = tokio::select! {
                connected = self.meanwhile(connect(pbx)) => connected,
                () = shutdown.cancelled() => return,
            };
            let why = match connected {
                Ok(pbx) => {
                    self.courier.commands(Some(Arc::clone(&pbx.commands)));
                    let end = driver::run(self, pbx, &shutdown).await;
                    self.courier.commands(None);
                    match end {
                        SessionEnd::Shutdown => return,
                        SessionEnd::Lost { why, synced } => {
                            // A PBX that takes our log-in and nothing more is as good as down.
                            if synced {
                                failures = 0;
                            }
                            why
                        }
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
                Some((announcement, held)) = self.held.recv() => self.follower.announced(announcement, ReplyPath::Direct(held)),
            }
        }
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
}

async fn connect(pbx: &dyn Pbx) -> Result<PbxLink, String> {
    match tokio::time::timeout(CONNECT_WITHIN, pbx.connect()).await {
        Ok(connected) => connected.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no log-in within {} s", CONNECT_WITHIN.as_secs())),
    }
}
