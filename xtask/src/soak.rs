//! `cargo xtask soak …`: what tests measure briefly, at length.
//!
//! The measurements are a program of the test harness (`tests/soak`), against the server that the tests run.

use std::process::Command;

use crate::{
    guests, paths, process,
    process::cargo,
    selection,
    step::{Outcome, step},
};

/// Functions that answer HTTP requests: large bodies, slow clients, and clients that leave.
pub(crate) fn components() -> Outcome {
    guests::build()?;
    step("build the server and the measurements", || {
        let mut build = cargo();
        build.args(["build", "--bins"]).args(selection::DEMO);
        process::run(build.current_dir(paths::root()))
    })?;
    let mut soak = Command::new(paths::target().join("debug/iof-soak"));
    process::run(soak.current_dir(paths::root()))
}
