//! The program `iof`.
//!
//! The arguments as typed are in [`args`], their meaning in [`config`]; each subcommand is a module. Exit codes: 0 for
//! success, 1 for a failure, 2 for invalid arguments or settings.

mod args;
mod audit;
mod backup;
mod build;
mod call;
mod check;
mod client;
mod config;
mod deploy;
mod dev;
mod doctor;
mod egress;
mod embedded;
mod escape;
mod functions;
mod grants;
mod host;
mod inventory;
mod jobs;
mod json_log;
mod keys;
mod log;
mod login;
mod logs;
#[cfg(feature = "infer")]
mod models;
mod native;
mod output;
mod profile;
mod ready;
mod reload;
mod replay;
mod schedules;
mod secret;
mod secret_file;
mod secret_keys;
mod serve;
mod service;
mod shell;
mod store;
mod test;
mod top;
mod upgrade;
mod variable;

use args::{Args, Command};
use clap::Parser;
use clap::error::ErrorKind;
use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// The hot path allocates a few small objects per call; with the system's allocator it would be a tenth slower.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The path of this program: its link in /proc, so that an upgrade on the disk does not change a running server.
const OURSELVES: &str = "/proc/self/exe";

fn main() -> ExitCode {
    // This comes first, because a warden process must not have read anything.
    if let Some(code) = iof_jail::warden_main() {
        return code;
    }
    if let Some(code) = worker() {
        return code;
    }
    AS_JSON.store(wants_json(), Ordering::Relaxed);
    let args = match Args::try_parse() {
        Ok(args) => args,
        // `iof --version --json`: the parser ends at the first option.
        Err(error) if error.kind() == ErrorKind::DisplayVersion => {
            return show_version(AS_JSON.load(Ordering::Relaxed));
        }
        Err(error) => return refused(args::with_tip(error)),
    };
    match args.command {
        Command::Serve(serve) => match config::Config::resolve(&serve) {
            Ok(config) if serve.print_config => print(&config.to_toml(serve.commented)),
            Ok(config) if serve.check => check::run(&config),
            Ok(config) => serve::run(config, serve),
            Err(message) => fail(2, message),
        },
        Command::New(new) => build::new(&new),
        Command::Build(build) => build::run(&build),
        Command::Dev(dev) => dev::run(dev),
        Command::Test(test) => test::run(&test),
        Command::Deploy(deploy) => client::run(deploy::run(deploy)),
        Command::Call(call) => client::run(call::run(call)),
        Command::Logs(logs) => client::run(logs::run(logs)),
        Command::List(list) => client::run(functions::list(list)),
        Command::Show(show) => client::run(functions::show(show)),
        Command::Rollback(rollback) => client::run(functions::rollback(rollback)),
        Command::Promote(promote) => client::run(functions::promote(promote)),
        Command::Private(private) => client::run(keys::private(private)),
        Command::Public(public) => client::run(keys::public(public)),
        Command::Rm(rm) => client::run(functions::rm(rm)),
        Command::Job(job) => client::run(call::job(job)),
        Command::Jobs(wanted) => client::run(jobs::run(wanted)),
        Command::Schedules(wanted) => client::run(schedules::run(wanted)),
        Command::Key(key) => client::run(keys::run(key)),
        Command::Login(login) => client::run(login::login(login)),
        Command::Logout(logout) => client::run(async { login::logout(&logout) }),
        Command::Profile(profile) => client::run(async { login::profile(&profile) }),
        Command::Whoami(whoami) => client::run(login::whoami(whoami)),
        Command::Calls(calls) => client::run(replay::list(calls)),
        Command::Completions(wanted) => shell::completions(&wanted),
        Command::Man(man) => shell::man(&man),
        Command::Secret(secret) => client::run(secret::run(secret)),
        Command::Variable(variable) => client::run(variable::run(variable)),
        Command::Audit(audit) => client::run(audit::run(audit)),
        Command::Egress(egress) => client::run(egress::run(egress)),
        Command::Top(top) => client::run(top::run(top)),
        Command::Replay(replay) => client::run(replay::run(replay)),
        #[cfg(feature = "infer")]
        Command::Models(models) => client::run(models::run(models)),
        Command::Backup(backup) => backup::run(&backup),
        Command::Restore(restore) => backup::restore(&restore),
        Command::Store(command) => store::run(&command),
        Command::Upgrade(upgrade) => upgrade::run(&upgrade),
        Command::Ready(ready) => client::run(ready::run(ready)),
        Command::Doctor(doctor) => doctor::run(&doctor),
        Command::Version(version) => show_version(version.json),
    }
}

/// Prints why the arguments are invalid, or the requested help.
fn refused(error: clap::Error) -> ExitCode {
    match error.use_stderr() && AS_JSON.load(Ordering::Relaxed) {
        true => fail(2, error.render().to_string().trim_end()),
        false => error.exit(),
    }
}

/// The subcommands of worker processes, which only the server starts: neither help nor completions list them.
fn worker() -> Option<ExitCode> {
    let words: Vec<String> = std::env::args_os()
        .skip(1)
        .map_while(|word| word.into_string().ok())
        .collect();
    let ended = match words.as_slice() {
        [name, limits] if name == "compile-worker" => {
            iof_engine::compile_worker(limits).map_err(|error| error.to_string())
        }
        #[cfg(feature = "infer")]
        [name, bounds] if name == models::WORKER => {
            iof_infer::run_worker(bounds).map_err(|error| error.to_string())
        }
        _ => return None,
    };
    Some(match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(1, message),
    })
}

/// Prints the version of this program.
fn show_version(as_json: bool) -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    match as_json {
        true => output::json(&serde_json::json!({ "iof": version })),
        false => print(&format!("iof {version}\n")),
    }
}

/// Prints text to stdout, escaped; a closed pipe is not a failure.
fn print(text: &str) -> ExitCode {
    print_bytes(escape::block(text).as_bytes())
}

/// Prints bytes to stdout unchanged.
fn print_bytes(bytes: &[u8]) -> ExitCode {
    match std::io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => fail(1, error),
        _ => ExitCode::SUCCESS,
    }
}

/// True if `--json` was given: errors are then printed to stdout as JSON.
static AS_JSON: AtomicBool = AtomicBool::new(false);

/// Returns whether `--json` was given, before the arguments for another program.
fn wants_json() -> bool {
    std::env::args_os()
        .take_while(|word| word != "--")
        .any(|word| word == "--json")
}

/// Prints one error, for people or as JSON.
#[expect(clippy::print_stderr, reason = "the last words of the program")]
fn fail(code: u8, message: impl Display) -> ExitCode {
    if AS_JSON.load(Ordering::Relaxed) {
        let error = serde_json::json!({ "error": message.to_string() });
        // `print` is not used, because its failure leads here.
        let _ = writeln!(std::io::stdout().lock(), "{error}");
        return ExitCode::from(code);
    }
    eprintln!("iof: {}", escape::block(&message.to_string()));
    ExitCode::from(code)
}
