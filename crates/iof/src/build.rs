//! `iof new` and `iof build`.

use crate::args::{Build, New};
use crate::output::json;
use crate::{fail, print};
use iof_build::{Built, Event, Options, Template, watch};
use serde_json::json as object;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

/// What the engine serves, by the modules that are imported from; the engine has the last word, at upload.
const SERVED: [&str; 8] = [
    "wasi_snapshot_preview1",
    "iof",
    "ssvm_process",
    "ssvm_native",
    "wasmedge_process",
    "wasmedge_native",
    "__wbindgen_placeholder__",
    "__wbindgen_externref_xform__",
];

pub(crate) fn new(new: &New) -> ExitCode {
    if new.list {
        let rows: Vec<_> = Template::ALL
            .iter()
            .map(|template| vec![template.as_str().to_owned(), template.about().to_owned()])
            .collect();
        return match new.json {
            true => json(
                &object!({ "templates": rows.iter().map(|row| object!({ "name": row[0], "about": row[1] })).collect::<Vec<_>>() }),
            ),
            false => print(&crate::output::table(&["TEMPLATE", ""], &rows, "none")),
        };
    }
    let made = new.template.parse().and_then(|template| {
        iof_build::new(
            new.name.as_deref().unwrap_or_default(),
            template,
            Path::new("."),
        )
    });
    match made {
        Err(error) => fail(2, error),
        Ok(made) if new.json => json(&serde_json::to_value(&made).unwrap_or_default()),
        Ok(made) => {
            let files = made
                .files
                .iter()
                .map(|file| format!("  {}\n", file.display()));
            let next = made.next.iter().map(|next| format!("  {next}\n"));
            print(&format!(
                "{} is made:\n{}\nNext:\n{}",
                made.folder.display(),
                files.collect::<String>(),
                next.collect::<String>()
            ))
        }
    }
}

pub(crate) fn run(build: &Build) -> ExitCode {
    let options = Options {
        package: build.package.clone(),
        debug: build.debug,
        locked: build.locked,
        optimise: !build.no_opt,
        ..Options::default()
    };
    let mut built = once(&build.folder, &options);
    loop {
        let folders = match &built {
            Ok(built) if build.json => {
                return json(&serde_json::to_value(built).unwrap_or_default());
            }
            Ok(built) => {
                let code = print(&format!("{built}\n"));
                if !build.watch {
                    return code;
                }
                built.folders.clone()
            }
            Err(message) => {
                let code = fail(1, message);
                if !build.watch {
                    return code;
                }
                vec![build.folder.clone()]
            }
        };
        say("watching; Ctrl-C ends it");
        let changed = watch(&folders).map(|mut watch| watch.next());
        match changed {
            Ok(Some(Ok(_))) => built = once(&build.folder, &options),
            Ok(None) => return fail(1, "the folder is gone"),
            Ok(Some(Err(error))) | Err(error) => return fail(1, error),
        }
    }
}

/// One build; what it does is said on stderr.
///
/// # Errors
/// Why there is no module, and what to do.
pub(crate) fn once(folder: &Path, options: &Options) -> Result<Built, String> {
    let mut progress = |event: Event<'_>| match event {
        Event::Step(step) => say(step),
        Event::Runs(line) => say(&format!("$ {line}")),
    };
    let mut built =
        iof_build::build(folder, options, &mut progress).map_err(|error| error.to_string())?;
    built.summary = built.summary.served(&SERVED);
    Ok(built)
}

/// A line about what is being done: not the answer, so it goes to stderr.
#[expect(clippy::print_stderr, reason = "progress is no output")]
pub(crate) fn say(line: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("\x1b[2m{line}\x1b[0m");
    } else {
        eprintln!("{line}");
    }
}
