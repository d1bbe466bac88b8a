//! WASI of one call, served by `wasmtime_wasi`: enough for Rust's standard library, and no access to the outside.
//!
//! Arguments are the export's name, then the function's state; the environment is `wasm_id` and `storage_key`
//! (`docs/second-state.md`). stdout and stderr are the call's log, stdin is empty; a program has the arguments and the
//! stdin of its call instead, and its stdout is the result. `/` is a scratch directory of this call; there are no
//! sockets. The context is made at the guest's first use of any of these: most calls never use it. A component's
//! scratch directory is made when it asks for its directories.
//!
//! `wasmtime_wasi` does not bound writes, open files or the size of a guest's input: `host::preview1` does, and counts
//! them toward the limits of the call's files.

mod clocks;
mod streams;

use crate::Value;
use crate::capability::environment::Environment;
use crate::capability::files::Files;
use crate::capability::log::{Log, LogRecorder, Stream};
use crate::capability::random::TapeRng;
use crate::capability::scratch::Scratch;
use crate::capability::shared_files::SharedFiles;
use crate::limits::Limits;
use crate::tape::HostCallTape;
use crate::value::ProgramInput;
use bytes::Bytes;
use clocks::{MonotonicClock, WallClock};
use iof_fault::{Ending, Fault};
use std::sync::Arc;
use std::time::Instant;
use streams::LogStream;
use uuid::Uuid;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder, WasiView as _};

/// WASI of one call.
pub(crate) struct Wasi {
    /// The context, made at first use.
    context: Option<Box<WasiP1Ctx>>,
    /// The directory of a component's call, made when the guest asks for its directories.
    root: Option<WasiFilesystemCtx>,
    /// The recorder behind the streams of `context`.
    recorder: Option<LogRecorder>,
    setup: Setup,
    /// Declared after `context`, so that its descriptors are closed first.
    files: Files,
}

/// The parts from which the context is made.
pub(crate) struct Setup {
    pub(crate) call: Uuid,
    pub(crate) export: Arc<str>,
    pub(crate) environment: Arc<Environment>,
    /// The input of a program; `None` for other kinds.
    pub(crate) program: Option<ProgramInput>,
    /// `None` for modules that cannot open files.
    pub(crate) scratch: Option<Arc<Scratch>>,
    pub(crate) log_limit: usize,
    /// The most bytes that a program may print.
    pub(crate) output_limit: usize,
    pub(crate) tape: Option<HostCallTape>,
    /// The most resources that a component holds; `None` for core modules, which hold only files.
    pub(crate) handles: Option<u32>,
}

impl Setup {
    /// Makes the call's scratch directory and opens it as `/`, if the call may have files.
    fn open_root(&self, builder: &mut WasiCtxBuilder, files: &mut Files) {
        let Some(scratch) = &self.scratch else {
            return;
        };
        let made = scratch.directory(self.call).map_err(wasmtime::Error::new);
        match made.and_then(|made| {
            builder
                .preopened_dir(made.path(), "/", FsPerms::ReadWrite)
                .map(|_| made)
        }) {
            Ok(made) => files.keep(made),
            // The guest sees a system without files, which programs have to expect; the operator sees the reason.
            Err(error) => tracing::error!(%error, "no scratch directory for a call"),
        }
    }
}

impl Wasi {
    pub(crate) fn new(setup: Setup, limits: &Limits) -> Self {
        Self {
            context: None,
            root: None,
            recorder: None,
            setup,
            files: Files::new(limits),
        }
    }

    /// Takes the call's log.
    pub(crate) fn take_log(&self) -> Log {
        self.recorder
            .as_ref()
            .map(LogRecorder::take)
            .unwrap_or_default()
    }

    /// Takes a program's stdout as its result: text if it is valid UTF-8, else bytes.
    pub(crate) fn take_printed(&self) -> Value {
        let recorder = self.recorder.as_ref();
        let printed = Bytes::from(recorder.map(LogRecorder::take_printed).unwrap_or_default());
        match std::str::from_utf8(&printed) {
            Ok(_) => Value::Text(printed),
            Err(_) => Value::Bytes(printed),
        }
    }

    /// Keeps the beginning of the output of a failed program: a part in its fault, a longer one in its log.
    pub(crate) fn keep_beginning(&self, fault: &mut Fault, log: &mut Log) {
        /// The most bytes of the output that go into the log.
        const LOGGED: usize = 64 << 10;
        let recorder = self.recorder.as_ref();
        let mut printed = recorder.map(LogRecorder::take_printed).unwrap_or_default();
        let beginning = printed.get(..Ending::STDOUT).unwrap_or(&printed);
        fault.ending.get_or_insert_default().stdout =
            Some(String::from_utf8_lossy(beginning).into_owned());
        printed.truncate(LOGGED);
        log.stdout = printed;
    }

    /// Returns whether the call runs a program.
    pub(crate) fn is_program(&self) -> bool {
        self.setup.program.is_some()
    }

    /// The context of `wasmtime_wasi`, made at first use.
    pub(crate) fn context(&mut self) -> &mut WasiP1Ctx {
        let Self {
            context,
            recorder,
            setup,
            files,
            ..
        } = self;
        context.get_or_insert_with(|| {
            let program = setup.program.as_mut();
            let printed = program.is_some().then_some(setup.output_limit);
            let recorder = recorder.insert(LogRecorder::new(setup.log_limit, printed));
            let stream = |recorder: &LogRecorder, stream| LogStream {
                recorder: recorder.clone(),
                stream,
            };
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
                .stdout(stream(recorder, Stream::Stdout))
                .stderr(stream(recorder, Stream::Stderr))
                .allow_tcp(false)
                .allow_udp(false);
            if let Some(tape) = &setup.tape {
                builder
                    .secure_random(TapeRng(tape.clone()))
                    .insecure_random(TapeRng(tape.clone()))
                    .wall_clock(WallClock(tape.clone()))
                    .monotonic_clock(MonotonicClock {
                        tape: tape.clone(),
                        began: Instant::now(),
                    });
            }
            if setup.handles.is_none() {
                setup.open_root(&mut builder, files);
            }
            let mut context = Box::new(builder.build_p1());
            if let Some(handles) = setup.handles {
                // A pollable of a clock or a stream's read-ahead takes an entry in addition to that of its handle.
                let entries = (handles as usize).saturating_mul(2);
                context.ctx().table.set_max_capacity(entries);
            }
            context
        })
    }

    /// The filesystem of a component: its scratch directory, made at first use. Components often import
    /// `wasi:filesystem` without using it: all those built with Rust do.
    pub(crate) fn root(&mut self) -> &mut WasiFilesystemCtx {
        let Self {
            root, setup, files, ..
        } = self;
        root.get_or_insert_with(|| {
            let mut builder = WasiCtxBuilder::new();
            setup.open_root(&mut builder, files);
            builder.build().filesystem().clone()
        })
    }

    /// The recorder of the call's log and of a program's result.
    pub(crate) fn recorder(&mut self) -> LogRecorder {
        self.context();
        let Self {
            recorder, setup, ..
        } = self;
        // `context` has made the recorder.
        let made = recorder.get_or_insert_with(|| LogRecorder::new(setup.log_limit, None));
        made.clone()
    }

    /// The table of a component's resources.
    pub(crate) fn table(&mut self) -> &mut ResourceTable {
        self.context().ctx().table
    }

    /// Returns whether a component has handles of the host's resources.
    pub(crate) fn holds_resources(&mut self) -> bool {
        let context = self.context.as_mut();
        context.is_some_and(|context| !context.ctx().table.is_empty())
    }

    /// The account of a component's files; `None` for a call that has none.
    pub(crate) fn shared_files(&mut self, limits: &Limits) -> Option<Arc<SharedFiles>> {
        let all = self.setup.scratch.as_ref()?;
        Some(Arc::clone(self.files.shared(all, limits)))
    }

    /// The environment of the call.
    pub(crate) fn environment(&self) -> &Environment {
        &self.setup.environment
    }

    /// The files of the call.
    pub(crate) fn files(&mut self) -> &mut Files {
        &mut self.files
    }

    /// Counts a file before it is opened.
    ///
    /// # Errors
    /// The errors of [`Files::open`].
    pub(crate) fn open(&mut self, limits: &Limits) -> Result<(), Fault> {
        self.files.open(self.setup.scratch.as_ref(), limits)
    }
}
