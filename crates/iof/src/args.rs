//! What can be typed.

use clap::{Args as Arguments, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A self-hosted function service in one binary.
///
/// POST a WebAssembly module, get an id, call its functions over HTTP. Functions are sealed; they reach the world only
/// through commands that you grant.
#[derive(Debug, Parser)]
#[command(
    name = "iof",
    version,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a folder with a function that builds
    New(New),
    /// Build a function, and show what it is
    Build(Build),
    /// Build, serve and try a function while you write it
    Dev(Dev),
    /// Run the server
    Serve(Serve),
    /// Deploy a function, or its next version
    Deploy(Deploy),
    /// Call a function
    Call(Call),
    /// Show what calls printed and came to
    Logs(Logs),
    /// List the functions
    List(List),
    /// Show a function and its versions
    Show(Show),
    /// Make an earlier version the active one
    Rollback(Rollback),
    /// Make the canary the active version
    Promote(Promote),
    /// Delete a function
    Rm(Rm),
    /// Show the outcome of a call that was sent with --detach
    Job(Job),
    /// Make, list and delete keys
    Key(Key),
    /// Remember a server and a key for it
    Login(Login),
    /// Set, list and delete the secrets of a function
    Secret(Secret),
    /// Show what left because of functions, and which commands they ran
    Egress(Egress),
    /// Run a recorded call again, offline, and show what is different
    Replay(Replay),
    /// List, add and remove the models that the command `infer` runs
    Models(Models),
    /// Look at what this machine has of what servers and authors need
    Doctor(Doctor),
    /// Print the completions of a shell
    Completions(Completions),
    /// Write the manual's pages
    Man(Man),
    /// Print the version
    Version,
}

/// What is done with models.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  iof models add digits digits.onnx --labels digits.txt
  iof models show digits                       its inputs and outputs
  iof models list --json

docs/models.md says what a declaration (model.toml) may hold.")]
pub(crate) struct Models {
    #[command(subcommand)]
    pub(crate) what: ModelsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models
    List {
        #[command(flatten)]
        place: Where,
    },
    /// Show the inputs and outputs of a model
    Show {
        /// The model
        name: String,
        #[command(flatten)]
        place: Where,
    },
    /// Add a model, once it was loaded and run
    Add {
        /// Its name: small letters, digits, and . _ - after the first
        name: String,
        /// An ONNX file, a frozen graph of TensorFlow, or a TensorFlow Lite file
        file: PathBuf,
        /// Labels of its output, one a line
        #[arg(long, value_name = "FILE")]
        labels: Option<PathBuf>,
        /// Its model.toml
        #[arg(long, value_name = "FILE")]
        declaration: Option<PathBuf>,
        /// Take the place of a model of the same name
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        place: Where,
    },
    /// Remove a model
    Rm {
        /// The model
        name: String,
        #[command(flatten)]
        place: Where,
    },
}

/// Whose models.
#[derive(Debug, Arguments)]
pub(crate) struct Where {
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

/// What to look at.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Exit status: 0 if every line is fine, 1 if not.

Examples:
  iof doctor                             what is there for a server as it comes
  iof doctor --config iof.toml           for one with these settings")]
pub(crate) struct Doctor {
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

/// Which server, and by which key.
#[derive(Clone, Debug, Default, Arguments)]
#[command(next_help_heading = "Server")]
pub(crate) struct Remote {
    /// The server [default: that of the profile, else http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "IOF_SERVER")]
    pub(crate) server: Option<String>,
    /// A key of the server, one that was made for it, or the function's admin key [default: that of the profile, else
    /// the admin key that a deploy from here was given]
    #[arg(long, value_name = "KEY", env = "IOF_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// What `iof login` remembered under this name [default: the one of the last login]
    #[arg(long, value_name = "NAME", env = "IOF_PROFILE")]
    pub(crate) profile: Option<String>,
    /// A further certificate authority to trust (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  iof new hello                         text in, text out
  iof new orders --template rust-json   JSON in and out, with its schema
  iof new --list                        all templates")]
pub(crate) struct New {
    /// The function's name, and the folder's
    #[arg(required_unless_present = "list")]
    pub(crate) name: Option<String>,
    /// What to begin with
    #[arg(short, long, value_name = "TEMPLATE", default_value = "rust")]
    pub(crate) template: String,
    /// List the templates
    #[arg(long)]
    pub(crate) list: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
It takes crates on iof-guest, crates as the articles of 2020 wrote them, and those of today's wasm-bindgen. The module
is in pkg/, smaller where wasm-opt is installed.

Examples:
  iof build                 the crate in this folder
  iof build hello --watch   that one, and again whenever it changes")]
pub(crate) struct Build {
    /// The folder of the crate
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Which package of a workspace
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// Quickly, with checks and names for debuggers
    #[arg(long)]
    pub(crate) debug: bool,
    /// Fail instead of changing Cargo.lock
    #[arg(long)]
    pub(crate) locked: bool,
    /// Leave wasm-opt out
    #[arg(long)]
    pub(crate) no_opt: bool,
    /// Build again whenever it changes
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) watch: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
One process: a server of its own, with the grants of function.toml, what is built swapped in when you save, and what
calls print, send and come to below each other. Its data is in target/iof-dev.

Examples:
  iof dev                         the crate in this folder; the page to call it from is printed
  iof dev hello --listen 127.0.0.1:0
  iof dev --config iof.toml       with the operator's settings (a ceiling, a model, a pinned host)")]
pub(crate) struct Dev {
    /// The folder of the crate
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// A file of settings for the server
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// One setting by its name, as often as needed
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Which package of a workspace
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
A module's function.toml lies beside it, or in the folder that is built. Without one, the function gets what the
server grants by default.

Examples:
  iof deploy                          the crate in this folder, built, under its own name
  iof deploy hello.wasm               a module
  iof deploy --canary 10%             for ten of a hundred calls; `iof promote` makes it all of them")]
pub(crate) struct Deploy {
    /// A module, or a folder that `iof build` builds
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
    /// The function's name or number [default: the name of the module]
    #[arg(long, value_name = "FUNCTION")]
    pub(crate) name: Option<String>,
    /// What it declares [default: function.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) function: Option<PathBuf>,
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
What the function returns goes to stdout. Exit status: 0 if it returned, 1 if not, 2 if it could not be called.

Examples:
  iof call hello world                       the only export, with a text
  iof call hello say world                   the export `say`
  iof call shop order -d '{\"id\": 7}'        arguments by name, in JSON
  iof call pictures thumbnail -d @cat.png    a file, as it is
  echo hi | iof call hello say -d @-         stdin")]
pub(crate) struct Call {
    /// The function's name or number
    pub(crate) function: String,
    /// The export and one text, or what there is of them
    #[arg(value_name = "EXPORT] [TEXT", num_args = 0..=2)]
    pub(crate) rest: Vec<String>,
    /// JSON, or @FILE (.json is JSON, all else bytes), or @- for stdin
    #[arg(short, long, value_name = "DATA", allow_hyphen_values = true)]
    pub(crate) data: Option<String>,
    /// Do not wait: print the job, whose outcome `iof job` shows
    #[arg(long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Job {
    /// What `iof call --detach` printed
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
  iof logs hello --json        a JSON object a line")]
pub(crate) struct Logs {
    /// The function's name or number
    pub(crate) function: String,
    /// How many rows
    #[arg(short = 'n', long, value_name = "ROWS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) limit: u32,
    /// Go on with what comes
    #[arg(short, long)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Show {
    /// The function's name or number
    pub(crate) function: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Calls from now on run it; calls under way end on theirs. Versions never change, so this cannot fail halfway.

Examples:
  iof rollback hello                 the version before the active one
  iof rollback hello --version 3     that one, be it earlier or later")]
pub(crate) struct Rollback {
    /// The function's name or number
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
    pub(crate) function: String,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Arguments)]
pub(crate) struct Rm {
    /// The function's name or number
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
Scopes: deploy (upload, roll back), call (private functions), read (see functions, logs, what left), admin (all of it,
and secrets, keys, deletion).

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
        function: Option<String>,
        /// When it ends
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the keys; nothing shows what they are
    List {
        #[command(flatten)]
        remote: Remote,
    },
    /// Delete a key: it opens nothing from now on
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
It is kept in the user's folder of configuration, in a file that nobody else can read. Commands use the last login;
--profile names another.

Examples:
  iof login https://functions.example.com              asks for the key, without showing it
  iof login http://127.0.0.1:8080 --profile local --no-key")]
pub(crate) struct Login {
    /// The server
    pub(crate) server: String,
    /// The name to remember it under
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) profile: String,
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
#[command(after_help = "\
Examples:
  iof completions bash > ~/.local/share/bash-completion/completions/iof
  iof completions fish > ~/.config/fish/completions/iof.fish")]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Arguments)]
pub(crate) struct Man {
    /// A folder for the pages, such as ~/.local/share/man/man1
    pub(crate) folder: PathBuf,
}

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
        function: String,
        /// The secret's name, such as SENDGRID_TOKEN
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the names of a function's secrets; nothing shows their values
    List {
        /// The function's name or number
        function: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Delete a secret
    Rm {
        /// The function's name or number
        function: String,
        /// The secret's name
        name: String,
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
    after_help = "The call hears what it heard when it was recorded, and reaches nothing. Exit status: 0 if it
ended alike, 1 if not, 2 if it could not be run.

Examples:
  iof replay ID                       on the version that it ran on
  iof replay ID --version 3           on another one, to see whether that mends it
  curl -H \"authorization: Bearer $IOF_KEY\" http://127.0.0.1:8080/v1/functions/1/calls    lists recorded calls"
)]
pub(crate) struct Replay {
    /// The call (the header iof-call of its answer)
    pub(crate) call: String,
    /// The version to run it on [default: the one it ran on]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) version: Option<i64>,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

#[derive(Debug, Default, Arguments)]
#[command(
    args_override_self = true,
    after_help = "Every setting can be given four ways; the first of these counts: a flag, an environment
variable, the file, the default. limits.wall_time is --set limits.wall_time=5s,
IOF_LIMITS_WALL_TIME=5s, or wall_time = \"5s\" under [limits] in the file.

Examples:
  iof serve                                    on 127.0.0.1:8080, data in ./iof-data
  iof serve --listen 127.0.0.1:0               on a free port, which it prints
  iof serve --set limits.memory=256MiB         with another limit
  iof serve --print-config > iof.toml          all settings, to start a file from"
)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where functions are kept; made if it does not exist [default: iof-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The file of settings [default: none]
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// One setting by its name, as often as needed
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print all settings as they would apply, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
}
