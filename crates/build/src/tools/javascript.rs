//! JavaScript and TypeScript: componentize-js and componentize-qjs, with esbuild where a source is TypeScript or the project
//! has it.
//!
//! The scripts are written below `target`, where Node.js finds the packages of the project above them.

use super::{Output, ToolProject, run};
use crate::machine::Machine;
use crate::tools::{Tool, npm};
use crate::{Error, Event, Progress, files};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes one file of a source and what it imports.
const BUNDLE: &str = include_str!("../../scripts/bundle.mjs");
/// The scripts of packages that make components.
const COMPONENTIZE_JS: &str = "node_modules/@bytecodealliance/componentize-js/src/cli.js";
const COMPONENTIZE_QJS: &str = "node_modules/componentize-qjs/bin/componentize-qjs";
const ESBUILD: &str = "node_modules/esbuild/package.json";
/// Folders without sources of tests.
const NO_SOURCES: [&str; 3] = ["node_modules", "target", "pkg"];
/// The most folders in which tests are looked for.
const MOST_FOLDERS: usize = 10_000;

/// Makes the component.
pub(super) fn build(
    machine: &Machine,
    project: &ToolProject,
    output: &Output,
    progress: Progress<'_>,
) -> Result<(), Error> {
    npm::install(machine, &project.folder, &mut *progress)?;
    let source = match needs_bundle(project, Path::new(&project.source))? {
        false => project.source.clone(),
        true => {
            let bundle = output.beside("bundle.js");
            let mut node = bundler(machine, project)?;
            node.args(["neutral", &bundle, &project.source]);
            run(
                &mut node,
                &format!("bundle {}", project.source),
                &mut *progress,
            )?;
            bundle
        }
    };
    let (wit, world) = project.world.clone().unwrap_or_default();
    let mut node = machine.command("node");
    node.current_dir(&project.folder);
    match project.tool {
        Tool::ComponentizeQjs => {
            node.arg(COMPONENTIZE_QJS)
                .args(["--wit", &wit, "--world", &world, "--js", &source])
                .args(["--module-root", "."])
                .args(["--output", &output.path, "--sync"]);
        }
        _ => {
            spaceless(&project.folder)?;
            node.arg(COMPONENTIZE_JS)
                .args(["--wit", &wit, "--world-name", &world])
                .args(["--out", &output.path, &source]);
        }
    }
    let step = format!("make a component of {} by {}", project.source, project.tool);
    run(&mut node, &step, progress)
}

/// Runs the files `*.test.js`, `*.test.mjs` and `*.test.ts` with Node.js; returns whether all passed.
pub(super) fn test(
    machine: &Machine,
    project: &ToolProject,
    progress: Progress<'_>,
) -> Result<bool, Error> {
    npm::install(machine, &project.folder, &mut *progress)?;
    let mut tests = tests(&project.folder)?;
    if tests.is_empty() {
        progress(Event::Step(
            "no tests: no file is called *.test.js or *.test.ts",
        ));
        return Ok(true);
    }
    let output = Output::of(project)?;
    for (at, test) in tests.iter_mut().enumerate() {
        if needs_bundle(project, Path::new(test))? {
            let bundle = output.beside(&format!("{at}.test.mjs"));
            let mut node = bundler(machine, project)?;
            node.args(["node", &bundle, test]);
            run(&mut node, &format!("bundle {test}"), &mut *progress)?;
            *test = bundle;
        }
    }
    let mut node = machine.command("node");
    node.args(["--test", "--test-reporter=spec"])
        .args(&tests)
        .current_dir(&project.folder);
    super::passes(run(&mut node, &format!("test {}", project.name), progress))
}

/// Returns whether a source goes through esbuild: TypeScript has to, and the rest does where the project has it.
fn needs_bundle(project: &ToolProject, source: &Path) -> Result<bool, Error> {
    let has_esbuild = project.folder.join(ESBUILD).is_file();
    if !has_esbuild && source.extension().is_some_and(|kind| kind == "ts") {
        return Err(Error::Tools {
            file: project.folder.join("package.json"),
            why: "TypeScript needs esbuild: `npm install --save-dev --save-exact esbuild` adds it"
                .into(),
        });
    }
    Ok(has_esbuild)
}

/// `node bundle.mjs`, to which platform, output and source are added.
fn bundler(machine: &Machine, project: &ToolProject) -> Result<Command, Error> {
    let script = Output::of(project)?.beside("bundle.mjs");
    files::write_if_other(&project.folder.join(&script), BUNDLE.as_bytes())?;
    let mut node = machine.command("node");
    node.arg(script).current_dir(&project.folder);
    Ok(node)
}

/// The tool joins paths to one line and splits it at spaces.
fn spaceless(folder: &Path) -> Result<(), Error> {
    match folder.to_string_lossy().contains(char::is_whitespace) {
        false => Ok(()),
        true => Err(Error::Tools {
            file: folder.to_owned(),
            why: "componentize-js takes no path with a space: move the project to another folder"
                .into(),
        }),
    }
}

/// The files of tests below a folder, by their paths in it, in their order.
fn tests(folder: &Path) -> Result<Vec<String>, Error> {
    let (mut tests, mut open, mut seen) = (vec![], vec![PathBuf::new()], 0);
    while let Some(inside) = open.pop() {
        seen += 1;
        if seen > MOST_FOLDERS {
            return Err(Error::Tools {
                file: folder.to_owned(),
                why: format!(
                    "it has more than {MOST_FOLDERS} folders: move what is not a source elsewhere"
                ),
            });
        }
        let place = folder.join(&inside);
        for entry in fs::read_dir(&place).map_err(Error::file(&place))? {
            let entry = entry.map_err(Error::file(&place))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = inside.join(&name);
            // A link to a folder is not followed: it may lead to the folder that it is in.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder {
                if !name.starts_with('.') && !NO_SOURCES.contains(&&*name) {
                    open.push(path);
                }
            } else if [".test.js", ".test.mjs", ".test.ts"]
                .iter()
                .any(|end| name.ends_with(end))
            {
                // From the folder, so that no name is an option.
                tests.push(format!("./{}", path.display()));
            }
        }
    }
    tests.sort();
    Ok(tests)
}

#[cfg(test)]
mod tests_of_files {
    use super::tests;
    use std::fs;

    #[test]
    fn tests_are_found_where_sources_are() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "src/a.test.ts",
            "b.test.js",
            "-c.test.mjs",
            "src/d.js",
            "node_modules/x/e.test.js",
            "target/f.test.js",
            ".git/g.test.js",
        ] {
            let file = folder.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        std::os::unix::fs::symlink(folder.path(), folder.path().join("src/loop")).unwrap();
        let found = tests(folder.path()).unwrap();
        assert_eq!(found, ["./-c.test.mjs", "./b.test.js", "./src/a.test.ts"]);
    }
}
