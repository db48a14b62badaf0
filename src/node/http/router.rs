//! Which address is answered by what.

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::routing::{delete, get, patch, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

use std::sync::Arc;
use std::time::Duration;

use crate::contract::NODE_PROCESS;
use crate::monitor::Metrics;
use crate::node::config::connections::ConnectionsConfig;
use crate::node::http::api::{
    calls, claims, client_stream, clients, devices, dialled_enrolments, enrolments, guests, ice, inbox, monitoring,
    number_import, numbers, pbxs, peer_offers, web_client,
};
use crate::node::http::auth::Authenticator;
use crate::node::http::origins::{self, ClientOrigins};
use crate::node::http::{disk_guard, middleware};
use crate::node::lifecycle::disk_space::Space;

/// Bytes of a request's body, but for imports, offers and inboxes.
const BODY: usize = 256 * 1024;
/// How long an answer may take, but for imports.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What requests share. Each handler extracts the state of its own area.
#[derive(Clone, FromRef)]
pub(in crate::node) struct ApiState {
    pub(in crate::node) auth: Arc<Authenticator>,
    pub(in crate::node) origins: Arc<ClientOrigins>,
    pub(in crate::node) directory: Arc<numbers::DirectoryApi>,
    pub(in crate::node) streams: Arc<client_stream::StreamsApi>,
    pub(in crate::node) calls: Arc<calls::CallsApi>,
    pub(in crate::node) claims: Arc<claims::ClaimsApi>,
    pub(in crate::node) guests: Arc<guests::GuestsApi>,
    pub(in crate::node) pbxs: Arc<pbxs::PbxsApi>,
    pub(in crate::node) offers: Arc<peer_offers::OffersApi>,
    pub(in crate::node) inboxes: Arc<inbox::InboxesApi>,
    pub(in crate::node) ice: Arc<ice::IceApi>,
    pub(in crate::node) dialled_enrolments: Arc<dialled_enrolments::DialledEnrolmentsApi>,
    pub(in crate::node) web_client: Arc<web_client::WebClientApi>,
    pub(in crate::node) monitoring: Arc<monitoring::MonitoringApi>,
    pub(in crate::node) space: Arc<Space>,
    pub(in crate::node) metrics: Metrics,
}

macro_rules! routes {
    ($table:ident: $($method:ident $path:literal => $handler:path;)*) => {
        fn $table() -> Router<ApiState> {
            Router::new()$(.route($path, $method($handler)))*
        }
    };
}

macro_rules! all {
    ($($table:ident { $($method:ident $path:literal => $handler:path;)* })*) => {
        /// Method and path of everything that is answered.
        pub const ROUTES: &[(&str, &str)] = &[$($((stringify!($method), $path)),*),*];
        $(routes!($table: $($method $path => $handler;)*);)*
    };
}

all! {
    quick {
        get "/v1/numbers" => numbers::list;
        get "/v1/numbers/{number}" => numbers::show;
        put "/v1/numbers/{number}" => numbers::put;
        delete "/v1/numbers/{number}" => numbers::remove;
        post "/v1/calls" => calls::decide;
        get "/v1/calls" => calls::list;
        get "/v1/calls/{call}" => calls::show;
        post "/v1/calls/{call}/events" => calls::events;
        put "/v1/pbxs/{pbx}" => pbxs::report;
        post "/v1/dialled-enrolments/confirm" => dialled_enrolments::confirm;
        get "/healthz" => monitoring::healthz;
        get "/readyz" => monitoring::readyz;
        get "/metrics" => monitoring::metrics;
        get "/v1/status" => monitoring::status;
        get "/" => monitoring::page;
        get "/openapi.json" => monitoring::openapi;
    }
    web_pages {
        get "/client" => web_client::slash;
        get "/client/" => web_client::page;
        get "/client/{file}" => web_client::file;
        get "/j" => web_client::guest_page;
    }
    client_api {
        get "/v1/numbers/{number}/sidecall" => numbers::switch;
        put "/v1/numbers/{number}/sidecall" => numbers::set_switch;
        post "/v1/numbers/{number}/enrolments" => enrolments::create;
        post "/v1/dialled-enrolments" => dialled_enrolments::create;
        post "/v1/devices" => devices::create;
        get "/v1/devices" => devices::list;
        get "/v1/devices/{id}" => devices::show;
        patch "/v1/devices/{id}" => devices::change;
        delete "/v1/devices/{id}" => devices::remove;
        post "/v1/clients" => clients::create;
        get "/v1/clients" => clients::list;
        patch "/v1/clients/{id}" => clients::change;
        delete "/v1/clients/{id}" => clients::remove;
        get "/v1/clients/{id}/stream" => client_stream::open;
        post "/v1/calls/{call}/claims" => claims::create;
        post "/v1/calls/{call}/guests" => guests::invite;
        get "/v1/calls/{call}/guests" => guests::list;
        post "/v1/guests" => guests::join;
        delete "/v1/guests" => guests::leave;
        get "/v1/guests/stream" => guests::stream;
        delete "/v1/guests/{id}" => guests::dismiss;
        get "/v1/ice" => ice::for_client;
    }
    waiting_pages {
        get "/v1/dialled-enrolments/{id}" => dialled_enrolments::wait;
    }
    slow {
        post "/v1/numbers:import" => number_import::import;
    }
    peers {
        post "/v1/peer/offers" => peer_offers::create;
        delete "/v1/peer/offers/{id}" => peer_offers::withdraw;
        post "/v1/peer/offers/{id}/part" => peer_offers::sync_timeline;
    }
    inboxes {
        post "/a/{token}" => inbox::post;
        get "/a/{token}" => inbox::page;
        get "/a/{token}/ice" => ice::for_guest;
    }
}

/// Names the process in each answer.
fn named() -> SetResponseHeaderLayer<HeaderValue> {
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string();
    let id = HeaderValue::try_from(id).unwrap_or_else(|_| unreachable!("hex digits and hyphens"));
    SetResponseHeaderLayer::overriding(HeaderName::from_static(NODE_PROCESS), id)
}

/// The whole of it. It has a new name for the process.
pub(in crate::node) fn router(state: ApiState, config: &ConnectionsConfig) -> Router {
    let timeout_after = |limit| TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, limit);
    let timeout = timeout_after(TIMEOUT);
    let guarded = |routes: Router<ApiState>| {
        routes
            .layer(RequestBodyTimeoutLayer::new(config.stall()))
            .layer(axum::middleware::from_fn(middleware::complete))
            .layer(axum::middleware::from_fn_with_state(state.clone(), disk_guard::guard))
            .layer(CatchPanicLayer::new())
    };
    let quick = quick().layer(DefaultBodyLimit::max(BODY)).layer(timeout);
    let web_pages = web_pages().layer(DefaultBodyLimit::max(BODY)).layer(timeout);
    let client_api = client_api().layer(DefaultBodyLimit::max(BODY)).layer(timeout);
    let waiting_pages = waiting_pages().layer(timeout_after(dialled_enrolments::WAIT + TIMEOUT));
    let slow = slow().layer(DefaultBodyLimit::disable());
    let peers = peers().layer(DefaultBodyLimit::max(peer_offers::BODY)).layer(timeout);
    let inboxes = inboxes().layer(DefaultBodyLimit::max(inbox::BODY)).layer(timeout);
    // A page of another origin can read every refusal too.
    Router::new()
        .merge(guarded(client_api).layer(state.origins.cors()))
        .merge(guarded(waiting_pages).layer(state.origins.cors()))
        .merge(guarded(inboxes).layer(origins::any()))
        .merge(guarded(web_pages).layer(CompressionLayer::new()))
        .merge(guarded(slow))
        .merge(guarded(peers))
        // The last group's layers also apply to unmatched paths.
        .merge(guarded(quick).layer(named()))
        .layer(axum::middleware::from_fn_with_state(state.clone(), middleware::finish))
        .with_state(state)
}
