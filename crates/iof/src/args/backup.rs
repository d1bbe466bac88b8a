//! What can be typed about backups.

use clap::Args as Arguments;
use std::path::PathBuf;

/// Where a backup goes, and of what it is.
#[derive(Debug, Arguments)]
#[command(after_help = "\
The server may run. The backup has functions, versions and their sources, stored values, jobs,
logs and recorded calls as they are; keys as digests; and secrets encrypted, without the keys
that open them unless --with-keys puts these in. Compiled code is left out: the next server
compiles again.

Examples:
  iof backup --data /var/lib/iof /backup/2026-11-30        into a directory, which is made
  iof backup --data /var/lib/iof - | gzip > iof.tar.gz     as a tar archive")]
pub(crate) struct Backup {
    /// A directory that does not exist, or `-` for a tar archive on stdout
    #[arg(value_name = "DIR|-")]
    pub(crate) to: PathBuf,
    /// The server's data [default: iof-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The server's file of settings [default: none]
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Put the keys in that secrets are encrypted under (secrets.key_file); whoever has the backup then has the secrets
    #[arg(long)]
    pub(crate) with_keys: bool,
}

/// Which backup, and where it goes.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Each file is checked against its digest. A server starts on the data only when all is there.

Examples:
  iof restore /backup/2026-11-30 --data /var/lib/iof
  gunzip < iof.tar.gz | iof restore - --data /var/lib/iof")]
pub(crate) struct Restore {
    /// A directory or a tar archive that `iof backup` made, or `-` for an archive on stdin
    #[arg(value_name = "DIR|FILE|-")]
    pub(crate) from: PathBuf,
    /// A data directory that has no database; made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

/// Which data, and where it is.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Says which migrations this release would make, what it would compile again, whether a server has
the data, and whether a newer release has changed it. Changes nothing; the server may run.
Exit status: 0 if this release can use the data, 1 if not.

Examples:
  iof upgrade --check --data /var/lib/iof")]
pub(crate) struct Upgrade {
    /// Check only: a server makes its migrations itself, at its start
    #[arg(long, required = true)]
    pub(crate) check: bool,
    /// The server's data [default: iof-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The server's file of settings [default: none]
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
