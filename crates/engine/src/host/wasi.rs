//! WASI preview 1, by `wasmtime_wasi`: what a Rust standard library needs, and nothing that leads outside.
//!
//! Arguments are the export's name, then the function's state; the environment is `wasm_id` and `storage_key`
//! (`docs/second-state.md`). stdout and stderr are the call's log, stdin is empty; a program has the arguments and the
//! stdin of its call instead, and its stdout is the result. `/` is a scratch directory of this call alone, there are no
//! sockets. The context is made at the guest's first use of any of it: most calls never do.
//!
//! `wasmtime_wasi` bounds no writes, so the functions that can fill a disk are counted here before it runs them.

use crate::Value;
use crate::abi::command::Plan as Program;
use crate::host::log::{Log, Recorder, Which};
use crate::host::memory;
use crate::host::scratch::{Directory, Scratch};
use crate::limits::{Limits, Reached};
use crate::state::CallState;
use crate::tape::{Monotonic, Tape};
use bytes::Bytes;
use rand::Rng as _;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;
use wasmtime::{Caller, Linker};
use wasmtime_wasi::p1::wasi_snapshot_preview1 as p1;
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_async};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};
use wiggle::GuestMemory;

/// What a guest sees of its surroundings, the same for every call of a function.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The second argument; the first is the export's name.
    pub state: Arc<str>,
    /// Environment variables.
    pub variables: Vec<(String, String)>,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            state: "".into(),
            variables: vec![],
        }
    }
}

/// WASI of one call.
pub(crate) struct Wasi {
    /// Made at first use.
    context: Option<Box<WasiP1Ctx>>,
    /// Behind the streams of `context`.
    recorder: Option<Recorder>,
    setup: Setup,
    /// Removed when the call ends.
    directory: Option<Directory>,
    /// Bytes that may still be written to `directory`.
    left: u64,
}

/// What it takes to make the context.
pub(crate) struct Setup {
    pub(crate) call: Uuid,
    pub(crate) export: Arc<str>,
    pub(crate) environment: Arc<Environment>,
    /// What a program is given; `None` for other kinds.
    pub(crate) program: Option<Program>,
    /// `None` for modules that cannot open files.
    pub(crate) scratch: Option<Arc<Scratch>>,
    pub(crate) log_limit: usize,
    /// Bytes that a program may print.
    pub(crate) output_limit: usize,
    pub(crate) tape: Option<Tape>,
}

impl Wasi {
    pub(crate) fn new(setup: Setup, limits: &Limits) -> Self {
        Self {
            context: None,
            recorder: None,
            setup,
            directory: None,
            left: limits.scratch.as_u64(),
        }
    }

    /// What the call printed.
    pub(crate) fn take_log(&self) -> Log {
        self.recorder
            .as_ref()
            .map(Recorder::take)
            .unwrap_or_default()
    }

    /// What a program printed as its result: text if it is text.
    pub(crate) fn take_printed(&self) -> Value {
        let recorder = self.recorder.as_ref();
        let printed = Bytes::from(recorder.map(Recorder::take_printed).unwrap_or_default());
        match std::str::from_utf8(&printed) {
            Ok(_) => Value::Text(printed),
            Err(_) => Value::Bytes(printed),
        }
    }

    /// Whether the call is a program's.
    pub(crate) fn is_program(&self) -> bool {
        self.setup.program.is_some()
    }

    fn context(&mut self) -> &mut WasiP1Ctx {
        let Self {
            context,
            recorder,
            setup,
            directory,
            ..
        } = self;
        context.get_or_insert_with(|| {
            let program = setup.program.as_mut();
            let printed = program.is_some().then_some(setup.output_limit);
            let recorder = recorder.insert(Recorder::new(setup.log_limit, printed));
            let mut builder = WasiCtxBuilder::new();
            builder.arg(&setup.export);
            match program {
                Some(program) => builder
                    .args(&program.words)
                    .stdin(MemoryInputPipe::new(std::mem::take(&mut program.stdin))),
                None => builder.arg(&*setup.environment.state),
            };
            builder
                .envs(&setup.environment.variables)
                .stdout(recorder.stream(Which::Stdout))
                .stderr(recorder.stream(Which::Stderr))
                .allow_tcp(false)
                .allow_udp(false);
            if let Some(tape) = &setup.tape {
                builder
                    .secure_random(tape.clone())
                    .insecure_random(tape.clone())
                    .wall_clock(tape.clone())
                    .monotonic_clock(Monotonic {
                        tape: tape.clone(),
                        began: Instant::now(),
                    });
            }
            if let Some(scratch) = &setup.scratch {
                let made = scratch.directory(setup.call).map_err(wasmtime::Error::new);
                match made.and_then(|made| {
                    builder
                        .preopened_dir(made.path(), "/", FsPerms::ReadWrite)
                        .map(|_| made)
                }) {
                    Ok(made) => *directory = Some(made),
                    // The guest sees a system without files, as some are; the operator sees why.
                    Err(error) => tracing::error!(%error, "no scratch directory for a call"),
                }
            }
            Box::new(builder.build_p1())
        })
    }

    fn spend(&mut self, bytes: u64) -> Result<(), Reached> {
        self.left = self.left.checked_sub(bytes).ok_or(Reached::Scratch)?;
        Ok(())
    }
}

/// What a directory entry is worth.
const ENTRY: u64 = 4096;
/// `oflags::creat` of preview 1.
const CREATE: i32 = 1;

pub(crate) fn add_to_linker(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    add_to_linker_async(linker, |state: &mut CallState| state.wasi.context())?;
    linker.allow_shadowing(true);
    without_context(linker)?;
    counted(linker)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Runs one function of `wasmtime_wasi` after its cost was spent.
macro_rules! counted {
    ($linker:ident, $name:ident($($arg:ident: $ty:ty),*), |$caller:ident| $cost:expr) => {
        $linker.func_wrap_async(
            "wasi_snapshot_preview1",
            stringify!($name),
            |mut $caller: Caller<'_, CallState>, ($($arg,)*): ($($ty,)*)| {
                Box::new(async move {
                    let cost: u64 = $cost;
                    $caller.data_mut().wasi.spend(cost)?;
                    let memory = memory::of(&mut $caller)?;
                    let (bytes, state) = memory.data_and_store_mut(&mut $caller);
                    let context = state.wasi.context();
                    // What the host may copy for one call; what it copies here was just counted.
                    p1::WasiSnapshotPreview1::set_hostcall_fuel(context, FUEL);
                    p1::$name(context, &mut GuestMemory::Unshared(bytes), $($arg),*).await
                })
            },
        )?;
    };
}

/// Randomness and the environment, without a context: whoever makes a hash map asks for the one, whoever starts a command
/// for the other, and the context, which takes two microseconds, would be made for nothing else.
fn without_context(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    let random_get = |mut caller: Caller<'_, CallState>, pointer: u32, length: u32| {
        let memory = memory::of(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let room = memory::room(bytes, pointer, length)?;
        if length > RANDOM {
            return Ok(INVALID);
        }
        match &state.wasi.setup.tape {
            Some(tape) => tape.random(room),
            None => rand::rng().fill_bytes(room),
        }
        wasmtime::Result::Ok(0)
    };
    let environ_sizes_get = |mut caller: Caller<'_, CallState>, count: u32, size: u32| {
        let memory = memory::of(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        let variables = &state.wasi.setup.environment.variables;
        let length = |(name, value): &(String, String)| name.len() + value.len() + 2;
        let all: usize = variables.iter().map(length).sum();
        for (at, value) in [(count, variables.len()), (size, all)] {
            memory::room(bytes, at, 4)?.copy_from_slice(&u32::try_from(value)?.to_le_bytes());
        }
        wasmtime::Result::Ok(0i32)
    };
    let environ_get = |mut caller: Caller<'_, CallState>, mut places: u32, mut texts: u32| {
        let memory = memory::of(&mut caller)?;
        let (bytes, state) = memory.data_and_store_mut(&mut caller);
        for (name, value) in &state.wasi.setup.environment.variables {
            let text = format!("{name}={value}\0");
            let length = u32::try_from(text.len())?;
            memory::room(bytes, places, 4)?.copy_from_slice(&texts.to_le_bytes());
            memory::room(bytes, texts, length)?.copy_from_slice(text.as_bytes());
            // No text of a memory ends beyond 4 GiB, but one may end there.
            (places, texts) = (places.wrapping_add(4), texts.wrapping_add(length));
        }
        wasmtime::Result::Ok(0i32)
    };
    let module = "wasi_snapshot_preview1";
    linker.func_wrap(module, "random_get", random_get)?;
    linker.func_wrap(module, "environ_sizes_get", environ_sizes_get)?;
    linker.func_wrap(module, "environ_get", environ_get)?;
    Ok(())
}

/// As wasmtime's own default for a store.
const FUEL: usize = 128 << 20;

/// Random bytes of one request; making them holds the thread for a few milliseconds at most.
const RANDOM: u32 = 16 << 20;
/// Vectors of one read or write, and subscriptions of one wait: `IOV_MAX` of Linux. The host walks them before anything
/// is done, in time that no clock of the guest counts.
const VECTORS: i32 = 1024;
/// Bytes of a path: `PATH_MAX` of Linux.
const PATH: i32 = 4096;
/// `errno::inval` of preview 1.
const INVALID: i32 = 28;
/// `errno::nametoolong` of preview 1.
const NAME_TOO_LONG: i32 = 37;

/// Whether a count or a length, which the guest means without a sign, is more than `most`.
fn exceeds(count: i32, most: i32) -> bool {
    count.cast_unsigned() > most.cast_unsigned()
}

fn counted(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    counted!(linker, fd_write(fd: i32, iovs: i32, count: i32, out: i32), |caller| {
        if exceeds(count, VECTORS) { return Ok(INVALID); }
        first_vector(&mut caller, iovs, count)?
    });
    counted!(linker, fd_pwrite(fd: i32, iovs: i32, count: i32, offset: i64, out: i32), |caller| {
        if exceeds(count, VECTORS) { return Ok(INVALID); }
        first_vector(&mut caller, iovs, count)?
    });
    counted!(linker, fd_read(fd: i32, iovs: i32, count: i32, out: i32), |_caller| {
        if exceeds(count, VECTORS) { return Ok(INVALID); }
        0
    });
    counted!(linker, fd_pread(fd: i32, iovs: i32, count: i32, offset: i64, out: i32), |_caller| {
        if exceeds(count, VECTORS) { return Ok(INVALID); }
        0
    });
    counted!(linker, poll_oneoff(subscriptions: i32, events: i32, count: i32, out: i32), |_caller| {
        if exceeds(count, VECTORS) { return Ok(INVALID); }
        0
    });
    counted!(linker, fd_filestat_set_size(fd: i32, size: i64), |_caller| size.cast_unsigned());
    counted!(linker, path_open(fd: i32, lookup: i32, path: i32, length: i32, flags: i32, base: i64, inheriting: i64, fdflags: i32, out: i32), |_caller| {
        if exceeds(length, PATH) { return Ok(NAME_TOO_LONG); }
        if flags & CREATE == 0 { 0 } else { ENTRY }
    });
    counted!(linker, path_create_directory(fd: i32, path: i32, length: i32), |_caller| {
        if exceeds(length, PATH) { return Ok(NAME_TOO_LONG); }
        ENTRY
    });
    counted!(linker, path_symlink(old: i32, old_length: i32, fd: i32, new: i32, new_length: i32), |_caller| {
        if exceeds(old_length, PATH) || exceeds(new_length, PATH) { return Ok(NAME_TOO_LONG); }
        ENTRY
    });
    counted!(linker, path_link(old_fd: i32, lookup: i32, old: i32, old_length: i32, fd: i32, new: i32, new_length: i32), |_caller| {
        if exceeds(old_length, PATH) || exceeds(new_length, PATH) { return Ok(NAME_TOO_LONG); }
        ENTRY
    });
    counted!(linker, path_rename(old_fd: i32, old: i32, old_length: i32, fd: i32, new: i32, new_length: i32), |_caller| {
        if exceeds(old_length, PATH) || exceeds(new_length, PATH) { return Ok(NAME_TOO_LONG); }
        0
    });
    counted!(linker, path_filestat_get(fd: i32, lookup: i32, path: i32, length: i32, out: i32), |_caller| {
        if exceeds(length, PATH) { return Ok(NAME_TOO_LONG); }
        0
    });
    counted!(linker, path_filestat_set_times(fd: i32, lookup: i32, path: i32, length: i32, accessed: i64, modified: i64, flags: i32), |_caller| {
        if exceeds(length, PATH) { return Ok(NAME_TOO_LONG); }
        0
    });
    counted!(linker, path_readlink(fd: i32, path: i32, length: i32, to: i32, room: i32, out: i32), |_caller| {
        if exceeds(length, PATH) { return Ok(NAME_TOO_LONG); }
        0
    });
    counted!(linker, path_remove_directory(fd: i32, path: i32, length: i32), |_caller| {
        if exceeds(length, PATH) { return Ok(NAME_TOO_LONG); }
        0
    });
    counted!(linker, path_unlink_file(fd: i32, path: i32, length: i32), |_caller| {
        if exceeds(length, PATH) { return Ok(NAME_TOO_LONG); }
        0
    });
    Ok(())
}

/// The length of the first vector that holds anything, which is what one write writes.
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
        let length = bytes
            .last_chunk::<4>()
            .map_or(0, |chunk| u32::from_le_bytes(*chunk));
        if length > 0 {
            return Ok(length.into());
        }
    }
    Ok(0)
}
