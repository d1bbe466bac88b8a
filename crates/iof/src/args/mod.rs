//! The arguments of the program.

mod author;
mod backup;
mod functions;
mod jobs;
#[cfg(feature = "infer")]
mod models;
mod records;
mod store;
mod tips;

pub(crate) use author::{Build, Dev, New, Test};
pub(crate) use backup::{Backup, Restore, Upgrade};
pub(crate) use functions::{
    Call, Deploy, Job, Key, KeyCommand, List, Login, Logout, Logs, Private, Profile,
    ProfileCommand, Promote, Public, Rm, Rollback, Schedules, Show, Whoami,
};
pub(crate) use jobs::{Jobs, JobsCommand};
#[cfg(feature = "infer")]
pub(crate) use models::{Models, ModelsCommand, ModelsLocation};
pub(crate) use records::{
    Audit, Calls, Egress, Replay, Secret, SecretCommand, Top, TopOrder, Variable, VariableCommand,
};
pub(crate) use store::{StoreCommand, StorePlace};

pub(crate) use tips::with_tip;

use crate::config::listen;
use crate::output::word;
use clap::{Args as Arguments, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

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
    /// Create a function project
    #[command(alias = "init")]
    New(New),
    /// Build a function and show its interface
    Build(Build),
    /// Build and serve a function while you edit it
    Dev(Dev),
    /// Run the tests of a function, and call its exports
    Test(Test),
    /// Run the server
    Serve(Serve),
    /// Deploy a function or a new version of it
    Deploy(Deploy),
    /// Call a function
    #[command(alias = "invoke")]
    Call(Call),
    /// Show the output and result of recent calls
    #[command(alias = "log")]
    Logs(Logs),
    /// List the functions
    #[command(visible_alias = "ls")]
    List(List),
    /// Show a function and its versions
    Show(Show),
    /// Activate an earlier version
    Rollback(Rollback),
    /// Activate the canary version
    Promote(Promote),
    /// Require a key of the callers of a function, and print a new one
    Private(Private),
    /// Let everyone call a function
    Public(Public),
    /// Delete a function
    #[command(visible_alias = "delete", alias = "remove")]
    Rm(Rm),
    /// Show the outcome of a detached call
    Job(Job),
    /// List, show, cancel and retry jobs
    Jobs(Jobs),
    /// Show the schedules of a function and their next times
    #[command(alias = "schedule")]
    Schedules(Schedules),
    /// Create, list and delete keys
    Key(Key),
    /// Remember a server and a key for it
    Login(Login),
    /// Forget a server and its key
    Logout(Logout),
    /// List the remembered servers
    #[command(alias = "profiles")]
    Profile(Profile),
    /// Show which server and key commands use, and the key's scopes
    #[command(alias = "who")]
    Whoami(Whoami),
    /// Set, list and delete the secrets of a function
    Secret(Secret),
    /// Set, list and remove the variables of a function
    #[command(alias = "variables")]
    Variable(Variable),
    /// Show who changed what on a server
    Audit(Audit),
    /// Show outbound requests and commands run by functions
    Egress(Egress),
    /// Show the busiest functions of a server, live
    Top(Top),
    /// List the recorded calls of a function
    Calls(Calls),
    /// Re-run a recorded call offline and compare the outcome
    Replay(Replay),
    /// List, add and remove the models of the command `infer`
    #[cfg(feature = "infer")]
    Models(Models),
    /// Back up the data of a server, running or not
    Backup(Backup),
    /// Restore a backup
    Restore(Restore),
    /// Move, check and migrate the database of a fleet
    #[command(subcommand)]
    Store(StoreCommand),
    /// Show what this release would do to a server's data
    Upgrade(Upgrade),
    /// Ask a server whether it is ready, for health checks
    Ready(Ready),
    /// Check this machine for what `iof serve` and `iof build` need
    Doctor(Doctor),
    /// Print shell completions
    Completions(Completions),
    /// Write man pages
    Man(Man),
    /// Print the version
    Version(Version),
}

/// Arguments of `iof ready`.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Asks /readyz, without a key. Exit status: 0 if the server is ready, 1 if not, 2 for invalid arguments.

Examples:
  iof ready                                      the server of this machine or container
  iof ready --server http://10.0.0.7:8080 --timeout 1s")]
pub(crate) struct Ready {
    /// Server
    #[arg(long, value_name = "URL", env = "IOF_SERVER", default_value = crate::profile::LOCAL)]
    pub(crate) server: String,
    /// Time for its answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = functions::duration)]
    pub(crate) timeout: Duration,
    /// Additional certificate authority to trust (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `iof doctor`.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Exit status: 0 if every check passed, 1 if not. Checks for authors count only in a folder with a
project.

Examples:
  iof doctor                             for a server with default settings
  iof doctor --config iof.toml           for a server with these settings")]
pub(crate) struct Doctor {
    /// Data directory of the server [default: iof-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Settings file of the server [default: none]
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Repair what can be repaired safely: the mode of a key file
    #[arg(long)]
    pub(crate) fix: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
}

/// The arguments that choose a server and a key.
#[derive(Clone, Debug, Default, Arguments)]
#[command(next_help_heading = "Server")]
pub(crate) struct Remote {
    /// Server [default: that of the profile, else http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "IOF_SERVER")]
    pub(crate) server: Option<String>,
    /// Key of the server, a created key, or the function's admin key [default: that of the profile, else the admin key
    /// of the last deploy from here]
    #[arg(long, value_name = "KEY", env = "IOF_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// Profile of `iof login` [default: the last login]
    #[arg(long, value_name = "NAME", env = "IOF_PROFILE")]
    pub(crate) profile: Option<String>,
    /// Use the `iof dev` server that started last, with its key
    #[arg(long)]
    pub(crate) dev: bool,
    /// Additional certificate authority to trust (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Parses the number or name of a function. The function of a crate named `send_mail` is `send-mail`.
///
/// # Errors
/// A clause that states which names functions have.
fn function(text: &str) -> Result<String, String> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match !text.is_empty() && text.bytes().all(is_part) {
        true => Ok(text.to_owned()),
        false => Err(
            "a function has a number, or a name of letters, digits and hyphens, such as send-email"
                .into(),
        ),
    }
}

impl Remote {
    /// The option that leads another command to the same server.
    pub(crate) fn option(&self) -> String {
        match (self.dev, &self.server, &self.profile) {
            (true, ..) => " --dev".into(),
            // The environment also applies to the next command.
            (_, Some(server), _) if std::env::var("IOF_SERVER").as_ref() != Ok(server) => {
                format!(" --server {}", word(server))
            }
            (_, _, Some(profile)) if std::env::var("IOF_PROFILE").as_ref() != Ok(profile) => {
                format!(" --profile {}", word(profile))
            }
            _ => String::new(),
        }
    }

    /// A message of the server, with its command lines completed for this server.
    pub(crate) fn lead(&self, said: &str) -> String {
        const SET: &str = "`iof secret set ";
        let end = said.find(SET).and_then(|start| {
            let inside = start + SET.len();
            Some(inside + said.get(inside..)?.find('`')?)
        });
        let mut said = said.to_owned();
        if let Some(end) = end {
            said.insert_str(end, &self.option());
        }
        said
    }
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
pub(crate) struct Version {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Arguments)]
pub(crate) struct Man {
    /// Folder for the pages, such as ~/.local/share/man/man1
    pub(crate) folder: PathBuf,
}

#[derive(Debug, Default, Arguments)]
#[command(
    args_override_self = true,
    after_help = "Every setting can be given in four ways; the first of these wins: a flag, an environment
variable, the file, the default. limits.wall_time is --set limits.wall_time=5s,
IOF_LIMITS_WALL_TIME=5s, or wall_time = \"5s\" under [limits] in the file.

Examples:
  iof serve                                    on 127.0.0.1:8080, data in ./iof-data
  iof serve --listen 127.0.0.1:0               on a free port, which it prints
  iof serve --set limits.memory=256MiB         with one setting changed
  iof serve --config iof.toml --check          check the settings without starting
  iof serve --print-config --commented > iof.toml
                                               all settings, as a file to edit"
)]
pub(crate) struct Serve {
    /// Address to listen on; port 0 picks a free port; a port without an address means loopback [default:
    /// 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen::parse)]
    pub(crate) listen: Option<SocketAddr>,
    /// Data directory; created if missing [default: iof-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Settings file [default: none]
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// One setting by name; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print the effective settings, and exit
    #[arg(long)]
    pub(crate) print_config: bool,
    /// With --print-config: add a comment to each setting
    #[arg(long, requires = "print_config")]
    pub(crate) commented: bool,
    /// Check the settings and the files they name, and exit
    #[arg(long, conflicts_with = "print_config")]
    pub(crate) check: bool,
}
