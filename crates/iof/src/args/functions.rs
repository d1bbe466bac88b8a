//! Arguments of the commands for functions on a server, and for its keys.

use super::{Remote, function};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args as Arguments, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Arguments)]
#[command(after_help = "\
The function.toml is read from beside the module, or from the folder that is built. Without one, the
function gets the server's default grants.

Examples:
  iof deploy                          the crate in this folder, built, under its own name
  iof deploy -p mail                  one function of a workspace; without -p, all
  iof deploy hello.wasm               a module
  iof deploy --env staging            with the variables of [env.staging]
  iof deploy --set API_URL=https://api.example.com
  iof deploy --canary 10%             serve 10 percent of the calls; `iof promote` makes it all")]
pub(crate) struct Deploy {
    /// Module, or folder that `iof build` can build
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Function of the workspace [default: all]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// Name or number of the function [default: name of the module]
    #[arg(long, value_name = "FUNCTION")]
    #[arg(value_parser = function)]
    pub(crate) name: Option<String>,
    /// Its declaration [default: function.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) function: Option<PathBuf>,
    /// Variable of the function, overriding function.toml; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Environment whose variables ([env.NAME] in function.toml) override the others
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// Require a key of callers (new functions only)
    #[arg(long)]
    pub(crate) private: bool,
    /// Share of the calls that run this version
    #[arg(long, value_name = "PERCENT", value_parser = percent, conflicts_with = "idle")]
    pub(crate) canary: Option<u8>,
    /// Upload without running it
    #[arg(long)]
    pub(crate) idle: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// Parses a percentage: `10%` or `10`.
fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse();
    match number {
        Ok(percent @ 1..=99) => Ok(percent),
        _ => Err("1% to 99%, such as 10%".into()),
    }
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
The result is printed on stdout. Exit status: 0 if the function returned, 1 if it failed, 2 if it
could not be called.

Examples:
  iof call hello world                       the only export, with a text
  iof call hello say world                   the export `say`
  iof call shop order -d '{\"id\": 7}'        arguments by name, in JSON
  iof call pictures thumbnail -d @cat.png    a file, as it is
  echo hi | iof call hello say -d @-         stdin
  iof call sums add -- 2 -3                  arguments in their order
  iof call words --stdin book.txt -- -c      a program, with a file as its stdin and an argument
  iof call sums add -d '[2, 3]' --signature '(i32, i32) -> i32'")]
pub(crate) struct Call {
    /// Name or number of the function
    #[arg(value_parser = function)]
    pub(crate) function: String,
    /// Export to call; optional if the function has only one
    #[arg(allow_negative_numbers = true)]
    pub(crate) export: Option<String>,
    /// Text, passed as the only argument
    #[arg(allow_negative_numbers = true)]
    pub(crate) text: Option<String>,
    /// Arguments as JSON, @FILE (.json as JSON, others as bytes), or @- for stdin
    #[arg(short, long, value_name = "DATA", allow_hyphen_values = true)]
    pub(crate) data: Option<String>,
    /// Stdin of a program, or the argument of a function: a file, or - for the stdin of this command [default: empty]
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) stdin: Option<String>,
    /// Signature of a function that does not carry its types, such as `(i32, i32) -> i32`
    #[arg(long, value_name = "TYPES")]
    pub(crate) signature: Option<String>,
    /// Return at once and print the job; `iof job` shows its outcome
    #[arg(long)]
    pub(crate) detach: bool,
    /// Arguments by position
    #[arg(last = true, value_name = "ARGS", conflicts_with = "data")]
    pub(crate) args: Vec<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Job {
    /// Job that `iof call --detach` printed
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Schedules are declared in function.toml, and belong to the active version.

Examples:
  iof schedules report                     its schedules, each with its next five times
  iof schedules report --pause nightly     no calls until it is resumed
  iof schedules report --resume nightly")]
pub(crate) struct Schedules {
    /// Name or number of the function
    #[arg(value_parser = function)]
    pub(crate) function: String,
    /// Pause this schedule
    #[arg(long, value_name = "SCHEDULE", conflicts_with = "resume")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) pause: Option<String>,
    /// Resume this schedule
    #[arg(long, value_name = "SCHEDULE")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) resume: Option<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
The server keeps the newest calls of each function (server.log_rows).

Examples:
  iof logs hello               the newest hundred calls, the newest last
  iof logs hello -f            follow new calls
  iof logs hello --since 10m --fault guest-cpu
  iof logs hello --json        a JSON object a line")]
pub(crate) struct Logs {
    /// Name or number of the function
    #[arg(value_parser = function)]
    pub(crate) function: String,
    /// Number of rows
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Follow: print new rows as they arrive
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only calls since this long ago, such as 10m or 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// Only calls that ended with this fault, such as guest-cpu; `any` is every fault
    #[arg(long, value_name = "CODE")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) fault: Option<String>,
    /// Only this call (the iof-call header of its response)
    #[arg(long, value_name = "ID")]
    pub(crate) call: Option<uuid::Uuid>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// Parses a duration: `10m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime_serde::re::humantime::parse_duration(text)
        .map_err(|_| "a time such as 30s, 10m or 2h".into())
}

#[derive(Debug, Arguments)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Show {
    /// Name or number of the function
    #[arg(value_parser = function)]
    pub(crate) function: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
New calls run the chosen version; calls in progress finish on theirs. Versions are immutable, so a
rollback cannot fail halfway.

Examples:
  iof rollback hello                 the version before the active one
  iof rollback hello --version 3     version 3, earlier or later")]
pub(crate) struct Rollback {
    /// Name or number of the function
    #[arg(value_parser = function)]
    pub(crate) function: String,
    /// Version [default: the one before the active one]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) version: Option<i64>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Promote {
    /// Name or number of the function
    #[arg(value_parser = function)]
    pub(crate) function: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
The usage key is printed once. A usage key that the function had before stops working at once.

Examples:
  iof private orders                 then: curl -H 'Authorization: Bearer KEY' SERVER/fn/orders/")]
pub(crate) struct Private {
    /// Name or number of the function
    #[arg(value_parser = function)]
    pub(crate) function: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Public {
    /// Name or number of the function
    #[arg(value_parser = function)]
    pub(crate) function: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Rm {
    /// Name or number of the function
    #[arg(value_parser = function)]
    pub(crate) function: String,
    /// Do not ask for confirmation
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Key {
    #[command(subcommand)]
    pub(crate) what: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Create a key and print it; it is shown only once
    #[command(after_help = "\
Scopes: deploy (upload, roll back), call (private functions), read (functions, logs, outbound
requests), admin (all of these, and secrets, keys and deletion).

Examples:
  iof key create ci --scope deploy                       for all functions
  iof key create shop --scope call --function send-email --expires 2027-01-01T00:00:00Z")]
    Create {
        /// Description for people: who holds it, and why
        label: String,
        /// Scope of the key; may be repeated
        #[arg(long, required = true, value_parser = ["deploy", "call", "read", "admin"])]
        scope: Vec<String>,
        /// Restrict it to this function
        #[arg(long, value_name = "FUNCTION")]
        #[arg(value_parser = function)]
        function: Option<String>,
        /// Time of expiry
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Replace the admin key of a function and print the new one; it is shown only once
    #[command(after_help = "\
For a function whose admin key is lost. Needs a key of the server (auth.keys), a key of scope admin,
or the admin key itself. The old admin key stops working.

Examples:
  iof key rotate hello --key KEY      KEY is one of the server's auth.keys")]
    Rotate {
        /// Name or number of the function
        #[arg(value_parser = function)]
        function: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the keys, without their values
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Delete a key; it stops working at once
    #[command(alias = "delete")]
    Rm {
        /// Its number
        #[arg(value_name = "KEY")]
        number: i64,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
The profile is stored in the user's configuration folder, in a file that only the user can read.
Commands use the last login unless --profile names another.

Examples:
  iof login https://functions.example.com              asks for the key, without showing it
  iof login http://127.0.0.1:8080 --profile local --no-key")]
pub(crate) struct Login {
    /// URL of the server
    pub(crate) server: String,
    /// Name of the profile [default: default, or the server's address if that name is taken]
    #[arg(long, value_name = "NAME")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) profile: Option<String>,
    /// Log in without a key
    #[arg(long)]
    pub(crate) no_key: bool,
    /// Additional certificate authority to trust (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Arguments)]
pub(crate) struct Logout {
    /// Profile [default: the last login]
    #[arg(long, value_name = "NAME", env = "IOF_PROFILE")]
    pub(crate) profile: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Arguments)]
pub(crate) struct Whoami {
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Profile {
    #[command(subcommand)]
    pub(crate) what: ProfileCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ProfileCommand {
    /// List the profiles of `iof login`, and which one is active
    #[command(visible_alias = "ls")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}
