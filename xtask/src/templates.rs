//! `cargo xtask templates`: every template of `iof new`, tested by its language's own tool and by calls, and built once more
//! without a network; and the example in Python.
//!
//! The tests of the workspace build two of them whole and look at the others; this takes minutes, and a gigabyte of tools, which
//! stay in `target/templates` for the next time.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use clap::Args;

use crate::{
    paths,
    process::{output, run},
    step::{Outcome, Problem, seconds, step},
};

/// Folders of tools, which a project of the last time leaves for the next one.
const TOOLS: [&str; 2] = ["node_modules", ".venv"];
/// An address at which nobody is a proxy.
const DEAD: &str = "http://127.0.0.1:9";
/// The settings with which Python's interpreter compiles on two busy cores.
const PATIENT: [&str; 4] = [
    "--set",
    "compile.compile_cpu=300s",
    "--set",
    "compile.compile_time=300s",
];

#[derive(Debug, Args)]
pub(crate) struct Templates {
    /// Templates to try [default: all]
    names: Vec<String>,
    /// Tries this program, and builds none
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

pub(crate) fn try_all(templates: &Templates) -> Outcome {
    let iof = crate::capture::program(templates.binary.as_deref())?;
    // A title, and a line each that begins with the name.
    let listed = output(Command::new(&iof).args(["new", "--list"]))?;
    let lines = listed.lines().skip(1);
    let all: Vec<_> = lines
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    if let Some(unknown) = templates
        .names
        .iter()
        .find(|name| !all.contains(&name.as_str()))
    {
        return Err(
            Problem::new(format!("the template is unknown: got {unknown}")).next(all.join(", ")),
        );
    }
    let is_chosen = |name: &&&str| {
        templates.names.is_empty() || templates.names.iter().any(|one| one == **name)
    };
    let mut times = vec![];
    for name in all.iter().filter(is_chosen) {
        let start = Instant::now();
        step(&format!("template {name}"), || one(&iof, name))?;
        times.push(format!("{name} {}", seconds(start.elapsed())));
    }
    if templates.names.is_empty() {
        let columns = paths::root().join("examples/columns");
        step("the example in Python", || {
            let mut test = vec!["test"];
            test.extend(PATIENT);
            run(Command::new(&iof).args(test).current_dir(columns))
        })?;
    }
    println!("\ntemplates: {}", times.join(", "));
    Ok(())
}

/// One template: made, tested, built again.
fn one(iof: &Path, template: &str) -> Outcome {
    let folder = paths::target().join("templates");
    let name = format!("my-{template}");
    let (project, kept) = (
        folder.join(&name),
        folder.join(format!(".tools-{template}")),
    );
    fs::create_dir_all(&kept).map_err(Problem::new)?;
    rename(&project, &kept);
    let _ = fs::remove_dir_all(&project);
    let iof = |place: &Path, args: &[&str]| {
        let mut command = Command::new(iof);
        command
            .args(args)
            .current_dir(place)
            .env("XDG_CONFIG_HOME", &kept);
        command
    };
    output(&mut iof(&folder, &["new", &name, "--template", template]))?;
    rename(&kept, &project);
    let mut test = vec!["test"];
    test.extend(PATIENT);
    run(&mut iof(&project, &test))?;
    let mut again = iof(&project, &["build"]);
    for proxy in [
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        again.env(proxy, DEAD);
    }
    run(again.env("CARGO_NET_OFFLINE", "true"))
}

/// Moves the folders of tools, as far as they are there.
fn rename(from: &Path, to: &Path) {
    for tools in TOOLS {
        let _ = fs::rename(from.join(tools), to.join(tools));
    }
}
