//! `completions`: prints shell completion scripts.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Prints a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  sidecall completions bash > /etc/bash_completion.d/sidecall
  sidecall completions zsh  > /usr/local/share/zsh/site-functions/_sidecall
  sidecall completions fish > ~/.config/fish/completions/sidecall.fish")]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "sidecall", &mut script);
    super::output::line(String::from_utf8_lossy(&script).trim_end())
}
