//! Imports that the host does not serve.
//!
//! Most of them are mistakes that the author should see at once, so the upload is refused. There are two exceptions:
//! imports of extensions that only some of a module's functions use (TensorFlow of 2020), and all imports that the
//! operator allows with `compile.unknown_imports = "fault"`. These fault when they are called.

use crate::manifest::UnresolvedImport;
use crate::memory::none;
use crate::state::CallState;
use iof_fault::{Fault, FaultKind};
use wasmtime::{AsContextMut, Caller, Extern, ExternType, FuncType, ImportType, Linker, Val};

/// The error of a call to an import that the host does not serve.
#[derive(Debug, thiserror::Error)]
#[error("the function called `{name}` of `{module}`, which this server does not have")]
pub(crate) struct Missing {
    module: String,
    name: String,
}

impl Missing {
    /// The fault of the call, with a hint at a replacement.
    pub(crate) fn fault(&self) -> Fault {
        let hint = hint(&self.module, &self.name);
        Fault::new(
            FaultKind::MissingImport,
            format!(
                "The function called `{}` of `{}`, which this server does not have{hint}.",
                self.name, self.module
            ),
        )
    }
}

/// Extensions whose imports are often present and rarely called.
const EXTENSIONS: [&str; 5] = [
    "ssvm_tensorflow",
    "wasmedge_tensorflow",
    "ssvm_image",
    "wasmedge_image",
    "wasi_ephemeral_nn",
];

/// Returns whether an import belongs to an extension.
pub(crate) fn is_optional(module: &str) -> bool {
    EXTENSIONS
        .iter()
        .any(|extension| module.starts_with(extension))
}

/// Returns whether the linker has this import with this type.
pub(crate) fn is_served(
    import: &ImportType<'_>,
    linker: &Linker<CallState>,
    mut store: impl AsContextMut<Data = CallState>,
) -> bool {
    let found = linker.get(&mut store, import.module(), import.name());
    match (found, import.ty()) {
        (Ok(Extern::Func(served)), ExternType::Func(wanted)) => {
            FuncType::eq(&served.ty(&store), &wanted)
        }
        _ => false,
    }
}

/// The name of an import in messages, with a hint at a replacement.
pub(crate) fn name(import: &UnresolvedImport) -> String {
    let (module, name) = (&import.module, &import.name);
    format!("{module} {name}{}", hint(module, name))
}

/// A hint at a replacement for an import, if its name suggests one.
fn hint(module: &str, name: &str) -> String {
    let hint = match module {
        _ if is_optional(module) => "models and images are the work of commands here",
        "wasi_unstable" => "WASI from before 2020; build it with rustc 1.41 or later",
        "wasi_snapshot_preview1" if name.starts_with("sock_") => {
            "a function has no sockets; the command http_proxy makes its requests"
        }
        "wasi_snapshot_preview1" => "no function of WASI preview 1 has this name and type",
        "env" if name == "abort" => "AssemblyScript; build it with `--use abort=`",
        "env" => "its linker left this symbol open; link what defines it",
        "go" | "gojs" => "Go for browsers; build it with GOOS=wasip1",
        "wasmedge-bindgen" => "the interface of wasmedge-bindgen before 0.4; build it with that",
        "wasmedge_httpsreq" => "the command http_proxy makes requests",
        "ssvm_native" | "wasmedge_native" | "ssvm_process" | "wasmedge_process" => {
            "no function of this module has this name and type"
        }
        _ if module.starts_with("wasmedge_") || module.starts_with("ssvm_") => {
            "an extension of WasmEdge"
        }
        _ if module.contains(':') => "an interface of components; this is a core module",
        _ => return String::new(),
    };
    format!(" ({hint})")
}

/// Makes an import that uses the memory of its module fault when it is called, because the module exports no memory.
pub(crate) fn define_without_memory(
    linker: &mut Linker<CallState>,
    import: &ImportType<'_>,
) -> wasmtime::Result<()> {
    if let ExternType::Func(ty) = import.ty() {
        let fault = |_: Caller<'_, CallState>, _: &[Val], _: &mut [Val]| Err(none().into());
        linker.func_new(import.module(), import.name(), ty, fault)?;
    }
    Ok(())
}

/// The type of an imported function.
pub(super) fn function_type(import: &ImportType<'_>) -> wasmtime::Result<FuncType> {
    match import.ty() {
        ExternType::Func(ty) => Ok(ty),
        _ => Err(wasmtime::Error::msg(format!(
            "import `{}` `{}` is not a function",
            import.module(),
            import.name()
        ))),
    }
}

/// Makes an import fault when it is called.
pub(crate) fn define(
    linker: &mut Linker<CallState>,
    import: &ImportType<'_>,
) -> wasmtime::Result<()> {
    let ty = function_type(import)?;
    let (module, name) = (import.module().to_owned(), import.name().to_owned());
    linker.func_new(import.module(), import.name(), ty, move |_, _, _| {
        Err(Missing {
            module: module.clone(),
            name: name.clone(),
        }
        .into())
    })?;
    Ok(())
}
