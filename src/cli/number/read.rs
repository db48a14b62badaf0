//! `number read`: shows how the rules of a PBX read a number.

use std::path::Path;

use anyhow::{Context, bail};
use clap::Args;
use serde::Serialize;

use crate::cli::output;
use crate::config::Config;
use crate::contract::PbxKind;
use crate::core::base::name::{PbxName, TenantName};
use crate::core::numbering::number::Number;
use crate::core::numbering::numbering_plan::NumberReadError;

/// Shows how text from a PBX is read as a number, and what is dialled there for that number.
///
/// Uses only [[pbx]] of the configuration: asks neither the PBX nor the node.
#[derive(Debug, Args)]
pub(super) struct ReadArgs {
    /// Text from the PBX: a caller ID, an extension, dialled digits, the name of a phone.
    #[arg(required = true, value_name = "TEXT", allow_hyphen_values = true)]
    texts: Vec<String>,
    /// Name of the [[pbx]]; required if there are several.
    #[arg(long, value_name = "NAME")]
    pbx: Option<PbxName>,
    /// The tenant, as the dialplan sets it in sidecall_tenant (SIDECALL_TENANT).
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// One text and how it is read.
#[derive(Serialize)]
struct Reading<'a> {
    text: &'a str,
    /// As a caller ID, or as the called number of a call from a trunk.
    shown: Read,
    /// As digits dialled at a phone.
    dialled: Read,
    /// As the name of a phone.
    phone: Read,
    /// What is dialled at a phone for the number.
    dial: Option<String>,
}

/// A number, or why the text isn't one.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Read {
    Number(Number),
    None(String),
}

impl From<Result<Number, NumberReadError>> for Read {
    fn from(read: Result<Number, NumberReadError>) -> Read {
        read.map_or_else(|why| Read::None(why.to_string()), Read::Number)
    }
}

impl std::fmt::Display for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Read::Number(number) => number.fmt(f),
            Read::None(why) => write!(f, "({why})"),
        }
    }
}

pub(super) fn run(args: &ReadArgs, config: &Path) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    let pbx = match (&args.pbx, &config.pbx[..]) {
        (Some(name), all) => {
            all.iter().find(|pbx| pbx.name == *name).with_context(|| format!("the configuration has no PBX {name}"))?
        }
        (None, [only]) => only,
        (None, []) => bail!("the configuration has no [[pbx]]"),
        (None, _) => bail!("the configuration has several PBXs: say --pbx NAME"),
    };
    let plan = pbx.plan();
    if let Some(tenant) = args.tenant.as_deref().filter(|tenant| !plan.has(tenant)) {
        tracing::warn!(pbx = %pbx.name, tenant = output::clean(tenant), "no such tenant: it has no extensions");
    }
    let rules = plan.of(args.tenant.as_deref());
    let endpoints = pbx.endpoints();
    // FreeSWITCH names the phone's tenant; on Asterisk only the endpoint's name may tell.
    let said = args.tenant.as_deref().filter(|_| pbx.kind == PbxKind::Freeswitch);
    let readings = args.texts.iter().map(|text| {
        let (shown, dialled) = (rules.read(text), rules.dialled(text));
        let emergency = rules.is_emergency(text).then(|| Read::None("emergency number: left alone".to_owned()));
        let phone = match endpoints.read(text) {
            Some((extension, tenant)) => plan.device(&extension, tenant.map(TenantName::as_str), None),
            None => plan.device(text, said, None),
        };
        let dial = dialled.as_ref().or(shown.as_ref()).ok().and_then(|number| rules.dial(number));
        Reading {
            text,
            shown: shown.into(),
            dialled: emergency.unwrap_or_else(|| dialled.into()),
            phone: phone.into(),
            dial,
        }
    });
    if args.json {
        return readings.into_iter().try_for_each(|reading| output::json(&reading));
    }
    let rows = readings.map(|Reading { text, shown, dialled, phone, dial }| {
        let read = [shown, dialled, phone].map(|read| read.to_string());
        [output::clean(text)].into_iter().chain(read).chain([dial.unwrap_or_default()]).collect()
    });
    output::table(&["TEXT", "CALLER OR TRUNK", "DIALLED", "PHONE", "TO DIAL IT"], &rows.collect::<Vec<_>>())
}
