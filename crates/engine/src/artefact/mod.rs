//! Compiled code as bytes, and the only code that trusts them.
//!
//! An artefact is a four-byte length, the module's [`Manifest`] as JSON, and wasmtime's own serialised module without
//! its zeros ([`sparse`]). It is stored outside this crate, by a store that checks that this host made it (with a key
//! that never leaves the host).
//!
//! A loaded artefact is a sealed file in memory, which is mapped: its text as code, its data as the image from which
//! every call starts. One copy serves both. Rejected: mapping the artefact's own file, which would save the copy.
//! Restoring a backup into the directory of a running server would then change the code of running functions, or crash
//! the server by shortening the file.

#![allow(unsafe_code)]

mod sparse;

use crate::Manifest;
use iof_fault::Fault;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader as _, SectionHeader as _};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
pub(crate) use sparse::PackedCode;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// Joins a manifest and compiled code.
///
/// # Errors
/// A message: the manifest cannot be written, or the code is longer than 4 GiB.
pub(crate) fn encode(manifest: &Manifest, mut code: Vec<u8>) -> Result<Vec<u8>, String> {
    let manifest = serde_json::to_vec(manifest).map_err(|error| error.to_string())?;
    blank_symbols(&mut code);
    let mut bytes = Vec::with_capacity(4 + manifest.len() + code.len());
    // A manifest is at most a few hundred KiB: `compile.module_exports` bounds it.
    bytes.extend_from_slice(
        &u32::try_from(manifest.len())
            .unwrap_or(u32::MAX)
            .to_le_bytes(),
    );
    bytes.extend_from_slice(&manifest);
    sparse::pack(&code, &mut bytes).ok_or("the code is longer than 4 GiB")?;
    Ok(bytes)
}

/// Zeroes the symbol tables: they serve debuggers of the host, and the engine does not read them.
fn blank_symbols(code: &mut [u8]) {
    let tables = || {
        let header = FileHeader64::<object::LittleEndian>::parse(&*code).ok()?;
        let endian = header.endian().ok()?;
        let sections = header.sections(endian, &*code).ok()?;
        let tables = sections.iter().filter(|section| {
            let name = sections.section_name(endian, section);
            matches!(name, Ok(b".symtab" | b".strtab"))
        });
        Some(
            tables
                .filter_map(|table| table.file_range(endian))
                .collect::<Vec<_>>(),
        )
    };
    for (start, length) in tables().unwrap_or_default() {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if let Some(table) = code.get_mut(start..start.saturating_add(length)) {
            table.fill(0);
        }
    }
}

/// Reads the manifest, and returns the code behind it.
pub(crate) fn manifest(artefact: &[u8]) -> Result<(Manifest, PackedCode<'_>), Fault> {
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
        PackedCode::read(code).ok_or_else(|| torn("its code has no length"))?,
    ))
}

/// Loads the code of a core module from an artefact that this host made.
///
/// # Errors
/// A fault of source `host` when the code is damaged or made for another engine; the caller compiles again.
pub(crate) fn module(engine: &Engine, code: PackedCode<'_>) -> Result<Module, Fault> {
    let unloadable = |why: String| Fault::host("The compiled module could not be loaded.", why);
    let file = sealed(code).map_err(|error| unloadable(error.to_string()))?;
    // SAFETY: `Module::deserialize_open_file` needs a file that holds what `Module::serialize` of a compatible engine
    // made, and that does not change. Compatibility is checked by wasmtime from the header. The file is in memory, has
    // no name, and is sealed against writing, growing and shrinking. Origin and integrity are the caller's contract,
    // stated in `Engine::load`: the bytes come straight from our compile worker, a child of this process, or from the
    // store, which returned them only after checking a keyed BLAKE3 MAC over fingerprint, source digest and content. A
    // client of the server has no way to hand bytes to this function. The symbols that were blanked are not read.
    unsafe { Module::deserialize_open_file(engine, file) }
        .map_err(|error| unloadable(format!("{error:#}")))
}

/// Loads the code of a component from an artefact that this host made.
///
/// # Errors
/// The errors of [`module`].
pub(crate) fn component(engine: &Engine, code: PackedCode<'_>) -> Result<Component, Fault> {
    let unloadable = |why: String| Fault::host("The compiled component could not be loaded.", why);
    let file = sealed(code).map_err(|error| unloadable(error.to_string()))?;
    // The file has no other name. It is mapped when it is opened, and stays mapped.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // SAFETY: as for `Module::deserialize_open_file` in `module`, whose contract is the same: the same sealed file, made of
    // the same bytes, from the same two origins, and the same check of compatibility by wasmtime.
    unsafe { Component::deserialize_file(engine, path) }
        .map_err(|error| unloadable(format!("{error:#}")))
}

/// The code in a sealed file in memory, which can no longer change.
fn sealed(code: PackedCode<'_>) -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know the flag, and allow execution without it.
    let memory = memfd_create("iof-code", flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create("iof-code", flags))?;
    let file = File::from(memory);
    code.write(&file)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&file, seals)?;
    Ok(file)
}
