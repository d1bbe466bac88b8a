//! What is typed of functions on a server, and of keys for it.

use super::{Remote, function};
use clap::builder::NonEmptyStringValueParser;
use clap::{Args as Arguments, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Arguments)]
#[command(after_help = "\
A module's function.toml lies beside it, or in the folder that is built. Without one, the function
gets what the server grants by default.

Examples:
  iof deploy                          the crate in this folder, built, under its own name
  iof deploy -p mail                  one function of a workspace; without -p, all
  iof deploy hello.wasm               a module
  iof deploy --env staging            with the variables of [env.staging]
  iof deploy --set API_URL=https://api.example.com
  iof deploy --canary 10%             for 10 percent of the calls; `iof promote` for all")]
pub(crate) struct Deploy {
    /// A module, or a folder that `iof build` builds
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// Which function of a workspace [default: all]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// The function's name or number [default: the name of the module]
    #[arg(long, value_name = "FUNCTION")]
    #[arg(value_parser = function)]
    pub(crate) name: Option<String>,
    /// What it declares [default: function.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) function: Option<PathBuf>,
    /// A variable of the function, over those of function.toml, as often as needed
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// The environment whose variables ([env.NAME] in function.toml) are over the others
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// Callers need a key (for a new function)
    #[arg(long)]
    pub(crate) private: bool,
    /// Run it for so many of a hundred calls
    #[arg(long, value_name = "PERCENT", value_parser = percent, conflicts_with = "idle")]
    pub(crate) canary: Option<u8>,
    /// Do not run it yet
    #[arg(long)]
    pub(crate) idle: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// `10%` or `10`.
fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse();
    match number {
        Ok(percent @ 1..=99) => Ok(percent),
        _ => Err("1% to 99%, such as 10%".into()),
    }
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
What the function returns goes to stdout. Exit status: 0 if it returned, 1 if not, 2 if it could not
be called.

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
    /// The function's name or number
    #[arg(value_parser = function)]
    pub(crate) function: String,
    /// The export; may be left out where there is one
    #[arg(allow_negative_numbers = true)]
    pub(crate) export: Option<String>,
    /// A text, which is the argument
    #[arg(allow_negative_numbers = true)]
    pub(crate) text: Option<String>,
    /// JSON, or @FILE (.json is JSON, all else bytes), or @- for stdin
    #[arg(short, long, value_name = "DATA", allow_hyphen_values = true)]
    pub(crate) data: Option<String>,
    /// What a program reads on its stdin, or the argument of a function: FILE, or - for the stdin of this command [default:
    /// nothing]
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) stdin: Option<String>,
    /// The types of a function that does not say them, such as `(i32, i32) -> i32`
    #[arg(long, value_name = "TYPES")]
    pub(crate) signature: Option<String>,
    /// Do not wait: print the job, whose outcome `iof job` shows
    #[arg(long)]
    pub(crate) detach: bool,
    /// The arguments, in their order
    #[arg(last = true, value_name = "ARGS", conflicts_with = "data")]
    pub(crate) args: Vec<String>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Job {
    /// What `iof call --detach` printed
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
The server keeps the newest calls of each function (second_state.log_rows).

Examples:
  iof logs hello               the newest hundred calls, the newest last
  iof logs hello -f            and those that come
  iof logs hello --since 10m --fault guest-cpu
  iof logs hello --json        a JSON object a line")]
pub(crate) struct Logs {
    /// The function's name or number
    #[arg(value_parser = function)]
    pub(crate) function: String,
    /// How many rows
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Go on with what comes
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only calls of the last so long, such as 10m or 2h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// Only calls that ended with this fault, such as guest-cpu; `any` is every fault
    #[arg(long, value_name = "CODE")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) fault: Option<String>,
    /// Only this call (the header iof-call of its answer)
    #[arg(long, value_name = "ID")]
    pub(crate) call: Option<uuid::Uuid>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// `10m`.
fn duration(text: &str) -> Result<Duration, String> {
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
    /// The function's name or number
    #[arg(value_parser = function)]
    pub(crate) function: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Calls from now on run it; calls under way end on theirs. Versions never change, so this cannot fail
halfway.

Examples:
  iof rollback hello                 the version before the active one
  iof rollback hello --version 3     that one, be it earlier or later")]
pub(crate) struct Rollback {
    /// The function's name or number
    #[arg(value_parser = function)]
    pub(crate) function: String,
    /// The version [default: the one before the active one]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) version: Option<i64>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Promote {
    /// The function's name or number
    #[arg(value_parser = function)]
    pub(crate) function: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Rm {
    /// The function's name or number
    #[arg(value_parser = function)]
    pub(crate) function: String,
    /// Do not ask
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
    /// Make a key, and print it: it is shown once
    #[command(after_help = "\
Scopes: deploy (upload, roll back), call (private functions), read (see functions, logs, what left),
admin (all of it, and secrets, keys, deletion).

Examples:
  iof key create ci --scope deploy                       for all functions
  iof key create shop --scope call --function send-email --expires 2027-01-01T00:00:00Z")]
    Create {
        /// A line for people: who has it, what for
        label: String,
        /// What it may do; as often as needed
        #[arg(long, required = true, value_parser = ["deploy", "call", "read", "admin"])]
        scope: Vec<String>,
        /// The one function that it is for
        #[arg(long, value_name = "FUNCTION")]
        #[arg(value_parser = function)]
        function: Option<String>,
        /// When it ends
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Make another admin key for a function, and print it: it is shown once
    #[command(after_help = "\
For a function whose admin key is lost. It takes a key of the server (auth.keys), one of scope
admin, or the admin key itself, which opens nothing from then on.

Examples:
  iof key rotate hello --key KEY      KEY is one of the server's auth.keys")]
    Rotate {
        /// The function's name or number
        #[arg(value_parser = function)]
        function: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the keys; nothing shows what they are
    #[command(visible_alias = "ls")]
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Delete a key: it opens nothing from now on
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
It is kept in the user's folder of configuration, in a file that nobody else can read. Commands use
the last login; --profile names another.

Examples:
  iof login https://functions.example.com              asks for the key, without showing it
  iof login http://127.0.0.1:8080 --profile local --no-key")]
pub(crate) struct Login {
    /// The server
    pub(crate) server: String,
    /// The name to keep it under [default: default, or the server's address if that is of another server]
    #[arg(long, value_name = "NAME")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub(crate) profile: Option<String>,
    /// It takes no key
    #[arg(long)]
    pub(crate) no_key: bool,
    /// A further certificate authority to trust (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Arguments)]
pub(crate) struct Logout {
    /// The profile [default: the one of the last login]
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
    /// List the servers of `iof login`, and which one commands go to
    #[command(visible_alias = "ls")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}
