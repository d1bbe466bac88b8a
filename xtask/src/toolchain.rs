//! What can build guests on this machine: rustup's targets, or Debian's compiler with its own sources.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    packages,
    process::{cargo, find, output, run},
    step::{Outcome, Problem, step},
};

/// The targets that guests are built for.
pub(crate) const TARGETS: [&str; 2] = ["wasm32-wasip1", "wasm32-unknown-unknown"];

/// Debian 12: a compiler, its standard library's sources, a C library for WASI, a linker.
const PACKAGES: [&str; 5] = [
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "wasi-libc",
    "lld-19",
];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_SOURCES: &str = "/usr/lib/rustlib/src/rust/library/Cargo.lock";
const DEBIAN_WASI: &str = "/usr/lib/wasm32-wasi";

/// A way to build guests.
#[derive(Debug)]
pub(crate) enum Toolchain {
    /// The compiler that also builds the server, with the targets installed.
    Installed,
    /// Debian's compiler, which builds the standard library from its sources.
    Debian {
        /// The linker.
        linker: PathBuf,
    },
}

impl Toolchain {
    /// What is installed, or what can be.
    pub(crate) fn find_or_install() -> Outcome<Self> {
        if installed()? {
            return Ok(Self::Installed);
        }
        if find("rustup").is_some() {
            let added = step("add the wasm targets with rustup", || {
                run(Command::new("rustup").args(["target", "add"]).args(TARGETS))
            });
            match added {
                Ok(()) if installed()? => return Ok(Self::Installed),
                _ => println!("   rustup could not: trying the system's packages"),
            }
        }
        if let Some(debian) = debian() {
            return Ok(debian);
        }
        packages::install(&PACKAGES, "a compiler for guests").map_err(|problem| {
            problem.next(format!(
                "guests need one of these:\n  * rustup target add {}\n  * on Debian 12: apt-get install -y --no-install-recommends {}",
                TARGETS.join(" "),
                PACKAGES.join(" ")
            ))
        })?;
        debian().ok_or_else(|| {
            Problem::new("the packages are installed, and still no compiler for guests is complete").next(format!(
                "see which of {DEBIAN_RUSTC}, {DEBIAN_CARGO}, {DEBIAN_SOURCES}, {DEBIAN_WASI}/libc.a and wasm-ld-19 is missing"
            ))
        })
    }

    /// `cargo build --release` for a target, of the workspace in `folder`, into `target_dir`.
    pub(crate) fn build(&self, folder: &Path, target: &str, target_dir: &Path) -> Command {
        let mut command = match self {
            Self::Installed => cargo(),
            Self::Debian { .. } => Command::new(DEBIAN_CARGO),
        };
        command
            .args(["build", "--release", "--target", target])
            .current_dir(folder);
        // What the outer cargo set is meant for the host.
        for name in [
            "CARGO_BUILD_TARGET",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
        ] {
            command.env_remove(name);
        }
        command.env("CARGO_TARGET_DIR", target_dir);
        if let Self::Debian { linker } = self {
            let mut flags = format!("-Clinker={} -Clink-self-contained=no", linker.display());
            if target.contains("wasi") {
                flags += &format!(" -L{DEBIAN_WASI}");
            }
            // The compiler is stable; building the standard library from its sources is not.
            command
                .arg("-Zbuild-std=std,panic_abort")
                .env_remove("RUSTUP_TOOLCHAIN")
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTC", DEBIAN_RUSTC)
                .env("RUSTFLAGS", flags);
        }
        command
    }
}

/// Whether the host's own compiler has the targets.
fn installed() -> Outcome<bool> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = output(Command::new(rustc).args(["--print", "sysroot"]))?;
    let libraries = Path::new(sysroot.trim()).join("lib/rustlib");
    Ok(TARGETS
        .iter()
        .all(|target| libraries.join(target).join("lib").is_dir()))
}

fn debian() -> Option<Toolchain> {
    let complete = [
        DEBIAN_RUSTC,
        DEBIAN_CARGO,
        DEBIAN_SOURCES,
        &format!("{DEBIAN_WASI}/libc.a"),
    ]
    .iter()
    .all(|file| Path::new(file).is_file());
    let linker = ["wasm-ld-19", "wasm-ld"].into_iter().find_map(find)?;
    complete.then_some(Toolchain::Debian { linker })
}
