//! `cargo xtask demo`: builds the demo and its programs, and runs it in place of this process.
//!
//! The demo itself is a program of the test harness (`tests/demo`), which contains the stand-in for the mail service.
//! This program stays small, so that its first output comes soon.

use std::{os::unix::process::CommandExt, process::Command};

use crate::{
    guests, paths, process,
    process::cargo,
    selection,
    step::{Outcome, Problem, step},
};

/// Builds the demo and runs it to its end.
pub(crate) fn run(once: bool) -> Outcome {
    guests::build_example("examples/send-email")?;
    step(
        "build the server and the demo (the first time takes minutes)",
        || {
            let mut build = cargo();
            process::run(
                build
                    .args(["build", "--bins"])
                    .args(selection::DEMO)
                    .current_dir(paths::root()),
            )
        },
    )?;
    let program = paths::target().join("debug/iof-demo");
    let mut demo = Command::new(&program);
    demo.args(once.then_some("--once"))
        .current_dir(paths::root());
    // The demo replaces this process, so that only it gets Ctrl-C and it can end its own processes.
    Err(Problem::new(format!(
        "{}: {}",
        program.display(),
        demo.exec()
    )))
}
