//! Lists the files to embed: the templates of `iof new`, the crates and packages of WIT that it copies into projects, and the
//! stand-in for wasm-bindgen of 2020.
//!
//! A list in the source would have to be kept by hand. Files that cargo does not need to build a crate are left out:
//! locks, tests, and names that begin with a dot.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a build script"
)]

use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Constants, and the folders that they hold the files of.
const FOLDERS: [(&str, &str); 18] = [
    ("COMPAT", "compat"),
    ("GUEST", "../guest"),
    ("GUEST_MACROS", "../guest-macros"),
    ("RUST", "templates/rust"),
    ("RUST_JSON", "templates/rust-json"),
    ("RUST_REQUEST", "templates/rust-request"),
    ("RUST_HTTP", "templates/rust-http"),
    ("RUST_TYPED", "templates/rust-typed"),
    ("JS", "templates/js"),
    ("JS_TYPED", "templates/js-typed"),
    ("TS", "templates/ts"),
    ("PYTHON", "templates/python"),
    ("PYTHON_TYPED", "templates/python-typed"),
    ("GO", "templates/go"),
    ("C", "templates/c"),
    ("WASI_HTTP", "templates/wasi-http"),
    ("RUST_2020", "templates/rust-2020"),
    ("WORKSPACE", "templates/workspace"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_PROJECTS").is_none() {
        return Ok(());
    }
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut source = String::new();
    for (name, folder) in FOLDERS {
        let folder = here.join(folder);
        let mut files = vec![];
        list(&folder, &mut files)?;
        files.sort();
        writeln!(source, "pub(crate) const {name}: &[Embedded] = &[")?;
        for file in files {
            let (inside, path) = (file.strip_prefix(&folder)?, &file);
            writeln!(
                source,
                "    Embedded {{ path: {inside:?}, bytes: include_bytes!({path:?}) }},"
            )?;
        }
        writeln!(source, "];")?;
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("embedded.rs"), source)?;
    Ok(())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    // New files in a watched folder are noticed, too.
    println!("cargo:rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if name != "target" && name != "tests" && name != "examples" {
                list(&path, files)?;
            }
        } else if name != "Cargo.lock" && !name.starts_with('.') {
            files.push(path);
        }
    }
    Ok(())
}
