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
    /// Run the server
    Serve(Serve),
    /// Set, list and delete the secrets of a function
    Secret(Secret),
    /// Show what left because of functions, and which commands they ran
    Egress(Egress),
    /// Run a recorded call again, offline, and show what is different
    Replay(Replay),
    /// List, add and remove the models that the command `infer` runs
    Models(Models),
    /// Look at what this machine has of what native commands need
    Doctor(Doctor),
    /// Print the version
    Version,
    /// Compile one module from stdin to stdout (the server starts this itself)
    #[command(hide = true)]
    CompileWorker { limits: String },
    /// Run one model for the server (the server starts this itself)
    #[command(hide = true)]
    InferWorker { bounds: String },
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
pub(crate) struct Doctor {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which server, and by which key.
#[derive(Debug, Arguments)]
pub(crate) struct Remote {
    /// The server
    #[arg(
        long,
        value_name = "URL",
        env = "IOF_SERVER",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) server: String,
    /// A key of the server, or the function's admin key
    #[arg(long, value_name = "KEY", env = "IOF_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// A further certificate authority to trust (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
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
        /// The function
        function: i64,
        /// The secret's name, such as SENDGRID_TOKEN
        name: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// List the names of a function's secrets; nothing shows their values
    List {
        /// The function
        function: i64,
        #[command(flatten)]
        remote: Remote,
    },
    /// Delete a secret
    Rm {
        /// The function
        function: i64,
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
    pub(crate) function: Option<i64>,
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
