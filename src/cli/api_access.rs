//! Chooses the node and the token for a command.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use url::Url;

use super::api_client::Api;
use crate::config::Config;
use crate::node::NodeConfig;

/// Options of commands that talk to the node as administrator.
#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    /// The node's URL [default: from the configuration].
    #[arg(long, env = "SIDECALL_NODE", value_name = "URL")]
    node: Option<Url>,
    /// The file with the administrator's token. SIDECALL_TOKEN may hold the token itself. Without either, the
    /// configuration's `node.admin_token_file` is used.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[arg(long, hide = true, env = "SIDECALL_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(super) json: bool,
}

impl AdminArgs {
    /// The node's API as administrator. Reads the configuration only for options that weren't given.
    pub(super) fn api(self, config: &Path) -> anyhow::Result<Api> {
        let given = token(self.token, self.token_file.as_deref())?;
        let config = match (&self.node, &given) {
            (Some(_), Some(_)) => None,
            _ => Some(Config::load(config).context("give --node and --token-file, or a configuration")?),
        };
        let base = match (self.node, &config) {
            (Some(node), _) => node,
            (None, Some(config)) => url(&config.node)?,
            (None, None) => bail!("give --node"),
        };
        let configured =
            || config.as_ref().and_then(|config| config.tokens.admin.as_ref()).map(|token| token.expose().to_owned());
        let Some(token) = given.or_else(configured) else {
            bail!(
                "no administrator's token: give --token-file, set SIDECALL_TOKEN, or node.admin_token_file in the configuration"
            );
        };
        Ok(Api::new(base, token)?)
    }
}

/// Reads a token from its file, or takes it as given.
pub(super) fn token(token: Option<String>, file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let token = match file {
        Some(file) => Some(
            std::fs::read_to_string(file)
                .with_context(|| format!("the token can't be read from {}", file.display()))?,
        ),
        None => token,
    };
    Ok(token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()))
}

/// The URL of a node on this machine.
pub(super) fn url(node: &NodeConfig) -> anyhow::Result<Url> {
    // The certificate is for the public name.
    if let (Some(_), Some(public)) = (&node.tls, &node.public_url) {
        return public.parse().with_context(|| format!("node.public_url: {public} is not a URL"));
    }
    let mut address = node.listen;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    let scheme = if node.tls.is_some() { "https" } else { "http" };
    Ok(format!("{scheme}://{address}").parse()?)
}
