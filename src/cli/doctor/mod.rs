//! `doctor`: checks the whole chain and says how to fix it.

mod clients;
mod cluster;
mod emergency;
mod enrolment;
mod files;
mod ice;
mod listening_ports;
mod lnp;
mod node;
mod number;
mod pbx;
mod peers;
mod report;

use std::path::Path;

use clap::Args;

use crate::config::Config;
use crate::core::base::name::PbxName;
use crate::core::numbering::number::Number;
use report::DoctorReport;

/// Checks everything between a call and a client, and says how to fix what is wrong.
///
/// Checks the configuration and its files, each PBX (reachable, snippet loaded, rights, trunk, an
/// agent attached), the node (reachable, ready, tokens, public address), other nodes on its database (present,
/// same version), the STUN and TURN servers, other organisations' nodes, the portability sources, and a
/// number's clients.
/// Changes nothing and touches no call. Exits with success if there is no problem.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sidecall doctor
  sidecall doctor --pbx office --number +12125550100
  sidecall doctor --json | jq '.findings[] | select(.verdict == \"problem\")'

A problem keeps calls from being paired, clients from reaching each other, or secrets from being
secret; a warning may be as you want it.")]
pub(super) struct DoctorArgs {
    /// Check only this PBX.
    #[arg(long, value_name = "NAME")]
    pbx: Option<PbxName>,
    /// Also check this number and its clients.
    #[arg(long)]
    number: Option<Number>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: DoctorArgs, path: &Path) -> anyhow::Result<()> {
    let mut report = DoctorReport::new(args.json);
    match Config::load(path) {
        Ok(config) => {
            report.ok("configuration", format!("{} is valid", path.display()))?;
            examine(&config, &args, path, &mut report).await?;
        }
        Err(error) => {
            let todo = format!(
                "correct it; nothing else can be looked at before (sidecall --config FILE doctor looks at another than {})",
                path.display()
            );
            report.problem("configuration", error.to_string(), todo)?;
        }
    }
    report.finish()
}

async fn examine(config: &Config, args: &DoctorArgs, path: &Path, report: &mut DoctorReport) -> anyhow::Result<()> {
    files::check(config, path, report)?;
    let node = node::check(config, report).await?;
    cluster::check(config, node.status.as_ref(), report)?;
    ice::check(config, report).await?;
    peers::check(config, report).await?;
    lnp::check(config, args.number.as_ref(), report).await?;
    let wanted: Vec<_> =
        config.pbx.iter().filter(|pbx| args.pbx.as_ref().is_none_or(|name| *name == pbx.name)).collect();
    if wanted.is_empty() {
        match &args.pbx {
            Some(name) => report.problem(
                "pbx",
                format!("the configuration has no PBX {name}"),
                "look at [[pbx]], name".to_owned(),
            )?,
            None => report.warning(
                "pbx",
                "no [[pbx]] is configured".to_owned(),
                "an agent needs one; a node alone does not".to_owned(),
            )?,
        }
    }
    let extensions = emergency::extensions(node.admin.as_ref()).await;
    for pbx in wanted {
        pbx::check(config, pbx, node.status.as_ref(), &extensions, report).await?;
    }
    clients::check(config, args.number.as_ref(), node.admin.as_ref(), report).await?;
    number::check(config, args.number.as_ref(), node.admin.as_ref(), report).await
}
