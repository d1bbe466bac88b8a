//! The packages and features that chores name to cargo.
//!
//! Cargo compiles a dependency with the union of the features that the selected packages enable, so a chore with
//! another selection would compile it again, with everything that depends on it. Tests, lints and documentation select
//! the whole workspace; the package `iof-unified` makes the demo's smaller selection enable the same features.

use std::collections::BTreeSet;

use crate::{
    paths,
    process::{cargo, output},
    step::{Outcome, Problem},
};

/// The server and the demo, without models: these are a third of all that is compiled.
pub(crate) const DEMO: &[&str] = &[
    "--package=iof",
    "--package=iof-tests",
    "--package=iof-unified",
    "--no-default-features",
];

/// The programs of all benches, with the features of a release.
pub(crate) const BENCHES: &[&str] = &[
    "--package=iof",
    "--package=iof-infer",
    "--package=iof-commands",
    "--package=echo",
    "--package=jail-bench",
    "--package=models-bench",
    "--package=proxy",
    "--package=steps",
];

/// Refuses a dependency that the demo would compile with other features than the tests do.
pub(crate) fn check() -> Outcome {
    let tests = dependencies(&["--workspace"], "normal,build,dev")?;
    let demo = dependencies(DEMO, "normal,build")?;
    let own: Vec<_> = demo.difference(&tests).map(String::as_str).collect();
    if own.is_empty() {
        return Ok(());
    }
    Err(Problem::new(format!(
        "the demo and the tests compile dependencies twice; the demo's are\n    {}",
        own.join("\n    ")
    ))
    .next("add the features that only the tests enable (`cargo tree --workspace --format '{p} {f}'`) to crates/unified/Cargo.toml"))
}

/// The dependencies of a selection without our own packages, each with its features.
fn dependencies(selection: &[&str], edges: &str) -> Outcome<BTreeSet<String>> {
    let mut tree = cargo();
    tree.args([
        "tree",
        "--prefix=none",
        "--format={p} {f}",
        "--edges",
        edges,
    ])
    .args(selection)
    .current_dir(paths::root());
    let own = paths::root().display().to_string();
    Ok(output(&mut tree)?
        .lines()
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .filter(|line| !line.contains(&own))
        .collect())
}
