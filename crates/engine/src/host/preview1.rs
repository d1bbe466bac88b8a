//! The functions of WASI preview 1 from `wasmtime_wasi`, with bounds on a guest's input.
//!
//! Lengths and counts that a guest passes are bounded here before they are used; bytes written, and files created and
//! opened, are counted. docs/IMPORTS.md has a row for each.

use super::memory;
use crate::capability::random;
use crate::limits::LimitExceeded;
use crate::state::CallState;
use wasmtime::{Caller, ImportType, Linker};
use wasmtime_wasi::I32Exit;
use wasmtime_wasi::p1::wasi_snapshot_preview1 as p1;
use wiggle::GuestMemory;

const MODULE: &str = "wasi_snapshot_preview1";
/// Bytes that a directory entry counts.
const ENTRY: u64 = 4096;
/// The most vectors that one read or write uses (`IOV_MAX` of Linux); it ends early after them, as any read or write
/// may.
const VECTORS: i32 = 1024;
/// The most subscriptions of one poll.
const SUBSCRIPTIONS: u32 = 1024;
/// The most bytes of a path (`PATH_MAX` of Linux).
const PATH: u32 = 4096;
/// The most random bytes that one call may ask for.
const RANDOM: u32 = 1 << 20;
/// The size of an `fdstat` of preview 1.
const FDSTAT: usize = 24;
/// `oflags::creat` of preview 1.
const CREATE: i32 = 1;

/// Error numbers of preview 1.
mod errno {
    pub(super) const INVAL: i32 = 28;
    pub(super) const NAMETOOLONG: i32 = 37;
    pub(super) const NOTSOCK: i32 = 57;
}

/// Functions that need no memory. The others fault in a module that exports none ([`needs_memory`]).
const MEMORYLESS: [&str; 6] = [
    "proc_exit",
    "sched_yield",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
];

/// Returns whether an import uses the memory of the module that imports it.
pub(crate) fn needs_memory(import: &ImportType<'_>) -> bool {
    import.module() == MODULE && !MEMORYLESS.contains(&import.name())
}

pub(crate) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p1::add_to_linker_async(linker, |state: &mut CallState| state.wasi.context())?;
    linker.allow_shadowing(true);
    without_context(linker)?;
    streams(linker)?;
    paths(linker)?;
    descriptors(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The bytes that one function may copy: wasmtime's default for a store.
const FUEL: usize = 128 << 20;

/// Runs one function of `wasmtime_wasi`, unless the code in `before` returns an error number instead; the code in
/// `after` gets the resulting error number. Both see the arguments, and `before` may change them.
macro_rules! bounded {
    ($linker:ident, $name:ident($($arg:ident: $ty:ty),*), |$caller:ident| $before:expr) => {
        bounded!($linker, $name($($arg: $ty),*), |$caller| $before, |answered| ());
    };
    ($linker:ident, $name:ident($($arg:ident: $ty:ty),*), |$caller:ident| $before:expr, |$errno:ident| $after:expr) => {
        $linker.func_wrap_async(
            MODULE,
            stringify!($name),
            |mut $caller: Caller<'_, CallState>, ($($arg,)*): ($($ty,)*)| {
                Box::new(async move {
                    $(#[allow(unused_mut, reason = "some are changed")] let mut $arg = $arg;)*
                    let refused: Option<i32> = $before;
                    if let Some(errno) = refused {
                        return Ok(errno);
                    }
                    let memory = memory::of(&mut $caller)?;
                    let (bytes, state) = memory.data_and_store_mut(&mut $caller);
                    let context = state.wasi.context();
                    // The bytes that the host may copy for one call.
                    p1::WasiSnapshotPreview1::set_hostcall_fuel(context, FUEL);
                    let $errno = p1::$name(context, &mut GuestMemory::Unshared(bytes), $($arg),*).await?;
                    $caller.data_mut().wasi.files().settle($errno == 0);
                    $after;
                    Ok($errno)
                })
            },
        )?;
    };
}

/// Defines the functions that need no context. A context takes two microseconds to make, and a guest that makes a hash
/// map only asks for random bytes, one that starts a command only for the environment.
fn without_context(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let random_get = |mut caller: Caller<'_, CallState>, pointer: u32, length: u32| {
        let memory = memory::of(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let room = memory::room(bytes, pointer, length)?;
        if length > RANDOM {
            return Ok(errno::INVAL);
        }
        random::fill(state.tape.as_ref(), room);
        wasmtime::Result::Ok(0i32)
    };
    let environ_sizes_get = |mut caller: Caller<'_, CallState>, count: u32, size: u32| {
        let memory = memory::of(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let environment = state.wasi.environment();
        for (at, value) in [
            (count, environment.variables.len()),
            (size, environment.size()),
        ] {
            memory::room(bytes, at, 4)?.copy_from_slice(&u32::try_from(value)?.to_le_bytes());
        }
        wasmtime::Result::Ok(0i32)
    };
    let environ_get = |mut caller: Caller<'_, CallState>, mut places: u32, mut texts: u32| {
        let memory = memory::of(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        for text in state.wasi.environment().texts() {
            let length = u32::try_from(text.len())?;
            memory::room(bytes, places, 4)?.copy_from_slice(&texts.to_le_bytes());
            memory::room(bytes, texts, length)?.copy_from_slice(text.as_bytes());
            // A text in memory cannot end beyond 4 GiB, but may end exactly there.
            (places, texts) = (places.wrapping_add(4), texts.wrapping_add(length));
        }
        wasmtime::Result::Ok(0i32)
    };
    linker.func_wrap(MODULE, "random_get", random_get)?;
    linker.func_wrap(MODULE, "environ_sizes_get", environ_sizes_get)?;
    linker.func_wrap(MODULE, "environ_get", environ_get)?;
    // `wasmtime_wasi` treats a status of 126 or more as its own failure.
    linker.func_wrap(MODULE, "proc_exit", |status: i32| -> wasmtime::Result<()> {
        Err(I32Exit(status).into())
    })?;
    linker.func_wrap(MODULE, "sched_yield", || 0i32)?;
    // No descriptor is a socket. `wasmtime_wasi` answers the same, and warns in the log each time.
    linker.func_wrap(MODULE, "sock_accept", |_: i32, _: i32, _: i32| {
        errno::NOTSOCK
    })?;
    linker.func_wrap(
        MODULE,
        "sock_recv",
        |_: i32, _: i32, _: i32, _: i32, _: i32, _: i32| errno::NOTSOCK,
    )?;
    linker.func_wrap(
        MODULE,
        "sock_send",
        |_: i32, _: i32, _: i32, _: i32, _: i32| errno::NOTSOCK,
    )?;
    linker.func_wrap(MODULE, "sock_shutdown", |_: i32, _: i32| errno::NOTSOCK)?;
    Ok(())
}

/// Defines the functions that read and write, and the one that waits.
fn streams(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    bounded!(linker, fd_read(fd: i32, iovs: i32, count: i32, out: i32), |caller| {
        count = vectors(count);
        first_vector(&mut caller, iovs, count)?;
        None
    });
    bounded!(linker, fd_pread(fd: i32, iovs: i32, count: i32, offset: i64, out: i32), |caller| {
        count = vectors(count);
        first_vector(&mut caller, iovs, count)?;
        None
    });
    bounded!(linker, fd_write(fd: i32, iovs: i32, count: i32, out: i32), |caller| {
        count = vectors(count);
        let bytes = first_vector(&mut caller, iovs, count)?;
        spend_on(&mut caller, fd, bytes).await?
    });
    bounded!(linker, fd_pwrite(fd: i32, iovs: i32, count: i32, offset: i64, out: i32), |caller| {
        count = vectors(count);
        let bytes = first_vector(&mut caller, iovs, count)?;
        spend_on(&mut caller, fd, bytes).await?
    });
    bounded!(linker, fd_filestat_set_size(fd: i32, size: i64), |caller| {
        spend_on(&mut caller, fd, size.cast_unsigned()).await?
    });
    bounded!(linker, poll_oneoff(subscriptions: i32, events: i32, count: i32, out: i32), |caller| {
        (count.cast_unsigned() > SUBSCRIPTIONS).then_some(errno::INVAL)
    });
    Ok(())
}

/// Defines the functions that take a path.
fn paths(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    bounded!(linker, path_create_directory(fd: i32, path: i32, length: i32), |caller| match too_long(&[length]) {
        None => {
            caller.data_mut().wasi.files().spend_directory()?;
            spend(&mut caller, ENTRY)?
        }
        refused => refused,
    });
    bounded!(linker, path_symlink(old: i32, old_length: i32, fd: i32, new: i32, new_length: i32), |caller| {
        match too_long(&[old_length, new_length]) {
            None => spend(&mut caller, ENTRY)?,
            refused => refused,
        }
    });
    bounded!(linker, path_link(old_fd: i32, lookup: i32, old: i32, old_length: i32, fd: i32, new: i32, new_length: i32), |caller| {
        match too_long(&[old_length, new_length]) {
            None => spend(&mut caller, ENTRY)?,
            refused => refused,
        }
    });
    bounded!(linker, path_rename(fd: i32, old: i32, old_length: i32, new_fd: i32, new: i32, new_length: i32), |caller| {
        too_long(&[old_length, new_length])
    });
    bounded!(linker, path_filestat_get(fd: i32, lookup: i32, path: i32, length: i32, out: i32), |caller| {
        too_long(&[length])
    });
    bounded!(linker, path_filestat_set_times(fd: i32, lookup: i32, path: i32, length: i32, accessed: i64, modified: i64, flags: i32), |caller| {
        too_long(&[length])
    });
    bounded!(linker, path_readlink(fd: i32, path: i32, length: i32, to: i32, room: i32, out: i32), |caller| {
        too_long(&[length])
    });
    bounded!(linker, path_remove_directory(fd: i32, path: i32, length: i32), |caller| too_long(&[length]));
    bounded!(linker, path_unlink_file(fd: i32, path: i32, length: i32), |caller| too_long(&[length]));
    Ok(())
}

/// Defines the functions that open and close.
fn descriptors(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    bounded!(
        linker,
        path_open(fd: i32, lookup: i32, path: i32, length: i32, flags: i32, base: i64, inheriting: i64, fdflags: i32, out: i32),
        |caller| match too_long(&[length]) {
            None => {
                if flags & CREATE != 0 {
                    spend(&mut caller, ENTRY)?;
                }
                let state = caller.data_mut();
                state.wasi.open(&state.limits)?;
                None
            }
            refused => refused,
        },
        |errno| if errno != 0 {
            caller.data_mut().wasi.files().close();
        }
    );
    bounded!(linker, fd_close(fd: i32), |caller| None, |errno| if errno == 0 {
        caller.data_mut().wasi.files().close();
    });
    bounded!(linker, fd_renumber(from: i32, to: i32), |caller| None, |errno| if errno == 0 && from != to {
        caller.data_mut().wasi.files().close();
    });
    Ok(())
}

fn spend(caller: &mut Caller<'_, CallState>, bytes: u64) -> Result<Option<i32>, LimitExceeded> {
    caller.data_mut().wasi.files().spend(bytes)?;
    Ok(None)
}

/// Counts bytes for a descriptor. A descriptor that is not open gets its error number, and reaches no limit.
async fn spend_on(
    caller: &mut Caller<'_, CallState>,
    fd: i32,
    bytes: u64,
) -> wasmtime::Result<Option<i32>> {
    let state = caller.data_mut();
    let Err(reached) = state.wasi.files().spend(bytes) else {
        return Ok(None);
    };
    let mut status = [0; FDSTAT];
    let context = state.wasi.context();
    p1::WasiSnapshotPreview1::set_hostcall_fuel(context, FUEL);
    let status = &mut GuestMemory::Unshared(&mut status);
    match p1::fd_fdstat_get(context, status, fd, 0).await? {
        0 => Err(reached.into()),
        errno => Ok(Some(errno)),
    }
}

fn too_long(lengths: &[i32]) -> Option<i32> {
    let long = |length: &i32| length.cast_unsigned() > PATH;
    lengths.iter().any(long).then_some(errno::NAMETOOLONG)
}

/// The number of vectors, up to the most that are used.
fn vectors(count: i32) -> i32 {
    if (0..=VECTORS).contains(&count) {
        count
    } else {
        VECTORS
    }
}

/// The length of the first vector that is not empty, which one call reads or writes. The vector lies in the memory.
fn first_vector(
    caller: &mut Caller<'_, CallState>,
    iovs: i32,
    count: i32,
) -> wasmtime::Result<u64> {
    let memory = memory::of(caller)?;
    for at in 0..count.cast_unsigned() {
        let Some(vector) = iovs.cast_unsigned().checked_add(at.saturating_mul(8)) else {
            break;
        };
        let bytes = memory::read(&memory, &*caller, vector, 8)?;
        let word = |at: usize| {
            let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |chunk| u32::from_le_bytes(*chunk))
        };
        let (pointer, length) = (word(0), word(4));
        if length > 0 {
            memory::check(&memory, &*caller, pointer, length)?;
            return Ok(length.into());
        }
    }
    Ok(0)
}
