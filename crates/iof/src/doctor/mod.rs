//! `iof doctor`: what this machine has of what a server and an author want, each line fine or with what to do.

mod machine;

use crate::args::{Doctor, Serve};
use crate::config::Config;
use crate::{fail, native, print};
use iof_jail::Demand;
use std::fmt::Write;
use std::process::ExitCode;

/// One line.
#[derive(Debug, serde::Serialize)]
struct Check {
    name: String,
    fine: bool,
    /// What was found.
    found: String,
    /// What is lost without it, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

pub(crate) fn run(doctor: &Doctor) -> ExitCode {
    let serve = Serve {
        data: doctor.data.clone(),
        config: doctor.config.clone(),
        ..Serve::default()
    };
    let config = match Config::resolve(&serve) {
        Ok(config) => config,
        Err(message) => return fail(2, message),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, format!("no runtime: {error}")),
    };
    let mut checks = machine::checks(&config);
    match runtime.block_on(jail()) {
        Ok(jail) => checks.extend(jail),
        Err(message) => return fail(1, message),
    }
    let fine = checks.iter().all(|check| check.fine);
    let text = match doctor.json {
        true => match serde_json::to_string_pretty(&checks) {
            Ok(json) => json + "\n",
            Err(error) => return fail(1, error),
        },
        false => table(&checks),
    };
    match print(&text) {
        ExitCode::SUCCESS if !fine => ExitCode::FAILURE,
        code => code,
    }
}

/// The parts of the jail, as tried.
async fn jail() -> Result<Vec<Check>, String> {
    let jail = native::jail(Demand::Available, vec![]).await?;
    let findings = jail.report().findings().iter();
    Ok(findings
        .map(|finding| {
            let feature = finding.feature;
            let name = serde_json::to_value(feature).ok();
            let name = name.and_then(|name| Some(name.as_str()?.replace('-', " ")));
            let (fine, found) = match &finding.outcome {
                Ok(found) => (true, found.clone()),
                Err(why) => (false, why.clone()),
            };
            let required = if feature.is_required() {
                "native commands refuse to run unless jail = \"available\", and then"
            } else {
                "then"
            };
            Check {
                name: format!("jail: {}", name.unwrap_or_default()),
                fine,
                found,
                advice: (!fine).then(|| {
                    format!(
                        "{required} {}; to have it, {}",
                        feature.without(),
                        feature.remedy()
                    )
                }),
            }
        })
        .collect())
}

fn table(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for check in checks {
        let word = if check.fine { "fine" } else { "lacks" };
        let _ = writeln!(text, "{word:<5}  {:<width$}  {}", check.name, check.found);
        if let Some(advice) = &check.advice {
            let _ = writeln!(text, "       {:<width$}  {advice}", "");
        }
    }
    text
}
