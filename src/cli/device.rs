//! `device`: enrols, lists, renames and revokes devices.

use std::io::IsTerminal;
use std::path::Path;

use clap::{Args, Subcommand};
use reqwest::Method;

use super::api_access::AdminArgs;
use super::output;
use super::qr::qr;
use crate::contract::{DeviceChange, DeviceList, DeviceView, EnrolmentCreated, NewEnrolment};
use crate::core::base::device_name::DeviceName;
use crate::core::base::name::DeviceId;
use crate::core::numbering::number::Number;

/// Manages devices: the installations of clients (a browser, an app, a terminal), each with a token of its own.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sidecall device enrol +12125550100
  sidecall device enrol +12125550100 --expires 600 --json | jq -r .code
  sidecall device list +12125550100
  sidecall device rename 0193a5c2-7d1e-7a90-8f3b-2c4d5e6f7a8b 'Front desk'
  sidecall device revoke 0193a5c2-7d1e-7a90-8f3b-2c4d5e6f7a8b

To give a person a client, run `enrol` and send them the link, or let them scan the QR code that a
terminal shows with it. It works once, and gives their client a token of its own. In a terminal that is:
sidecall client --enrol CODE
To take it back, `revoke` that device. The number's other devices keep working.

You can also use the number's credential or a device's token instead of the administrator's.")]
pub(super) struct DeviceArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a code that enrols one device of a number.
    ///
    /// The code works once. It is shown only now. A number has at most 64 devices and 16 unused codes.
    Enrol {
        /// The number.
        number: Number,
        /// Seconds until the code expires.
        #[arg(long, value_name = "SECONDS", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(60..=604_800))]
        expires: u64,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// List devices, newest first: the newest 1,000.
    List {
        /// Only the devices of this number.
        number: Option<Number>,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Rename a device.
    Rename {
        /// The device's id, from `device list`.
        device: DeviceId,
        /// The new name: at most 64 characters.
        name: DeviceName,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Revoke a device: it is disconnected at once, and its token is void.
    ///
    /// Codes that the device requested become void too. Devices that were enrolled with its codes stay: see `device list`.
    Revoke {
        /// The device's id, from `device list`.
        device: DeviceId,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

pub(super) async fn run(args: DeviceArgs, config: &Path) -> anyhow::Result<()> {
    match args.command {
        Command::Enrol { number, expires, admin } => enrol(&number, expires, admin, config).await,
        Command::List { number, admin } => list(number.as_ref(), admin, config).await,
        Command::Rename { device, name, admin } => {
            let json = admin.json;
            let path = ["v1", "devices", device.as_str()];
            let device: DeviceView = admin.api(config)?.send(Method::PATCH, &path, &DeviceChange { name }).await?;
            if json { output::json(&device) } else { table(&[device]) }
        }
        Command::Revoke { device, admin } => {
            let json = admin.json;
            admin.api(config)?.delete(&["v1", "devices", device.as_str()]).await?;
            if json {
                return output::json(&serde_json::json!({"revoked": device}));
            }
            output::line(format!("{device} is revoked: its token is void, and its clients are gone"))
        }
    }
}

async fn enrol(number: &Number, expires: u64, admin: AdminArgs, config: &Path) -> anyhow::Result<()> {
    let json = admin.json;
    let api = admin.api(config)?;
    let path = ["v1", "numbers", &number.to_string(), "enrolments"];
    let made: EnrolmentCreated = api.send(Method::POST, &path, &NewEnrolment { expires: Some(expires) }).await?;
    if json {
        return output::json(&made);
    }
    let (number, code, link) = (made.number, output::clean(&made.code), output::clean(&made.link));
    output::line(format!("This link enrols one device of {number}, until {}:", output::moment(made.expires)))?;
    output::line(&link)?;
    if std::io::stdout().is_terminal()
        && let Some(code) = qr(&link)
    {
        output::line(code)?;
    }
    let node = link.split_once("/client/").map_or("URL", |(node, _)| node);
    output::line(format!("In a terminal instead: sidecall client --node {node} --enrol {code}"))
}

async fn list(number: Option<&Number>, admin: AdminArgs, config: &Path) -> anyhow::Result<()> {
    let json = admin.json;
    let number = number.map(Number::to_string);
    let query: Vec<_> = number.iter().map(|number| ("number", number.as_str())).collect();
    let found: DeviceList = admin.api(config)?.get(&["v1", "devices"], &query).await?;
    if json { output::json(&found) } else { table(&found.devices) }
}

fn table(devices: &[DeviceView]) -> anyhow::Result<()> {
    let rows = devices.iter().map(|device| {
        vec![
            device.id.to_string(),
            device.number.to_string(),
            output::clean(device.name.as_str()),
            output::moment(device.enrolled),
            if device.connected { "yes" } else { "no" }.to_owned(),
        ]
    });
    output::table(&["DEVICE", "NUMBER", "NAME", "ENROLLED", "CONNECTED"], &rows.collect::<Vec<_>>())
}
