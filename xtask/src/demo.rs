//! `cargo xtask demo`: builds what the demo needs, and hands over to it.
//!
//! The demo itself is a program of the test harness (`tests/demo`), which brings the stand-in for the mail service
//! along. This program stays small, so that its first word comes soon.

use std::process::Command;

use crate::{
    guests, paths, process,
    process::cargo,
    step::{Outcome, Problem, step},
};

/// Builds the demo and runs it to its end.
pub(crate) fn run(once: bool) -> Outcome {
    guests::build()?;
    step(
        "build the server and the demo (the first time takes minutes)",
        || {
            let packages = ["--package", "iof", "--package", "iof-tests", "--bins"];
            process::run(
                cargo()
                    .arg("build")
                    .args(packages)
                    .current_dir(paths::root()),
            )
        },
    )?;
    let program = paths::target().join("debug/iof-demo");
    let mut demo = Command::new(&program);
    demo.args(once.then_some("--once"))
        .current_dir(paths::root());
    let status = demo
        .status()
        .map_err(|e| Problem::new(format!("{}: {e}", program.display())))?;
    if status.success() {
        return Ok(());
    }
    Err(Problem::new("the demo did not come to its end").next("what it said stands above"))
}
