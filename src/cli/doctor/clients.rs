//! Bindings that the policy in `[node.clients]` refuses: nothing that is sent to them arrives.

use url::Host;

use super::report::Report;
use crate::cli::http::Api;
use crate::config::Config;
use crate::contract::{ClientForm, ClientList, ClientView};
use crate::core::client_policy::ClientPolicy;
use crate::guard;

const ABOUT: &str = "clients";
/// How many clients the node lists.
const LISTED: usize = 1_000;

pub(super) async fn check(config: &Config, admin: Option<&Api>, report: &mut Report) -> anyhow::Result<()> {
    let Some(admin) = admin else { return Ok(()) };
    let all: ClientList = admin.get(&["v1", "clients"], &[]).await?;
    if all.clients.len() >= LISTED {
        report.warning(
            ABOUT,
            format!("only the newest {LISTED} clients were looked at"),
            "look at a number's with --number",
        )?;
    }
    let own: Vec<&ClientView> = all.clients.iter().filter(|client| client.form != ClientForm::Hosted).collect();
    let mut refused = 0;
    for client in &own {
        let Some(why) = refusal(&config.node.clients, client).await else { continue };
        refused += 1;
        let address = client.address.as_ref().map(ToString::to_string).unwrap_or_default();
        let found = format!("{} of {} gets no messages at {address}: {why}", client.id, client.number);
        report.problem(ABOUT, found, "allow the host, or end the binding: DELETE /v1/clients/ID")?;
    }
    if refused == 0 && !own.is_empty() {
        report.ok(ABOUT, format!("node.clients allows the {} addresses that clients have bound", own.len()))?;
    }
    Ok(())
}

async fn refusal(policy: &ClientPolicy, client: &ClientView) -> Option<String> {
    let address = client.address.as_ref()?;
    if let Err(refusal) = policy.check(address) {
        return Some(refusal.to_string());
    }
    match address.host() {
        Some(Host::Domain(name)) if client.form == ClientForm::Webhook => {
            guard::check_name(&name, &policy.webhook_hosts).await.err().map(|inside| inside.to_string())
        }
        _ => None,
    }
}
