//! The kind of a crate, and the part of it that is built, both read from its dependencies.

use crate::{Error, Target, Tool};
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The kind of a crate, which decides its target and its tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "what")]
#[non_exhaustive]
pub enum What {
    /// Functions on the crate `iof-guest`.
    Guest,
    /// Functions on wasm-bindgen before 0.2.88, as in 2020: built with a stand-in for it.
    Bindgen2020 {
        /// The version that the stand-in replaces.
        #[serde(rename = "wasm_bindgen")]
        version: String,
    },
    /// Functions on a wasm-bindgen of today.
    Bindgen,
    /// Functions on the crate `wasmedge-bindgen`.
    Wasmedge,
    /// A library whose exports are written by hand.
    Exports,
    /// A component, by the world that its bindings declare.
    Component,
    /// A program with `main`.
    Command,
    /// A project of another language, by the tool that its `[build]` table names.
    Other {
        /// The tool.
        with: Tool,
    },
}

impl What {
    /// The target for which it is built.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            // Since 0.2.88 wasm-bindgen's exports panic on WASI.
            Self::Bindgen => Target::Unknown,
            _ => Target::Wasip1,
        }
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Guest => f.write_str("functions on iof-guest"),
            Self::Bindgen2020 { version } => write!(
                f,
                "functions on wasm-bindgen {version}, with iof's stand-in for it"
            ),
            Self::Bindgen => f.write_str("functions on wasm-bindgen"),
            Self::Wasmedge => f.write_str("functions on wasmedge-bindgen"),
            Self::Exports => f.write_str("functions exported by hand"),
            Self::Component => f.write_str("a component"),
            Self::Command => f.write_str("a program"),
            Self::Other { with } if with.makes_components() => write!(f, "a component by {with}"),
            Self::Other { with } => write!(f, "a program by {with}"),
        }
    }
}

/// The part of a package that is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The library, and whether the manifest makes it a `cdylib` already.
    Library { cdylib: bool },
    /// A program.
    Program(String),
}

/// A package from `cargo metadata`.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) default_run: Option<String>,
    pub(crate) targets: Vec<Built>,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) metadata: Option<serde_json::Value>,
}

#[derive(Deserialize)]
pub(crate) struct Built {
    pub(crate) name: String,
    pub(crate) kind: Vec<String>,
    pub(crate) crate_types: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) req: VersionReq,
    pub(crate) kind: Option<String>,
    pub(crate) path: Option<PathBuf>,
}

/// wasm-bindgen refuses WASI since this version, and rustc refuses wasm-bindgen before it.
const TODAY: Version = Version::new(0, 2, 88);
/// A version that satisfies every requirement of a later 0.2.
const ABOVE_ALL: Version = Version::new(0, 2, 65_535);

impl Package {
    /// The kind of crate, and the part of it that is built.
    pub(crate) fn what(&self, lock: Option<&toml::Table>) -> Result<(What, Part), Error> {
        let library = self.targets.iter().find(|target| {
            target
                .kind
                .iter()
                .any(|kind| matches!(&**kind, "lib" | "rlib" | "cdylib" | "dylib" | "staticlib"))
        });
        let cdylib =
            library.is_some_and(|library| library.crate_types.iter().any(|kind| kind == "cdylib"));
        let functions = if self.has("iof-guest") {
            Some(What::Guest)
        } else if self.is_component() {
            Some(What::Component)
        } else if let Some(bindgen) = self.dependency("wasm-bindgen") {
            Some(match self.old_bindgen(&bindgen.req, lock)? {
                Some(version) => What::Bindgen2020 {
                    version: version.to_string(),
                },
                None => What::Bindgen,
            })
        } else if self.has("wasmedge-bindgen") {
            Some(What::Wasmedge)
        } else {
            cdylib.then_some(What::Exports)
        };
        match (functions.clone(), library) {
            (Some(what), Some(_)) => return Ok((what, Part::Library { cdylib })),
            (Some(What::Component), None) => {}
            (Some(what), None) => {
                return Err(self.cannot(format!(
                    "it has {what}, and no library to export them: move them to src/lib.rs"
                )));
            }
            (None, _) => {}
        }
        let programs: Vec<_> = self
            .targets
            .iter()
            .filter(|target| target.kind.iter().any(|kind| kind == "bin"))
            .collect();
        let what = functions.unwrap_or(What::Command);
        let default = self.default_run.as_ref();
        match (&programs[..], default) {
            (_, Some(program)) => Ok((what, Part::Program(program.clone()))),
            ([program], None) => Ok((what, Part::Program(program.name.clone()))),
            ([], None) => Err(self.cannot(
                "nothing in it can be called: add iof-guest to its [dependencies] and #[iof::function] to a function, \
                 or, if it exports functions by hand, crate-type = [\"cdylib\"] under [lib]",
            )),
            (_, None) => Err(self.cannot("it has several programs: name one in default-run under [package]")),
        }
    }

    /// Returns whether it declares a world, which makes it a component.
    fn is_component(&self) -> bool {
        let declared = self
            .metadata
            .as_ref()
            .is_some_and(|metadata| metadata.get("component").is_some());
        let by = [
            "wit-bindgen",
            "wit-bindgen-rt",
            "cargo-component-bindings",
            "wasip2",
            "wstd",
            "spin-sdk",
        ];
        declared || by.into_iter().any(|name| self.has(name))
    }

    /// The version before [`TODAY`] with which it is built, if it is a crate of that time.
    ///
    /// The lock counts first, then the requirement. A requirement that allows both, such as `0.2`, is of that time if
    /// the crate runs commands or stores values as crates of that time did, because those need WASI.
    fn old_bindgen(
        &self,
        req: &VersionReq,
        lock: Option<&toml::Table>,
    ) -> Result<Option<Version>, Error> {
        let locked = lock.and_then(|lock| locked(lock, "wasm-bindgen"));
        if let Some(version) = locked.filter(|version| *version < TODAY && req.matches(version)) {
            return Ok(Some(version));
        }
        let old = (0..TODAY.patch)
            .rev()
            .map(|patch| Version::new(0, 2, patch));
        let old = old.into_iter().find(|version| req.matches(version));
        let takes_today = req.matches(&ABOVE_ALL)
            || (TODAY.patch..1000).any(|patch| req.matches(&Version::new(0, 2, patch)));
        let of_that_time = self.dependencies.iter().any(|dependency| {
            let name = dependency.name.replace('-', "_");
            name.starts_with("ssvm")
                || name.starts_with("rust_process_interface")
                || name.starts_with("rust_storage_interface")
                || name.starts_with("wasmedge_process_interface")
                || name.starts_with("wasmedge_tensorflow_interface")
        });
        match old {
            _ if takes_today && !of_that_time => Ok(None),
            _ if req.matches(&ABOVE_ALL) => Ok(Some(ABOVE_ALL)),
            Some(version) => Ok(Some(version)),
            None if takes_today => Ok(None),
            None => Err(self.cannot(format!(
                "it asks for wasm-bindgen = \"{req}\", and only 0.2 is known here: ask for \"0.2\""
            ))),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.dependency(name).is_some()
    }

    /// A dependency that is neither for tests nor for build scripts.
    fn dependency(&self, name: &str) -> Option<&Dependency> {
        self.dependencies
            .iter()
            .find(|dependency| dependency.name == name && dependency.kind.is_none())
    }

    fn cannot(&self, why: impl Into<String>) -> Error {
        Error::Crate {
            manifest: self.manifest_path.clone(),
            why: why.into(),
        }
    }
}

/// The version of a crate in a lock, the oldest if there are several.
fn locked(lock: &toml::Table, name: &str) -> Option<Version> {
    let packages = lock.get("package")?.as_array()?.iter();
    let versions =
        packages.filter(|package| package.get("name").and_then(toml::Value::as_str) == Some(name));
    versions
        .filter_map(|package| Version::parse(package.get("version")?.as_str()?).ok())
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kind of a library with these dependencies, in a workspace with this lock.
    fn what(dependencies: &[(&str, &str)], lock: Option<&str>) -> Result<What, Error> {
        let package = Package {
            name: "a".into(),
            version: "0.1.0".into(),
            manifest_path: "Cargo.toml".into(),
            default_run: None,
            targets: vec![Built {
                name: "a".into(),
                kind: vec!["lib".into()],
                crate_types: vec!["lib".into()],
            }],
            dependencies: dependencies
                .iter()
                .map(|(name, req)| Dependency {
                    name: (*name).into(),
                    req: VersionReq::parse(req).unwrap(),
                    kind: None,
                    path: None,
                })
                .collect(),
            metadata: None,
        };
        let lock: Option<toml::Table> = lock.map(|version| {
            format!("[[package]]\nname = \"wasm-bindgen\"\nversion = \"{version}\"")
                .parse()
                .unwrap()
        });
        package.what(lock.as_ref()).map(|(what, _)| what)
    }

    #[test]
    fn the_age_of_a_crate_is_that_of_its_wasm_bindgen() {
        let old = |version: &str| What::Bindgen2020 {
            version: version.into(),
        };
        let above = old("0.2.65535");
        let wasi = ("rust_process_interface_library", "0.1.3");
        let cases = [
            // A lock counts, then the requirement.
            ("0.2.60", None, Some("0.2.61"), old("0.2.61")),
            ("0.2.60", None, Some("0.2.130"), What::Bindgen),
            ("0.2.60", None, None, What::Bindgen),
            ("=0.2.61", None, None, old("0.2.61")),
            ("=0.2.61", None, Some("0.2.130"), old("0.2.61")),
            (">=0.2.50, <0.2.80", None, None, old("0.2.79")),
            // A crate that needs WASI cannot be built with a current one.
            ("0.2.60", Some(wasi), None, above.clone()),
            ("0.2", Some(wasi), Some("0.2.130"), above),
            ("=0.2.61", Some(wasi), None, old("0.2.61")),
            ("=0.2.100", Some(wasi), None, What::Bindgen),
            ("*", None, None, What::Bindgen),
        ];
        for (req, beside, lock, expected) in cases {
            let dependencies: Vec<_> = [("wasm-bindgen", req)].into_iter().chain(beside).collect();
            assert_eq!(
                what(&dependencies, lock).unwrap(),
                expected,
                "{req} {beside:?} {lock:?}"
            );
        }
        assert!(what(&[("wasm-bindgen", "0.1")], None).is_err());
    }

    #[test]
    fn our_own_crate_comes_before_others() {
        let both = [("wasm-bindgen", "=0.2.61"), ("iof-guest", "0.1")];
        assert_eq!(what(&both, None).unwrap(), What::Guest);
        assert_eq!(
            what(&[("wasmedge-bindgen", "0.4")], None).unwrap(),
            What::Wasmedge
        );
        assert!(what(&[("serde", "1")], None).is_err());
    }
}
