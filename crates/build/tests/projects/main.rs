//! Projects, as people have them, built by cargo for real.
//!
//! All share one target directory, that of the guests, so that what they depend on is compiled once.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod builds;
mod kinds;
mod templates;

use iof_build::{Built, Event, Options, build};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder for a test, whose projects build into the shared target directory.
fn folder(test: &str) -> PathBuf {
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("guests");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("projects")
        .join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join(".cargo")).unwrap();
    let config = format!("[build]\ntarget-dir = {:?}\n", shared);
    fs::write(folder.join(".cargo/config.toml"), config).unwrap();
    // A workspace above, as there is in many a folder of code: a project must not care.
    fs::write(folder.join("Cargo.toml"), "[workspace]\nmembers = []\n").unwrap();
    folder
}

fn built(folder: &Path) -> Built {
    build(folder, &Options::default(), &mut quiet).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(folder: &Path) -> String {
    build(folder, &Options::default(), &mut quiet)
        .unwrap_err()
        .to_string()
}

fn quiet(_: Event<'_>) {}

fn names(built: &Built) -> Vec<&str> {
    built
        .summary
        .exports
        .iter()
        .map(|export| &*export.name)
        .collect()
}

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut files, mut open) = (BTreeMap::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => open.push(path),
                false => drop(files.insert(path.clone(), fs::read(path).unwrap())),
            }
        }
    }
    files
}

/// The manifest of a program, which needs nothing.
fn program(name: &str) -> String {
    format!("[workspace]\n[package]\nname = \"{name}\"\nedition = \"2021\"\n")
}
