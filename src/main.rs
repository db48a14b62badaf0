//! The porch: reads the command line, runs the subcommand, says what went wrong.

use std::process::ExitCode;

use clap::Parser;

#[expect(clippy::print_stderr, reason = "the one place where the program speaks its last words")]
fn main() -> ExitCode {
    match sidecall::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sidecall: {error:#}");
            ExitCode::FAILURE
        }
    }
}
