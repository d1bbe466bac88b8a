//! Imports that wasm-bindgen leaves in a module for a JavaScript host.
//!
//! A module that never went through the wasm-bindgen tool imports `__wbindgen_placeholder__` and
//! `__wbindgen_externref_xform__`; one that the tool finished imports from the JavaScript file it made (`./name_bg.js`,
//! or `wbg` when linked by name). This host has no JavaScript. Some of these imports have a meaning without it: `throw`
//! and the constructors of errors carry a message, a text made of bytes can be read back as bytes
//! ([`crate::abi::objects`]), and the set-up of the externref table is a no-op. The rest fault when they are called,
//! which 2020 modules never do.
//!
//! In a module that never went through the tool, a conversion to a JavaScript value describes itself at run time: it
//! calls `__wbindgen_describe` with the codes of its types, then an import that takes the address of the value and
//! returns that of the converted one.

use super::memory;
use super::missing::function_type;
use crate::abi::bindgen::Returned;
use crate::state::CallState;
use wasmtime::{Caller, Extern, FuncType, ImportType, Linker, Val, ValType};

/// Returns whether wasm-bindgen left an import for JavaScript.
pub(crate) fn is_js_import(import: &ImportType<'_>) -> bool {
    let module = import.module();
    matches!(
        module,
        "__wbindgen_placeholder__"
            | "__wbindgen_externref_xform__"
            // The name of the module `__wbindgen_externref_xform__` until 2020.
            | "__wbindgen_anyref_xform__"
            | "wbg"
            | "__wbindgen_thread_xform__"
    ) || module.ends_with("_bg.js")
        || (module.starts_with("./") && module.ends_with(".js"))
}

/// The error of a guest that called JavaScript.
#[derive(Debug, thiserror::Error)]
#[error("the function called `{0}`, which only a JavaScript host has")]
pub(crate) struct JavaScriptCall(pub(crate) String);

/// The error of a guest that threw a JavaScript error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct GuestException(pub(crate) String);

/// A JavaScript import that this host implements.
#[derive(Clone, Copy, Debug, PartialEq)]
enum JsImport {
    /// Ends the call with a text.
    Throw,
    /// Ends the call with a value.
    Rethrow,
    /// Makes an error or a text from bytes.
    Make,
    /// Copies the bytes of a text into the guest.
    Text,
    Drop,
    Clone,
    /// Takes one code of a conversion's types.
    Describe,
    /// Converts the value that was described.
    Convert,
    /// Returns the first handle that is not one of JavaScript's constants.
    Constants,
    Nothing,
}

/// Handles below this stand for constants such as `undefined`, in every version that has them.
const CONSTANTS: u32 = 1028;

/// The meaning of an import, from a part of its name and its type. Since 0.2.100 names end in a hash:
/// `__wbg___wbindgen_throw_b855445ff6a94295`.
fn known(name: &str, ty: &FuncType) -> Option<JsImport> {
    let shape = |params: usize, results: usize| {
        ty.params().len() == params
            && ty.results().len() == results
            && ty.params().all(|ty| matches!(ty, ValType::I32))
    };
    // The result is a handle, or the reference itself.
    let made = || matches!(ty.results().next(), Some(ValType::I32)) || nullable(ty);
    let is = |part: &str| name.contains(part);
    Some(match () {
        () if is("__wbindgen_throw") && shape(2, 0) => JsImport::Throw,
        () if is("__wbindgen_rethrow") && ty.params().len() == 1 && ty.results().len() == 0 => {
            JsImport::Rethrow
        }
        () if (name.starts_with("__wbg_Error_")
            || is("__wbindgen_error_new")
            || is("__wbindgen_string_new")
            || is("__wbindgen_cast_"))
            && shape(2, 1)
            && made() =>
        {
            JsImport::Make
        }
        () if is("__wbindgen_string_get") && shape(2, 0) => JsImport::Text,
        () if is("__wbindgen_object_drop_ref") && shape(1, 0) => JsImport::Drop,
        () if is("__wbindgen_object_clone_ref") && shape(1, 1) => JsImport::Clone,
        () if name == "__wbindgen_describe" && shape(1, 0) => JsImport::Describe,
        () if (name == "__wbindgen_describe_cast"
            || name == "__wbindgen_describe_generic_import")
            && shape(2, 1) =>
        {
            JsImport::Convert
        }
        () if is("externref_statics_end") && shape(0, 1) && made() => JsImport::Constants,
        () if is("init_externref_table") && shape(0, 0) => JsImport::Nothing,
        () => return None,
    })
}

fn nullable(ty: &FuncType) -> bool {
    matches!(ty.results().next(), Some(ValType::Ref(of)) if of.is_nullable())
}

/// Defines one such import in a linker.
pub(crate) fn define(
    linker: &mut Linker<CallState>,
    import: &ImportType<'_>,
) -> wasmtime::Result<()> {
    let ty = function_type(import)?;
    let (module, name) = (import.module(), import.name());
    match known(name, &ty) {
        Some(JsImport::Throw) => linker.func_wrap(module, name, throw)?,
        Some(JsImport::Make) => {
            let reference = nullable(&ty);
            linker.func_new(module, name, ty, move |caller, params, results| {
                let made = make(caller, params, reference)?;
                results.fill(made);
                Ok(())
            })?
        }
        Some(JsImport::Rethrow) => linker.func_new(module, name, ty, |_, params, _| {
            let handle = match params {
                [Val::I32(handle)] => handle.cast_unsigned(),
                _ => u32::MAX,
            };
            Err(Returned(handle).into())
        })?,
        Some(JsImport::Text) => {
            linker.func_wrap_async(module, name, |caller, (area, handle)| {
                Box::new(text(caller, area, handle))
            })?
        }
        Some(JsImport::Drop) => linker.func_wrap(module, name, drop_ref)?,
        Some(JsImport::Clone) => {
            linker.func_new(module, name, ty, |mut caller, params, results| {
                let handle = match params {
                    [Val::I32(handle)] => handle.cast_unsigned(),
                    _ => u32::MAX,
                };
                let state = caller.data_mut();
                let text = state.objects.get(handle).map(str::to_owned);
                let clone = match text {
                    Some(text) => state.objects.insert(text, &mut state.space)?,
                    None => handle,
                };
                results.fill(Val::I32(clone.cast_signed()));
                Ok(())
            })?
        }
        Some(JsImport::Describe) => linker.func_wrap(module, name, describe)?,
        Some(JsImport::Convert) => linker.func_wrap(module, name, convert)?,
        Some(JsImport::Constants) => linker.func_wrap(module, name, || CONSTANTS)?,
        Some(JsImport::Nothing) => linker.func_wrap(module, name, || {})?,
        None => {
            let full = name.to_owned();
            linker.func_new(module, name, ty, move |_, _, _| {
                Err(JavaScriptCall(full.clone()).into())
            })?
        }
    };
    Ok(())
}

type Call<'a> = Caller<'a, CallState>;

/// Keeps a text, or that of an error, and returns its handle; for a reference, only the latest text is recorded.
fn make(mut caller: Call<'_>, params: &[Val], reference: bool) -> wasmtime::Result<Val> {
    let [Val::I32(pointer), Val::I32(length)] = params else {
        return Err(wasmtime::Error::msg("glue of another type"));
    };
    let (pointer, length) = (pointer.cast_unsigned(), length.cast_unsigned());
    if reference {
        let text = string(&mut caller, pointer, length.min(SHOWN))?;
        caller.data_mut().objects.note(&text);
        return Ok(Val::null_extern_ref());
    }
    keep(&mut caller, pointer, length).map(|handle| Val::I32(handle.cast_signed()))
}

/// The most bytes of a thrown text that are shown.
const SHOWN: u32 = 4096;

fn string(caller: &mut Call<'_>, pointer: u32, length: u32) -> wasmtime::Result<String> {
    let memory = memory::of(caller)?;
    let text = memory::read(&memory, &*caller, pointer, length)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Keeps a text from the guest's memory.
fn keep(caller: &mut Call<'_>, pointer: u32, length: u32) -> wasmtime::Result<u32> {
    let text = string(caller, pointer, length)?;
    let state = caller.data_mut();
    Ok(state.objects.insert(text, &mut state.space)?)
}

fn throw(mut caller: Call<'_>, pointer: u32, length: u32) -> wasmtime::Result<()> {
    let text = string(&mut caller, pointer, length.min(SHOWN))?;
    Err(GuestException(text).into())
}

fn drop_ref(mut caller: Call<'_>, handle: u32) {
    let state = caller.data_mut();
    state.objects.remove(handle, &mut state.space);
}

/// Writes the address and the length of a text to `area`; zeros for a value that is not a text.
async fn text(mut caller: Call<'_>, area: u32, handle: u32) -> wasmtime::Result<()> {
    let text = caller.data().objects.get(handle).map(str::to_owned);
    let (pointer, length) = match &text {
        None => (0, 0),
        Some(text) => {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            (allocate(&mut caller, length).await?, length)
        }
    };
    let memory = memory::of(&mut caller)?;
    let mut put = |at: u32, bytes: &[u8]| {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        memory::room(memory.data_mut(&mut caller), at, length)
            .map(|room| room.copy_from_slice(bytes))
    };
    if let Some(text) = &text {
        put(pointer, text.as_bytes())?;
    }
    put(
        area,
        &[pointer.to_le_bytes(), length.to_le_bytes()].concat(),
    )?;
    Ok(())
}

/// Allocates memory in the guest, with either type of allocator.
async fn allocate(caller: &mut Call<'_>, length: u32) -> wasmtime::Result<u32> {
    let malloc = match caller.get_export("__wbindgen_malloc") {
        Some(Extern::Func(malloc)) => malloc,
        _ => return Err(JavaScriptCall("__wbindgen_string_get".to_owned()).into()),
    };
    match malloc.typed::<(u32, u32), u32>(&*caller) {
        Ok(malloc) => malloc.call_async(caller, (length, 1)).await,
        Err(_) => {
            let malloc = malloc.typed::<u32, u32>(&*caller)?;
            malloc.call_async(caller, length).await
        }
    }
}

/// The most codes of one conversion; a closure would have more.
const CODES: usize = 64;

fn describe(mut caller: Call<'_>, code: u32) -> wasmtime::Result<()> {
    let codes = &mut caller.data_mut().codes;
    if codes.len() >= CODES {
        return Err(JavaScriptCall("a conversion".to_owned()).into());
    }
    codes.push(code);
    Ok(())
}

/// Converts a text to a JavaScript value: a handle, which replaces its pointer.
fn convert(mut caller: Call<'_>, _: u32, values: u32) -> wasmtime::Result<u32> {
    let codes = std::mem::take(&mut caller.data_mut().codes);
    if !crate::abi::descriptor::makes_text(&codes) {
        return Err(JavaScriptCall("a conversion to a JavaScript value".to_owned()).into());
    }
    let memory = memory::of(&mut caller)?;
    let words = memory::read(&memory, &caller, values, 8)?;
    let (words, _) = words.as_chunks::<4>();
    let [pointer, length] = words else {
        return Err(wasmtime::Error::msg("a read of another length"));
    };
    let (pointer, length) = (u32::from_le_bytes(*pointer), u32::from_le_bytes(*length));
    let handle = keep(&mut caller, pointer, length)?;
    memory::room(memory.data_mut(&mut caller), values, 4)?.copy_from_slice(&handle.to_le_bytes());
    Ok(values)
}
