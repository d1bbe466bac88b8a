//! Arguments of `iof store`.

use clap::{Args as Arguments, Subcommand};
use std::path::PathBuf;

/// The commands for the database of a fleet.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Move a data directory (SQLite) into the database of a fleet
    #[command(after_help = "\
The server of the directory and all nodes are stopped. A move that was interrupted is made again by
the same command, which adds what is missing. Each table and each module is compared by its digest
at the end. The directory stays as it is.

Examples:
  iof store import --data /var/lib/iof --config /etc/iof/iof.toml")]
    Import(StorePlace),
    /// Move the database of a fleet into a data directory (SQLite)
    #[command(after_help = "\
All nodes are stopped. The directory has no functions yet, or is that of an interrupted move.

Examples:
  iof store export --data /var/lib/iof-alone --config /etc/iof/iof.toml")]
    Export(StorePlace),
    /// Check that the database of a fleet can be reached and used
    Check(StorePlace),
    /// Bring the tables of the database of a fleet up to date, without starting a server
    Migrate(StorePlace),
}

/// The settings of a node.
#[derive(Debug, Arguments)]
pub(crate) struct StorePlace {
    /// Data directory [default: iof-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Settings file of the node, with store.url [default: none]
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
}
