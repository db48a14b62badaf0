//! `number`: manages the directory.

mod import;
mod lookup;
mod read;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use reqwest::Method;

use super::api_access::AdminArgs;
use super::api_client::Api;
use super::output;
use crate::contract::{ClientList, NumberEntry, NumberKind, NumberPage, NumberSwitch, NumberView};
use crate::core::base::name::PbxName;
use crate::core::numbering::number::Number;
use crate::node::StatusView;

/// Manages the directory: the numbers that the node serves, and the credentials of their clients.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sidecall number put +12125550100 --name 'Alice Doe' --pbx office --new-credential
  sidecall number put '1001;phone-context=pbx.example' --name 'Bob' --pbx office
  sidecall number put +12125550000 --kind main --extension +12125550100 --extension +12125550101
  sidecall number import directory.csv --skip-bad
  sidecall number list
  sidecall number off +12125550100
  sidecall number read --pbx office --tenant acme '(212) 555-0100' 1001
  sidecall number lookup +12125550100

A number is written as in a tel URI: +12125550100, or 1001;phone-context=pbx.example for an extension,
where the context is that of the [[pbx]] in the configuration.")]
pub(super) struct NumberArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List numbers in order.
    List {
        /// Maximum number of entries to list.
        #[arg(long)]
        limit: Option<usize>,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Show one number with its clients.
    Show {
        /// The number.
        number: Number,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Add a number, or change the given fields of an existing one.
    Put(Box<PutArgs>),
    /// Remove a number and its clients.
    Remove {
        /// The number.
        number: Number,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Switch the number's clients on again.
    On(SwitchArgs),
    /// Switch the number's clients off, as if it had none.
    Off(SwitchArgs),
    Read(read::ReadArgs),
    /// Add and replace numbers from CSV.
    ///
    /// The header is number,name,pbx,kind,extensions,credential. All columns but number are optional.
    /// Extensions are separated by spaces. If a line is invalid, nothing is imported.
    Import {
        /// The file, or - for standard input.
        file: PathBuf,
        /// Import the valid lines even if others are invalid.
        #[arg(long)]
        skip_bad: bool,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Ask the portability sources who serves a number.
    ///
    /// Reads [node.lnp] of the configuration and asks each source from this machine, without the cache and the deadline
    /// of calls. Does not ask the node. Shows each answer and what it means for a call.
    Lookup {
        /// The number, with + and country code. Extensions can't be ported.
        number: Number,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct SwitchArgs {
    /// The number. Its own credential works as well as the administrator's token.
    number: Number,
    #[command(flatten)]
    admin: AdminArgs,
}

#[derive(Debug, Args)]
struct PutArgs {
    /// The number.
    number: Number,
    /// The name shown to the other side; '' removes it.
    #[arg(long)]
    name: Option<String>,
    /// The PBX of its phone; '' for none.
    #[arg(long, value_name = "NAME")]
    pbx: Option<String>,
    /// A person's phone, or a main number with an attendant.
    #[arg(long, value_name = "extension|main", value_parser = kind)]
    kind: Option<NumberKind>,
    /// An extension behind a main number; repeatable. Replaces the existing ones.
    #[arg(long, value_name = "NUMBER")]
    extension: Vec<Number>,
    /// The credential of its clients: 16 to 256 characters of A-Z a-z 0-9 - . _ ~ +; - reads it from standard input.
    #[arg(long, value_name = "TOKEN", conflicts_with = "new_credential")]
    credential: Option<String>,
    /// Create a credential and show it once. Clients with the old one are refused.
    #[arg(long)]
    new_credential: bool,
    #[command(flatten)]
    admin: AdminArgs,
}

fn kind(text: &str) -> Result<NumberKind, String> {
    match text {
        "extension" => Ok(NumberKind::Extension),
        "main" => Ok(NumberKind::Main),
        _ => Err("is neither extension nor main".to_owned()),
    }
}

pub(super) async fn run(args: NumberArgs, config: &Path) -> anyhow::Result<()> {
    match args.command {
        Command::List { limit, admin } => {
            let json = admin.json;
            list(&admin.api(config)?, limit.unwrap_or(usize::MAX), json).await
        }
        Command::Show { number, admin } => {
            let json = admin.json;
            show(&admin.api(config)?, &number, json).await
        }
        Command::Put(args) => put(*args, config).await,
        Command::On(args) => switch(args, true, config).await,
        Command::Off(args) => switch(args, false, config).await,
        Command::Read(args) => read::run(&args, config),
        Command::Remove { number, admin } => {
            let json = admin.json;
            admin.api(config)?.delete(&["v1", "numbers", &number.to_string()]).await?;
            if json {
                return output::json(&serde_json::json!({"removed": number}));
            }
            output::line(format!("{number} is removed, and with it its clients"))
        }
        Command::Import { file, skip_bad, admin } => {
            let json = admin.json;
            import::run(&admin.api(config)?, &file, skip_bad, json).await
        }
        Command::Lookup { number, json } => lookup::run(config, &number, json).await,
    }
}

/// Numbers per request.
const PAGE: usize = 1000;

async fn list(api: &Api, limit: usize, json: bool) -> anyhow::Result<()> {
    let (mut rows, mut after, mut left): (_, Option<Number>, _) = (Vec::new(), None, limit);
    while left > 0 {
        let (page, behind) = (left.min(PAGE).to_string(), after.as_ref().map(Number::to_string));
        let mut query = vec![("limit", page.as_str())];
        query.extend(behind.as_deref().map(|after| ("after", after)));
        let page: NumberPage = api.get(&["v1", "numbers"], &query).await?;
        left -= page.numbers.len().min(left);
        if json {
            // One object per line, so that a million numbers need not fit in memory.
            page.numbers.iter().try_for_each(output::json)?;
        } else {
            rows.extend(page.numbers.iter().map(row));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if json {
        return Ok(());
    }
    output::table(&["NUMBER", "NAME", "PBX", "KIND", "EXTENSIONS", "CREDENTIAL"], &rows)
}

fn row(view: &NumberView) -> Vec<String> {
    let entry = &view.entry;
    let kind = match entry.kind {
        NumberKind::Extension => "extension",
        NumberKind::Main => "main",
    };
    vec![
        view.number.to_string(),
        entry.name.as_deref().map(output::clean).unwrap_or_default(),
        entry.pbx.as_ref().map(PbxName::to_string).unwrap_or_default(),
        kind.to_owned(),
        match entry.extensions.len() {
            0 => String::new(),
            n => n.to_string(),
        },
        if view.has_credential { "yes" } else { "no" }.to_owned(),
    ]
}

async fn show(api: &Api, number: &Number, json: bool) -> anyhow::Result<()> {
    let text = number.to_string();
    let view: NumberView = api.get(&["v1", "numbers", &text], &[]).await?;
    let clients: ClientList = api.get(&["v1", "clients"], &[("number", &text)]).await?;
    if json {
        let mut value = serde_json::to_value(&view)?;
        value["clients"] = serde_json::to_value(clients.clients)?;
        return output::json(&value);
    }
    for (name, value) in ["number", "name", "pbx", "kind"].iter().zip(row(&view)) {
        output::line(format!("{name:<11} {}", if value.is_empty() { "-" } else { &value }))?;
    }
    for extension in &view.entry.extensions {
        output::line(format!("{:<11} {extension}", "extension"))?;
    }
    let credential = if view.has_credential { "yes" } else { "none: only devices can bind; see device enrol" };
    output::line(format!("{:<11} {credential}", "credential"))?;
    let off = "off, as if it had no client; see number on";
    output::line(format!("{:<11} {}", "sidecall", if view.entry.enabled == Some(false) { off } else { "on" }))?;
    if clients.clients.is_empty() {
        return output::line("clients     none is bound");
    }
    let rows = clients.clients.iter().map(|client| {
        let capabilities: Vec<_> = client.capabilities.iter().map(|c| c.as_str()).collect();
        vec![
            client.id.to_string(),
            client.form.as_str().to_owned(),
            client.address.as_ref().map(ToString::to_string).unwrap_or_default(),
            if client.connected { "connected" } else { "-" }.to_owned(),
            client.offer.to_string(),
            output::moment(client.expires),
            capabilities.join(","),
        ]
    });
    output::line("")?;
    output::table(
        &["CLIENT", "FORM", "ADDRESS", "STREAM", "OFFERED TO", "EXPIRES", "CAPABILITIES"],
        &rows.collect::<Vec<_>>(),
    )
}

async fn switch(SwitchArgs { number, admin }: SwitchArgs, enabled: bool, config: &Path) -> anyhow::Result<()> {
    let json = admin.json;
    let path = ["v1", "numbers", &number.to_string(), "sidecall"];
    let switch: NumberSwitch = admin.api(config)?.send(Method::PUT, &path, &NumberSwitch { enabled }).await?;
    if json {
        return output::json(&switch);
    }
    output::line(match switch.enabled {
        true => format!("{number} is on: its clients take part"),
        false => format!("{number} is off, as if it had no client"),
    })
}

async fn put(args: PutArgs, config: &Path) -> anyhow::Result<()> {
    let json = args.admin.json;
    let api = args.admin.api(config)?;
    let text = args.number.to_string();
    let path = ["v1", "numbers", text.as_str()];
    let mut entry = match api.get::<NumberView>(&path, &[]).await {
        Ok(there) => there.entry,
        Err(error) if error.status() == Some(404) => NumberEntry::default(),
        Err(error) => return Err(error.into()),
    };
    if let Some(name) = args.name {
        entry.name = Some(name).filter(|name| !name.is_empty());
    }
    if let Some(pbx) = args.pbx {
        let name = Some(pbx).filter(|pbx| !pbx.is_empty());
        entry.pbx = name.map(|name| name.parse()).transpose().context("--pbx")?;
    }
    entry.kind = args.kind.unwrap_or(entry.kind);
    // Another request may have switched it meanwhile.
    entry.enabled = None;
    if !args.extension.is_empty() {
        entry.extensions = args.extension;
    }
    if entry.kind == NumberKind::Extension && !entry.extensions.is_empty() {
        bail!("only a main number has extensions: add --kind main");
    }
    let made = args.new_credential.then(|| URL_SAFE_NO_PAD.encode(rand::random::<[u8; 24]>()));
    entry.credential = made.clone().or(args.credential.map(credential).transpose()?);
    let view: NumberView = api.send(Method::PUT, &path, &entry).await?;
    if let Some(pbx) = &view.entry.pbx {
        warn_of_unknown(pbx, &api).await?;
    }
    if json {
        let mut value = serde_json::to_value(&view)?;
        if let Some(made) = made {
            value["credential"] = made.into();
        }
        return output::json(&value);
    }
    output::table(&["NUMBER", "NAME", "PBX", "KIND", "EXTENSIONS", "CREDENTIAL"], &[row(&view)])?;
    if let Some(made) = made {
        output::line("")?;
        output::line("Its clients log in with this token. It is stored hashed and never shown again:")?;
        output::line(made)?;
    }
    Ok(())
}

/// Warns of a PBX that no agent has reported to this node, if agents have reported others. An agent may come later.
async fn warn_of_unknown(pbx: &PbxName, api: &Api) -> anyhow::Result<()> {
    let Ok(status) = api.get::<StatusView>(&["v1", "status"], &[]).await else { return Ok(()) };
    let known: Vec<String> = status.pbxs.iter().map(|view| view.pbx.to_string()).collect();
    if known.is_empty() || status.pbxs.iter().any(|view| view.pbx == *pbx) {
        return Ok(());
    }
    let known = known.join(", ");
    writeln!(std::io::stderr(), "warning: this node knows no PBX {pbx} (it knows {known}): is --pbx right?")?;
    Ok(())
}

fn credential(given: String) -> anyhow::Result<String> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    std::io::stdin().take(1024).read_to_string(&mut text).context("the credential can't be read")?;
    Ok(text.trim().to_owned())
}
