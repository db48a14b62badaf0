//! The services of a node, put together. No other code has them all.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::lnp::Lnp;
use crate::monitor::{Metrics, Tasks, Totals, now};
use crate::node::NodeError;
use crate::node::call::decide::Decisions;
use crate::node::call::events::Reports;
use crate::node::config::{NodeConfig, is_at_home};
use crate::node::delivery::Deliveries;
use crate::node::delivery::pbx_links::PbxLinks;
use crate::node::delivery::post_budget::PostBudget;
use crate::node::delivery::sip_handout::SipHandout;
use crate::node::dialled_enrolments::DialledEnrolments;
use crate::node::disclosure::Disclosure;
use crate::node::disclosure::inbox_token::InboxTokens;
use crate::node::http::api::call_views::CallViews;
use crate::node::http::api::calls::CallsApi;
use crate::node::http::api::claims::ClaimsApi;
use crate::node::http::api::client_stream::StreamsApi;
use crate::node::http::api::dialled_enrolments::DialledEnrolmentsApi;
use crate::node::http::api::guests::GuestsApi;
use crate::node::http::api::ice::IceApi;
use crate::node::http::api::inbox::InboxesApi;
use crate::node::http::api::monitoring::MonitoringApi;
use crate::node::http::api::numbers::DirectoryApi;
use crate::node::http::api::pbxs::PbxsApi;
use crate::node::http::api::peer_offers::OffersApi;
use crate::node::http::api::web_client::WebClientApi;
use crate::node::http::auth::Authenticator;
use crate::node::http::configured_tokens::ConfiguredTokens;
use crate::node::http::dns_rebinding::Hosts;
use crate::node::http::failed_logins::Logins;
use crate::node::http::origins::ClientOrigins;
use crate::node::http::rate_limits::{BindingLimit, DialCodeLimit, GuessLimit, IceLimit, PeerLimit};
use crate::node::http::router::ApiState;
use crate::node::lifecycle::Upkeep;
use crate::node::lifecycle::database_probe::DatabaseProbe;
use crate::node::lifecycle::disk_space::Space;
use crate::node::lifecycle::housekeeping::OldCalls;
use crate::node::live_calls::LiveCalls;
use crate::node::pairing::Pairing;
use crate::node::peering::inbound::Inbound;
use crate::node::peering::outbound::Outbound;
use crate::node::ringing::Ringing;
use crate::peer::Peers;
use crate::push::Push;
use crate::store::Store;

pub(super) struct Services {
    pub(super) probe: Arc<DatabaseProbe>,
    pub(super) tasks: Tasks,
    /// Stops the background work and the clients' streams.
    pub(super) shutdown: CancellationToken,
    store: Store,
    metrics: Metrics,
    totals: Arc<Totals>,
    push: Push,
    peers: Arc<Peers>,
    lnp: Lnp,
    live: LiveCalls,
    disclosure: Arc<Disclosure>,
    deliveries: Arc<Deliveries>,
    links: Arc<PbxLinks>,
    sip: Arc<SipHandout>,
    posts: Arc<PostBudget>,
    ice: Arc<IceApi>,
    ringing: Arc<Ringing>,
    outbound: Arc<Outbound>,
    pairing: Arc<Pairing>,
    inbound: Arc<Inbound>,
    space: Arc<Space>,
}

impl Services {
    /// `base` is the node's public URL, `tasks` has its background work, and `secret` signs the inbox tokens and hides whose a TURN username is.
    pub(super) fn new(
        config: &NodeConfig,
        base: String,
        secret: [u8; 32],
        store: Store,
        tasks: Tasks,
    ) -> Result<Services, NodeError> {
        let metrics = Metrics::install();
        let (totals, shutdown) = (Arc::new(Totals::new(metrics)), CancellationToken::new());
        let push = Push::new(store.clone(), totals.clone(), config.clients.clone(), shutdown.clone());
        let peers = Arc::new(Peers::new(&config.peers, is_at_home(&base))?);
        let lnp = config.portability()?;
        let live = LiveCalls::new(store.clone(), config.conference_size, config.storage.calls);
        let inbox_tokens = InboxTokens::new(secret, base);
        let disclosure = Arc::new(Disclosure::new(store.clone(), live.clone(), peers.clone(), inbox_tokens));
        let deliveries = Arc::new(Deliveries::new(store.clone(), push.clone()));
        let links = Arc::new(PbxLinks::new(metrics));
        let ringing = Arc::new(Ringing {
            live: live.clone(),
            disclosure: disclosure.clone(),
            deliveries: deliveries.clone(),
            store: store.clone(),
            push: push.clone(),
        });
        let outbound = Arc::new(Outbound {
            live: live.clone(),
            disclosure: disclosure.clone(),
            store: store.clone(),
            push: push.clone(),
            peers: peers.clone(),
            tasks: Default::default(),
            syncs: Default::default(),
            metrics,
            shutdown: shutdown.clone(),
        });
        let pairing = Arc::new(Pairing {
            live: live.clone(),
            disclosure: disclosure.clone(),
            deliveries: deliveries.clone(),
            outbound: outbound.clone(),
            ringing: ringing.clone(),
            store: store.clone(),
            push: push.clone(),
            locks: Default::default(),
            totals: totals.clone(),
        });
        let inbound = Arc::new(Inbound {
            offers: Default::default(),
            live: live.clone(),
            disclosure: disclosure.clone(),
            pairing: pairing.clone(),
            outbound: outbound.clone(),
            ringing: ringing.clone(),
            store: store.clone(),
            peers: peers.clone(),
            lnp: lnp.clone(),
            metrics,
        });
        Ok(Services {
            probe: Arc::new(DatabaseProbe::new(store.clone(), tasks.clone())),
            sip: Arc::new(SipHandout::new(live.clone(), push.clone(), links.clone())),
            posts: Arc::new(PostBudget::new(config.storage.posts())),
            ice: Arc::new(IceApi { config: config.ice.clone(), key: secret, limit: IceLimit::new() }),
            space: Arc::new(Space::new(config.database.file(), &config.storage, metrics)),
            tasks,
            shutdown,
            store,
            metrics,
            totals,
            push,
            peers,
            lnp,
            live,
            disclosure,
            deliveries,
            links,
            ringing,
            outbound,
            pairing,
            inbound,
        })
    }

    pub(super) fn upkeep(&self, config: &NodeConfig) -> Upkeep {
        Upkeep {
            store: self.store.clone(),
            push: self.push.clone(),
            live: self.live.clone(),
            deliveries: self.deliveries.clone(),
            posts: self.posts.clone(),
            links: self.links.clone(),
            outbound: self.outbound.clone(),
            pairing: self.pairing.clone(),
            inbound: self.inbound.clone(),
            ringing: self.ringing.clone(),
            reports: self.reports(),
            space: self.space.clone(),
            old_calls: OldCalls::new(config.keep_calls, config.storage.deliveries),
            metrics: self.metrics,
        }
    }

    /// What the handlers of each area of the API need.
    pub(super) fn api(&self, config: &NodeConfig, tokens: ConfiguredTokens) -> ApiState {
        let views = CallViews::new(self.live.clone(), self.store.clone());
        ApiState {
            auth: self.authenticator(config, tokens).into(),
            origins: ClientOrigins::new(config).into(),
            directory: self.directory().into(),
            streams: self.streams().into(),
            calls: self.calls(config, views.clone()).into(),
            claims: self.claims().into(),
            guests: self.guests().into(),
            pbxs: self.pbxs().into(),
            offers: self.offers().into(),
            inboxes: self.inboxes().into(),
            ice: self.ice.clone(),
            dialled_enrolments: self.dialled_enrolments(config).into(),
            web_client: WebClientApi::new(is_at_home(self.disclosure.inbox_tokens().base())).into(),
            monitoring: self.monitoring(views).into(),
            space: self.space.clone(),
            metrics: self.metrics,
        }
    }

    fn reports(&self) -> Reports {
        Reports {
            live: self.live.clone(),
            pairing: self.pairing.clone(),
            outbound: self.outbound.clone(),
            inbound: self.inbound.clone(),
            ringing: self.ringing.clone(),
            push: self.push.clone(),
            store: self.store.clone(),
        }
    }

    fn decisions(&self, config: &NodeConfig) -> Decisions {
        Decisions {
            live: self.live.clone(),
            disclosure: self.disclosure.clone(),
            outbound: self.outbound.clone(),
            inbound: self.inbound.clone(),
            ringing: self.ringing.clone(),
            store: self.store.clone(),
            peers: self.peers.clone(),
            lnp: self.lnp.clone(),
            routing: config.routing.clone(),
            totals: self.totals.clone(),
        }
    }

    fn authenticator(&self, config: &NodeConfig, tokens: ConfiguredTokens) -> Authenticator {
        Authenticator {
            tokens,
            logins: Logins::new(&config.connections, self.metrics),
            store: self.store.clone(),
            peers: self.peers.clone(),
            monitoring: config.monitoring(),
            hosts: Hosts::new(config),
            metrics: self.metrics,
        }
    }

    fn directory(&self) -> DirectoryApi {
        DirectoryApi {
            store: self.store.clone(),
            live: self.live.clone(),
            push: self.push.clone(),
            deliveries: self.deliveries.clone(),
            disclosure: self.disclosure.clone(),
            pairing: self.pairing.clone(),
            binding_limit: BindingLimit::new(),
        }
    }

    fn streams(&self) -> StreamsApi {
        StreamsApi {
            store: self.store.clone(),
            push: self.push.clone(),
            ringing: self.ringing.clone(),
            shutdown: self.shutdown.clone(),
        }
    }

    fn calls(&self, config: &NodeConfig, views: CallViews) -> CallsApi {
        CallsApi {
            decisions: self.decisions(config),
            reports: self.reports(),
            sip: self.sip.clone(),
            live: self.live.clone(),
            store: self.store.clone(),
            views,
        }
    }

    fn claims(&self) -> ClaimsApi {
        ClaimsApi { live: self.live.clone(), disclosure: self.disclosure.clone(), deliveries: self.deliveries.clone() }
    }

    fn guests(&self) -> GuestsApi {
        GuestsApi {
            live: self.live.clone(),
            disclosure: self.disclosure.clone(),
            deliveries: self.deliveries.clone(),
            guess_limit: GuessLimit::new(Instant::now()),
            metrics: self.metrics,
        }
    }

    fn dialled_enrolments(&self, config: &NodeConfig) -> DialledEnrolmentsApi {
        DialledEnrolmentsApi {
            enrolments: DialledEnrolments::new(config.feature_code.clone(), self.store.clone()),
            limit: DialCodeLimit::new(),
            shutdown: self.shutdown.clone(),
        }
    }

    fn offers(&self) -> OffersApi {
        OffersApi {
            inbound: self.inbound.clone(),
            offer_limit: PeerLimit::default(),
            timeline_limit: PeerLimit::default(),
            metrics: self.metrics,
        }
    }

    fn inboxes(&self) -> InboxesApi {
        InboxesApi {
            live: self.live.clone(),
            store: self.store.clone(),
            disclosure: self.disclosure.clone(),
            posts: self.posts.clone(),
            inbound: self.inbound.clone(),
            deliveries: self.deliveries.clone(),
            push: self.push.clone(),
            space: self.space.clone(),
            metrics: self.metrics,
        }
    }

    fn pbxs(&self) -> PbxsApi {
        PbxsApi {
            store: self.store.clone(),
            outbound: self.outbound.clone(),
            push: self.push.clone(),
            sip: self.sip.clone(),
        }
    }

    fn monitoring(&self, views: CallViews) -> MonitoringApi {
        MonitoringApi {
            push: self.push.clone(),
            links: self.links.clone(),
            live: self.live.clone(),
            store: self.store.clone(),
            views,
            totals: self.totals.clone(),
            tasks: self.tasks.clone(),
            probe: self.probe.clone(),
            space: self.space.clone(),
            started: now(),
            shutdown: self.shutdown.clone(),
        }
    }
}
