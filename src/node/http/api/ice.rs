//! `/v1/ice` and `/a/{token}/ice`: the ICE servers that clients and guests may use, with credentials that expire.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{Path, State};

use crate::contract::{IceServer, IceServers, IceTransportPolicy};
use crate::core::base::time::UnixMillis;
use crate::core::ice::ice_uri::IceUri;
use crate::core::ice::turn_credential::{TurnCredential, turn_id};
use crate::monitor::now;
use crate::node::Problem;
use crate::node::config::ice::IceConfig;
use crate::node::http::api::inbox::{self, InboxesApi};
use crate::node::http::auth::Identity;
use crate::node::http::problem::Problems;
use crate::node::http::rate_limits::IceLimit;

/// Maximum validity of a guest's credentials: whoever has an address for one call isn't known otherwise.
const GUEST_MAX: Duration = Duration::from_secs(60 * 60);

pub(in crate::node) struct IceApi {
    pub(in crate::node) config: IceConfig,
    /// Makes the ids in usernames.
    pub(in crate::node) key: [u8; 32],
    pub(in crate::node) limit: IceLimit,
}

impl IceApi {
    fn servers(&self, whose: &str, validity: Duration, now: UnixMillis) -> IceServers {
        // A username has whole seconds.
        let expires = UnixMillis((now + validity).0.div_euclid(1000) * 1000);
        let (turn, stun): (Vec<IceUri>, Vec<IceUri>) = self.config.urls.iter().cloned().partition(IceUri::is_turn);
        let credential = self.config.secret.as_ref().map(|secret| {
            let TurnCredential { username, credential } =
                TurnCredential::new(secret, &turn_id(&self.key, whose), expires);
            (username, credential)
        });
        let (username, credential) = credential.unzip();
        let stun = IceServer { urls: stun, username: None, credential: None };
        let mut ice_servers = vec![stun, IceServer { urls: turn, username, credential }];
        ice_servers.retain(|server| !server.urls.is_empty());
        let ice_transport_policy = self.config.relay_only.then_some(IceTransportPolicy::Relay);
        IceServers { ice_servers, ice_transport_policy, expires }
    }
}

/// ICE servers for a client's media. The answer is the configuration of an `RTCPeerConnection`.
#[utoipa::path(get, path = "/v1/ice", tag = "clients", security(("bearer" = ["client"])),
    responses((status = 200, body = IceServers), Problems))]
pub(in crate::node) async fn for_client(
    State(api): State<Arc<IceApi>>,
    identity: Identity,
) -> Result<Json<IceServers>, Problem> {
    let Identity::Client { number, device } = identity else { return Err(Problem::forbidden("this is for clients")) };
    let whose = device.map_or_else(|| number.to_string(), |device| device.to_string());
    api.limit.check(&whose, Instant::now())?;
    Ok(Json(api.servers(&whose, api.config.validity(), now())))
}

/// ICE servers for whoever has a call-scoped address. A request counts as a post to that address. The credentials are
/// valid for an hour at most.
#[utoipa::path(get, path = "/a/{token}/ice", tag = "addresses",
    params(("token" = String, Path, description = "The token at the end of the address")),
    responses((status = 200, body = IceServers), Problems))]
pub(in crate::node) async fn for_guest(
    State(api): State<Arc<IceApi>>,
    State(inboxes): State<Arc<InboxesApi>>,
    Path(token): Path<String>,
) -> Result<Json<IceServers>, Problem> {
    inbox::take_request(&inboxes, &token)?;
    Ok(Json(api.servers(&token, api.config.validity().min(GUEST_MAX), now())))
}
