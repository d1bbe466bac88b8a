//! Every function and resource that components may import, by version and interface. A test requests each from the
//! linker.

mod wasi_0_2;
mod wasi_0_3;

/// Interfaces without their version, and their functions and resources.
type Interfaces = &'static [(&'static str, &'static [&'static str])];

/// A minor version of WASI; its releases are compatible with each other.
#[derive(Clone, Copy)]
pub(crate) struct Wasi {
    /// The prefix of its releases' names.
    minor: &'static str,
    /// The release that defines these interfaces; guests of every earlier release are served.
    pub(crate) current: &'static str,
}

/// WASI 0.2.
pub(crate) const WASI_0_2: Wasi = Wasi {
    minor: "0.2.",
    current: "0.2.12",
};
/// WASI 0.3, whose functions may be asynchronous.
pub(crate) const WASI_0_3: Wasi = Wasi {
    minor: "0.3.",
    current: "0.3.0",
};
/// The interfaces of iof.
const OWN: Wasi = Wasi {
    minor: "0.1.",
    current: "0.1.0",
};

impl Wasi {
    /// Returns whether a version is a release of this minor version: `0.2.3`, but not `0.2.0-rc-2023-11-10`.
    pub(crate) fn has(self, version: Option<&str>) -> bool {
        let number = version.and_then(|version| version.strip_prefix(self.minor));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    }
}

/// The version of `wasi:keyvalue` that toolchains use.
pub(super) const KEYVALUE_DRAFT: &str = "0.2.0-draft2";
/// The versions of `wasi:config` that toolchains use, with the same functions: those of wasmtime, wasmCloud and Spin.
pub(super) const CONFIG_DRAFTS: [&str; 3] = ["0.2.0-rc.1", "0.2.0-draft", "0.2.0-draft-2024-09-27"];
/// The version of `wasi:logging` that toolchains use.
pub(super) const LOGGING_DRAFT: &str = "0.1.0-draft";

/// The versions of interfaces.
enum Versions {
    Releases(Wasi),
    Drafts(&'static [&'static str]),
}

const SERVED: [(Versions, Interfaces); 6] = [
    (Versions::Releases(WASI_0_2), wasi_0_2::INTERFACES),
    (Versions::Releases(WASI_0_3), wasi_0_3::INTERFACES),
    (Versions::Releases(OWN), &[("iof:command/run", &["run"])]),
    (
        Versions::Drafts(&[KEYVALUE_DRAFT]),
        &[(
            "wasi:keyvalue/store",
            &[
                "bucket",
                "open",
                "[method]bucket.get",
                "[method]bucket.set",
                "[method]bucket.delete",
                "[method]bucket.exists",
                "[method]bucket.list-keys",
            ],
        )],
    ),
    (
        Versions::Drafts(&CONFIG_DRAFTS),
        &[("wasi:config/store", &["get", "get-all"])],
    ),
    (
        Versions::Drafts(&[LOGGING_DRAFT]),
        &[("wasi:logging/logging", &["log"])],
    ),
];

/// The name of an interface, and its version: `wasi:cli/exit@0.2.3` is `wasi:cli/exit` and `0.2.3`.
pub(crate) fn split(import: &str) -> (&str, Option<&str>) {
    match import.split_once('@') {
        Some((interface, version)) => (interface, Some(version)),
        None => (import, None),
    }
}

/// The functions of an imported interface; `None` if it is not served in its version.
fn items(import: &str) -> Option<&'static [&'static str]> {
    let (interface, version) = split(import);
    let of_version = |versions: &Versions| match versions {
        Versions::Releases(wasi) => wasi.has(version),
        Versions::Drafts(drafts) => version.is_some_and(|version| drafts.contains(&version)),
    };
    let mut served = SERVED.iter().filter(|(versions, _)| of_version(versions));
    served.find_map(|(_, interfaces)| {
        let known = interfaces.iter().find(|(name, _)| *name == interface);
        known.map(|(_, items)| *items)
    })
}

/// Returns whether an imported interface is served, with its version.
pub(crate) fn is_interface(import: &str) -> bool {
    items(import).is_some()
}

/// Returns whether an item of an imported interface is served: a function or a resource.
pub(crate) fn has(import: &str, item: &str) -> bool {
    items(import).is_some_and(|items| items.contains(&item))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::Capacity;
    use crate::limits::Limits;
    use wasmtime::component::Component;

    fn pooled() -> wasmtime::Engine {
        crate::pool::engine(&Limits::default(), (2, 2), &Capacity::of(2)).unwrap()
    }

    /// Each listed item exists: an import of another type is refused because of its type, and not because it is
    /// missing.
    #[test]
    fn the_linker_has_what_is_listed() {
        let engine = pooled();
        let linker = super::super::linker(&engine).unwrap();
        let refused = |import: &str, item: &str| {
            // A type that no function of WASI takes.
            let odd = "(param \"x\" (tuple u8 u8 u8))";
            let import_type = match item.split_once(']') {
                Some((kind, method)) => {
                    let resource = method.split('.').next().unwrap();
                    let function = match kind {
                        "[constructor" => format!("{odd} (result (own $r))"),
                        "[static" => odd.to_owned(),
                        _ => format!("(param \"self\" (borrow $r)) {odd}"),
                    };
                    format!(
                        "(export \"{resource}\" (type $r (sub resource)))
                         (export \"{item}\" (func {function}))"
                    )
                }
                None => format!("(export \"{item}\" (func {odd}))"),
            };
            let source = format!("(component (import \"{import}\" (instance {import_type})))");
            let source = wat::parse_str(source).unwrap();
            let component = Component::new(&engine, source).unwrap();
            format!("{:?}", linker.instantiate_pre(&component).err().unwrap())
        };
        let mut count = 0;
        for (versions, interfaces) in &SERVED {
            let versions: Vec<&str> = match versions {
                Versions::Releases(wasi) => vec![wasi.current],
                Versions::Drafts(drafts) => drafts.to_vec(),
            };
            let each = versions.iter().flat_map(|version| {
                interfaces
                    .iter()
                    .map(move |(name, items)| (format!("{name}@{version}"), *items))
            });
            for (import, items) in each {
                for item in items {
                    assert!(has(&import, item));
                    let why = refused(&import, item);
                    assert!(!why.contains("missing"), "{import} {item}: {why}");
                    assert!(
                        why.contains("type mismatch") || why.contains("expected"),
                        "{import} {item}: {why}"
                    );
                    count += 1;
                }
            }
        }
        assert!(count > 260, "{count}");
        let why = refused("wasi:cli/exit@0.2.0", "leave");
        assert!(!why.contains("type mismatch"), "{why}");
    }

    #[test]
    fn versions_are_releases_or_drafts_that_toolchains_use() {
        for (served, item) in [
            ("wasi:cli/exit@0.2.0", "exit"),
            ("wasi:cli/exit@0.2.12", "exit"),
            ("wasi:cli/exit@0.3.0", "exit"),
            ("wasi:cli/environment@0.3.1", "get-initial-cwd"),
            ("wasi:config/store@0.2.0-rc.1", "get-all"),
            ("iof:command/run@0.1.0", "run"),
        ] {
            assert!(has(served, item), "{served}");
        }
        for other in [
            "wasi:cli/exit",
            "wasi:cli/exit@0.2.0-rc-2023-11-10",
            "wasi:cli/exit@0.3.0-rc-2026-01-06",
            "wasi:cli/exit@0.1.0",
            "wasi:cli/exit@1.0.0",
            "wasi:cli/leave@0.2.0",
        ] {
            assert!(!has(other, "exit"), "{other}");
        }
    }
}
