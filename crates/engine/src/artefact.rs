//! Compiled code as bytes, and the one place that trusts them.
//!
//! An artefact is a four-byte length, the module's [`Manifest`] as JSON, and wasmtime's own serialised module. It is
//! kept outside this crate; its keeper has checked that this very host made it (the store authenticates it
//! with a key that never leaves the host).

#![allow(unsafe_code)]

use crate::Manifest;
use iof_fault::Fault;
use wasmtime::{Engine, Module};

/// Joins a manifest and compiled code.
pub(crate) fn encode(manifest: &Manifest, code: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    let manifest = serde_json::to_vec(manifest)?;
    let mut bytes = Vec::with_capacity(4 + manifest.len() + code.len());
    // A manifest is at most a few hundred KiB: `compile.module_exports` bounds it.
    bytes.extend_from_slice(
        &u32::try_from(manifest.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    bytes.extend_from_slice(&manifest);
    bytes.extend_from_slice(code);
    Ok(bytes)
}

/// Reads the manifest, and returns the code behind it.
pub(crate) fn manifest(artefact: &[u8]) -> Result<(Manifest, &[u8]), Fault> {
    let torn = |why: &str| {
        Fault::host(
            "The compiled module could not be read; upload the module again.",
            why,
        )
    };
    let (length, rest) = artefact
        .split_first_chunk::<4>()
        .ok_or_else(|| torn("shorter than its header"))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| torn("length"))?;
    let (manifest, code) = rest
        .split_at_checked(length)
        .ok_or_else(|| torn("shorter than its manifest"))?;
    Ok((
        serde_json::from_slice(manifest).map_err(|e| torn(&e.to_string()))?,
        code,
    ))
}

/// Loads the code of a core module's artefact that this host made.
///
/// # Errors
/// A fault of source `host` when the code is damaged or made for another engine; the caller compiles again.
pub(crate) fn module(engine: &Engine, code: &[u8]) -> Result<Module, Fault> {
    // SAFETY: `Module::deserialize` needs bytes that `Module::serialize` of a compatible engine made, unchanged.
    // Compatibility is checked by wasmtime from the header. Origin and integrity are the caller's contract, stated in
    // `Engine::load`: the bytes come straight from our compile worker, a child of this process, or from the store,
    // which returned them only after checking a keyed BLAKE3 MAC over fingerprint, source digest and content. A client
    // of the server has no way to hand bytes to this function.
    unsafe { Module::deserialize(engine, code) }
        .map_err(|e| Fault::host("The compiled module could not be loaded.", format!("{e:#}")))
}
