//! What inspection finds out about a module once, at upload, so that no call has to.

use crate::Limits;
pub use crate::types::{Core, Type};
use iof_fault::Fault;
use serde::{Deserialize, Serialize};

/// How the host talks to a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A core module whose exports take strings, byte arrays and numbers as wasm-bindgen lays them out.
    Bindgen,
    /// A program: run once for each call, from its `main` to its end.
    WasiCommand,
}

impl Kind {
    /// The name under which it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bindgen => "bindgen",
            Self::WasiCommand => "wasi-command",
        }
    }
}

/// What is known of one module.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Manifest {
    /// How it is called.
    pub kind: Kind,
    /// Its callable exports, by name, in the module's order.
    pub exports: Vec<Export>,
    /// The exports that allocate in its memory, if it has them.
    pub allocator: Option<Allocator>,
    /// Initialisers that every call has to run first, in this order, because priming could not.
    pub initialize: Vec<String>,
    /// Whether the code was compiled from a snapshot; if not, the reason.
    pub primed: Primed,
    /// Imports that nobody serves: they fault when they are called.
    pub unserved: Vec<Unserved>,
    /// It can open files, so a call needs a scratch directory.
    pub files: bool,
    /// Bytes of memories and tables with which an instance begins.
    #[serde(default)]
    pub space: u64,
}

impl Manifest {
    /// The export of that name.
    #[must_use]
    pub fn export(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.name == name)
    }

    /// Whether an instance can begin within these limits.
    ///
    /// # Errors
    /// `memory`
    pub fn fits(&self, limits: &Limits) -> Result<(), Fault> {
        crate::compile::shape::fits(self.space, limits)
    }
}

/// An imported function that nobody serves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Unserved {
    /// The module that it is imported from.
    pub module: String,
    /// Its name there.
    pub name: String,
    /// Whether it is of an extension that modules often import and seldom call.
    pub optional: bool,
}

impl Unserved {
    /// Whether this is that import.
    pub(crate) fn is(&self, import: &wasmtime::ImportType<'_>) -> bool {
        self.module == import.module() && self.name == import.name()
    }
}

/// Whether start-up was done once, at upload.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Primed {
    /// The module was snapshotted after its start-up and its first heap growth.
    Yes,
    /// Every call starts the module as it was uploaded.
    No(String),
}

/// The exports with which the host allocates arguments.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Allocator {
    /// `(size) -> pointer`, or `(size, align) -> pointer` since wasm-bindgen 0.2.87.
    pub malloc: String,
    /// Whether `malloc` takes an alignment.
    pub takes_align: bool,
    /// What gives the memory back: `(pointer, size)`, with the alignment behind them if `malloc` takes one.
    pub free: Option<String>,
}

/// How one export takes arguments and returns results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Abi {
    /// As parameters and results of its core type.
    Bindgen,
    /// Through tables in memory, as the crate `wasmedge-bindgen` of 2021 does.
    Wasmedge,
    /// As a program's stdin and arguments, and its stdout.
    Command,
}

/// One callable export.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Export {
    /// The name by which it is called.
    pub name: String,
    /// The name in the module: modules straight out of rustc append a hash since wasm-bindgen 0.2.12x.
    pub symbol: String,
    /// Core parameter types.
    pub core_params: Vec<Core>,
    /// Core result types.
    pub core_results: Vec<Core>,
    /// Argument types and the result's, where the module says them.
    pub signature: Option<Signature>,
    /// What else it says of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Described>,
    /// How they cross.
    pub abi: Abi,
}

impl Export {
    /// Its types as one writes them, with the names of its arguments where they are known: `(text: string) -> u32`.
    #[must_use]
    pub fn types(&self) -> Option<String> {
        let signature = self.signature.as_ref()?;
        let mut names = self.described.iter().flat_map(|said| &said.params);
        let params: Vec<_> = signature
            .params
            .iter()
            .map(|ty| match names.next() {
                Some(param) => format!("{}: {ty}", param.name),
                None => ty.to_string(),
            })
            .collect();
        let result = match &signature.result {
            Type::Unit => String::new(),
            ty => format!(" -> {ty}"),
        };
        Some(format!("({}){result}", params.join(", ")))
    }
}

/// What an author said of a function beside its types.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Described {
    /// The comment above it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// One for each argument.
    pub params: Vec<Param>,
    /// The JSON Schema of its result, where that is JSON and has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// It may return an error of its own.
    #[serde(default)]
    pub fallible: bool,
}

/// An argument as its author named it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its JSON Schema, where it is JSON and has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
}

/// The types that an author wrote.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Signature {
    /// One for each argument.
    pub params: Vec<Type>,
    /// What it returns.
    pub result: Type,
    /// It returns a `Result`, whose error is a JavaScript value.
    pub fallible: bool,
    /// The third number of the wasm-bindgen that compiled it, where the module says it: encodings depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<u32>,
}
