//! `wasi:filesystem` of WASI 0.3, with the limits of a call's files as in 0.2: [`crate::interfaces::filesystem`].

use super::file_streams::{EntryReader, FileReader, FileWriter, StreamEnd};
use crate::interfaces::filesystem::{
    ENTRY, files, is_too_long, open_reader, open_writer, spend, view,
};
use crate::state::CallState;
use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, FutureReader, Linker, LinkerInstance, Resource, StreamReader};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::WasiFilesystem;
use wasmtime_wasi::p2::bindings::filesystem::types::{self as second, ErrorCode as SecondError};
use wasmtime_wasi::p2::{DynOutputStream, FsResult};
use wasmtime_wasi::p3::bindings::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    HostDescriptorWithStore, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::FilesystemResult;

type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;
/// The result of a stream, which its guest reads from a future.
type StreamEnded = FutureReader<Result<(), ErrorCode>>;

pub(super) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let mut types = linker.instance(version_0_3!("wasi:filesystem/types"))?;
    descriptors(&mut types)?;
    streams(&mut types)?;
    paths(&mut types)?;
    entries(&mut types)
}

/// Defines a method. `$counted` counts the call, and refuses it by returning an error code.
macro_rules! method {
    ($types:ident, $name:literal, |$state:ident, $($arg:ident: $ty:ty),*| -> $result:ty { $counted:expr } $method:ident) => {
        $types.func_wrap_concurrent(
            concat!("[method]descriptor.", $name),
            |store: &Accessor<CallState>, (fd, $($arg),*): (Resource<Descriptor>, $($ty),*)| {
                Box::pin(async move {
                    let refused = store.with(|mut store| {
                        let $state = store.data_mut();
                        wasmtime::error::Ok($counted)
                    })?;
                    if refused {
                        return Ok((Err(ErrorCode::NameTooLong),));
                    }
                    let store = store.with_getter::<WasiFilesystem>(view);
                    let answer: Answer<$result> =
                        answered(WasiFilesystem::$method(&store, fd, $($arg),*).await);
                    answer
                })
            },
        )?;
    };
}

/// Defines the functions that open files and set their sizes.
fn descriptors(types: &mut LinkerInstance<'_, CallState>) -> wasmtime::Result<()> {
    types.func_wrap_concurrent(
        "[method]descriptor.open-at",
        |store: &Accessor<CallState>,
         (fd, path_flags, path, open_flags, flags): (
            Resource<Descriptor>,
            PathFlags,
            String,
            OpenFlags,
            DescriptorFlags,
        )| {
            Box::pin(async move {
                if is_too_long(&[&path]) {
                    return Ok((Err(ErrorCode::NameTooLong),));
                }
                let files = store.with(|mut store| {
                    let state = store.data_mut();
                    let files = files(state)?;
                    if open_flags.contains(OpenFlags::CREATE) {
                        files.spend(ENTRY)?;
                    }
                    files.open(&state.limits)?;
                    wasmtime::error::Ok(files)
                })?;
                let store = store.with_getter::<WasiFilesystem>(view);
                let opened =
                    WasiFilesystem::open_at(&store, fd, path_flags, path, open_flags, flags).await;
                if opened.is_err() {
                    files.close();
                }
                answered(opened)
            })
        },
    )?;
    method!(types, "set-size", |state, size: u64| -> () {{ spend(state, size)?; false }} set_size);
    Ok(())
}

/// Defines the functions that make streams of files.
fn streams(types: &mut LinkerInstance<'_, CallState>) -> wasmtime::Result<()> {
    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |mut store: StoreContextMut<'_, CallState>, (fd, offset): (Resource<Descriptor>, u64)| {
            let opened = converted(open_reader(store.data_mut(), fd, offset))?;
            let (mut end, ended) = StreamEnd::new();
            let stream = match opened {
                Ok(stream) => StreamReader::new(&mut store, FileReader::new(stream, end))?,
                Err(code) => {
                    end.end(Err(code));
                    StreamReader::new(&mut store, std::iter::empty())?
                }
            };
            let ended: StreamEnded = FutureReader::new(&mut store, ended)?;
            Ok(((stream, ended),))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut store: StoreContextMut<'_, CallState>,
         (fd, data, offset): (Resource<Descriptor>, StreamReader<u8>, u64)| {
            let opened = open_writer(store.data_mut(), |state| {
                second::HostDescriptor::write_via_stream(&mut view(state), fd, offset)
            });
            Ok((written(&mut store, data, opened)?,))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store: StoreContextMut<'_, CallState>,
         (fd, data): (Resource<Descriptor>, StreamReader<u8>)| {
            let opened = open_writer(store.data_mut(), |state| {
                second::HostDescriptor::append_via_stream(&mut view(state), fd)
            });
            Ok((written(&mut store, data, opened)?,))
        },
    )
}

/// Writes the bytes of a stream to a file, if the file was opened.
fn written(
    store: &mut StoreContextMut<'_, CallState>,
    mut data: StreamReader<u8>,
    opened: FsResult<DynOutputStream>,
) -> wasmtime::Result<StreamEnded> {
    let opened = converted(opened)?;
    let (mut end, ended) = StreamEnd::new();
    match opened {
        Ok(stream) => data.pipe(&mut *store, FileWriter::new(stream, end))?,
        Err(code) => {
            end.end(Err(code));
            data.close(&mut *store)?;
        }
    }
    FutureReader::new(&mut *store, ended)
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
    method!(types, "rename-at", |_state, old: String, to: Resource<Descriptor>, new: String| -> () {
        is_too_long(&[&old, &new])
    } rename_at);
    method!(types, "stat-at", |_state, flags: PathFlags, path: String| -> DescriptorStat {
        is_too_long(&[&path])
    } stat_at);
    method!(types, "set-times-at", |_state, flags: PathFlags, path: String, accessed: NewTimestamp, modified: NewTimestamp| -> () {
        is_too_long(&[&path])
    } set_times_at);
    method!(types, "readlink-at", |_state, path: String| -> String { is_too_long(&[&path]) } readlink_at);
    method!(types, "remove-directory-at", |_state, path: String| -> () { is_too_long(&[&path]) } remove_directory_at);
    method!(types, "unlink-file-at", |_state, path: String| -> () { is_too_long(&[&path]) } unlink_file_at);
    method!(types, "metadata-hash-at", |_state, flags: PathFlags, path: String| -> MetadataHashValue {
        is_too_long(&[&path])
    } metadata_hash_at);
    Ok(())
}

/// Defines the lists of directory entries. As in 0.2, the host holds each list whole, so each counts as an open file:
/// `wasmtime_wasi` would read them on a thread that waits for its guest.
fn entries(types: &mut LinkerInstance<'_, CallState>) -> wasmtime::Result<()> {
    types.func_wrap_async(
        "[method]descriptor.read-directory",
        |mut store: StoreContextMut<'_, CallState>, (fd,): (Resource<Descriptor>,)| {
            Box::new(async move {
                let state = store.data_mut();
                let open = files(state)?.open_stream(&state.limits)?;
                let listed = second::HostDescriptor::read_directory(&mut view(state), fd).await;
                let listed = listed.and_then(|list| Ok(state.ctx().table.delete(list)?));
                let (mut entries, mut result) = (vec![], Ok(()));
                match converted(listed)? {
                    Ok(list) => {
                        for entry in list {
                            match converted(entry)? {
                                Ok(entry) => entries.push(entry_of(entry)),
                                Err(code) => {
                                    result = Err(code);
                                    break;
                                }
                            }
                        }
                    }
                    Err(code) => result = Err(code),
                }
                let (end, ended) = StreamEnd::new();
                let reader = EntryReader {
                    entries: entries.into_iter(),
                    result: Some(result),
                    end,
                    _open: open,
                };
                let stream = StreamReader::new(&mut store, reader)?;
                let ended: StreamEnded = FutureReader::new(&mut store, ended)?;
                Ok(((stream, ended),))
            })
        },
    )
}

/// An entry of a directory in the form of 0.3.
fn entry_of(entry: second::DirectoryEntry) -> DirectoryEntry {
    DirectoryEntry {
        type_: match entry.type_ {
            second::DescriptorType::BlockDevice => DescriptorType::BlockDevice,
            second::DescriptorType::CharacterDevice => DescriptorType::CharacterDevice,
            second::DescriptorType::Directory => DescriptorType::Directory,
            second::DescriptorType::Fifo => DescriptorType::Fifo,
            second::DescriptorType::SymbolicLink => DescriptorType::SymbolicLink,
            second::DescriptorType::RegularFile => DescriptorType::RegularFile,
            second::DescriptorType::Socket => DescriptorType::Socket,
            second::DescriptorType::Unknown => DescriptorType::Other(None),
        },
        name: entry.name,
    }
}

/// The result of a function of 0.2: its error as the code of 0.3, or a trap.
fn converted<T>(result: FsResult<T>) -> wasmtime::Result<Result<T, ErrorCode>> {
    Ok(match result {
        Ok(value) => Ok(value),
        Err(error) => Err(code_of(error.downcast()?)),
    })
}

/// The code of 0.3 for one of 0.2: 0.3 has the same codes, except for `would-block`.
fn code_of(code: SecondError) -> ErrorCode {
    match code {
        SecondError::Access => ErrorCode::Access,
        SecondError::Already => ErrorCode::Already,
        SecondError::BadDescriptor => ErrorCode::BadDescriptor,
        SecondError::Busy => ErrorCode::Busy,
        SecondError::Deadlock => ErrorCode::Deadlock,
        SecondError::Quota => ErrorCode::Quota,
        SecondError::Exist => ErrorCode::Exist,
        SecondError::FileTooLarge => ErrorCode::FileTooLarge,
        SecondError::IllegalByteSequence => ErrorCode::IllegalByteSequence,
        SecondError::InProgress => ErrorCode::InProgress,
        SecondError::Interrupted => ErrorCode::Interrupted,
        SecondError::Invalid => ErrorCode::Invalid,
        SecondError::Io => ErrorCode::Io,
        SecondError::IsDirectory => ErrorCode::IsDirectory,
        SecondError::Loop => ErrorCode::Loop,
        SecondError::TooManyLinks => ErrorCode::TooManyLinks,
        SecondError::MessageSize => ErrorCode::MessageSize,
        SecondError::NameTooLong => ErrorCode::NameTooLong,
        SecondError::NoDevice => ErrorCode::NoDevice,
        SecondError::NoEntry => ErrorCode::NoEntry,
        SecondError::NoLock => ErrorCode::NoLock,
        SecondError::InsufficientMemory => ErrorCode::InsufficientMemory,
        SecondError::InsufficientSpace => ErrorCode::InsufficientSpace,
        SecondError::NotDirectory => ErrorCode::NotDirectory,
        SecondError::NotEmpty => ErrorCode::NotEmpty,
        SecondError::NotRecoverable => ErrorCode::NotRecoverable,
        SecondError::Unsupported => ErrorCode::Unsupported,
        SecondError::NoTty => ErrorCode::NoTty,
        SecondError::NoSuchDevice => ErrorCode::NoSuchDevice,
        SecondError::Overflow => ErrorCode::Overflow,
        SecondError::NotPermitted => ErrorCode::NotPermitted,
        SecondError::Pipe => ErrorCode::Pipe,
        SecondError::ReadOnly => ErrorCode::ReadOnly,
        SecondError::InvalidSeek => ErrorCode::InvalidSeek,
        SecondError::TextFileBusy => ErrorCode::TextFileBusy,
        SecondError::CrossDevice => ErrorCode::CrossDevice,
        SecondError::WouldBlock => ErrorCode::Other(None),
    }
}

/// The result of a function: its error as the code that the guest sees, or a trap.
fn answered<T>(result: FilesystemResult<T>) -> Answer<T> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(error) => Err(error.downcast()?),
    },))
}
