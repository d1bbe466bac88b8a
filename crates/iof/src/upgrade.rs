//! `iof upgrade --check`: shows what a server of this release would do to a data directory.

use crate::args::{Serve, Upgrade};
use crate::config::Config;
use crate::output::json;
use crate::{fail, print};
use iof_store::Inspection;
use serde_json::json as object;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

const RELEASE: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(upgrade: &Upgrade) -> ExitCode {
    let serve = Serve {
        data: upgrade.data.clone(),
        config: upgrade.config.clone(),
        ..Serve::default()
    };
    let config = match Config::resolve(&serve) {
        Ok(config) => config,
        Err(message) => return fail(2, message),
    };
    match inspect(&config) {
        Err(message) => fail(1, message),
        Ok(None) => fail(
            1,
            format!(
                "{}: there is no database of iof. Name a server's data with --data, or its settings with --config.",
                config.data.display()
            ),
        ),
        Ok(Some(found)) => {
            let problem = problem(&found);
            let printed = match upgrade.json {
                true => json(&as_json(&config.data, &found, problem.as_deref())),
                false => print(&text(&config.data, &found, problem.as_deref())),
            };
            match problem {
                None => printed,
                Some(_) => ExitCode::FAILURE,
            }
        }
    }
}

pub(crate) fn inspect(config: &Config) -> Result<Option<Inspection>, String> {
    let fingerprint = iof_engine::engine_fingerprint(&config.limits)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no runtime: {error}"))?;
    let found = runtime.block_on(iof_store::inspect(&config.data, &fingerprint));
    found.map_err(|error| error.to_string())
}

/// The reason why this release cannot use the data.
pub(crate) fn problem(found: &Inspection) -> Option<String> {
    if let Some(number) = found.newer {
        return Some(format!(
            "a newer iof has changed the tables (migration {number}): run that release, or restore a backup made before its upgrade"
        ));
    }
    if let Some(number) = found.foreign {
        return Some(format!(
            "migration {number} is not finished, or belongs to another iof: restore a backup made before it"
        ));
    }
    (found.missing > 0).then(|| {
        format!(
            "{} of {} modules are missing in objects/source: restore them from a backup, or deploy these functions again",
            found.missing, found.modules
        )
    })
}

fn as_json(data: &Path, found: &Inspection, problem: Option<&str>) -> serde_json::Value {
    object!({
        "data": data,
        "release": RELEASE,
        "usable": problem.is_none(),
        "problem": problem,
        "in_use": found.held.is_some(),
        "pid": found.held.flatten(),
        "migrations": found.migrations,
        "modules": found.modules,
        "to_compile": found.to_compile,
        "missing": found.missing,
    })
}

fn text(data: &Path, found: &Inspection, problem: Option<&str>) -> String {
    let mut text = format!("data        {}\nrelease     {RELEASE}\n", data.display());
    let _ = writeln!(
        text,
        "in use      {}",
        match found.held {
            None => "no".to_owned(),
            Some(None) =>
                "yes: by a running process; this release starts when that has ended".to_owned(),
            Some(Some(pid)) =>
                format!("yes: by the process {pid}; this release starts when that has ended"),
        }
    );
    let migrations = match found.migrations.as_slice() {
        [] => "none: an older release of these tables can use the data, too".to_owned(),
        missing => format!(
            "{}: made at the next start; make a backup first, because older releases then refuse the data",
            missing.join(", ")
        ),
    };
    let compiled = match found.to_compile {
        0 => "nothing".to_owned(),
        count => format!("{count} of {} modules, at their first calls", found.modules),
    };
    let _ = writeln!(text, "migrations  {migrations}\nto compile  {compiled}");
    let _ = match problem {
        None => writeln!(text, "this release can use the data"),
        Some(problem) => writeln!(text, "this release cannot use the data: {problem}"),
    };
    text
}
