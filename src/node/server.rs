//! The node as its program sees it: bind, serve, shut down. The services are put together here.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::monitor::{Metrics, Tasks, Totals, now};
use crate::node::NodeError;
use crate::node::call::decide::Decisions;
use crate::node::call::events::Reports;
use crate::node::config::connections::ConnectionsConfig;
use crate::node::config::tokens::BootstrapTokens;
use crate::node::config::{NodeConfig, is_at_home};
use crate::node::delivery::Deliveries;
use crate::node::delivery::pbx_links::PbxLinks;
use crate::node::delivery::post_budget::PostBudget;
use crate::node::delivery::sip_handout::SipHandout;
use crate::node::disclosure::Disclosure;
use crate::node::disclosure::inbox_token::InboxTokens;
use crate::node::http::api::call_views::CallViews;
use crate::node::http::api::calls::CallsApi;
use crate::node::http::api::client_stream::StreamsApi;
use crate::node::http::api::inbox::InboxesApi;
use crate::node::http::api::monitoring::MonitoringApi;
use crate::node::http::api::numbers::DirectoryApi;
use crate::node::http::api::pbxs::PbxsApi;
use crate::node::http::api::peer_offers::OffersApi;
use crate::node::http::auth::Authenticator;
use crate::node::http::configured_tokens::ConfiguredTokens;
use crate::node::http::connection_limit::Connections;
use crate::node::http::dns_rebinding::Hosts;
use crate::node::http::failed_logins::Logins;
use crate::node::http::rate_limits::{BindingLimit, PeerLimit};
use crate::node::http::router::{ApiState, router};
use crate::node::http::server::{Server, listen};
use crate::node::http::tls;
use crate::node::lifecycle::Upkeep;
use crate::node::lifecycle::database_probe::{self, DatabaseProbe};
use crate::node::lifecycle::disk_space::Space;
use crate::node::lifecycle::housekeeping::OldCalls;
use crate::node::live_calls::LiveCalls;
use crate::node::pairing::Pairing;
use crate::node::peering::inbound::Inbound;
use crate::node::peering::outbound::Outbound;
use crate::peer::Peers;
use crate::push::Push;
use crate::store::Store;

/// A node that has its address and its state, and waits for being served.
pub struct Node {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    connections: ConnectionsConfig,
    state: ApiState,
    upkeep: Upkeep,
    probe: Arc<DatabaseProbe>,
    store: Store,
    tasks: Tasks,
    /// Ends what the node does by itself, and its streams.
    shutdown: CancellationToken,
}

impl Node {
    /// Checks the configuration, binds, and takes up what was going on before.
    ///
    /// # Errors
    /// If the configuration can't work, the address is taken, or the database fails.
    pub async fn bind(config: &NodeConfig, bootstrap: &BootstrapTokens, store: Store) -> Result<Node, NodeError> {
        config.check()?;
        let tls = config.tls.as_ref().map(tls::acceptor).transpose()?;
        let bind = |source| NodeError::Bind { address: config.listen, source };
        let listener = listen(config.listen).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let base = config.base(address)?;
        let tokens = ConfiguredTokens::new(config, bootstrap, &store).await?;
        database_probe::set_clock(&store).await?;
        let secret = store.secret(rand::random()).await?;
        let metrics = Metrics::install();
        let (totals, tasks, shutdown) = (Arc::new(Totals::new(metrics)), Tasks::default(), CancellationToken::new());
        let push = Push::new(store.clone(), totals.clone(), config.clients.clone(), shutdown.clone());
        let peers = Arc::new(Peers::new(&config.peers, is_at_home(&base))?);
        let lnp = config.portability()?;
        let live = LiveCalls::new(store.clone(), config.conference_size, config.storage.calls);
        let inbox_tokens = InboxTokens::new(secret, base);
        let disclosure = Arc::new(Disclosure::new(store.clone(), live.clone(), peers.clone(), inbox_tokens));
        let deliveries = Arc::new(Deliveries::new(store.clone(), push.clone()));
        let links = Arc::new(PbxLinks::new(metrics));
        let sip = Arc::new(SipHandout::new(live.clone(), push.clone(), links.clone()));
        let posts = Arc::new(PostBudget::new(config.storage.posts()));
        let outbound = Arc::new(Outbound::new(
            live.clone(),
            disclosure.clone(),
            store.clone(),
            push.clone(),
            peers.clone(),
            metrics,
            shutdown.clone(),
        ));
        let pairing = Arc::new(Pairing::new(
            live.clone(),
            disclosure.clone(),
            deliveries.clone(),
            outbound.clone(),
            store.clone(),
            push.clone(),
            totals.clone(),
        ));
        let inbound = Arc::new(Inbound::new(
            live.clone(),
            disclosure.clone(),
            pairing.clone(),
            outbound.clone(),
            store.clone(),
            peers.clone(),
            lnp.clone(),
            metrics,
        ));
        let decisions = Decisions {
            live: live.clone(),
            disclosure: disclosure.clone(),
            outbound: outbound.clone(),
            inbound: inbound.clone(),
            store: store.clone(),
            peers: peers.clone(),
            lnp,
            routing: config.routing.clone(),
            totals: totals.clone(),
        };
        let reports = Reports {
            live: live.clone(),
            pairing: pairing.clone(),
            outbound: outbound.clone(),
            inbound: inbound.clone(),
            push: push.clone(),
            store: store.clone(),
        };
        let space = Arc::new(Space::new(&config.database, &config.storage, metrics));
        let probe = Arc::new(DatabaseProbe::new(store.clone(), tasks.clone()));
        let upkeep = Upkeep {
            store: store.clone(),
            push: push.clone(),
            live: live.clone(),
            deliveries: deliveries.clone(),
            posts: posts.clone(),
            links: links.clone(),
            outbound: outbound.clone(),
            pairing: pairing.clone(),
            inbound: inbound.clone(),
            reports: reports.clone(),
            space: space.clone(),
            old_calls: OldCalls::new(config.keep_calls, config.storage.deliveries),
            metrics,
        };
        upkeep.resume(&shutdown).await?;
        let views = CallViews::new(live.clone(), store.clone());
        let auth = Authenticator {
            tokens,
            logins: Logins::new(&config.connections, metrics),
            store: store.clone(),
            peers,
            monitoring: config.monitoring(),
            hosts: Hosts::new(config),
            metrics,
        };
        let directory = DirectoryApi {
            store: store.clone(),
            push: push.clone(),
            disclosure: disclosure.clone(),
            pairing,
            binding_limit: BindingLimit::new(),
        };
        let inboxes = InboxesApi {
            live: live.clone(),
            store: store.clone(),
            disclosure,
            posts,
            inbound: inbound.clone(),
            deliveries,
            space: space.clone(),
            metrics,
        };
        let monitoring = MonitoringApi {
            push: push.clone(),
            links,
            live: live.clone(),
            store: store.clone(),
            views: views.clone(),
            totals,
            tasks: tasks.clone(),
            probe: probe.clone(),
            space: space.clone(),
            started: now(),
            shutdown: shutdown.clone(),
        };
        let offers =
            OffersApi { inbound, offer_limit: PeerLimit::default(), timeline_limit: PeerLimit::default(), metrics };
        let state = ApiState {
            auth: auth.into(),
            directory: directory.into(),
            streams: StreamsApi { store: store.clone(), push: push.clone(), shutdown: shutdown.clone() }.into(),
            calls: CallsApi { decisions, reports, sip: sip.clone(), live, store: store.clone(), views }.into(),
            pbxs: PbxsApi { outbound, push, sip }.into(),
            offers: offers.into(),
            inboxes: inboxes.into(),
            monitoring: monitoring.into(),
            space,
            metrics,
        };
        let connections = config.connections.clone();
        Ok(Node { listener, address, tls, connections, state, upkeep, probe, store, tasks, shutdown })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Its internal tasks, for an agent in the same process and for whoever watches both.
    pub fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Serves until `shutdown` is cancelled: then it takes no new requests, finishes those it has,
    /// and writes down what is waiting.
    ///
    /// # Errors
    /// If the listener breaks.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), NodeError> {
        let Node { listener, address, tls, connections, state, upkeep, probe, store, tasks, shutdown: stop } = self;
        tracing::info!(%address, tls = tls.is_some(), "the node listens");
        let sweep = tasks.spawn("sweep", &stop, upkeep.sweep(tasks.clone(), stop.clone()));
        let probe = tasks.spawn("database probe", &stop, probe.run());
        tasks.spawn("store writer", &stop, {
            let store = store.clone();
            async move { store.ended().await }
        });
        let stopping = tasks.spawn("node's stop", &stop, {
            let (stop, shutdown) = (stop.clone(), shutdown.clone());
            async move {
                shutdown.cancelled().await;
                // Streams end with this: they would never finish on their own.
                stop.cancel();
            }
        });
        let open = Connections::new(&connections, state.metrics);
        let router = router(state, &connections);
        let serving = Server::new(&connections, open, tls, router, shutdown.clone()).run(listener);
        let served = tasks.run("HTTP server", &shutdown, serving).await;
        stopping.abort();
        probe.abort();
        stop.cancel();
        let _ = sweep.await;
        store.close().await;
        tracing::info!("the node has stopped");
        served.unwrap_or_else(|| Err(std::io::Error::other("it panicked"))).map_err(NodeError::Serve)
    }
}
