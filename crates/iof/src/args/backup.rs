//! Arguments of the commands for backups and upgrades.

use clap::Args as Arguments;
use std::path::PathBuf;

/// Arguments of `iof backup`.
#[derive(Debug, Arguments)]
#[command(after_help = "\
The server may be running. The backup holds functions, versions and their sources, stored values,
jobs, logs and recorded calls; keys as digests; and secrets encrypted, without the keys that
decrypt them unless --with-keys is given. Compiled code is left out: the restored server compiles
again.

Examples:
  iof backup --data /var/lib/iof /backup/2026-11-30        into a new directory
  iof backup --data /var/lib/iof - | gzip > iof.tar.gz     as a tar archive")]
pub(crate) struct Backup {
    /// Directory to create, or `-` for a tar archive on stdout
    #[arg(value_name = "DIR|-")]
    pub(crate) to: PathBuf,
    /// Data directory of the server [default: iof-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Settings file of the server [default: none]
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Include the keys that encrypt secrets (secrets.key_file); anyone with the backup can then read the secrets
    #[arg(long)]
    pub(crate) with_keys: bool,
}

/// Arguments of `iof restore`.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Each file is checked against its digest. A server starts on the data only if the restore finished.

Examples:
  iof restore /backup/2026-11-30 --data /var/lib/iof
  gunzip < iof.tar.gz | iof restore - --data /var/lib/iof")]
pub(crate) struct Restore {
    /// Directory or tar archive made by `iof backup`, or `-` for an archive on stdin
    #[arg(value_name = "DIR|FILE|-")]
    pub(crate) from: PathBuf,
    /// Data directory without a database; created if missing
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

/// Arguments of `iof upgrade`.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Shows which migrations this release would apply, what it would recompile, whether a server uses the
data, and whether a newer release has changed it. Changes nothing; the server may be running.
Exit status: 0 if this release can use the data, 1 if not.

Examples:
  iof upgrade --check --data /var/lib/iof")]
pub(crate) struct Upgrade {
    /// Check only; the server applies migrations itself when it starts
    #[arg(long, required = true)]
    pub(crate) check: bool,
    /// Data directory of the server [default: iof-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Settings file of the server [default: none]
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
