//! Checks the node as the agent, the administrator and remote clients reach it.

use url::Url;

use super::report::DoctorReport;
use crate::cli::api_access;
use crate::cli::api_client::{Api, ApiError};
use crate::config::Config;
use crate::contract::CallList;
use crate::core::address::is_loopback;
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
    let none = NodeAccess { admin: None, status: None };
    let node = &config.agent.node;
    let exposed = |secret: &Option<Secret>| secret.as_ref().map_or("", Secret::expose).to_owned();
    let agent = match Api::new(node.clone(), exposed(&config.agent.token)) {
        Ok(agent) => agent,
        Err(error) => {
            report.problem(ABOUT, error.to_string(), "correct agent.node")?;
            return Ok(none);
        }
    };
    let local = api_access::url(&config.node)?;
    if let Err(error) = agent.touch(&["healthz"]).await {
        let start = if same_place(node, &local) { "start it: systemctl start sidecall, or sidecall run" } else { "" };
        let todo = match start {
            "" => format!(
                "agent.node says {node}, and node.listen says {local}: is agent.node right, and the node running there?"
            ),
            start => start.to_owned(),
        };
        report.problem(ABOUT, error.to_string(), todo)?;
        return Ok(none);
    }
    report.ok(ABOUT, format!("{node} answers"))?;
    if let Err(error) = agent.touch(&["readyz"]).await {
        report.problem(
            ABOUT,
            format!("it is not ready: {error}"),
            "look at its log and at the disk that node.database is on",
        )?;
    } else {
        report.ok(ABOUT, "its database takes reads and writes")?;
    }
    agent_token(config, &agent, report).await?;
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

async fn agent_token(config: &Config, agent: &Api, report: &mut DoctorReport) -> anyhow::Result<()> {
    if config.agent.token.is_none() {
        return report.problem(
            ABOUT,
            "the agent has no token",
            "set agent.token_file to the file that node.agent_token_file names",
        );
    }
    match agent.get::<CallList>(&["v1", "calls"], &[("live", "true"), ("limit", "1")]).await {
        Ok(_) => report.ok(ABOUT, "it takes the agent's token"),
        Err(error) => report.problem(
            ABOUT,
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
