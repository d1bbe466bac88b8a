//! `cargo xtask demo`: builds what the demo needs, and hands over to it.
//!
//! The demo itself is a program of the test harness (`tests/demo`), which brings the stand-in for the mail service
//! along. This program stays small, so that its first word comes soon.

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
    // The demo takes this program's place, so that Ctrl-C reaches it alone and it can end what it started.
    Err(Problem::new(format!(
        "{}: {}",
        program.display(),
        demo.exec()
    )))
}
