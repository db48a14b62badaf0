//! What all requests share.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use super::agents::Scope;
use super::capability::Capabilities;
use super::config::{KeepCalls, Monitoring, Routing};
use super::far::Underway;
use super::host::Hosts;
use super::limit::Limits;
use super::links::Links;
use super::logins::Logins;
use super::pairing::Turns;
use super::parts::Comparing;
use super::report::Backlog;
use super::space::Space;
use super::taken::Offers;
use crate::contract::{LinkState, PbxReport, PbxView};
use crate::core::client_policy::ClientPolicy;
use crate::core::exchange::Exchange;
use crate::core::name::{PbxName, PeerName};
use crate::core::time::UnixMillis;
use crate::lnp::Lnp;
use crate::monitor::{Tasks, Totals, panicked};
use crate::peer::Peers;
use crate::push::Push;
use crate::store::{Store, TokenRole};

/// How long a number's address is still good after it has parted, and farewells are tried after a call's end.
pub(super) const GRACE: Duration = Duration::from_secs(60);
/// A PBX that no agent has reported for so long is shown as down.
const SILENT: Duration = Duration::from_secs(10);

/// The node's state, shared by all requests.
#[derive(Clone)]
pub(super) struct App(Arc<Shared>);

/// See [`App`].
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) push: Push,
    pub(super) totals: Arc<Totals>,
    pub(super) capabilities: Capabilities,
    pub(super) clients: ClientPolicy,
    /// Other nodes, and the tokens that they show.
    pub(super) peers: Peers,
    pub(super) peer_tokens: HashMap<[u8; 32], PeerName>,
    pub(super) offers: Offers,
    pub(super) underway: Underway,
    pub(super) comparing: Comparing,
    pub(super) routing: Routing,
    pub(super) lnp: Lnp,
    pub(super) keep: KeepCalls,
    pub(super) monitoring: Monitoring,
    pub(super) hosts: Hosts,
    /// The tokens of the configuration, which need no question to the database.
    pub(super) tokens: HashMap<[u8; 32], TokenRole>,
    /// Those of `[[node.agent]]`.
    pub(super) agents: HashMap<[u8; 32], Scope>,
    pub(super) logins: Logins,
    pub(super) limits: Limits,
    /// Calls at the same time.
    pub(super) calls_max: usize,
    /// Deliveries that are kept.
    pub(super) deliveries_max: u64,
    pub(super) space: Space,
    pub(super) turns: Turns,
    pub(super) tasks: Tasks,
    /// What is wrong with the database, where it doesn't say so itself.
    pub(super) trouble: Mutex<Option<String>>,
    pub(super) started: UnixMillis,
    pub(super) shutdown: CancellationToken,
    pub(super) exchange: Mutex<Exchange>,
    pub(super) backlog: Mutex<Backlog>,
    pub(super) links: Links,
}

impl Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    pub(super) fn new(shared: Shared) -> App {
        App(Arc::new(shared))
    }

    /// Does it to its end, also if whoever waits for it doesn't any more: a request ends with its connection, between
    /// any two steps, and what has been begun must not stay half done.
    pub(super) async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
        match tokio::spawn(work).await.map_err(JoinError::try_into_panic) {
            Ok(done) => done,
            Err(Ok(panic)) => {
                panicked("request", &*panic);
                std::panic::resume_unwind(panic)
            }
            // The runtime ends, and this with it.
            Err(Err(_)) => std::future::pending().await,
        }
    }

    /// The exchange; never held across an await.
    pub(super) fn exchange(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn backlog(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// What keeps the node from doing its work. Everybody may read it: it names no file.
    pub(super) fn trouble(&self) -> Option<String> {
        let database = || self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.tasks.trouble().or_else(database).or_else(|| self.store.failure())
    }

    /// An agent has said how its link to a PBX is.
    pub(super) fn seen(&self, pbx: &PbxName, report: PbxReport, now: UnixMillis) {
        self.totals.metrics.pbx(pbx, report.link);
        if self.links.report(pbx.clone(), report, now) {
            self.push.wake(pbx);
        }
    }

    /// All PBXs that were reported since the start, in order.
    pub(super) fn pbx_views(&self, now: UnixMillis) -> Vec<PbxView> {
        let mut views = self.links.views();
        for view in &mut views {
            if now - view.seen > SILENT && view.report.link != LinkState::Down {
                view.report.link = LinkState::Down;
                view.report.error = Some("the agent has fallen silent".to_owned());
                view.report.since = view.seen;
                self.totals.metrics.pbx(&view.pbx, LinkState::Down);
            }
        }
        views
    }
}
