//! Which address is answered by what.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::{delete, get, patch, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

use std::time::Duration;

use crate::node::app::App;
use crate::node::http::api::{calls, clients, import, inbox, monitoring, numbers, offers, pbxs, stream};
use crate::node::http::connections::ConnectionsConfig;
use crate::node::http::middleware;
use crate::node::lifecycle::disk_space;

/// Bytes of a request's body, but for imports, offers and inboxes.
const BODY: usize = 256 * 1024;
/// How long an answer may take, but for imports.
const TIMEOUT: Duration = Duration::from_secs(15);

macro_rules! routes {
    ($table:ident: $($method:ident $path:literal => $handler:path;)*) => {
        fn $table() -> Router<App> {
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
        get "/v1/numbers/{number}/sidecall" => numbers::switch;
        put "/v1/numbers/{number}/sidecall" => numbers::set_switch;
        post "/v1/clients" => clients::create;
        get "/v1/clients" => clients::list;
        patch "/v1/clients/{id}" => clients::change;
        delete "/v1/clients/{id}" => clients::remove;
        get "/v1/clients/{id}/stream" => stream::open;
        post "/v1/calls" => calls::decide;
        get "/v1/calls" => calls::list;
        get "/v1/calls/{call}" => calls::show;
        post "/v1/calls/{call}/events" => calls::events;
        put "/v1/pbxs/{pbx}" => pbxs::report;
        get "/healthz" => monitoring::healthz;
        get "/readyz" => monitoring::readyz;
        get "/metrics" => monitoring::metrics;
        get "/v1/status" => monitoring::status;
        get "/" => monitoring::page;
        get "/openapi.json" => monitoring::openapi;
    }
    slow {
        post "/v1/numbers:import" => import::import;
    }
    peers {
        post "/v1/peer/offers" => offers::create;
        delete "/v1/peer/offers/{id}" => offers::withdraw;
        post "/v1/peer/offers/{id}/part" => offers::compare;
    }
    inboxes {
        post "/a/{token}" => inbox::post;
        get "/a/{token}" => inbox::page;
    }
}

/// The whole of it.
pub(in crate::node) fn router(app: App, config: &ConnectionsConfig) -> Router {
    let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIMEOUT);
    let quick = quick().layer(DefaultBodyLimit::max(BODY)).layer(timeout);
    let slow = slow().layer(DefaultBodyLimit::disable());
    let peers = peers().layer(DefaultBodyLimit::max(offers::BODY)).layer(timeout);
    let inboxes = inboxes()
        .layer(DefaultBodyLimit::max(inbox::BODY))
        .layer(timeout)
        .layer(axum::middleware::from_fn(middleware::any_origin));
    Router::new()
        .merge(quick)
        .merge(slow)
        .merge(peers)
        .merge(inboxes)
        .layer(RequestBodyTimeoutLayer::new(config.stall()))
        .layer(axum::middleware::from_fn(middleware::to_the_end))
        .layer(axum::middleware::from_fn_with_state(app.clone(), disk_space::guard))
        .layer(CatchPanicLayer::new())
        .layer(axum::middleware::from_fn_with_state(app.clone(), middleware::finish))
        .with_state(app)
}
