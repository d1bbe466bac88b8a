//! `iof doctor`: checks that this machine has what a server and an author need; each line is fine or states what to do.
//!
//! A check that cannot be made counts as failed, and does not stop the others. A machine may be for a server, for an
//! author, or for both: the checks for authors count only in a folder with a project, and those of another language only
//! in a project of that language.

mod author;
mod machine;
mod running;

use crate::args::{Doctor, Serve};
use crate::config::Config;
use crate::{fail, native, print};
use iof_jail::Demand;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

/// The purpose to which a line belongs.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Part {
    Server,
    Author,
    Project,
    Running,
}

impl Part {
    const ALL: [Self; 4] = [Self::Server, Self::Author, Self::Project, Self::Running];

    fn title(self) -> &'static str {
        match self {
            Self::Server => "For a server",
            Self::Author => "For authors of functions",
            Self::Project => "The project in this folder",
            Self::Running => "The server that commands go to",
        }
    }
}

/// One check.
#[derive(Debug, serde::Serialize)]
struct Check {
    part: Part,
    name: String,
    fine: bool,
    /// The finding.
    found: String,
    /// The consequence of a failed check, and the next step.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn new(part: Part, name: &str, found: impl Into<String>, advice: Option<String>) -> Self {
        Self {
            part,
            name: name.to_owned(),
            fine: advice.is_none(),
            found: found.into(),
            advice,
        }
    }
}

pub(crate) fn run(doctor: &Doctor) -> ExitCode {
    let serve = Serve {
        data: doctor.data.clone(),
        config: doctor.config.clone(),
        ..Serve::default()
    };
    let (mut checks, config) = match Config::resolve(&serve) {
        Ok(config) => (vec![], config),
        // All other checks can still be made.
        Err(message) => (vec![settings(&message)], Config::default()),
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, format!("no runtime: {error}")),
    };
    checks.extend(machine::checks(&config, doctor.fix));
    checks.extend(runtime.block_on(jail()));
    checks.extend(author::toolchain());
    let here = Path::new(".");
    let tools = author::tools(here);
    // A project of another language needs no toolchain of Rust.
    let writes = author::is_project(here) && tools.is_none();
    if author::is_project(here) {
        checks.extend(author::project(here));
    }
    checks.extend(tools.into_iter().flatten());
    checks.extend(runtime.block_on(running::checks(&doctor.remote)));
    let matters = |check: &&Check| check.part != Part::Author || writes;
    let fine = checks.iter().filter(matters).all(|check| check.fine);
    let text = match doctor.remote.json {
        true => match serde_json::to_string_pretty(&checks) {
            Ok(json) => json + "\n",
            Err(error) => return fail(1, error),
        },
        false => table(&checks, writes),
    };
    match print(&text) {
        ExitCode::SUCCESS if !fine => ExitCode::FAILURE,
        code => code,
    }
}

/// The check that failed for settings with which no server starts.
fn settings(message: &str) -> Check {
    // An error in a file shows the position and the problem, but not the line between them.
    let lines: Vec<&str> = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let message = match lines.as_slice() {
        [first, .., last] => format!("{first}: {last}"),
        _ => message.to_owned(),
    };
    let advice = "the server will not start: correct it; the other checks use the default settings";
    Check::new(Part::Server, "settings", message, Some(advice.to_owned()))
}

/// The parts of the jail, each of which is tried.
async fn jail() -> Vec<Check> {
    let jail = match native::jail(Demand::Available, vec![]).await {
        Ok(jail) => jail,
        Err(message) => {
            let advice = "native commands do not run here; a server without [commands] does".into();
            return vec![Check::new(Part::Server, "jail", message, Some(advice))];
        }
    };
    let findings = jail.report().findings().iter();
    findings
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
            let advice = format!(
                "{required} {}; to have it, {}",
                feature.without(),
                feature.remedy()
            );
            Check::new(
                Part::Server,
                &format!("jail: {}", name.unwrap_or_default()),
                found,
                (!fine).then_some(advice),
            )
        })
        .collect()
}

fn table(checks: &[Check], writes: bool) -> String {
    let width = checks.iter().map(|check| check.name.len()).max();
    let width = width.unwrap_or(0);
    let mut text = String::new();
    for part in Part::ALL {
        let of_part: Vec<&Check> = checks.iter().filter(|check| check.part == part).collect();
        if of_part.is_empty() {
            continue;
        }
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}{}:", part.title());
        for check in of_part {
            let word = match check.fine {
                true => "fine",
                // This folder has no project that needs it.
                false if part == Part::Author && !writes => "none",
                false => "lacks",
            };
            let _ = writeln!(text, "{word:<5}  {:<width$}  {}", check.name, check.found);
            if let Some(advice) = &check.advice {
                let _ = writeln!(text, "       {:<width$}  {advice}", "");
            }
        }
    }
    text
}
