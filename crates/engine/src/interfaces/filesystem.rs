//! `wasi:filesystem` with the limits of a call's files: bytes, directories, open files and lengths of paths.
//!
//! Descriptors count from before they are opened until they are dropped, and so do streams of them, which keep the file
//! open by themselves. What is written counts before it is written.

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
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsResult};

/// Bytes that a directory entry counts.
const ENTRY: u64 = 4096;
/// The most bytes of a path (`PATH_MAX` of Linux).
const PATH: usize = 4096;

type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let mut directories = linker.instance(version!("wasi:filesystem/preopens"))?;
    directories.func_wrap(
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
    let mut types = linker.instance(version!("wasi:filesystem/types"))?;
    descriptors(&mut types)?;
    streams(&mut types)?;
    paths(&mut types)?;
    entries(&mut types)
}

/// Defines a method whose call `$counted` counts, and refuses with an error code where it returns one.
macro_rules! method {
    ($types:ident, $name:literal, |$state:ident, $($arg:ident: $ty:ty),*| -> $result:ty { $counted:expr } $method:ident) => {
        $types.func_wrap_async(
            concat!("[method]descriptor.", $name),
            |mut store: StoreContextMut<'_, CallState>, (fd, $($arg),*): (Resource<Descriptor>, $($ty),*)| {
                Box::new(async move {
                    let $state = store.data_mut();
                    let refused: Option<ErrorCode> = $counted;
                    if let Some(code) = refused {
                        return Ok((Err(code),));
                    }
                    let answer: Answer<$result> = answered(HostDescriptor::$method(&mut view($state), fd, $($arg),*).await);
                    answer
                })
            },
        )?;
    };
}

/// Defines what opens, sizes and closes a file.
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
                if let Some(code) = too_long(&[&path]) {
                    return Ok((Err(code),));
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
    method!(types, "write", |state, bytes: Vec<u8>, offset: u64| -> u64 {
        spend(state, bytes.len() as u64)?
    } write);
    method!(types, "set-size", |state, size: u64| -> () { spend(state, size)? } set_size);
    let descriptor = ResourceType::host::<Descriptor>();
    types.resource("descriptor", descriptor, |mut store, rep| {
        let state = store.data_mut();
        HostDescriptor::drop(&mut view(state), Resource::new_own(rep))?;
        files(state)?.close();
        Ok(())
    })
}

/// Defines what makes a stream of a file.
fn streams(types: &mut LinkerInstance<'_, CallState>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut store: StoreContextMut<'_, CallState>, (fd, offset): (Resource<Descriptor>, u64)| {
            let state = store.data_mut();
            let open = files(state)?.open_stream(&state.limits)?;
            let made = view(state).read_via_stream(fd, offset);
            let wrapped = made.and_then(|made| {
                let table = state.ctx().table;
                let stream = table.delete(made)?;
                let reading: DynInputStream = Box::new(Reading {
                    stream,
                    _open: open,
                });
                Ok(table.push(reading)?)
            });
            answered(wrapped)
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

/// A stream that is written, made by `make`, in its account.
fn written(
    state: &mut CallState,
    make: impl FnOnce(&mut CallState) -> FsResult<Resource<DynOutputStream>>,
) -> Answer<Resource<DynOutputStream>> {
    let files = files(state)?;
    let open = files.open_stream(&state.limits)?;
    let made = make(state);
    answered(made.and_then(|made| {
        let table = state.ctx().table;
        let stream = table.delete(made)?;
        let writing: DynOutputStream = Box::new(Writing {
            stream,
            files,
            _open: open,
        });
        Ok(table.push(writing)?)
    }))
}

/// Defines what takes a path.
fn paths(types: &mut LinkerInstance<'_, CallState>) -> wasmtime::Result<()> {
    method!(types, "create-directory-at", |state, path: String| -> () {
        match too_long(&[&path]) {
            None => {
                state.wasi.files().spend_directory()?;
                spend(state, ENTRY)?
            }
            refused => refused,
        }
    } create_directory_at);
    method!(types, "symlink-at", |state, old: String, new: String| -> () {
        match too_long(&[&old, &new]) {
            None => spend(state, ENTRY)?,
            refused => refused,
        }
    } symlink_at);
    method!(types, "link-at", |state, flags: PathFlags, old: String, to: Resource<Descriptor>, new: String| -> () {
        match too_long(&[&old, &new]) {
            None => spend(state, ENTRY)?,
            refused => refused,
        }
    } link_at);
    method!(types, "rename-at", |state, old: String, to: Resource<Descriptor>, new: String| -> () {
        too_long(&[&old, &new])
    } rename_at);
    method!(types, "stat-at", |state, flags: PathFlags, path: String| -> DescriptorStat {
        too_long(&[&path])
    } stat_at);
    method!(types, "set-times-at", |state, flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp| -> () {
        too_long(&[&path])
    } set_times_at);
    method!(types, "readlink-at", |state, path: String| -> String { too_long(&[&path]) } readlink_at);
    method!(types, "remove-directory-at", |state, path: String| -> () { too_long(&[&path]) } remove_directory_at);
    method!(types, "unlink-file-at", |state, path: String| -> () { too_long(&[&path]) } unlink_file_at);
    method!(types, "metadata-hash-at", |state, flags: PathFlags, path: String| -> MetadataHashValue {
        too_long(&[&path])
    } metadata_hash_at);
    Ok(())
}

/// Defines the lists of directories, which the host holds whole: each counts as an open file.
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

fn view(state: &mut CallState) -> WasiFilesystemCtxView<'_> {
    state.filesystem()
}

/// The account of the call's files.
fn files(state: &mut CallState) -> wasmtime::Result<Arc<SharedFiles>> {
    state
        .wasi
        .shared_files(&state.limits)
        .ok_or_else(|| wasmtime::Error::msg("a call without files used one"))
}

fn spend(state: &mut CallState, bytes: u64) -> wasmtime::Result<Option<ErrorCode>> {
    files(state)?.spend(bytes)?;
    Ok(None)
}

fn too_long(paths: &[&String]) -> Option<ErrorCode> {
    let long = |path: &&String| path.len() > PATH;
    paths.iter().any(long).then_some(ErrorCode::NameTooLong)
}

/// The answer of a function: its error as the code that the guest sees, or a trap.
fn answered<T>(result: FsResult<T>) -> Answer<T> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => Err(error.downcast()?),
    },))
}
