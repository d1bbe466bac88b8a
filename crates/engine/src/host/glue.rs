//! Imports that wasm-bindgen leaves in a module for a JavaScript host.
//!
//! A module that never left rustc imports `__wbindgen_placeholder__` and `__wbindgen_externref_xform__`; one that the
//! wasm-bindgen tool finished imports from the JavaScript file it made (`./name_bg.js`, or `wbg` when linked by name).
//! There is no JavaScript here. Three of them have a meaning without it: `throw` and the making of an error carry a
//! message, and the set-up of the externref table has nothing to do. The rest fault when they are called, which 2020 modules never do.

use crate::host::memory;
use crate::state::CallState;
use wasmtime::{Caller, ExternType, ImportType, Linker, Val, ValType};

/// Whether an import belongs to that glue.
pub(crate) fn is_glue(import: &ImportType<'_>) -> bool {
    let module = import.module();
    matches!(
        module,
        "__wbindgen_placeholder__"
            | "__wbindgen_externref_xform__"
            // What that was called until 2020.
            | "__wbindgen_anyref_xform__"
            | "wbg"
            | "__wbindgen_thread_xform__"
    ) || module.ends_with("_bg.js")
        || (module.starts_with("./") && module.ends_with(".js"))
}

/// The guest called JavaScript.
#[derive(Debug, thiserror::Error)]
#[error("the function called `{0}`, which only a JavaScript host has")]
pub(crate) struct NoJavaScript(pub(crate) String);

/// The guest threw.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Thrown(pub(crate) String);

/// Defines one such import.
pub(crate) fn define(
    linker: &mut Linker<CallState>,
    import: &ImportType<'_>,
) -> wasmtime::Result<()> {
    let ExternType::Func(ty) = import.ty() else {
        return Err(wasmtime::Error::msg(format!(
            "import `{}` `{}` is not a function",
            import.module(),
            import.name()
        )));
    };
    // Since 0.2.100 names end in a hash: `__wbg___wbindgen_throw_b855445ff6a94295`.
    let name = import.name();
    if name.contains("__wbindgen_throw") && ty.params().len() == 2 {
        linker.func_wrap(import.module(), name, throw)?;
    } else if name.contains("init_externref_table") {
        linker.func_wrap(import.module(), name, || {})?;
    } else if is_error_constructor(name) && ty.params().len() == 2 && ty.results().len() == 1 {
        // An index into the table of references, or the reference.
        let made = match ty.results().next() {
            Some(ValType::I32) => Val::I32(0),
            _ => Val::null_extern_ref(),
        };
        linker.func_new(import.module(), name, ty, move |caller, params, results| {
            new_error(caller, params)?;
            results.fill(made);
            Ok(())
        })?;
    } else {
        let full = name.to_owned();
        linker.func_new(import.module(), name, ty, move |_, _, _| {
            Err(NoJavaScript(full.clone()).into())
        })?;
    }
    Ok(())
}

/// `JsError::new`: what a Rust function does that returns an `Err` to JavaScript.
fn is_error_constructor(name: &str) -> bool {
    name.starts_with("__wbg_Error_") || name.starts_with("__wbindgen_error_new")
}

/// Keeps the error's text for the fault; the error itself is a null reference.
fn new_error(mut caller: Caller<'_, CallState>, params: &[Val]) -> wasmtime::Result<()> {
    if let [Val::I32(pointer), Val::I32(length)] = params {
        let memory = memory::of(&mut caller)?;
        let (pointer, length) = (pointer.cast_unsigned(), length.cast_unsigned());
        let text = memory::read(&memory, &caller, pointer, length.min(4096))?;
        caller.data_mut().error = Some(String::from_utf8_lossy(&text).into_owned());
    }
    Ok(())
}

fn throw(mut caller: Caller<'_, CallState>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let memory = memory::of(&mut caller)?;
    let text = memory::read(&memory, &caller, pointer, length.min(4096))?;
    Err(Thrown(String::from_utf8_lossy(&text).into_owned()).into())
}
