//! `wasi:filesystem` with the limits of a call's files: bytes, directories, open files and lengths of paths.
//!
//! Descriptors count from before they are opened until they are dropped. So do their streams, which keep the file open
//! themselves. Bytes count before they are written.

use super::streams::{Reading, Writing};
use super::version;
use crate::capability::shared_files::SharedFiles;
use crate::state::CallState;
use std::sync::Arc;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::{WasiFilesystemCtxView, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorStat, DirectoryEntryStream, ErrorCode, HostDescriptor,
    HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

/// Bytes that a directory entry counts.
pub(super) const ENTRY: u64 = 4096;
/// The most bytes of a path (`PATH_MAX` of Linux).
const PATH: usize = 4096;

type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    // The interfaces of both versions, which share descriptors.
    for interface in [
        version!("wasi:filesystem/preopens"),
        version_0_3!("wasi:filesystem/preopens"),
    ] {
        linker.instance(interface)?.func_wrap(
            "get-directories",
            |mut store: StoreContextMut<'_, CallState>, (): ()| {
                let state = store.data_mut();
                let ctx = &mut state.wasi.root().clone();
                let table = state.wasi.table();
                let directories =
                    preopens::Host::get_directories(&mut WasiFilesystemCtxView { ctx, table })?;
                for _ in &directories {
                    files(state)?.open(&state.limits)?;
                }
                Ok((directories,))
            },
        )?;
    }
    for interface in [
        version!("wasi:filesystem/types"),
        version_0_3!("wasi:filesystem/types"),
    ] {
        let descriptor = ResourceType::host::<Descriptor>();
        linker
            .instance(interface)?
            .resource("descriptor", descriptor, |mut store, rep| {
                let state = store.data_mut();
                HostDescriptor::drop(&mut view(state), Resource::new_own(rep))?;
                files(state)?.close();
                Ok(())
            })?;
    }
    let mut types = linker.instance(version!("wasi:filesystem/types"))?;
    descriptors(&mut types)?;
    streams(&mut types)?;
    paths(&mut types)?;
    entries(&mut types)
}

/// Defines a method. `$counted` counts the call, and refuses it by returning an error code.
macro_rules! method {
    ($types:ident, $name:literal, |$state:ident, $($arg:ident: $ty:ty),*| -> $result:ty { $counted:expr } $method:ident) => {
        $types.func_wrap_async(
            concat!("[method]descriptor.", $name),
            |mut store: StoreContextMut<'_, CallState>, (fd, $($arg),*): (Resource<Descriptor>, $($ty),*)| {
                Box::new(async move {
                    let $state = store.data_mut();
                    let is_too_long: bool = $counted;
                    if is_too_long {
                        return Ok((Err(ErrorCode::NameTooLong),));
                    }
                    let answer: Answer<$result> = answered(HostDescriptor::$method(&mut view($state), fd, $($arg),*).await);
                    answer
                })
            },
        )?;
    };
}

/// Defines the functions that open files and set their sizes.
fn descriptors(types: &mut LinkerInstance<'_, CallState>) -> wasmtime::Result<()> {
    types.func_wrap_async(
        "[method]descriptor.open-at",
        |mut store: StoreContextMut<'_, CallState>,
         (fd, path_flags, path, open_flags, flags): (
            Resource<Descriptor>,
            PathFlags,
            String,
            OpenFlags,
            DescriptorFlags,
        )| {
            Box::new(async move {
                let state = store.data_mut();
                if is_too_long(&[&path]) {
                    return Ok((Err(ErrorCode::NameTooLong),));
                }
                let files = files(state)?;
                if open_flags.contains(OpenFlags::CREATE) {
                    files.spend(ENTRY)?;
                }
                files.open(&state.limits)?;
                let opened = HostDescriptor::open_at(
                    &mut view(state),
                    fd,
                    path_flags,
                    path,
                    open_flags,
                    flags,
                )
                .await;
                if opened.is_err() {
                    files.close();
                }
                answered(opened)
            })
        },
    )?;
    method!(types, "write", |state, bytes: Vec<u8>, offset: u64| -> u64 {{
        spend(state, bytes.len() as u64)?;
        false
    }} write);
    method!(types, "set-size", |state, size: u64| -> () {{ spend(state, size)?; false }} set_size);
    Ok(())
}

/// Defines the functions that make streams of files.
fn streams(types: &mut LinkerInstance<'_, CallState>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut store: StoreContextMut<'_, CallState>, (fd, offset): (Resource<Descriptor>, u64)| {
            let state = store.data_mut();
            let stream = open_reader(state, fd, offset);
            answered(stream.and_then(|stream| Ok(state.ctx().table.push(stream)?)))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut store: StoreContextMut<'_, CallState>, (fd, offset): (Resource<Descriptor>, u64)| {
            written(store.data_mut(), |state| {
                view(state).write_via_stream(fd, offset)
            })
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store: StoreContextMut<'_, CallState>, (fd,): (Resource<Descriptor>,)| {
            written(store.data_mut(), |state| view(state).append_via_stream(fd))
        },
    )
}

/// Opens a stream that reads a file, and counts it in the account of the call's files.
///
/// # Errors
/// The code that the guest sees, or a limit.
pub(super) fn open_reader(
    state: &mut CallState,
    fd: Resource<Descriptor>,
    offset: u64,
) -> FsResult<DynInputStream> {
    let open = files(state)
        .and_then(|files| Ok(files.open_stream(&state.limits)?))
        .map_err(FsError::trap)?;
    let made = view(state).read_via_stream(fd, offset)?;
    let stream = state.ctx().table.delete(made)?;
    Ok(Box::new(Reading {
        stream,
        _open: open,
    }))
}

/// Opens a stream that writes a file, made by `make`, and counts it in the account of the call's files.
///
/// # Errors
/// The code that the guest sees, or a limit.
pub(super) fn open_writer(
    state: &mut CallState,
    make: impl FnOnce(&mut CallState) -> FsResult<Resource<DynOutputStream>>,
) -> FsResult<DynOutputStream> {
    let files = files(state).map_err(FsError::trap)?;
    let open = files.open_stream(&state.limits).map_err(FsError::trap)?;
    let made = make(state)?;
    let stream = state.ctx().table.delete(made)?;
    Ok(Box::new(Writing {
        stream,
        files,
        _open: open,
    }))
}

/// An output stream made by `make`, as a resource.
fn written(
    state: &mut CallState,
    make: impl FnOnce(&mut CallState) -> FsResult<Resource<DynOutputStream>>,
) -> Answer<Resource<DynOutputStream>> {
    let stream = open_writer(state, make);
    answered(stream.and_then(|stream| Ok(state.ctx().table.push(stream)?)))
}

/// Defines the functions that take a path.
fn paths(types: &mut LinkerInstance<'_, CallState>) -> wasmtime::Result<()> {
    method!(types, "create-directory-at", |state, path: String| -> () {{
        let refused = is_too_long(&[&path]);
        if !refused {
            state.wasi.files().spend_directory()?;
            spend(state, ENTRY)?;
        }
        refused
    }} create_directory_at);
    method!(types, "symlink-at", |state, old: String, new: String| -> () {{
        let refused = is_too_long(&[&old, &new]);
        if !refused {
            spend(state, ENTRY)?;
        }
        refused
    }} symlink_at);
    method!(types, "link-at", |state, flags: PathFlags, old: String, to: Resource<Descriptor>, new: String| -> () {{
        let refused = is_too_long(&[&old, &new]);
        if !refused {
            spend(state, ENTRY)?;
        }
        refused
    }} link_at);
    method!(types, "rename-at", |state, old: String, to: Resource<Descriptor>, new: String| -> () {
        is_too_long(&[&old, &new])
    } rename_at);
    method!(types, "stat-at", |state, flags: PathFlags, path: String| -> DescriptorStat {
        is_too_long(&[&path])
    } stat_at);
    method!(types, "set-times-at", |state, flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp| -> () {
        is_too_long(&[&path])
    } set_times_at);
    method!(types, "readlink-at", |state, path: String| -> String { is_too_long(&[&path]) } readlink_at);
    method!(types, "remove-directory-at", |state, path: String| -> () { is_too_long(&[&path]) } remove_directory_at);
    method!(types, "unlink-file-at", |state, path: String| -> () { is_too_long(&[&path]) } unlink_file_at);
    method!(types, "metadata-hash-at", |state, flags: PathFlags, path: String| -> MetadataHashValue {
        is_too_long(&[&path])
    } metadata_hash_at);
    Ok(())
}

/// Defines the lists of directory entries. The host holds each list whole, so each counts as an open file.
fn entries(types: &mut LinkerInstance<'_, CallState>) -> wasmtime::Result<()> {
    types.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, CallState>, (fd,): (Resource<Descriptor>,)| {
            Box::new(async move {
                let state = store.data_mut();
                let files = files(state)?;
                files.open(&state.limits)?;
                let listed = HostDescriptor::read_directory(&mut view(state), fd).await;
                if listed.is_err() {
                    files.close();
                }
                answered(listed)
            })
        },
    )?;
    let stream = ResourceType::host::<DirectoryEntryStream>();
    types.resource("directory-entry-stream", stream, |mut store, rep| {
        let state = store.data_mut();
        HostDirectoryEntryStream::drop(&mut view(state), Resource::new_own(rep))?;
        files(state)?.close();
        Ok(())
    })
}

pub(super) fn view(state: &mut CallState) -> WasiFilesystemCtxView<'_> {
    state.filesystem()
}

/// The account of the call's files.
pub(super) fn files(state: &mut CallState) -> wasmtime::Result<Arc<SharedFiles>> {
    state
        .wasi
        .shared_files(&state.limits)
        .ok_or_else(|| wasmtime::Error::msg("a call without files used one"))
}

/// Counts bytes before they are written.
///
/// # Errors
/// `scratch`
pub(super) fn spend(state: &mut CallState, bytes: u64) -> wasmtime::Result<()> {
    Ok(files(state)?.spend(bytes)?)
}

/// Returns whether one of these paths is longer than the system allows.
pub(super) fn is_too_long(paths: &[&String]) -> bool {
    paths.iter().any(|path| path.len() > PATH)
}

/// The result of a function: its error as the code that the guest sees, or a trap.
fn answered<T>(result: FsResult<T>) -> Answer<T> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => Err(error.downcast()?),
    },))
}
