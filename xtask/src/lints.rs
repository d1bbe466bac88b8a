//! The lints, on what the tests have compiled already.
//!
//! `cargo clippy` checks every dependency once more, for the metadata that a build has as well. So here Cargo builds as
//! it does for the tests, with a compiler for our own packages that stops at their metadata: this program stands in for
//! it, and leaves what Cargo runs itself (macros and build scripts) as it is.

use std::{
    env,
    ffi::OsString,
    os::unix::{ffi::OsStrExt, process::CommandExt},
    path::Path,
    process::Command,
};

use crate::{
    paths, process,
    process::cargo,
    step::{Outcome, Problem},
};

/// Set for this program when Cargo starts it as the compiler.
const AS_COMPILER: &str = "IOF_XTASK_LINTS";

/// Checks all packages; a warning is a failure.
pub(crate) fn check() -> Outcome {
    let this = env::current_exe().map_err(Problem::new)?;
    process::run(
        cargo()
            .args(["build", "--workspace", "--all-targets"])
            .current_dir(paths::root())
            .env("RUSTC_WORKSPACE_WRAPPER", this)
            .env(AS_COMPILER, "1")
            // As `cargo clippy` hands over what stands behind its `--`.
            .env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings"),
    )
}

/// The compiler that [`check`] gives to Cargo, if this process is it: clippy, in this process's place.
pub(crate) fn compiler() -> Option<Problem> {
    env::var_os(AS_COMPILER)?;
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let runs = |words: &[OsString]| {
        let has = |pair: [&str; 2]| words.windows(2).any(|two| two == pair);
        has(["--crate-type", "proc-macro"]) || has(["--crate-name", "build_script_build"])
    };
    let whole = runs(&words);
    let words = words.into_iter().map(|word| match whole {
        true => word,
        false => metadata(word),
    });
    let e = Command::new("clippy-driver").args(words).exec();
    Some(
        Problem::new(format!("clippy-driver does not start: {e}"))
            .next("rustup component add clippy"),
    )
}

/// A word of the compiler's command line, with which nothing but metadata is made, of nothing but metadata.
fn metadata(word: OsString) -> OsString {
    if word.as_bytes().starts_with(b"--emit=") {
        return "--emit=dep-info,metadata".into();
    }
    // A program is linked from libraries, of which those that were stopped at their metadata are not there.
    let Some((name, path)) = word
        .to_str()
        .and_then(|word| word.split_once('='))
        .filter(|(_, path)| path.ends_with(".rlib") && !Path::new(path).is_file())
    else {
        return word;
    };
    format!(
        "{name}={}",
        Path::new(path).with_extension("rmeta").display()
    )
    .into()
}
