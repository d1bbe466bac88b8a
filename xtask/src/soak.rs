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

/// Ten thousand uploads: the test of the killed server, with more of them.
pub(crate) fn uploads() -> Outcome {
    guests::build()?;
    step("upload ten thousand modules", || {
        let mut test = cargo();
        test.args(["test", "--test=it"]).args(selection::DEMO);
        test.args(["--", "acknowledged_uploads_survive_kill_9"]);
        test.env("IOF_TEST_UPLOADS", "10000");
        process::run(test.current_dir(paths::root()))
    })
}

/// A thousand hostile runs of native programs: the test of what they leave, with more of them.
pub(crate) fn jails() -> Outcome {
    step("run a thousand hostile programs", || {
        let mut test = cargo();
        test.args(["test", "--package=iof-jail", "--test=jail"]);
        test.args(["--", "hostile_runs_leave_nothing"]);
        test.env("IOF_TEST_RUNS", "250");
        process::run(test.current_dir(paths::root()))
    })
}

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
