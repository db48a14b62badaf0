//! The subcommands, one file each.

mod api_access;
mod api_client;
mod calls;
mod client;
mod completions;
mod db;
mod device;
mod doctor;
mod logging;
mod number;
mod output;
mod qr;
mod record;
mod serve;
mod start_node;

#[doc(hidden)]
pub use client::fuzz;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::{Config, DEFAULT_PATH};

/// Your desk phone call, with video, screen, chat and files alongside.
///
/// A companion to a FreeSWITCH or Asterisk that is already running: when a call is answered, the
/// multimedia clients of both numbers get each other's address.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// The configuration file.
    #[arg(long, short, global = true, env = "SIDECALL_CONFIG", default_value = DEFAULT_PATH, value_name = "FILE")]
    config: PathBuf,
    /// Format of the log.
    #[arg(long, global = true, env = "SIDECALL_LOG_FORMAT", default_value = "text")]
    log_format: logging::LogFormat,
    /// What to log: error, warn, info, debug, or a tracing filter such as info,sidecall::agent=debug.
    #[arg(long, global = true, env = "SIDECALL_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run agent and node in one process: all that a single PBX needs.
    ///
    /// Reads [node], [agent] and each [[pbx]] of the configuration. Stops at SIGTERM or Ctrl-C, and detaches from the
    /// PBXs so that no call waits. The status page is at http://127.0.0.1:8600/ unless node.listen says otherwise. If
    /// calls aren't announced, `sidecall doctor` says why.
    Run,
    /// Run only the service node.
    ///
    /// Reads [node] of the configuration. Serves numbers, clients, decisions, the HTTP API and the status page. Agents
    /// authenticate with the token in node.agent_token_file.
    Node,
    /// Run only the agent; its node runs elsewhere.
    ///
    /// Reads [agent] and each [[pbx]] of the configuration. Attaches to the PBXs, and uses the node at agent.node, or one
    /// of agent.nodes, with the token in agent.token_file.
    Agent,
    Client(Box<client::ClientArgs>),
    Number(number::NumberArgs),
    Device(device::DeviceArgs),
    Calls(calls::CallsArgs),
    Record(record::RecordArgs),
    Doctor(doctor::DoctorArgs),
    Db(db::DbArgs),
    Completions(completions::CompletionsArgs),
}

impl Cli {
    /// Runs the subcommand.
    ///
    /// # Errors
    /// What went wrong, for a person.
    pub fn run(self) -> anyhow::Result<()> {
        logging::start(self.log_format, &self.log)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        // Every TLS connection uses this provider; it may be installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = || Config::load(&self.config);
        let done = runtime.block_on(async {
            match self.command {
                Command::Run => serve::serve(config()?, serve::Roles::Both).await,
                Command::Node => serve::serve(config()?, serve::Roles::Node).await,
                Command::Agent => serve::serve(config()?, serve::Roles::Agent).await,
                Command::Client(args) => client::run(*args, &self.config).await,
                Command::Number(args) => number::run(args, &self.config).await,
                Command::Device(args) => device::run(args, &self.config).await,
                Command::Calls(args) => calls::run(args, &self.config).await,
                Command::Record(args) => record::run(args, &self.config).await,
                Command::Db(args) => db::run(args).await,
                Command::Doctor(args) => doctor::run(args, &self.config).await,
                Command::Completions(args) => completions::run(&args),
            }
        });
        // A thread that waits for a hung disk must not keep the process alive.
        runtime.shutdown_timeout(std::time::Duration::from_secs(1));
        match done {
            Err(error) if output::is_broken_pipe(&error) => Ok(()),
            done => done,
        }
    }
}
