//! What is typed of secrets, of what left, and of recorded calls.

use super::{Remote, function};
use clap::{Args as Arguments, Subcommand};

#[derive(Debug, Arguments)]
pub(crate) struct Secret {
    #[command(subcommand)]
    pub(crate) what: SecretCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Set a secret to the text on stdin, which is asked for on a terminal
    #[command(after_help = "Examples:
  iof secret set 1 SENDGRID_TOKEN                   asks for the value, without showing it
  iof secret set 1 SENDGRID_TOKEN < token.txt       a line break at the end is left out")]
    Set {
        /// The function's name or number
        #[arg(value_parser = function)]
        function: String,
        /// The secret's name, such as SENDGRID_TOKEN
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the names of a function's secrets; nothing shows their values
    #[command(visible_alias = "ls")]
    List {
        /// The function's name or number
        #[arg(value_parser = function)]
        function: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Delete a secret
    #[command(alias = "delete")]
    Rm {
        /// The function's name or number
        #[arg(value_parser = function)]
        function: String,
        /// The secret's name
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
    /// Set variables: the function's next version, of the same module, runs with them
    #[command(
        after_help = "Variables are not secrets: whoever may read the function sees them.

Examples:
  iof variable set hello API_URL=https://api.example.com LEVEL=2"
    )]
    Set {
        /// The function's name or number
        #[arg(value_parser = function)]
        function: String,
        /// Names and values
        #[arg(value_name = "NAME=VALUE", required = true)]
        pairs: Vec<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the variables of the version that runs
    #[command(visible_alias = "ls")]
    List {
        /// The function's name or number
        #[arg(value_parser = function)]
        function: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Remove variables
    #[command(alias = "delete")]
    Rm {
        /// The function's name or number
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
#[command(after_help = "Examples:
  iof egress                          the newest hundred rows, the newest last
  iof egress --function 1 -f          what function 1 sends, as it happens
  iof egress --call ID --json         what one call sent, a JSON object a line")]
pub(crate) struct Egress {
    /// Of this function alone
    #[arg(long, value_name = "FUNCTION")]
    #[arg(value_parser = function)]
    pub(crate) function: Option<String>,
    /// Of this call alone (the header iof-call of its answer)
    #[arg(long, value_name = "ID")]
    pub(crate) call: Option<String>,
    /// How many rows
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 100)]
    pub(crate) limit: u32,
    /// Go on with what comes
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
    /// The function's name or number
    #[arg(value_parser = function)]
    pub(crate) function: String,
    /// How many
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 100)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
#[command(
    after_help = "The call hears what it heard when it was recorded, and reaches nothing. Exit status: 0 if it
ended alike, 1 if not, 2 if it could not be run.

Examples:
  iof replay ID                       on the version that it ran on
  iof replay ID --version 3           on another one, to see whether that mends it
  iof calls hello                     the recorded calls of a function"
)]
pub(crate) struct Replay {
    /// The call (the header iof-call of its answer)
    pub(crate) call: String,
    /// The version to run it on [default: the one it ran on]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) version: Option<i64>,
    /// Whose call it is, if there are many keys here
    #[arg(long)]
    #[arg(value_parser = function)]
    pub(crate) function: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}
