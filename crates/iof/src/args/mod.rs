//! What can be typed.

mod author;
mod backup;
mod functions;
#[cfg(feature = "infer")]
mod models;
mod records;

pub(crate) use author::{Build, Dev, New};
pub(crate) use backup::{Backup, Restore};
pub(crate) use functions::{
    Call, Deploy, Job, Key, KeyCommand, List, Login, Logs, Promote, Rm, Rollback, Show,
};
#[cfg(feature = "infer")]
pub(crate) use models::{Models, ModelsCommand, Where};
pub(crate) use records::{Egress, Replay, Secret, SecretCommand};

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
    #[cfg(feature = "infer")]
    Models(Models),
    /// Back up the data of a server, which may run
    Backup(Backup),
    /// Restore a backup
    Restore(Restore),
    /// Look at what this machine has of what servers and authors need
    Doctor(Doctor),
    /// Print the completions of a shell
    Completions(Completions),
    /// Write the manual's pages
    Man(Man),
    /// Print the version
    Version,
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
