//! `cargo xtask guests`: the example functions and the guests for tests, one file each.
//!
//! A guest that is newer than all of its sources is left alone, which takes a millisecond. Otherwise Cargo decides
//! what must be built; it never touches the server's own build.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use iof_build::{DEBIAN_PACKAGES, Event, Machine, Target, Toolchain};

use crate::{
    packages, paths,
    process::{cargo, output, run},
    step::{Outcome, Problem, step},
};

/// A Cargo workspace of guests, and its modules.
struct Group {
    folder: &'static str,
    target: Target,
    /// `(package, file that Cargo makes, file that we keep)`.
    modules: &'static [(&'static str, &'static str, &'static str)],
}

const GROUPS: [Group; 12] = [
    Group {
        folder: "examples/hello",
        target: Target::Unknown,
        modules: &[("hello", "hello", "hello")],
    },
    Group {
        folder: "examples/send-email",
        target: Target::Wasip1,
        modules: &[("send_email", "send_email", "send_email")],
    },
    Group {
        folder: "examples/webhooks",
        target: Target::Wasip1,
        modules: &[("webhooks", "webhooks", "webhooks")],
    },
    Group {
        folder: "examples/pictures",
        target: Target::Wasip1,
        modules: &[("pictures", "pictures", "pictures")],
    },
    Group {
        folder: "examples/rewriter",
        target: Target::Wasip1,
        modules: &[("rewriter", "rewriter", "rewriter")],
    },
    Group {
        folder: "examples/assistant",
        target: Target::Wasip1,
        modules: &[("assistant", "assistant", "assistant")],
    },
    Group {
        folder: "examples/thumbnailer",
        target: Target::Wasip1,
        modules: &[("thumbnailer", "thumbnailer", "thumbnailer")],
    },
    Group {
        folder: "examples/slash",
        target: Target::Wasip1,
        modules: &[("slash", "slash", "slash")],
    },
    Group {
        folder: "tests/guests",
        target: Target::Wasip1,
        modules: &[
            ("wasi", "wasi", "wasi"),
            ("command", "command", "command"),
            ("second-state", "second_state", "second-state"),
            ("typed", "typed", "typed"),
            ("program", "program", "program"),
            ("http-handler", "http_handler", "http-handler"),
            ("http-handler-0-3", "http_handler_0_3", "http-handler-0-3"),
            ("http-middleware", "http_middleware", "http-middleware"),
            ("program-0-3", "program_0_3", "program-0-3"),
            (
                "scenario-function",
                "scenario_function",
                "scenario-function",
            ),
            ("scenario-program", "scenario-program", "scenario-program"),
            ("scenario-typed", "scenario_typed", "scenario-typed"),
            ("scenario-command", "scenario-command", "scenario-command"),
            ("scenario-http", "scenario_http", "scenario-http"),
            (
                "scenario-typed-0-3",
                "scenario_typed_0_3",
                "scenario-typed-0-3",
            ),
            (
                "scenario-command-0-3",
                "scenario_command_0_3",
                "scenario-command-0-3",
            ),
            (
                "scenario-http-0-3",
                "scenario_http_0_3",
                "scenario-http-0-3",
            ),
            (
                "cumulative-storage",
                "cumulative_storage",
                "cumulative-storage",
            ),
            (
                "wasmedge-bindgen-guest",
                "wasmedge_bindgen_guest",
                "wasmedge-bindgen",
            ),
        ],
    },
    Group {
        folder: "tests/guests",
        target: Target::Unknown,
        modules: &[
            ("raw-bindgen", "raw_bindgen", RAW),
            ("bindgen-types", "bindgen_types", "bindgen-types"),
        ],
    },
    // The same source with versions of wasm-bindgen that lay types out differently.
    Group {
        folder: "tests/guests/bindgen-0.2.100",
        target: Target::Unknown,
        modules: &[(
            "bindgen-types-100",
            "bindgen_types_100",
            "bindgen-types-100",
        )],
    },
    Group {
        folder: "tests/guests/bindgen-0.2.92",
        target: Target::Unknown,
        modules: &[("bindgen-types-92", "bindgen_types_92", "bindgen-types-92")],
    },
];

/// The output of rustc, and the same after the wasm-bindgen tool.
const RAW: &str = "raw-bindgen";
const FINISHED: [&str; 4] = ["web", "bundler", "classic", "stripped"];

/// Builds the modules that are not up to date.
pub(crate) fn build() -> Outcome {
    let started = SystemTime::now();
    let mut built = build_groups(GROUPS.iter(), started)?;
    built += finish(started)?;
    let all = GROUPS
        .iter()
        .map(|group| group.modules.len())
        .sum::<usize>()
        + FINISHED.len();
    println!(
        "guests: {built} of {all} built, the rest up to date, in {}",
        paths::wasm().display()
    );
    Ok(())
}

/// Builds the one example, unless it is up to date.
pub(crate) fn build_example(folder: &str) -> Outcome {
    let group = GROUPS.iter().filter(|group| group.folder == folder);
    build_groups(group, SystemTime::now())?;
    Ok(())
}

/// Builds the modules of these groups that are not up to date, and counts them.
fn build_groups<'a>(
    groups: impl Iterator<Item = &'a Group>,
    started: SystemTime,
) -> Outcome<usize> {
    let mut found = None;
    let mut built = 0;
    for group in groups {
        let sources = newest(&[
            group.folder,
            "examples/hello/src",
            "tests/guests/bindgen-types/src",
            "crates/guest",
            "crates/guest-macros",
            "crates/engine/wit",
        ])?;
        if group
            .modules
            .iter()
            .all(|(.., kept)| current(&module(kept), sources))
        {
            continue;
        }
        let toolchain = match &mut found {
            Some(toolchain) => toolchain,
            empty => empty.insert(toolchain()?),
        };
        let names: Vec<_> = group.modules.iter().map(|(package, ..)| *package).collect();
        step(
            &format!(
                "build {} for {}",
                names.join(" and "),
                group.target.as_str()
            ),
            || build_group(toolchain, group, started),
        )?;
        built += group.modules.len();
    }
    Ok(built)
}

/// The installed toolchain, or a newly installed one: unlike the library, a chore may install packages of the system.
fn toolchain() -> Outcome<Toolchain> {
    let find = || {
        let say = &mut |event: Event<'_>| match event {
            Event::Step(what) => println!("== {what}"),
            Event::Runs(line) => println!("   $ {line}"),
            Event::Took(time) => println!("   {:.1} s", time.as_secs_f64()),
        };
        Toolchain::find(&Machine::this(), &paths::root(), &Target::ALL, true, say)
    };
    find().or_else(|missing| {
        packages::install(&DEBIAN_PACKAGES, "a compiler for guests")
            .map_err(|problem| problem.next(missing.to_string()))?;
        find().map_err(Problem::new)
    })
}

fn build_group(toolchain: &Toolchain, group: &Group, started: SystemTime) -> Outcome {
    let target_dir = paths::target().join("guests");
    let mut command = toolchain.cargo(&paths::root().join(group.folder), "build", group.target);
    command
        .arg("--release")
        .env("CARGO_TARGET_DIR", &target_dir);
    for (package, ..) in group.modules {
        command.args(["--package", package]);
    }
    run(&mut command)?;
    for (_, built, kept) in group.modules {
        let built = target_dir
            .join(group.target.as_str())
            .join("release")
            .join(built)
            .with_extension("wasm");
        keep(&built, &module(kept), started)
            .map_err(|e| Problem::new(format!("{}: {e}", built.display())))?;
    }
    Ok(())
}

/// Runs the step of the wasm-bindgen tool, through the library that the tool itself uses.
fn finish(started: SystemTime) -> Outcome<usize> {
    let raw = module(RAW);
    let sources = newest(&["tests/guests/finish"])?.max(modified(&raw).unwrap_or(started));
    let finished = |target: &str| module(&format!("{RAW}-{target}"));
    if FINISHED
        .iter()
        .all(|target| current(&finished(target), sources))
    {
        return Ok(0);
    }
    step("finish raw-bindgen as the wasm-bindgen tool does", || {
        let target_dir = paths::target().join("guests");
        let mut build = cargo();
        build
            .args(["build", "--release"])
            .current_dir(paths::root().join("tests/guests/finish"));
        run(build
            .env("CARGO_TARGET_DIR", &target_dir)
            .env_remove("CARGO_BUILD_TARGET"))?;
        // The tool warns about the shapes that this guest is for, so its output is shown only on failure.
        let tool = target_dir.join("release/finish");
        for target in FINISHED {
            output(
                Command::new(&tool)
                    .arg(&raw)
                    .arg(target)
                    .arg(finished(target)),
            )?;
        }
        Ok(FINISHED.len())
    })
}

/// Copies a file, so that Cargo's own stays, with the current time: Cargo may not have built anything.
fn keep(built: &Path, kept: &Path, started: SystemTime) -> io::Result<()> {
    fs::create_dir_all(paths::wasm())?;
    let new = kept.with_extension("new");
    fs::copy(built, &new)?;
    fs::File::options()
        .write(true)
        .open(&new)?
        .set_modified(started)?;
    fs::rename(new, kept)
}

fn module(name: &str) -> PathBuf {
    paths::wasm().join(format!("{name}.wasm"))
}

fn modified(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|file| file.modified()).ok()
}

fn current(module: &Path, sources: SystemTime) -> bool {
    modified(module).is_some_and(|module| module >= sources)
}

/// The time of the last change in these folders, without build output.
fn newest(folders: &[&str]) -> Outcome<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    let mut open: Vec<PathBuf> = folders
        .iter()
        .map(|folder| paths::root().join(folder))
        .collect();
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder)
            .map_err(|e| Problem::new(format!("{}: {e}", folder.display())))?;
        for entry in entries.flatten() {
            let path = entry.path();
            let ours = path.extension().is_some_and(|kind| {
                ["rs", "toml", "lock", "wit"]
                    .iter()
                    .any(|known| kind == *known)
            });
            if path.is_dir() && !path.ends_with("target") {
                open.push(path);
            } else if ours {
                newest = newest.max(modified(&path).unwrap_or(SystemTime::now()));
            }
        }
    }
    Ok(newest)
}
