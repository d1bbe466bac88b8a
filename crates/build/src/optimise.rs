//! The optimisation of a module by `wasm-opt` of binaryen, if that is available.
//!
//! It is optional: a module that it cannot read, or whose interface it changes, stays as rustc made it, and a hint is
//! given.

use crate::machine::{Machine, shown};
use crate::{Error, Event, Progress, Summary, files};
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// The result of the optimisation.
pub(crate) enum Optimisation {
    /// A smaller or faster module with the same interface.
    Module(Vec<u8>, Summary),
    /// The module stays; the text is the hint.
    Not(String),
}

/// The WebAssembly features that rustc uses by default since 1.82: old versions of binaryen do not read them from the
/// module.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Optimises a module; files go to `folder`, which is below the target directory.
pub(crate) fn optimise(
    machine: &Machine,
    module: &[u8],
    summary: &Summary,
    folder: &Path,
    progress: Progress<'_>,
) -> Result<Optimisation, Error> {
    if machine.find("wasm-opt").is_none() {
        return Ok(Optimisation::Not(
            "wasm-opt is not on the PATH; with it (it is part of binaryen) modules become smaller and faster".into(),
        ));
    }
    let (from, to) = (
        folder.join("unoptimised.wasm"),
        folder.join("optimised.wasm"),
    );
    files::write(&from, module)?;
    let mut command = machine.command("wasm-opt");
    command
        // `-g` keeps the names of functions, which traps show.
        .args(["-O2", "-g"])
        .args(FEATURES)
        .arg(&from)
        .arg("-o")
        .arg(&to)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    progress(Event::Step("optimise it with wasm-opt"));
    progress(Event::Runs(&shown(&command)));
    let status = command.status().map_err(|error| Error::NotStarted {
        program: "wasm-opt".into(),
        error,
    })?;
    let stays = |why: String| {
        Ok(Optimisation::Not(format!(
            "{why}, so the module stays as rustc left it"
        )))
    };
    if !status.success() {
        return stays(format!(
            "wasm-opt ended with {status} (is it older than version 108?)"
        ));
    }
    let made = fs::read(&to).map_err(Error::file(&to))?;
    match Summary::of(&made) {
        Err(error) => stays(format!("of what wasm-opt made, {error}")),
        Ok(after) if !after.is_as(summary) => {
            stays("what wasm-opt made offers or asks for something else than before".into())
        }
        Ok(after) => Ok(Optimisation::Module(made, after)),
    }
}
