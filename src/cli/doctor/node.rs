//! Checks the node as the agent, the administrator and remote clients reach it.

use url::Url;

use super::report::DoctorReport;
use crate::cli::api_access;
use crate::cli::api_client::{Api, ApiError};
use crate::config::Config;
use crate::contract::{CallList, StandByState};
use crate::core::address::{is_loopback, without_user};
use crate::core::base::secret::Secret;
use crate::node::StatusView;

const ABOUT: &str = "node";

/// Access to the node for later checks.
pub(super) struct NodeAccess {
    /// The node's API with the administrator's token, if the node accepts it.
    pub(super) admin: Option<Api>,
    pub(super) status: Option<StatusView>,
}

pub(super) async fn check(config: &Config, report: &mut DoctorReport) -> anyhow::Result<NodeAccess> {
    let local = api_access::url(&config.node)?;
    let nodes = config.agent.urls();
    let (mut answering, mut standing, mut silent) = (Vec::new(), Vec::new(), Vec::new());
    for node in &nodes {
        let shown = without_user(node);
        let about = if nodes.len() > 1 { format!("{ABOUT} {shown}") } else { ABOUT.to_owned() };
        let token = config.agent.token.as_ref().map_or("", Secret::expose);
        let agent = match Api::new(node.clone(), token) {
            Ok(agent) => agent,
            Err(error) => {
                report.problem(&about, error.to_string(), "correct it in [agent]")?;
                continue;
            }
        };
        match agent.touch(&["healthz"]).await {
            Ok(()) => {
                let ready = agent.touch(&["readyz"]).await;
                if let Some((reason, state)) = ready.as_ref().err().and_then(ApiError::stands_by) {
                    standing.push((about, reason, state));
                    continue;
                }
                report.ok(&about, format!("{shown} answers"))?;
                readiness(&about, ready, report)?;
                agent_token(config, &about, &agent, report).await?;
                answering.push(node);
            }
            Err(error) => silent.push((about, error.to_string(), node)),
        }
    }
    for (about, reason, state) in standing {
        stand_by(&about, reason, state, answering.is_empty(), report)?;
    }
    for (about, why, node) in silent {
        match answering.is_empty() {
            true => report.problem(&about, why, how_to_start(node, &local))?,
            false => report.warning(
                &about,
                format!("{why}; agents can't go over to it now"),
                "start it, or look at the network between here and there",
            )?,
        }
    }
    let Some(node) = answering.first().copied() else { return Ok(NodeAccess { admin: None, status: None }) };
    public_url(config, report).await?;
    // The administrator's token belongs to the local node, if one runs here.
    let admin = match &config.tokens.admin {
        Some(token) => {
            admin_token(Api::new(if same_place(node, &local) { local } else { node.clone() }, token.expose())?, report)
                .await?
        }
        None => {
            report.unknown(
                ABOUT,
                "no node.admin_token_file: numbers and clients were not looked at (and can't be administered)",
            )?;
            None
        }
    };
    let status = match &admin {
        Some(admin) => admin.get::<StatusView>(&["v1", "status"], &[]).await.ok(),
        None => None,
    };
    Ok(NodeAccess { admin, status })
}

/// Tells what a node that stands by waits for. `alone`: no node serves, as far as can be told from here.
fn stand_by(
    about: &str,
    reason: String,
    state: StandByState,
    alone: bool,
    report: &mut DoctorReport,
) -> anyhow::Result<()> {
    if state == StandByState::TakesOver {
        return report.unknown(about, format!("{reason}; wait a few seconds and run this again"));
    }
    if state == StandByState::Other {
        return report.unknown(about, format!("{reason}; a later version says this: run its doctor"));
    }
    match (advice(&reason, state), alone) {
        (None, false) => report.ok(about, reason),
        (None, true) => {
            let todo = "the agent can't reach the active node: check that it runs, the network to it, and that [agent] lists it";
            report.problem(about, reason, todo)
        }
        (Some(todo), false) => report.warning(about, reason, format!("it could not take over now: {todo}")),
        (Some(todo), true) => report.problem(about, reason, todo),
    }
}

/// What to do so that a node that stands by could take over. None if it waits for a node that has the database.
fn advice(reason: &str, state: StandByState) -> Option<&'static str> {
    match state {
        StandByState::Waits => None,
        _ if reason.contains(" is busy ") => Some("find the transactions that block the table `leases`"),
        _ => Some("check PostgreSQL and the network to it"),
    }
}

fn how_to_start(node: &Url, local: &Url) -> String {
    if same_place(node, local) {
        return "start it: systemctl start sidecall, or sidecall run".to_owned();
    }
    let node = without_user(node);
    format!("[agent] says {node}, and node.listen says {local}: is [agent] right, and the node running there?")
}

fn readiness(about: &str, ready: Result<(), ApiError>, report: &mut DoctorReport) -> anyhow::Result<()> {
    match ready {
        Ok(()) => report.ok(about, "its database takes reads and writes"),
        Err(error) => report.problem(
            about,
            format!("it is not ready: {error}"),
            "look at its log and at the disk that node.database is on",
        ),
    }
}

async fn agent_token(config: &Config, about: &str, agent: &Api, report: &mut DoctorReport) -> anyhow::Result<()> {
    if config.agent.token.is_none() {
        return report.problem(
            about,
            "the agent has no token",
            "set agent.token_file to the file that node.agent_token_file names",
        );
    }
    match agent.get::<CallList>(&["v1", "calls"], &[("live", "true"), ("limit", "1")]).await {
        Ok(_) => report.ok(about, "it takes the agent's token"),
        Err(error) => report.problem(
            about,
            format!("the agent's token: {error}"),
            "agent.token_file and the node's node.agent_token_file must hold the same",
        ),
    }
}

async fn admin_token(admin: Api, report: &mut DoctorReport) -> anyhow::Result<Option<Api>> {
    match admin.get::<serde_json::Value>(&["v1", "numbers"], &[("limit", "1")]).await {
        Ok(_) => report.ok(ABOUT, "it takes the administrator's token")?,
        Err(error) => {
            let todo = "the node reads node.admin_token_file when it starts: restart it, or correct the file";
            report.problem(ABOUT, format!("the administrator's token: {error}"), todo)?;
            return Ok(None);
        }
    }
    Ok(Some(admin))
}

/// Checks the URL that call signalling carries: other organisations' clients must reach it.
async fn public_url(config: &Config, report: &mut DoctorReport) -> anyhow::Result<()> {
    let Some(public) = &config.node.public_url else {
        let found =
            "node.public_url is not set: client addresses begin with http://127.0.0.1, which only this machine reaches";
        return report.warning(ABOUT, found, "set it to the https: URL by which the node is reached from outside");
    };
    let Ok(url) = public.parse::<Url>() else {
        return report.problem(ABOUT, format!("node.public_url: {public} is not a URL"), "write https://node.example");
    };
    if url.scheme() != "https" {
        let todo = "clients elsewhere take only https: addresses; set node.tls, or a proxy in front";
        report.warning(ABOUT, format!("node.public_url: {public} is not https:"), todo)?;
    }
    // A proxy need only forward call-scoped addresses. The node's answer for an unknown one is distinctive.
    match Api::new(url, "")?.touch(&["a", "doctor"]).await {
        Err(ApiError::Refused { refusal, .. })
            if refusal.status == 404 && refusal.detail.contains("at this address") =>
        {
            report.ok(ABOUT, format!("node.public_url {public} leads to it"))
        }
        Err(ApiError::Unreachable { why, .. }) => report.problem(
            ABOUT,
            format!("node.public_url {public} can't be reached from here: {why}"),
            "look at the name, the proxy or port forwarding, and the certificate",
        ),
        answered => {
            let found = format!("node.public_url {public} leads somewhere else than to a node");
            let found = answered.err().map_or(found.clone(), |error| format!("{found}: {error}"));
            report.problem(ABOUT, found, "the proxy must pass /a/ on to the node as it is")
        }
    }
}

fn same_place(a: &Url, b: &Url) -> bool {
    a.port_or_known_default() == b.port_or_known_default()
        && (a.host() == b.host() || is_loopback(a.host()) && is_loopback(b.host()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stand_by_that_could_not_take_over_gets_advice_by_its_reason() {
        let unable = |reason: &str| advice(&format!("the node stands by: {reason}"), StandByState::Unable);
        assert_eq!(unable("the database isn't available"), Some("check PostgreSQL and the network to it"));
        let busy = unable("the database is busy with other transactions");
        assert_eq!(busy, Some("find the transactions that block the table `leases`"));
        let waits = "the node stands by: process 7 on node-a has the database";
        assert_eq!(advice(waits, StandByState::Waits), None);
    }
}
