//! What a module is, seen from outside: what can be called, what it asks for, how large it is.
//!
//! A look, and no judgement: which imports a server has, and which types its exports take, is the engine's word, which
//! the caller adds.

use crate::{Error, component};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// What a module is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// How a host talks to it.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// What can be called, in the module's order.
    pub exports: Vec<Export>,
    /// What it asks a host for, by module.
    pub imports: Vec<Import>,
    /// The memory that it begins with and may grow to, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Its custom sections.
    pub sections: Vec<Section>,
}

/// How a host talks to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// Its exports are called one by one.
    Bindgen,
    /// It is a program with `main`.
    WasiCommand,
    /// It is a component.
    Component,
}

/// A function that can be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Export {
    /// The name by which it is called.
    pub name: String,
    /// Its types, once somebody has found them out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// What is imported from one module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Import {
    /// The module.
    pub module: String,
    /// Names there.
    pub names: Vec<String>,
    /// Those of them that a host does not have, once somebody has said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unserved: Vec<String>,
}

/// A module's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Memory {
    /// At first.
    pub initial: u64,
    /// At most, if it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<u64>,
}

/// A custom section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

impl Summary {
    /// Looks at a module.
    ///
    /// # Errors
    /// [`Error::Module`] if it is no valid WebAssembly.
    pub fn of(module: &[u8]) -> Result<Self, Error> {
        let invalid = |error: wasmparser::BinaryReaderError| Error::Module(error.to_string());
        wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
            .validate_all(module)
            .map_err(invalid)?;
        let mut summary = Self {
            kind: Kind::Bindgen,
            size: module.len() as u64,
            exports: vec![],
            imports: vec![],
            memory: None,
            sections: vec![],
        };
        let mut imports: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut functions = vec![];
        for payload in Parser::new(0).parse_all(module) {
            match payload.map_err(invalid)? {
                Payload::Version {
                    encoding: wasmparser::Encoding::Component,
                    ..
                } => {
                    summary.kind = Kind::Component;
                    (summary.exports, summary.imports) = component::world(module)?;
                    return Ok(summary);
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.map_err(invalid)?;
                        let names = imports.entry(import.module.to_owned()).or_default();
                        names.push(import.name.to_owned());
                        if let TypeRef::Memory(memory) = import.ty {
                            summary.memory = Some(memory.into());
                        }
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        summary.memory = Some(memory.map_err(invalid)?.into());
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.map_err(invalid)?;
                        if export.kind == ExternalKind::Func {
                            functions.push(export.name.to_owned());
                        }
                    }
                }
                Payload::CustomSection(section) => summary.sections.push(Section {
                    name: section.name().to_owned(),
                    size: section.data().len() as u64,
                }),
                _ => {}
            }
        }
        summary.exports = callable(&functions);
        if summary.exports.is_empty() && functions.iter().any(|name| name == "_start") {
            summary.kind = Kind::WasiCommand;
            summary.exports.push(Export {
                name: "main".to_owned(),
                signature: None,
            });
        }
        summary.imports = imports
            .into_iter()
            .map(|(module, names)| Import {
                module,
                names,
                unserved: vec![],
            })
            .collect();
        Ok(summary)
    }

    /// The same, with what a host says of it: the types of an export, and whether it lacks an import of that module and
    /// name.
    #[must_use]
    pub fn judged(
        mut self,
        types: impl Fn(&str) -> Option<String>,
        lacks: impl Fn(&str, &str) -> bool,
    ) -> Self {
        for export in &mut self.exports {
            export.signature = types(&export.name);
        }
        for import in &mut self.imports {
            let lacking = import
                .names
                .iter()
                .filter(|name| lacks(&import.module, name));
            import.unserved = lacking.cloned().collect();
        }
        self
    }

    /// Whether another module offers and asks for the same, and says the same of itself.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        // What a tool may drop or add: names for debuggers, and who made it.
        let said = |summary: &Self| -> BTreeSet<String> {
            let names = summary.sections.iter().map(|section| section.name.clone());
            names
                .filter(|name| {
                    !matches!(&**name, "name" | "producers" | "target_features")
                        && !name.starts_with(".debug_")
                })
                .collect()
        };
        self.kind == other.kind
            && self.exports == other.exports
            && self.imports.iter().all(|import| {
                other
                    .imports
                    .iter()
                    .any(|theirs| theirs.module == import.module)
            })
            && said(self) == said(other)
    }
}

impl From<wasmparser::MemoryType> for Memory {
    fn from(memory: wasmparser::MemoryType) -> Self {
        let bytes = |pages: u64| pages.saturating_mul(1 << memory.page_size_log2.unwrap_or(16));
        Self {
            initial: bytes(memory.initial),
            maximum: memory.maximum.map(bytes),
        }
    }
}

/// What of the exported functions is an author's.
fn callable(functions: &[String]) -> Vec<Export> {
    // The allocator of the crate wasmedge-bindgen, of which these names are only there together.
    let is = |name: &str| functions.iter().any(|function| function == name);
    let wasmedge = is("allocate") && is("deallocate");
    functions
        .iter()
        .filter(|name| !name.starts_with("__"))
        .filter(|name| !matches!(&***name, "_initialize" | "_start" | "iof_prime"))
        .filter(|name| !(wasmedge && matches!(&***name, "allocate" | "deallocate")))
        .map(|name| Export {
            name: if is(&format!("__wbindgen_describe_{name}")) {
                without_hash(name).to_owned()
            } else {
                name.clone()
            },
            signature: None,
        })
        .collect()
}

/// `say_af3bca193e7a9d75` is `say`: modules of wasm-bindgen append a hash since 0.2.12x.
fn without_hash(symbol: &str) -> &str {
    match symbol.rsplit_once('_') {
        Some((name, hash))
            if !name.is_empty()
                && hash.len() == 16
                && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            name
        }
        _ => symbol,
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exports.is_empty() {
            writeln!(f, "exports   nothing that can be called")?;
        }
        for (at, export) in self.exports.iter().enumerate() {
            let head = if at == 0 { "exports" } else { "" };
            let signature = export.signature.as_deref().unwrap_or("");
            writeln!(f, "{head:<9} {}{signature}", export.name)?;
        }
        for (at, import) in self.imports.iter().enumerate() {
            let head = if at == 0 { "imports" } else { "" };
            let names = match import.names.len() {
                0..=4 => import.names.join(", "),
                many => format!(
                    "{} and {} more",
                    import.names.get(..3).unwrap_or(&[]).join(", "),
                    many - 3
                ),
            };
            writeln!(f, "{head:<9} {}: {names}", import.module)?;
            if !import.unserved.is_empty() {
                let unserved = import.unserved.join(", ");
                writeln!(f, "          a server does not have {unserved}")?;
            }
        }
        if self.imports.is_empty() {
            writeln!(f, "imports   nothing")?;
        }
        if let Some(memory) = self.memory {
            write!(f, "memory    {}", bytes(memory.initial))?;
            match memory.maximum {
                Some(maximum) => writeln!(f, " at first, {} at most", bytes(maximum))?,
                None => writeln!(f, " at first")?,
            }
        }
        write!(f, "size      {}", bytes(self.size))
    }
}

/// A number of bytes for people.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 3] = ["KiB", "MiB", "GiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut tenths = u128::from(count) * 10;
    let mut unit = "";
    for next in UNITS {
        if tenths < 10240 {
            break;
        }
        tenths = (tenths + 512) / 1024;
        unit = next;
    }
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        tenth => format!("{}.{tenth} {unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Summary {
        Summary::of(&wat::parse_str(text).unwrap()).unwrap()
    }

    const EXAMPLE: &str = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (import "strange" "thing" (func))
        (memory (export "memory") 17 32)
        (func (export "_initialize"))
        (func (export "iof_prime"))
        (func (export "__wbindgen_malloc"))
        (func (export "greet"))
        (func (export "say_af3bca193e7a9d75"))
        (func (export "__wbindgen_describe_say_af3bca193e7a9d75"))
        (func (export "kept_af3bca193e7a9d75"))
        (@custom "note" "abc"))"#;

    #[test]
    fn it_tells_what_is_called_and_what_is_asked_for() {
        let summary = of(EXAMPLE).judged(
            |name| (name == "say").then(|| "(text: string) -> string".to_owned()),
            |module, name| (module, name) == ("strange", "thing"),
        );
        let names: Vec<_> = summary.exports.iter().map(|export| &*export.name).collect();
        assert_eq!(names, ["greet", "say", "kept_af3bca193e7a9d75"]);
        assert_eq!(
            summary.to_string(),
            "exports   greet\n          say(text: string) -> string\n          kept_af3bca193e7a9d75\n\
             imports   strange: thing\n          a server does not have thing\n          \
             wasi_snapshot_preview1: random_get, fd_write\n\
             memory    1.1 MiB at first, 2 MiB at most\n\
             size      324 B"
        );
    }

    #[test]
    fn programs_and_components_are_told_apart() {
        assert_eq!(
            of("(module (func (export \"_start\")))").kind,
            Kind::WasiCommand
        );
        assert_eq!(of("(component)").kind, Kind::Component);
        assert_eq!(of("(module)").kind, Kind::Bindgen);
    }

    #[test]
    fn an_allocator_is_no_function() {
        let wasmedge = "(module (func (export \"allocate\")) (func (export \"deallocate\")) (func (export \"say\")))";
        assert_eq!(of(wasmedge).exports.len(), 1);
        assert_eq!(of("(module (func (export \"allocate\")))").exports.len(), 1);
    }

    #[test]
    fn what_is_no_module_is_refused() {
        let error = Summary::of(b"\0asm\x01\0\0\0\xff").unwrap_err().to_string();
        assert!(error.contains("not valid WebAssembly"), "{error}");
    }

    #[test]
    fn another_module_is_as_this_one_but_for_names() {
        let base = of("(module (func (export \"f\")))");
        assert!(base.is_as(&of(
            "(module (func (export \"f\")) (@custom \"producers\" \"\"))"
        )));
        assert!(!base.is_as(&of("(module (func (export \"g\")))")));
        assert!(!base.is_as(&of(
            "(module (func (export \"f\")) (@custom \"data\" \"\"))"
        )));
    }

    #[test]
    fn sizes_are_short() {
        let shown = [0, 1023, 1024, 1536, 70_000, 1 << 20, 5 << 30].map(bytes);
        assert_eq!(
            shown,
            [
                "0 B", "1023 B", "1 KiB", "1.5 KiB", "68.4 KiB", "1 MiB", "5 GiB"
            ]
        );
    }
}
