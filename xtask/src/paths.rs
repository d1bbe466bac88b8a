//! The paths of the repository and of build output.

use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    // From the variable of Cargo at run time, not at compile time, because two checkouts may share a target directory.
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = here.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().unwrap_or(&here).into()
}

/// The folder that Cargo builds into: this program is inside it, and Cargo marks it with a `CACHEDIR.TAG`.
pub(crate) fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    let marked = program
        .ancestors()
        .find(|folder| folder.join("CACHEDIR.TAG").is_file());
    marked.map_or_else(|| root().join("target"), Path::to_path_buf)
}

/// The directory of built guests, one file for each.
pub(crate) fn wasm() -> PathBuf {
    target().join("guests/wasm")
}
