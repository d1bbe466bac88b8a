//! What can be typed.

mod author;
mod backup;
mod functions;
#[cfg(feature = "infer")]
mod models;
mod records;
mod tips;

pub(crate) use author::{Build, Dev, New, Test};
pub(crate) use backup::{Backup, Restore, Upgrade};
pub(crate) use functions::{
    Call, Deploy, Job, Key, KeyCommand, List, Login, Logout, Logs, Profile, ProfileCommand,
    Promote, Rm, Rollback, Show, Whoami,
};
#[cfg(feature = "infer")]
pub(crate) use models::{Models, ModelsCommand, Where};
pub(crate) use records::{Calls, Egress, Replay, Secret, SecretCommand, Variable, VariableCommand};

pub(crate) use tips::with_tip;

use crate::config::listen;
use crate::output::word;
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
    #[command(alias = "init")]
    New(New),
    /// Build a function, and show what it is
    Build(Build),
    /// Build, serve and try a function while you write it
    Dev(Dev),
    /// Run a function's tests, and call its exports
    Test(Test),
    /// Run the server
    Serve(Serve),
    /// Deploy a function, or its next version
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
    /// Make an earlier version the active one
    Rollback(Rollback),
    /// Make the canary the active version
    Promote(Promote),
    /// Delete a function
    #[command(visible_alias = "delete", alias = "remove")]
    Rm(Rm),
    /// Show the outcome of a call that was sent with --detach
    Job(Job),
    /// Make, list and delete keys
    Key(Key),
    /// Keep a server and a key for it
    Login(Login),
    /// Drop a server and the key for it
    Logout(Logout),
    /// List the servers that are kept
    #[command(alias = "profiles")]
    Profile(Profile),
    /// Show which server commands go to, and what the key may do there
    #[command(alias = "who")]
    Whoami(Whoami),
    /// Set, list and delete the secrets of a function
    Secret(Secret),
    /// Set, list and remove the variables of a function
    #[command(alias = "variables")]
    Variable(Variable),
    /// Show outbound requests and commands run by functions
    Egress(Egress),
    /// List the recorded calls of a function
    Calls(Calls),
    /// Run a recorded call again, offline, and show what is different
    Replay(Replay),
    /// List, add and remove the models that the command `infer` runs
    #[cfg(feature = "infer")]
    Models(Models),
    /// Back up the data of a server, which may run
    Backup(Backup),
    /// Restore a backup
    Restore(Restore),
    /// Show what this release would do to a server's data
    Upgrade(Upgrade),
    /// Check that this machine has what `iof serve` and `iof build` need
    Doctor(Doctor),
    /// Print the completions of a shell
    Completions(Completions),
    /// Write the manual's pages
    Man(Man),
    /// Print the version
    Version(Version),
}

/// What to look at.
#[derive(Debug, Arguments)]
#[command(after_help = "\
Exit status: 0 if every line is fine, 1 if not. What only authors of functions want counts in a
folder with a project.

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
    /// Mend what can be mended safely: the mode of a key's file
    #[arg(long)]
    pub(crate) fix: bool,
    #[command(flatten)]
    pub(crate) remote: Remote,
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
    /// The server of `iof dev` that started last, with its key
    #[arg(long)]
    pub(crate) dev: bool,
    /// A further certificate authority to trust (PEM)
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Reads the number or name of a function. A crate may be called `send_mail`, and its function is `send-mail`.
///
/// # Errors
/// A clause that says how functions are called.
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
            // What the environment says holds for the next command as well.
            (_, Some(server), _) if std::env::var("IOF_SERVER").as_ref() != Ok(server) => {
                format!(" --server {}", word(server))
            }
            (_, _, Some(profile)) if std::env::var("IOF_PROFILE").as_ref() != Ok(profile) => {
                format!(" --profile {}", word(profile))
            }
            _ => String::new(),
        }
    }

    /// A sentence of the server with its command lines as they are typed for this server.
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
  iof serve --config iof.toml --check          whether it would start with these settings
  iof serve --print-config --commented > iof.toml
                                               all settings, to start a file from"
)]
pub(crate) struct Serve {
    /// Where to listen; port 0 takes a free one; a port without an address is one of this machine [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen::parse)]
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
    /// With --print-config: say what each setting decides
    #[arg(long, requires = "print_config")]
    pub(crate) commented: bool,
    /// Check the settings and the files that they name, and exit
    #[arg(long, conflicts_with = "print_config")]
    pub(crate) check: bool,
}
