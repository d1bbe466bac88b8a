//! WASI preview 1, by `wasmtime_wasi`: what a Rust standard library needs, and nothing that leads outside.
//!
//! Arguments are the export's name, then the function's state; the environment is `wasm_id` and `storage_key`
//! (`docs/second-state.md`). stdout and stderr are the call's log, stdin is empty; a program has the arguments and the
//! stdin of its call instead, and its stdout is the result. `/` is a scratch directory of this call alone, there are no
//! sockets. The context is made at the guest's first use of any of it: most calls never do.
//!
//! `wasmtime_wasi` bounds neither writes nor open files nor what a guest hands over at once: [`super::preview1`] does,
//! and counts against what is left here.

use crate::Value;
use crate::abi::command::Plan as Program;
use crate::host::log::{Log, Recorder, Which};
use crate::host::scratch::{Directory, Scratch};
use crate::limits::{Limits, Reached};
use crate::tape::{Monotonic, Tape};
use bytes::Bytes;
use iof_fault::{Ending, Fault};
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

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
    pub(super) setup: Setup,
    /// Removed when the call ends.
    directory: Option<Directory>,
    /// Bytes that may still be written to `directory`.
    left: u64,
    /// Directories that may still be made in it.
    directories: u32,
    files: Files,
}

/// Files and directories that a call has open, of those that all calls may have open.
struct Files {
    open: u32,
    most: u32,
    /// Where all are counted, once there is one.
    of_all: Option<Arc<Scratch>>,
}

impl Files {
    fn take(&mut self, all: Option<&Arc<Scratch>>) -> wasmtime::Result<()> {
        if self.open >= self.most {
            return Err(Reached::Files.into());
        }
        // Without a scratch directory nothing is opened.
        if let Some(all) = all {
            all.open_file()?;
            self.of_all.get_or_insert_with(|| Arc::clone(all));
            self.open += 1;
        }
        Ok(())
    }

    /// The streams that a call begins with were never taken.
    fn give_back(&mut self) {
        if let (Some(all), 1..) = (&self.of_all, self.open) {
            self.open -= 1;
            all.close_files(1);
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        if let Some(all) = &self.of_all {
            all.close_files(self.open);
        }
    }
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
            directory: None,
            left: limits.scratch.as_u64(),
            directories: limits.scratch_directories,
            files: Files {
                open: 0,
                most: limits.files,
                of_all: None,
            },
            setup,
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

    /// Keeps the beginning of what a program printed before it failed: a part in its fault, more of it in its log.
    pub(crate) fn keep_beginning(&self, fault: &mut Fault, log: &mut Log) {
        /// What of it goes into the log.
        const LOGGED: usize = 64 << 10;
        let recorder = self.recorder.as_ref();
        let mut printed = recorder.map(Recorder::take_printed).unwrap_or_default();
        let beginning = printed.get(..Ending::STDOUT).unwrap_or(&printed);
        fault.ending.get_or_insert_default().stdout =
            Some(String::from_utf8_lossy(beginning).into_owned());
        printed.truncate(LOGGED);
        log.stdout = printed;
    }

    /// Whether the call is a program's.
    pub(crate) fn is_program(&self) -> bool {
        self.setup.program.is_some()
    }

    pub(super) fn context(&mut self) -> &mut WasiP1Ctx {
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

    pub(super) fn spend(&mut self, bytes: u64) -> Result<(), Reached> {
        self.left = self.left.checked_sub(bytes).ok_or(Reached::Scratch)?;
        if let Some(directory) = &mut self.directory {
            directory.bytes += bytes;
        }
        Ok(())
    }

    /// Counts a directory. No tree is deeper than it has directories, whatever links and renames make of it.
    pub(super) fn spend_directory(&mut self) -> Result<(), Reached> {
        let left = self.directories.checked_sub(1);
        self.directories = left.ok_or(Reached::ScratchDirectories)?;
        Ok(())
    }

    /// Counts a file before it is opened.
    pub(super) fn open(&mut self) -> wasmtime::Result<()> {
        self.files.take(self.setup.scratch.as_ref())
    }

    /// A file was closed, or not opened.
    pub(super) fn closed(&mut self) {
        self.files.give_back();
    }
}
