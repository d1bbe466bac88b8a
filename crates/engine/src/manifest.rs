//! The manifest of a module: the results of its inspection, made once at upload, so that calls need not inspect it.

use crate::limits::Limits;
pub use crate::types::{Core, Type};
use iof_fault::{Fault, FaultKind};
use serde::{Deserialize, Serialize};

/// The kind of a module, which decides how it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A core module whose exports take strings, byte arrays and numbers as wasm-bindgen lays them out.
    Bindgen,
    /// A program that each call runs from its `main` to its end: a core module or a component.
    WasiCommand,
    /// A component whose exports take and return values of their types.
    Typed,
    /// A component that answers HTTP requests: `wasi:http/incoming-handler`.
    Http,
}

impl Kind {
    /// The name under which it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bindgen => "bindgen",
            Self::WasiCommand => "wasi-command",
            Self::Typed => "typed",
            Self::Http => "http",
        }
    }
}

/// Facts about one module.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Manifest {
    /// The kind of the module.
    pub kind: Kind,
    /// The callable exports, by name, in the module's order.
    pub exports: Vec<Export>,
    /// The exports that allocate in the module's memory, if it has them.
    pub allocator: Option<Allocator>,
    /// Initialisers that every call has to run first, in this order, because priming could not run them.
    pub initialize: Vec<String>,
    /// The state of priming: the code was compiled from a snapshot, or the reason why not.
    pub primed: Primed,
    /// Imports that the host does not serve, and that fault when they are called.
    pub unserved: Vec<UnresolvedImport>,
    /// True if the module can open files, so that a call needs a scratch directory.
    pub files: bool,
    /// Bytes of memories and tables with which an instance begins.
    #[serde(default)]
    pub space: u64,
    /// The trap that ends every instance before a function runs: in its start function, or because its data or elements
    /// do not fit its memory or table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_start: Option<String>,
    /// The reason why the doc comments of a component were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_docs: Option<String>,
    /// True if the module was compiled quickly, and is still to be compiled in full.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draft: bool,
    /// True if a release that reports unreadable descriptions has read the module's descriptions.
    #[serde(default)]
    pub descriptions_checked: bool,
    /// The world of a component; `None` for a core module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<World>,
}

/// The world of a component: its imports and exports, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct World {
    /// The interfaces and functions that it imports, by name.
    pub imports: Vec<String>,
    /// The functions that it exports.
    pub exports: Vec<WorldExport>,
}

/// A function that a component exports.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct WorldExport {
    /// The name by which it is called.
    pub name: String,
    /// The type of the function in WIT.
    pub types: String,
    /// Its doc comment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// The reason why it cannot be called; `None` if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

impl Manifest {
    /// The export of this name.
    #[must_use]
    pub fn export(&self, name: &str) -> Option<&Export> {
        self.exports.iter().find(|export| export.name == name)
    }

    /// The fault of a name that a module does not export; it lists the exports.
    #[must_use]
    pub fn no_such_export(&self, name: &str) -> Fault {
        let shown: Vec<_> = self
            .exports
            .iter()
            .take(20)
            .map(|export| export.name.as_str())
            .collect();
        let more = self.exports.len().saturating_sub(shown.len());
        let list = match (shown.as_slice(), more) {
            ([], _) => "it exports no function".to_owned(),
            (shown, 0) => format!("it exports {}", shown.join(", ")),
            (shown, more) => format!("it exports {} and {more} more", shown.join(", ")),
        };
        let name: String = name.chars().take(100).collect();
        if self.kind == Kind::Http {
            let message = format!(
                "The function has no export `{name}`: it answers HTTP requests. Send them to /fn/NAME/ and below."
            );
            return Fault::new(FaultKind::NoSuchExport, message);
        }
        let message = format!("The function has no export `{name}`; {list}.");
        Fault::new(FaultKind::NoSuchExport, message)
    }

    /// Checks that an instance can begin within these limits.
    ///
    /// # Errors
    /// `memory`
    pub fn fits(&self, limits: &Limits) -> Result<(), Fault> {
        fits(self.space, limits)
    }
}

/// Checks that an instance that begins with `space` bytes of memories and tables fits these limits.
///
/// # Errors
/// `memory`
pub(crate) fn fits(space: u64, limits: &Limits) -> Result<(), Fault> {
    if space <= limits.memory.as_u64() {
        return Ok(());
    }
    let message = format!(
        "The module begins with {} of memories and tables, more than limits.memory = {}. Build it with a smaller \
         memory, or raise the setting.",
        bytesize::ByteSize::b(space),
        limits.memory
    );
    Err(Fault::new(FaultKind::ModuleMemory, message))
}

/// An imported function that the host does not serve.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct UnresolvedImport {
    /// The module that it is imported from.
    pub module: String,
    /// The name of the import in that module.
    pub name: String,
    /// True if it belongs to an extension that modules often import and rarely call.
    pub optional: bool,
}

impl UnresolvedImport {
    /// Returns whether this describes that import.
    pub(crate) fn is(&self, import: &wasmtime::ImportType<'_>) -> bool {
        self.module == import.module() && self.name == import.name()
    }
}

/// The state of priming, which runs a module's start-up once, at upload (wizer's *pre-initialise*).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Primed {
    /// The module was snapshotted after its start-up and its first heap growth.
    Yes,
    /// Every call starts the module as it was uploaded, for the given reason.
    No(String),
}

/// The exports with which the host allocates arguments.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Allocator {
    /// `(size) -> pointer`, or `(size, align) -> pointer` since wasm-bindgen 0.2.87.
    pub malloc: String,
    /// Set if `malloc` takes an alignment.
    pub takes_align: bool,
    /// The export that frees memory: `(pointer, size)`, followed by the alignment if `malloc` takes one.
    pub free: Option<String>,
}

/// The calling convention of one export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Abi {
    /// By the parameters and results of its core type.
    Bindgen,
    /// By tables in memory, as in the crate `wasmedge-bindgen` of 2021.
    Wasmedge,
    /// By a program's stdin and arguments, and its stdout.
    Command,
    /// By the canonical ABI of components.
    Typed,
}

/// One callable export.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Export {
    /// The name by which it is called.
    pub name: String,
    /// The name in the module: in modules straight from rustc, it ends in a hash since wasm-bindgen 0.2.12x.
    pub symbol: String,
    /// Core parameter types.
    pub core_params: Vec<Core>,
    /// Core result types.
    pub core_results: Vec<Core>,
    /// Argument types and the result's, if the module declares them.
    pub signature: Option<Signature>,
    /// The names and schemas of its arguments, if the module declares them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub described: Option<Described>,
    /// The reason why the module's description of this export cannot be read. An upload with one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// The calling convention.
    pub abi: Abi,
}

impl Export {
    /// The part of a request that the export uses.
    #[must_use]
    pub fn body_use(&self) -> BodyUse {
        self.described
            .as_ref()
            .map_or(BodyUse::Arguments, |said| said.body)
    }

    /// The types of the export in their written form, with the names of its arguments if they are known:
    /// `(text: string) -> u32`.
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

/// An author's description of a function, in addition to its types.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Described {
    /// The doc comment of the function.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// One for each argument.
    pub params: Vec<Param>,
    /// The JSON Schema of its result, if the result is JSON and has a schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// True if it may return an error.
    #[serde(default)]
    pub fallible: bool,
    /// The part of a request that the function uses.
    #[serde(default, skip_serializing_if = "BodyUse::is_arguments")]
    pub body: BodyUse,
    /// The HTTP methods that call it; empty for the default methods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
}

/// The part of a request that a function uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyUse {
    /// The body contains its arguments.
    #[default]
    Arguments,
    /// The body, of any content type, is its one argument.
    Raw,
    /// The whole request is its one argument.
    Request,
}

impl BodyUse {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_arguments(&self) -> bool {
        *self == Self::Arguments
    }
}

/// An argument as its author named it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Param {
    /// The name of the argument.
    pub name: String,
    /// The JSON Schema of the argument, if it is JSON and has a schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<serde_json::Value>,
}

/// The types that an author wrote.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Signature {
    /// One for each argument.
    pub params: Vec<Type>,
    /// The type of its result.
    pub result: Type,
    /// True if it returns a `Result`, whose error is a JavaScript value.
    pub fallible: bool,
    /// The third number of the wasm-bindgen version that compiled it, if the module states it: encodings depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<u32>,
}
