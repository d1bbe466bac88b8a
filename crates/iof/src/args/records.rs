//! Arguments of the commands for secrets, variables, changes, outbound requests and recorded calls.

use super::functions::duration;
use super::{Remote, function};
use clap::{Args as Arguments, Subcommand};
use std::time::Duration;

#[derive(Debug, Arguments)]
pub(crate) struct Secret {
    #[command(subcommand)]
    pub(crate) what: SecretCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Set a secret from stdin, or from a prompt on a terminal
    #[command(after_help = "Examples:
  iof secret set 1 SENDGRID_TOKEN                   asks for the value, without showing it
  iof secret set 1 SENDGRID_TOKEN < token.txt       a trailing line break is removed")]
    Set {
        /// Name or number of the function
        #[arg(value_parser = function)]
        function: String,
        /// Name of the secret, such as SENDGRID_TOKEN
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the names of a function's secrets, without their values
    #[command(visible_alias = "ls")]
    List {
        /// Name or number of the function
        #[arg(value_parser = function)]
        function: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Delete a secret
    #[command(alias = "delete")]
    Rm {
        /// Name or number of the function
        #[arg(value_parser = function)]
        function: String,
        /// Name of the secret
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Arguments)]
pub(crate) struct Variable {
    #[command(subcommand)]
    pub(crate) what: VariableCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VariableCommand {
    /// Set variables, as a new version of the same module
    #[command(
        after_help = "Variables are not secrets: everyone who may read the function sees them.

Examples:
  iof variable set hello API_URL=https://api.example.com LEVEL=2"
    )]
    Set {
        /// Name or number of the function
        #[arg(value_parser = function)]
        function: String,
        /// Names and values
        #[arg(value_name = "NAME=VALUE", required = true)]
        pairs: Vec<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the variables of the active version
    #[command(visible_alias = "ls")]
    List {
        /// Name or number of the function
        #[arg(value_parser = function)]
        function: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove variables
    #[command(alias = "delete")]
    Rm {
        /// Name or number of the function
        #[arg(value_parser = function)]
        function: String,
        /// Names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Arguments)]
#[command(
    after_help = "It takes a key of the server or one of scope admin; with --function, one of that function.

Examples:
  iof audit                           the newest hundred changes, the newest last
  iof audit --function hello --since 1h
  iof audit --json                    a JSON object a line"
)]
pub(crate) struct Audit {
    /// Only changes of this function
    #[arg(long, value_name = "FUNCTION")]
    #[arg(value_parser = function)]
    pub(crate) function: Option<String>,
    /// Only changes since this long ago, such as 10m or 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// Number of changes
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 100)]
    pub(crate) limit: u32,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
#[command(after_help = "Examples:
  iof egress                          the newest hundred rows, the newest last
  iof egress --function 1 -f          follow what function 1 sends
  iof egress --call ID --json         what one call sent, a JSON object a line")]
pub(crate) struct Egress {
    /// Only this function
    #[arg(long, value_name = "FUNCTION")]
    #[arg(value_parser = function)]
    pub(crate) function: Option<String>,
    /// Only this call (the iof-call header of its response)
    #[arg(long, value_name = "ID")]
    pub(crate) call: Option<String>,
    /// Number of rows
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 100)]
    pub(crate) limit: u32,
    /// Follow: print new rows as they arrive
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
#[command(
    after_help = "A function records its calls where its function.toml says record = \"errors\" or \"always\".

Examples:
  iof calls hello                     the newest first
  iof replay ID                       runs one of them again"
)]
pub(crate) struct Calls {
    /// Name or number of the function
    #[arg(value_parser = function)]
    pub(crate) function: String,
    /// Number of calls
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
#[command(
    after_help = "The call gets its recorded inputs and reaches nothing. Exit status: 0 if the outcome is the same,
1 if not, 2 if the call could not be run.

Examples:
  iof replay ID                       on the recorded version
  iof replay ID --version 3           on another version, to check a fix
  iof calls hello                     the recorded calls of a function"
)]
pub(crate) struct Replay {
    /// Call (the iof-call header of its response)
    pub(crate) call: String,
    /// Version to run [default: the recorded one]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) version: Option<i64>,
    /// Function of the call, if several admin keys are stored here
    #[arg(long)]
    #[arg(value_parser = function)]
    pub(crate) function: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Rates and times are those of the interval before. FAILED leaves out calls that the request failed;
WAIT is the wait for a permit (server.concurrency, and the function's own), MEM the most memory
that a call had at once; all percentiles are estimates from histograms. It takes a key of the
server, or one of scope read for all functions.

Examples:
  iof top                             on a terminal, until Ctrl-C
  iof top --sort failed
  iof top --count 1 --interval 10s    one table, of ten seconds
  iof top --json | jq                 one JSON object")]
pub(crate) struct Top {
    /// Time between two tables
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    pub(crate) interval: Duration,
    /// Number of tables [default: no end on a terminal, else 1]
    #[arg(short, long, value_name = "TABLES", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) count: Option<u32>,
    /// Column to sort by
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) sort: TopOrder,
    /// Number of rows [default: as many as fit on the terminal, else 20]
    #[arg(short = 'n', long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rows: Option<u32>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// A column of `iof top`.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(crate) enum TopOrder {
    #[default]
    Calls,
    Failed,
    P99,
    Wait,
    Cores,
    Memory,
}

/// Parses an interval of at least a tenth of a second: `2s`.
fn interval(text: &str) -> Result<Duration, String> {
    match humantime_serde::re::humantime::parse_duration(text) {
        Ok(time) if time >= Duration::from_millis(100) => Ok(time),
        _ => Err("a time of 100ms or more, such as 2s".into()),
    }
}
