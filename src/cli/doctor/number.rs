//! A number and its clients.

use super::report::DoctorReport;
use crate::agent::PbxConfig;
use crate::cli::api_client::Api;
use crate::config::Config;
use crate::contract::{ClientForm, ClientList, ClientView, DeviceList, NumberKind, NumberView};
use crate::core::numbering::number::Number;
use crate::core::numbering::numbering_plan::PbxNumberingPlan;

pub(super) async fn check(
    config: &Config,
    number: Option<&Number>,
    admin: Option<&Api>,
    report: &mut DoctorReport,
) -> anyhow::Result<()> {
    let Some(admin) = admin else {
        return match number {
            Some(number) => report.unknown(
                "number",
                format!("{number} was not looked at: that needs the node and the administrator's token"),
            ),
            None => Ok(()),
        };
    };
    match number {
        Some(number) => one(config, number, admin, report).await,
        None => any(admin, report).await,
    }
}

async fn any(admin: &Api, report: &mut DoctorReport) -> anyhow::Result<()> {
    let all: ClientList = admin.get(&["v1", "clients"], &[]).await?;
    match all.clients.len() {
        0 => report.warning(
            "number",
            "no client is bound to any number",
            "start one: sidecall client --number … ; without clients all calls take the PSTN",
        ),
        n => report.ok("number", format!("{n} clients are bound, {} of them connected now", connected(&all.clients))),
    }
}

fn connected(clients: &[ClientView]) -> usize {
    clients.iter().filter(|client| client.connected).count()
}

/// Warns if the dialplan would announce a main number: its callers would wait for nothing.
async fn main_number(config: &Config, number: &Number, about: &str, report: &mut DoctorReport) -> anyhow::Result<()> {
    let written = match number {
        Number::E164(digits) => vec![format!("+{digits}"), digits.clone()],
        Number::Local { digits, .. } => vec![digits.clone()],
    };
    for pbx in &config.pbx {
        // The PBX's own check reports why it can't be asked.
        let Ok(inspection) = pbx.endpoint().inspect().await else { continue };
        let (Ok(settings), Ok(dialplan)) = (inspection.settings().await, inspection.dialplan().await) else { continue };
        if !dialplan.attendants.is_empty() {
            continue;
        }
        let mut named = false;
        for digits in &written {
            if let Some(pattern) = &settings.main {
                named |= inspection.is_main(pattern, digits).await.unwrap_or(false);
            }
        }
        if !named {
            let found =
                format!("on pbx {} neither an attendant's context nor the setting of main numbers knows it", pbx.name);
            let todo = "name it in sidecall_main (SIDECALL_MAIN), or run install.sh again with --main or --attendant";
            report.warning(about, found, todo)?;
        }
    }
    Ok(())
}

async fn one(config: &Config, number: &Number, admin: &Api, report: &mut DoctorReport) -> anyhow::Result<()> {
    let text = number.to_string();
    let about = format!("number {text}");
    let view: NumberView = match admin.get(&["v1", "numbers", &text], &[]).await {
        Ok(view) => view,
        Err(error) if error.status() == Some(404) => {
            let todo = format!(
                "sidecall number put '{text}' --name … --pbx … --new-credential; extensions need the context of their [[pbx]]"
            );
            return report.problem(&about, "it is not in the directory", todo);
        }
        Err(error) => return report.problem(&about, error.to_string(), "look at the node"),
    };
    report.ok(
        &about,
        format!("it is in the directory{}", view.entry.name.map(|name| format!(" as {name}")).unwrap_or_default()),
    )?;
    if view.entry.kind == NumberKind::Main {
        report.ok(&about, "it is a main number: the extensions behind it have the clients")?;
        return main_number(config, number, &about, report).await;
    }
    let devices: DeviceList = admin.get(&["v1", "devices"], &[("number", &text)]).await?;
    if !view.has_credential && devices.devices.is_empty() {
        report.problem(
            &about,
            "it has neither a device nor a credential: no client can bind",
            format!("sidecall device enrol '{text}'"),
        )?;
    }
    match &view.entry.pbx {
        Some(pbx) if !config.pbx.is_empty() && config.pbx.iter().all(|known| known.name != *pbx) => {
            let todo = format!("sidecall number put '{text}' --pbx NAME, with the name of a [[pbx]]");
            report.warning(&about, format!("its PBX {pbx} is not in this configuration"), todo)?;
        }
        Some(_) => {}
        None => report.warning(
            &about,
            "it has no PBX: calls to it never take the local route",
            format!("sidecall number put '{text}' --pbx NAME"),
        )?,
    }
    if let Number::Local { context, .. } = number
        && !config.pbx.is_empty()
    {
        let plans: Vec<_> = config.pbx.iter().map(PbxConfig::plan).collect();
        let rules = plans.iter().flat_map(PbxNumberingPlan::all).find(|plan| plan.context.as_ref() == Some(context));
        match rules.map(|rules| rules.canonical(number)) {
            None => report.warning(
                &about,
                "no [[pbx]] and no tenant has its phone-context: calls will not be taken for it",
                "compare it with the context in [[pbx]] and [[pbx.tenant]]",
            )?,
            Some(form) if form != *number => report.problem(
                &about,
                format!("a map makes it {form}: calls are taken for that number"),
                format!("sidecall number put '{form}' … in its place"),
            )?,
            Some(_) => {}
        }
    }
    let clients: ClientList = admin.get(&["v1", "clients"], &[("number", &text)]).await?;
    let hosted = clients.clients.iter().filter(|client| client.form == ClientForm::Hosted).count();
    match (clients.clients.len(), connected(&clients.clients)) {
        (0, _) => report.problem(
            &about,
            "no client is bound to it: its calls take the PSTN",
            format!("sidecall device enrol '{text}', and start a client with the code"),
        ),
        (n, 0) if n == hosted => report.warning(
            &about,
            "its clients are bound, and none is connected: what is sent waits for them",
            "start the client again",
        ),
        (n, up) => report.ok(&about, format!("{n} clients, {hosted} of them hosted, {up} connected")),
    }
}
