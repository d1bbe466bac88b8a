//! The toolchain for guests on this machine: rustup's targets, or Debian's compiler with its own sources.
//!
//! An installed target comes first, then one that rustup can add, then a system compiler, which builds the standard
//! library from its sources. Packages of the system are never installed here: that takes an administrator, so the error
//! names them.

use crate::machine::{Machine, said, shown};
use crate::{Event, Progress};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The target of a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Core modules with WASI preview 1.
    Wasip1,
    /// Core modules without imports of a system, which wasm-bindgen supports since 0.2.88.
    Unknown,
}

impl Target {
    /// Both targets.
    pub const ALL: [Self; 2] = [Self::Wasip1, Self::Unknown];

    /// The name for rustc.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wasip1 => "wasm32-wasip1",
            Self::Unknown => "wasm32-unknown-unknown",
        }
    }
}

/// Debian 12: a compiler, its standard library's sources, a C library for WASI, a linker.
pub const DEBIAN_PACKAGES: [&str; 5] = [
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
const LINKERS: [&str; 2] = ["wasm-ld-19", "wasm-ld"];

/// The reason why there is no toolchain.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Missing {
    /// No toolchain here builds Rust for WebAssembly.
    #[error(
        "nothing here builds Rust for {targets}{tried}. One of these helps:\n  \
         * with rustup ({RUSTUP}): rustup target add {targets}\n  \
         * on Debian 12: apt-get install -y --no-install-recommends {packages}",
        targets = names(targets),
        tried = if tried.is_empty() { String::new() } else { format!(": {}", tried.join("; ")) },
        packages = DEBIAN_PACKAGES.join(" "),
    )]
    Toolchain {
        /// The wanted targets.
        targets: Vec<Target>,
        /// The findings, and why they are not enough.
        tried: Vec<String>,
    },
}

const RUSTUP: &str = "https://rustup.rs";

/// A way to build guests.
#[derive(Clone, Debug)]
pub struct Toolchain {
    machine: Machine,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    /// The compiler of the path, with the targets installed.
    Installed,
    /// Debian's compiler, which builds the standard library from its sources.
    Debian { linker: PathBuf },
}

impl Toolchain {
    /// The toolchain for `targets` in `folder`, whose `rust-toolchain.toml` applies.
    ///
    /// With `add`, rustup is asked to add missing targets.
    ///
    /// # Errors
    /// [`Missing`], naming what to install.
    pub fn find(
        machine: &Machine,
        folder: &Path,
        targets: &[Target],
        add: bool,
        progress: Progress<'_>,
    ) -> Result<Self, Missing> {
        let found = |way| {
            Ok(Self {
                machine: machine.clone(),
                way,
            })
        };
        let lacking = lacking(machine, folder, targets);
        if lacking.as_ref().is_ok_and(Vec::is_empty) {
            return found(Way::Installed);
        }
        let mut tried = vec![];
        match &lacking {
            Ok(lacking) if machine.find("rustup").is_some() => {
                let names = names(lacking);
                if !add {
                    tried.push(format!("rustup is here, and may not add {names}"));
                } else if rustup(machine, folder, lacking, progress) {
                    return found(Way::Installed);
                } else {
                    tried.push(format!("rustup could not add {names}"));
                }
            }
            Ok(lacking) => tried.push(format!(
                "the compiler on the PATH has no {}, and there is no rustup to add it with",
                names(lacking)
            )),
            Err(why) => tried.push((*why).to_owned()),
        }
        match debian(machine) {
            Ok(linker) => found(Way::Debian { linker }),
            Err(absent) => {
                // Parts of Debian's toolchain show that it was intended; if there are none, it is not mentioned.
                if absent.len() < PARTS {
                    tried.push(format!(
                        "of Debian's compiler {} is missing",
                        absent.join(", ")
                    ));
                }
                Err(Missing::Toolchain {
                    targets: targets.to_vec(),
                    tried,
                })
            }
        }
    }

    /// The toolchains that this machine has and lacks, one line each, for `iof doctor`. Changes nothing.
    #[must_use]
    pub fn report(machine: &Machine) -> Vec<Line> {
        let here = Path::new(".");
        let versions = ["rustc", "cargo"].map(|program| {
            let version = said(machine.command(program).arg("--version"));
            Line {
                name: program.to_owned(),
                fine: version.is_some(),
                advice: version
                    .is_none()
                    .then(|| format!("install Rust with rustup ({RUSTUP})")),
                found: version.unwrap_or_else(|| "not on the PATH".into()),
            }
        });
        let targets = Target::ALL.map(|target| {
            let found = Self::find(machine, here, &[target], false, &mut |_| {});
            Line {
                name: target.as_str().to_owned(),
                fine: found.is_ok(),
                found: match &found {
                    Ok(toolchain) => toolchain.name().to_owned(),
                    Err(_) => "no standard library for it".into(),
                },
                advice: found.is_err().then(|| {
                    format!(
                        "rustup target add {target}; or, on Debian 12: apt-get install -y --no-install-recommends {}",
                        DEBIAN_PACKAGES.join(" "),
                        target = target.as_str()
                    )
                }),
            }
        });
        let optimiser = said(machine.command("wasm-opt").arg("--version"));
        let optimiser = Line {
            name: "wasm-opt".to_owned(),
            // Modules are as correct without it.
            fine: true,
            found: optimiser
                .unwrap_or_else(|| "not on the PATH; modules stay as rustc leaves them".into()),
            advice: None,
        };
        versions
            .into_iter()
            .chain(targets)
            .chain([optimiser])
            .collect()
    }

    /// The name of its origin, for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.way {
            Way::Installed => "the installed target",
            Way::Debian { .. } => {
                "Debian's rustc, with the standard library built from its sources"
            }
        }
    }

    /// Returns true for the compiler of the path, with its own standard library.
    #[cfg(feature = "projects")]
    pub(crate) fn is_installed(&self) -> bool {
        matches!(self.way, Way::Installed)
    }

    /// `cargo WORD --target …` in `folder`, without settings that an outer cargo or a user made for builds of the host.
    #[must_use]
    pub fn cargo(&self, folder: &Path, word: &str, target: Target) -> Command {
        let mut command = match self.way {
            Way::Installed => self.machine.cargo(),
            Way::Debian { .. } => self.machine.cargo_at(self.machine.system(DEBIAN_CARGO)),
        };
        command
            .args([word, "--target", target.as_str()])
            .current_dir(folder);
        for name in [
            "CARGO_BUILD_TARGET",
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTFLAGS",
            "RUSTC_WRAPPER",
        ] {
            command.env_remove(name);
        }
        if let Way::Debian { linker } = &self.way {
            let mut flags = format!("-Clinker={} -Clink-self-contained=no", linker.display());
            if target == Target::Wasip1 {
                flags += &format!(" -L{}", self.machine.system(DEBIAN_WASI).display());
            }
            // The compiler is stable; building the standard library from its sources is not.
            command
                .arg("-Zbuild-std=std,panic_abort")
                .env_remove("RUSTUP_TOOLCHAIN")
                .env("RUSTC", self.machine.system(DEBIAN_RUSTC))
                .env("RUSTC_BOOTSTRAP", "1")
                .env("RUSTFLAGS", flags);
        }
        command
    }
}

/// The `targets` for which the compiler of the path has no standard library.
fn lacking(
    machine: &Machine,
    folder: &Path,
    targets: &[Target],
) -> Result<Vec<Target>, &'static str> {
    let sysroot = said(
        machine
            .rustc()
            .args(["--print", "sysroot"])
            .current_dir(folder),
    );
    let libraries = Path::new(&sysroot.ok_or("there is no rustc on the PATH")?).join("lib/rustlib");
    let lacks = |target: &&Target| !libraries.join(target.as_str()).join("lib").is_dir();
    Ok(targets.iter().filter(lacks).copied().collect())
}

/// Asks rustup to add targets; returns whether they are there afterwards.
fn rustup(machine: &Machine, folder: &Path, targets: &[Target], progress: Progress<'_>) -> bool {
    let mut add = machine.command("rustup");
    add.args(["target", "add"])
        .args(targets.iter().map(|target| target.as_str()))
        .current_dir(folder);
    progress(Event::Step("add the target with rustup"));
    progress(Event::Runs(&shown(&add)));
    // Its output goes to stderr: a program may read stdout.
    add.stdin(Stdio::null()).stdout(std::io::stderr());
    add.status().is_ok_and(|status| status.success())
        && lacking(machine, folder, targets).is_ok_and(|lacking| lacking.is_empty())
}

/// The number of parts of Debian's toolchain.
const PARTS: usize = 5;

/// The linker of Debian's toolchain, or its missing parts.
fn debian(machine: &Machine) -> Result<PathBuf, Vec<String>> {
    let libc = format!("{DEBIAN_WASI}/libc.a");
    let mut absent: Vec<String> = [DEBIAN_RUSTC, DEBIAN_CARGO, DEBIAN_SOURCES, &libc]
        .into_iter()
        .filter(|file| !machine.system(file).is_file())
        .map(str::to_owned)
        .collect();
    match LINKERS.into_iter().find_map(|linker| machine.find(linker)) {
        Some(linker) if absent.is_empty() => Ok(linker),
        Some(_) => Err(absent),
        None => {
            absent.push(LINKERS[0].to_owned());
            Err(absent)
        }
    }
}

fn names(targets: &[Target]) -> String {
    let names: Vec<_> = targets.iter().map(|target| target.as_str()).collect();
    names.join(" ")
}

/// One line of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "projects", derive(serde::Serialize))]
pub struct Line {
    /// The subject of the check.
    pub name: String,
    /// True if it is sufficient.
    pub fine: bool,
    /// The finding.
    pub found: String,
    /// The next step.
    pub advice: Option<String>,
}

#[cfg(test)]
mod tests;
