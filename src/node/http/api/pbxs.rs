//! `/v1/pbxs`: the links of agents.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;

use crate::contract::{PbxReport, SipMessages};
use crate::core::base::name::PbxName;
use crate::monitor::now;
use crate::node::Problem;
use crate::node::delivery::sip_handout::SipHandout;
use crate::node::http::auth::FromAgent;
use crate::node::http::extract::{Body, InPath, agent_clock};
use crate::node::http::problem::Problems;
use crate::node::peering::outbound::Outbound;
use crate::push::Push;
use crate::store::Store;

pub(in crate::node) struct PbxsApi {
    pub(in crate::node) store: Store,
    pub(in crate::node) outbound: Arc<Outbound>,
    pub(in crate::node) push: Push,
    pub(in crate::node) sip: Arc<SipHandout>,
}

/// An agent says how its link to a PBX is, and is given SIP MESSAGEs to send.
#[utoipa::path(put, path = "/v1/pbxs/{pbx}", tag = "pbxs", security(("bearer" = ["agent"])),
    params(("pbx" = String, Path, description = "The PBX's name"),
        ("sidecall-clock" = Option<i64>, Header, description = "What the agent's clock shows, in milliseconds since 1970")),
    request_body = PbxReport, responses((status = 200, body = SipMessages), Problems))]
pub(in crate::node) async fn report(
    State(api): State<Arc<PbxsApi>>,
    FromAgent(scope): FromAgent,
    InPath(pbx): InPath<PbxName>,
    headers: HeaderMap,
    Body(report): Body<PbxReport>,
) -> Result<Json<SipMessages>, Problem> {
    scope.check(&pbx)?;
    // The agent then goes over to the node that has the database.
    api.store.check_lease()?;
    let texts = [
        ("agent", Some(&report.agent)),
        ("error", report.error.as_ref()),
        ("version", report.version.as_ref()),
        ("node", report.node.as_ref()),
    ];
    for (field, text) in texts {
        if text.is_some_and(|text| text.len() > 500) {
            return Err(Problem::invalid(field, "is longer than 500 characters"));
        }
    }
    let report = report.by_clock(agent_clock(&headers), now());
    let agent = report.agent.clone();
    api.outbound.note_sip_answers(api.push.sip_outcomes(&pbx, &agent, &report.sent));
    api.sip.link_reported(&pbx, report, now());
    let mut handed = api.sip.hand_out(&pbx, Some(&agent)).await;
    handed.messages.extend(api.sip.unconfirmed(&pbx, &agent));
    Ok(Json(handed))
}
