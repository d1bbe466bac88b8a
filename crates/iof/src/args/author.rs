//! Arguments of the commands for authors of functions.

use crate::config::listen;
use clap::Args as Arguments;
use iof_build::Template;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Arguments)]
#[command(after_help = new_help())]
pub(crate) struct New {
    /// Name of the function, or of the project, and of its folder
    #[arg(required_unless_present = "list")]
    pub(crate) name: Option<String>,
    /// Template to start from
    #[arg(short, long, value_name = "TEMPLATE", default_value = "rust")]
    pub(crate) template: String,
    /// Function of a project of several; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "list")]
    pub(crate) function: Vec<String>,
    /// List the templates
    #[arg(long)]
    pub(crate) list: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Builds crates on iof-guest, crates for the service of 2020, wasm-bindgen crates, programs and
components, and shows how a server would serve the result. The module is written to pkg/, and
optimised by wasm-opt where that is installed.

A project in another language has a table [build] in its function.toml, as `iof new` writes it.
Its tools are installed into its node_modules or .venv, at the versions of its lock, the first time;
later builds need no network.

Examples:
  iof build                 the project in this folder
  iof build hello --watch   the project in hello/, rebuilt on every change")]
pub(crate) struct Build {
    /// Folder of the project: a crate, a workspace, or one with a table [build]
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Function of the workspace [default: all]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// Compile faster, with debug assertions and symbol names
    #[arg(long)]
    pub(crate) debug: bool,
    /// Fail if Cargo.lock would change
    #[arg(long)]
    pub(crate) locked: bool,
    /// Skip wasm-opt
    #[arg(long)]
    pub(crate) no_opt: bool,
    /// Rebuild on every change
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) watch: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Examples of `iof new`, and all templates.
fn new_help() -> String {
    let mut help = "\
Examples:
  iof new hello                         text in, text out
  iof new orders --template rust-json   JSON in and out, with its schema
  iof new site --template js            a component in JavaScript
  iof new shop --function cart --function mail
                                        one project of two functions

Templates:"
        .to_owned();
    for template in Template::ALL {
        let _ = write!(help, "\n  {:13} {}", template.as_str(), template.about());
    }
    help
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Runs a server of its own, with the grants of function.toml. Every save is built and swapped in, and
the output, requests and result of each call are printed as they happen. Its data and keys are in
target/iof-dev; other commands reach it with --dev.

Examples:
  iof dev                         the crate in this folder; prints the page to call it from
  iof call hello greet Ada --dev  from another terminal
  iof dev hello --listen 127.0.0.1:0
  iof dev --allow localhost:3000  functions may send requests to a server of yours
  iof dev --config iof.toml       with an operator's settings (ceiling, models, pinned hosts)")]
pub(crate) struct Dev {
    /// Folder of the project
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Address to listen on; port 0 picks a free port
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8787", value_parser = listen::parse)]
    pub(crate) listen: SocketAddr,
    /// Host and port of this machine or network that functions may reach; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) allow: Vec<String>,
    /// Settings file of the server
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// One setting by name; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Function of the workspace [default: all]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Runs the tests of the project by its language's own tool (cargo test, node --test, unittest,
go test), then calls on a temporary server: those listed in function.toml, and every export that
takes no arguments. Requests reach only the hosts of --allow, and secrets are replaced by
placeholders.

  [[test]]
  export = \"greet\"
  arguments = [\"Ada\"]
  expect = \"Hello, Ada!\"           without it, any result passes

  [[test]]                         of a function that answers HTTP
  request = \"GET /hello\"
  status = 200                     without it, any below 500 passes

Exit status: 0 if everything passed, 1 if not.

Examples:
  iof test                        the crate in this folder, or all functions of the workspace
  iof test -p mail                one function of it
  iof test --allow localhost:3000 with a local server as the upstream")]
pub(crate) struct Test {
    /// Folder of the project
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Function of the workspace [default: all]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// Host and port that functions may reach; may be repeated
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) allow: Vec<String>,
    /// Settings file of the server
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// One setting by name; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
