//! What somebody types who writes a function.

use crate::config::listen;
use clap::Args as Arguments;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  iof new hello                         text in, text out
  iof new orders --template rust-json   JSON in and out, with its schema
  iof new shop --function cart --function mail
                                        one project of two functions
  iof new --list                        all templates")]
pub(crate) struct New {
    /// The function's name, or the project's, and the folder's
    #[arg(required_unless_present = "list")]
    pub(crate) name: Option<String>,
    /// What to begin with
    #[arg(short, long, value_name = "TEMPLATE", default_value = "rust")]
    pub(crate) template: String,
    /// A function of a project of several, as often as needed
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
It takes crates on iof-guest, crates as the articles of 2020 wrote them, those of today's
wasm-bindgen, programs and components, and says what a server would make of them. The module is
in pkg/, smaller where wasm-opt is installed.

Examples:
  iof build                 the crate in this folder
  iof build hello --watch   that one, and again whenever it changes")]
pub(crate) struct Build {
    /// The folder of the crate, or of the workspace whose functions are meant
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Which function of a workspace [default: all]
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
One process: a server of its own, with the grants of function.toml, what is built swapped in when
you save, and what calls print, send and come to below each other. Its data and its keys are in
target/iof-dev; other commands find it with --dev.

Examples:
  iof dev                         the crate in this folder; the page to call it from is printed
  iof call hello greet Ada --dev  from another terminal
  iof dev hello --listen 127.0.0.1:0
  iof dev --allow localhost:3000  functions may send requests to a server of your own
  iof dev --config iof.toml       with the operator's settings (a ceiling, a model, a pinned host)")]
pub(crate) struct Dev {
    /// The folder of the crate, or of the workspace whose functions are meant
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8787", value_parser = listen::parse)]
    pub(crate) listen: SocketAddr,
    /// A host and port of this machine or this network that functions may reach, as often as needed
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) allow: Vec<String>,
    /// A file of settings for the server
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// One setting by its name, as often as needed
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Which function of a workspace [default: all]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
First the tests of the crate (cargo test), then calls on a server of its own that is gone
afterwards: those that stand in function.toml, and each export that takes no arguments. No request
leaves but to the hosts of --allow, and secrets have stand-ins.

  [[test]]
  export = \"greet\"
  arguments = [\"Ada\"]
  expect = \"Hello, Ada!\"           any result without it

Exit status: 0 if nothing failed, 1 if something did.

Examples:
  iof test                        the crate in this folder, or all functions of the workspace
  iof test -p mail                one function of it
  iof test --allow localhost:3000 with a server of your own that stands in for others")]
pub(crate) struct Test {
    /// The folder of the crate, or of the workspace whose functions are meant
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,
    /// Which function of a workspace [default: all]
    #[arg(short, long, value_name = "NAME")]
    pub(crate) package: Option<String>,
    /// A host and port that functions may reach, as often as needed
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) allow: Vec<String>,
    /// A file of settings for the server
    #[arg(long, value_name = "FILE", env = "IOF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// One setting by its name, as often as needed
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
