//! `sidecall db`: moves an installation between SQLite and PostgreSQL.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::output;
use crate::store::{self, CopiedTable, Location};

/// Copy the node's database.
#[derive(Debug, Args)]
pub(super) struct DbArgs {
    #[command(subcommand)]
    command: DbCommand,
}

#[derive(Debug, Subcommand)]
enum DbCommand {
    /// Copy all rows from one database to an empty one.
    ///
    /// Both are the path of an SQLite file or the URL of a PostgreSQL database, as in node.database. Stop the node first. The
    /// rows of the source stay as they are; its tables become those of this version, as when the node starts. If anything
    /// fails, no row is copied, and an SQLite file that was made stays behind without rows. Only if the connection to
    /// PostgreSQL breaks at the very end, it may not be known whether the rows were copied: the error says so. When all is
    /// copied, set node.database to the new one and start the node.
    #[command(after_help = "Example:\n  \
        sidecall db copy /var/lib/sidecall/sidecall.db 'postgres:///sidecall?host=/run/postgresql'")]
    Copy {
        /// The database that has the rows.
        from: String,
        /// An empty database. An SQLite file is made.
        to: String,
        /// Print JSON: the tables and the numbers of their rows.
        #[arg(long)]
        json: bool,
    },
}

/// Not a parser of the command line's: that one prints what it refuses, which may have a password in it.
fn location(text: String) -> anyhow::Result<Location> {
    PathBuf::from(text).try_into().map_err(anyhow::Error::msg)
}

pub(super) async fn run(args: DbArgs) -> anyhow::Result<()> {
    let DbCommand::Copy { from, to, json } = args.command;
    let (from, to) = (location(from)?, location(to)?);
    let shows = std::io::stderr().is_terminal();
    let progress = |CopiedTable { table, rows }| {
        if shows {
            let _ = writeln!(std::io::stderr(), "{table}: {rows}");
        }
    };
    let copied = store::copy(&from, &to, progress).await?;
    if json {
        return output::json(&copied);
    }
    let rows: u64 = copied.iter().map(|table| table.rows).sum();
    output::line(format!("copied {rows} rows of {} tables to {to}", copied.len()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    #[test]
    fn a_url_that_is_refused_is_not_printed() {
        for url in ["mysql://u:hidden@db.example/x", "postgres://u@db.example/x?passwort=hidden"] {
            let parsed = Cli::try_parse_from(["sidecall", "db", "copy", url, "new.db"]);
            let refused = super::location(url.to_owned()).unwrap_err();
            assert!(parsed.is_ok() && !format!("{refused:?}").contains("hidden"), "{refused:?}");
        }
    }
}
