//! The summary of a module from outside: its exports, its imports, its size.
//!
//! The summary does not judge: the engine decides which imports a server has and which types exports take, and the
//! caller adds that.

#[cfg(test)]
mod tests;

use crate::{Error, component};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

/// The summary of a module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// The way in which a host talks to it.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// The exports that can be called, in the module's order.
    pub exports: Vec<Export>,
    /// The imports, by module.
    pub imports: Vec<Import>,
    /// Its initial and its maximum memory, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Its custom sections.
    pub sections: Vec<Section>,
}

/// The way in which a host talks to a module.
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
    /// Its types, once they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// The imports from one module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Import {
    /// The module.
    pub module: String,
    /// The names of the imports.
    pub names: Vec<String>,
    /// The names that a host does not provide, once that is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unserved: Vec<String>,
}

/// A module's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Memory {
    /// The initial size.
    pub initial: u64,
    /// The maximum size, if it is declared.
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
    /// Reads the summary of a module.
    ///
    /// # Errors
    /// [`Error::Module`] if it is not valid WebAssembly.
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

    /// The same summary, with a host's findings: the types of an export, and whether it lacks an import of that module
    /// and name.
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

    /// Returns true for a component that answers HTTP requests.
    #[must_use]
    pub fn answers_http(&self) -> bool {
        let handlers = ["wasi:http/incoming-handler@", "wasi:http/handler@"];
        let mut exports = self.exports.iter();
        exports.any(|export| {
            handlers
                .iter()
                .any(|handler| export.name.starts_with(handler))
        })
    }

    /// Returns whether another module has the same interface and the same description.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        // Sections that a tool may drop or add: debug names, and producers.
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

/// The exported functions that are the author's.
fn callable(functions: &[String]) -> Vec<Export> {
    // The allocator of the crate wasmedge-bindgen, recognised only if all of these names are there.
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
