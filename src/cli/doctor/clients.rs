//! Finds bindings that the policy in `[node.clients]` refuses: no message reaches them.

use super::report::DoctorReport;
use crate::cli::api_client::Api;
use crate::config::Config;
use crate::contract::{CLIENTS_LISTED, ClientList};
use crate::core::numbering::number::Number;
use crate::guard;

const ABOUT: &str = "clients";

/// Checks the bindings of one number, or all of them.
pub(super) async fn check(
    config: &Config,
    number: Option<&Number>,
    admin: Option<&Api>,
    report: &mut DoctorReport,
) -> anyhow::Result<()> {
    let Some(admin) = admin else { return Ok(()) };
    let number = number.map(Number::to_string);
    let only: Vec<_> = number.iter().map(|number| ("number", number.as_str())).collect();
    let ClientList { clients } = admin.get(&["v1", "clients"], &only).await?;
    if clients.len() >= CLIENTS_LISTED as usize {
        let found = format!("only the newest {CLIENTS_LISTED} clients were looked at");
        report.warning(ABOUT, found, "look at one number's clients with --number")?;
    }
    let (mut own, mut refused) = (0, 0);
    for client in &clients {
        let Some(address) = &client.address else { continue };
        own += 1;
        let Err(why) = guard::check_client(&config.node.clients, address).await else { continue };
        refused += 1;
        let found = format!("{} of {} gets no messages at {address}: {why}", client.id, client.number);
        report.problem(ABOUT, found, "allow the host, or end the binding: DELETE /v1/clients/ID")?;
    }
    if refused == 0 && own > 0 {
        report.ok(ABOUT, format!("node.clients allows the {own} addresses that clients have bound"))?;
    }
    Ok(())
}
