//! What all requests share.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::core::name::PeerName;
use crate::core::time::UnixMillis;
use crate::lnp::Lnp;
use crate::monitor::{Tasks, Totals, panicked};
use crate::node::config::access::Scope;
use crate::node::config::{KeepCalls, Monitoring, Routing};
use crate::node::delivery::Deliveries;
use crate::node::delivery::pbx_links::PbxLinks;
use crate::node::delivery::post_budget::PostBudget;
use crate::node::delivery::sip_messages::SipHandout;
use crate::node::disclosure::Disclosure;
use crate::node::http::hosts::Hosts;
use crate::node::http::limit::Limits;
use crate::node::http::logins::Logins;
use crate::node::lifecycle::disk_space::Space;
use crate::node::pairing::Pairing;
use crate::node::peering::inbound::offer_book::Offers;
use crate::node::peering::outbound::Outbound;
use crate::node::state::LiveCalls;
use crate::peer::Peers;
use crate::push::Push;
use crate::store::{Store, TokenRole};

/// The node's state, shared by all requests.
#[derive(Clone)]
pub(in crate::node) struct App(Arc<Shared>);

/// See [`App`].
pub(in crate::node) struct Shared {
    pub(in crate::node) store: Store,
    pub(in crate::node) push: Push,
    pub(in crate::node) totals: Arc<Totals>,
    /// Other nodes, and the tokens that they show.
    pub(in crate::node) peers: Arc<Peers>,
    pub(in crate::node) peer_tokens: HashMap<[u8; 32], PeerName>,
    pub(in crate::node) offers: Offers,
    pub(in crate::node) routing: Routing,
    pub(in crate::node) lnp: Lnp,
    pub(in crate::node) keep: KeepCalls,
    pub(in crate::node) monitoring: Monitoring,
    pub(in crate::node) hosts: Hosts,
    /// The tokens of the configuration, which need no question to the database.
    pub(in crate::node) tokens: HashMap<[u8; 32], TokenRole>,
    /// Those of `[[node.agent]]`.
    pub(in crate::node) agents: HashMap<[u8; 32], Scope>,
    pub(in crate::node) logins: Logins,
    pub(in crate::node) limits: Limits,
    /// Deliveries that are kept.
    pub(in crate::node) deliveries_max: u64,
    pub(in crate::node) space: Space,
    pub(in crate::node) tasks: Tasks,
    /// What is wrong with the database, where it doesn't say so itself.
    pub(in crate::node) trouble: Mutex<Option<String>>,
    pub(in crate::node) started: UnixMillis,
    pub(in crate::node) shutdown: CancellationToken,
    pub(in crate::node) live: LiveCalls,
    pub(in crate::node) disclosure: Arc<Disclosure>,
    pub(in crate::node) deliveries: Arc<Deliveries>,
    pub(in crate::node) posts: PostBudget,
    pub(in crate::node) links: Arc<PbxLinks>,
    pub(in crate::node) sip: SipHandout,
    pub(in crate::node) outbound: Arc<Outbound>,
    pub(in crate::node) pairing: Arc<Pairing>,
}

impl Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl App {
    pub(in crate::node) fn new(shared: Shared) -> App {
        App(Arc::new(shared))
    }

    /// Does it to its end, also if whoever waits for it doesn't any more: a request ends with its connection, between
    /// any two steps, and what has been begun must not stay half done.
    pub(in crate::node) async fn to_the_end<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
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

    pub(in crate::node) fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// What keeps the node from doing its work. Everybody may read it: it names no file.
    pub(in crate::node) fn trouble(&self) -> Option<String> {
        let database = || self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.tasks.trouble().or_else(database).or_else(|| self.store.failure())
    }
}
