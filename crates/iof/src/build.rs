//! `iof new` and `iof build`.

use crate::args::{Build, New};
use crate::output::json;
use crate::{OURSELVES, escape, fail, print};
use iof_build::{Built, Event, Machine, Options, Template, watch};
use iof_engine::{CompileLimits, UnknownImports};
use iof_fault::FaultKind;
use serde_json::json as object;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    let (name, here) = (new.name.as_deref().unwrap_or_default(), Path::new("."));
    let made = new
        .template
        .parse()
        .and_then(|template| match new.function.as_slice() {
            [] => iof_build::new(name, template, here),
            functions => iof_build::new_workspace(name, functions, template, here),
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
    let once = || all(build);
    let mut built = once();
    loop {
        let folders = match &built {
            Ok(built) if build.json => return json(&as_json(built)),
            Ok(built) => {
                let shown: Vec<_> = built.iter().map(|built| format!("{built}\n")).collect();
                let code = print(&shown.join("\n"));
                if !build.watch {
                    return code;
                }
                built
                    .iter()
                    .flat_map(|built| built.folders.clone())
                    .collect()
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
            Ok(Some(Ok(_))) => built = once(),
            Ok(None) => return fail(1, "the folder is gone"),
            Ok(Some(Err(error))) | Err(error) => return fail(1, error),
        }
    }
}

/// Builds the function of a folder, or all functions of a workspace.
fn all(build: &Build) -> Result<Vec<Built>, String> {
    let packages = functions(&build.folder, build.package.as_deref())?;
    let built = packages.into_iter().map(|package| {
        let options = Options {
            package: Some(package),
            debug: build.debug,
            locked: build.locked,
            optimise: !build.no_opt,
            ..Options::default()
        };
        once(&build.folder, &options).and_then(judged)
    });
    built.collect()
}

/// The modules and interfaces that a module imports.
pub(crate) fn imports(summary: &iof_build::Summary) -> Vec<String> {
    let modules = summary.imports.iter().map(|import| import.module.clone());
    modules.collect()
}

/// One function as an object, several as a list.
fn as_json(built: &[Built]) -> serde_json::Value {
    match built {
        [one] => serde_json::to_value(one).unwrap_or_default(),
        several => object!({ "functions": several }),
    }
}

/// The packages of a folder that are functions.
///
/// # Errors
/// A message that states why there is none, with the next step.
pub(crate) fn functions(folder: &Path, package: Option<&str>) -> Result<Vec<String>, String> {
    iof_build::functions(&Machine::this(), folder, package).map_err(|error| error.to_string())
}

/// Builds once, and reports progress on stderr.
///
/// # Errors
/// A message that states why there is no module, with the next step.
pub(crate) fn once(folder: &Path, options: &Options) -> Result<Built, String> {
    iof_build::build(folder, options, &mut progress).map_err(|error| error.to_string())
}

/// Reports the progress of a build.
pub(crate) fn progress(event: Event<'_>) {
    match event {
        Event::Step(step) => say(step),
        Event::Runs(line) => say(&format!("$ {line}")),
        Event::Took(time) => say(&format!("  {:.1} s", time.as_secs_f64())),
    }
}

/// Adds a check by a server's engine to a build. If only limits refuse the module, the refusal is reported and is not
/// an error, because every server has its own limits. A module that no server could call is an error.
///
/// # Errors
/// The function and the type that cannot be called, the description that cannot be used, or the proposal that is not
/// supported.
fn judged(mut built: Built) -> Result<Built, String> {
    say("check with the engine");
    let limits = CompileLimits {
        // The table of the build lists unknown imports instead.
        unknown_imports: UnknownImports::Fault,
        ..CompileLimits::default()
    };
    let worker = [OURSELVES, "compile-worker"].map(PathBuf::from).to_vec();
    let module = built.module.clone();
    let ask = async {
        let source = tokio::fs::read(module).await.map_err(Refusal::of_server)?;
        let judged = iof_engine::judge(source.into(), limits, worker).await;
        let judged = judged.and_then(|manifest| {
            iof_server::check_descriptions(&manifest)?;
            Ok(manifest)
        });
        judged.map_err(|fault| match fault.kind {
            FaultKind::UnsupportedType | FaultKind::UnsupportedFeature | FaultKind::Description => {
                Refusal::Every(fault.message)
            }
            _ => Refusal::of_server(fault.message),
        })
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let asked = runtime
        .map_err(Refusal::of_server)
        .and_then(|runtime| runtime.block_on(ask));
    match asked {
        Ok(manifest) => {
            built.summary = built.summary.judged(
                |name| manifest.export(name)?.types(),
                |module, name| {
                    let mut unserved = manifest.unserved.iter();
                    unserved.any(|import| import.module == module && import.name == name)
                },
            );
            built.notes.extend(iof_server::start_warnings(&manifest));
            let needed = manifest.unserved.iter().any(|import| !import.optional);
            if needed {
                built.notes.push(
                    "A server refuses a module that asks for what it does not have, unless \
                     compile.unknown_imports = \"fault\"."
                        .to_owned(),
                );
            }
        }
        Err(Refusal::Every(why)) => return Err(why),
        Err(Refusal::Some(why)) => built.notes.push(why),
    }
    declared(&mut built)?;
    Ok(built)
}

/// Adds a server's check of the declaration; a declaration that every server refuses is an error.
fn declared(built: &mut Built) -> Result<(), String> {
    let Some(file) = &built.declaration else {
        built.notes.push(format!(
            "there is no function.toml: the function gets what a server grants by default, as shipped {}.",
            iof_server::AS_SHIPPED
        ));
        return Ok(());
    };
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    match iof_server::check_declaration(&text) {
        // A declaration above the default ceiling may be within the ceiling of another server.
        Err(why) if why.starts_with("The version declares more") => {
            built.notes.push(Refusal::of_server(why).into_note());
        }
        Err(why) => return Err(why),
        Ok(()) => {}
    }
    built.notes.extend(iof_server::declaration_notes(
        &text,
        &[],
        &imports(&built.summary),
    ));
    Ok(())
}

/// The reason why an engine refuses a module.
enum Refusal {
    /// No server can call it.
    Every(String),
    /// A server with other settings might accept it.
    Some(String),
}

impl Refusal {
    fn into_note(self) -> String {
        match self {
            Self::Every(why) | Self::Some(why) => why,
        }
    }

    fn of_server(why: impl std::fmt::Display) -> Self {
        Self::Some(format!(
            "A server with default settings refuses this: {why}"
        ))
    }
}

/// Prints a line about progress to stderr, because it is not the result.
#[expect(clippy::print_stderr, reason = "progress is not output")]
pub(crate) fn say(line: &str) {
    if std::io::stderr().is_terminal() {
        eprintln!("\x1b[2m{}\x1b[0m", escape::line(line));
    } else {
        eprintln!("{}", escape::line(line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_takes_what_templates_declare() {
        let folder = tempfile::tempdir().unwrap();
        for template in Template::ALL {
            let name = format!("my-{}", template.as_str());
            let made = iof_build::new(&name, template, folder.path()).unwrap();
            let declaration = made.folder.join("function.toml");
            let declaration = std::fs::read_to_string(declaration).unwrap();
            iof_server::check_declaration(&declaration).unwrap();
            let tests = iof_server::declared_tests(&declaration).unwrap();
            // A tip for requests would point to another server.
            assert!(
                !tests.is_empty() || template == Template::RustRequest,
                "{name}"
            );
        }
    }
}
