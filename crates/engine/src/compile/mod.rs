//! Compilation of a module's bytes to an artefact, in a child process.
//!
//! A compiler is not built to withstand hostile input: a module of a few kilobytes can take minutes and gigabytes, and
//! wasmtime's authors do not count that as a vulnerability. So a child of the same program does the work. It bounds its
//! own memory and core time before it reads the first byte ([`worker`]), while the parent bounds the wall time, the
//! number of children, and the queue for them.
//!
//! A child that served a small module without error serves the next one (docs/decisions/0038-compile-workers-stay.md).

mod allocator;
mod component;
mod constructors;
mod docs;
mod effort;
mod exports;
mod functions;
mod idle;
mod imports;
mod inspect;
mod instance;
mod instantiation;
mod leftovers;
pub(crate) mod limits;
pub(crate) mod lines;
mod prime;
mod process;
mod refusals;
pub(crate) mod shape;
mod tasks;
pub(crate) mod toolchain;
mod validate;
pub(crate) mod worker;

use crate::limits::{CompileLimits, Limits};
use crate::{Manifest, artefact};
use bytes::Bytes;
pub(crate) use effort::Effort;
use idle::{IDLE, IdleWorkers};
use iof_admission::Admission;
use iof_fault::{Fault, FaultKind, Source};
use iof_worker::Death;
use limits::WorkerLimits;
use process::{Answer, CompileWorker};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use worker::Wanted;

/// Runs compile workers.
#[derive(Debug)]
pub(crate) struct Compiler {
    limits: CompileLimits,
    /// Limits of a call, into which a module must fit.
    call: Arc<Limits>,
    /// The program of a worker, with its first arguments.
    command: Vec<PathBuf>,
    /// The limits that a worker gets as its last argument.
    worker_limits: WorkerLimits,
    /// One permit for each worker that compiles, and the queue of uploads before them.
    admission: Admission,
    idle: Arc<IdleWorkers>,
    ended: EndedCompiles,
}

/// Counts of compiles since the start.
#[derive(Debug, Default)]
struct EndedCompiles {
    compiled: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    nanoseconds: AtomicU64,
}

/// The compiles in progress, and those that ended since the start.
#[derive(Clone, Copy, Debug)]
pub struct CompilerFigures {
    /// Modules that are being compiled.
    pub running: usize,
    /// Modules that wait to be compiled.
    pub waiting: usize,
    /// The most modules that are compiled at once.
    pub limit: usize,
    /// Modules that were compiled.
    pub compiled: u64,
    /// Modules that were refused because of their content.
    pub refused: u64,
    /// Compiles that a limit or the server ended.
    pub failed: u64,
    /// The total time of the compiles that ended, waiting included.
    pub time: Duration,
}

/// The largest ratio of an artefact to its source; compiled code is usually a few times its source.
const ARTEFACT_GROWTH: u64 = 16;
const ARTEFACT_ROOM: u64 = 64 << 20;

/// The signal that ends a worker at its limit of core time.
const XCPU: i32 = 24;
/// The signal that ends a worker unconditionally.
const KILL: i32 = 9;

impl Compiler {
    pub(crate) fn new(limits: CompileLimits, call: Arc<Limits>, command: Vec<PathBuf>) -> Self {
        let parallel = match limits.parallel {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let worker_limits = WorkerLimits::new(&limits, &call);
        Self {
            admission: Admission::new(parallel, limits.compile_queue),
            idle: IdleWorkers::new(IDLE),
            ended: EndedCompiles::default(),
            command,
            worker_limits,
            limits,
            call,
        }
    }

    pub(crate) fn figures(&self) -> CompilerFigures {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        CompilerFigures {
            running: self.admission.running(),
            waiting: self.admission.waiting(),
            limit: self.admission.limit(),
            compiled: count(&self.ended.compiled),
            refused: count(&self.ended.refused),
            failed: count(&self.ended.failed),
            time: Duration::from_nanos(count(&self.ended.nanoseconds)),
        }
    }

    pub(crate) async fn compile(&self, source: Bytes, effort: Effort) -> Result<Vec<u8>, Fault> {
        let began = Instant::now();
        let room = (source.len() as u64)
            .saturating_mul(ARTEFACT_GROWTH)
            .saturating_add(ARTEFACT_ROOM);
        let compiled = self.in_turn(source, Wanted::Code(effort), room).await;
        let ended = match &compiled {
            Ok(_) => &self.ended.compiled,
            Err(fault) if fault.kind.source() == Source::Client => &self.ended.refused,
            Err(_) => &self.ended.failed,
        };
        ended.fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let time = &self.ended.nanoseconds;
        time.fetch_add(nanoseconds, Ordering::Relaxed);
        compiled
    }

    /// The line table of a module that was compiled before; empty if it has none.
    ///
    /// # Errors
    /// `compile-queue`, and what its debug sections lead to, which is not a fault of the module.
    pub(crate) async fn lines(&self, source: Bytes) -> Result<Vec<u8>, Fault> {
        let room = self.limits.line_table.as_u64();
        if room == 0 || !lines::may_have_lines(&source) {
            return Ok(vec![]);
        }
        self.in_turn(source, Wanted::Lines, room.saturating_add(1))
            .await
    }

    async fn in_turn(&self, source: Bytes, wanted: Wanted, room: u64) -> Result<Vec<u8>, Fault> {
        validate::precheck(&source, &self.limits)?;
        let internal =
            |error: &dyn std::fmt::Display| Fault::host("The module could not be compiled.", error);
        // Without a time limit on the wait, only a full queue refuses.
        let admitted = self.admission.acquire().await;
        let _permit = admitted.map_err(|_| self.queue_full())?;
        let deadline = Instant::now() + self.limits.compile_time;
        let mut fresh = source.len() > worker::SMALL;
        loop {
            let mut worker = self.worker(fresh).map_err(|error| internal(&error))?;
            let used = worker.used;
            // On a timeout the worker is dropped, which kills it.
            let answer = tokio::time::timeout_at(deadline, worker.compile(&source, wanted, room))
                .await
                .map_err(|_| self.too_slow())?
                .map_err(|error| internal(&error))?;
            match answer {
                Answer::Artefact { artefact, stays } => {
                    if stays {
                        self.idle.put(worker);
                    }
                    return Ok(artefact);
                }
                Answer::Refusal(fault) => return Err(fault),
                Answer::TooLarge => return Err(self.too_slow()),
                // Core time is counted per module. If the worker compiled other modules before, a lack of memory or a
                // kill from outside is not yet blamed on this module.
                Answer::Death(death) if used && death.status.signal() != Some(XCPU) => {
                    fresh = true;
                }
                Answer::Death(death) => return Err(self.judge(&death)),
            }
        }
    }

    /// An idle worker, or a new one. The permits bound the number of workers.
    fn worker(&self, fresh: bool) -> std::io::Result<CompileWorker> {
        if !fresh && let Some(worker) = self.idle.take() {
            return Ok(worker);
        }
        let free = self
            .admission
            .limit()
            .saturating_sub(self.admission.running());
        self.idle.keep(free);
        CompileWorker::start(&self.command, &serde_json::to_string(&self.worker_limits)?)
    }

    pub(crate) fn accept(&self, manifest: &Manifest) -> Result<(), Fault> {
        manifest.fits(&self.call)?;
        imports::accept(manifest, self.limits.unknown_imports)
    }

    /// The fault of a module on which a worker died.
    fn judge(&self, death: &Death) -> Fault {
        match death.status.signal() {
            // The signals at the limit of core time, and beyond it.
            Some(XCPU | KILL) => self.too_slow(),
            _ if death.out_of_memory() => Fault::new(
                FaultKind::CompileMemory,
                format!(
                    "Compiling the module takes more than compile.compile_memory = {}. Make it smaller, or raise the \
                     setting.",
                    self.limits.compile_memory
                ),
            ),
            _ => Fault::new(
                FaultKind::CompilerFailed,
                "The compiler failed on this module. If other runtimes run it, please report it.",
            )
            .with_detail(format!("{}: {}", death.status, death.complaint)),
        }
    }

    fn too_slow(&self) -> Fault {
        Fault::new(
            FaultKind::CompileTime,
            format!(
                "Compiling the module takes longer than compile.compile_time = {} or compile.compile_cpu = {}. Make it \
                 smaller, or raise the settings.",
                humantime_serde::re::humantime::format_duration(self.limits.compile_time),
                humantime_serde::re::humantime::format_duration(self.limits.compile_cpu)
            ),
        )
    }

    fn queue_full(&self) -> Fault {
        Fault::new(
            FaultKind::CompileQueue,
            format!(
                "{} uploads wait to be compiled (compile.compile_queue). Try again soon.",
                self.limits.compile_queue
            ),
        )
    }
}

/// Checks a module as an upload does, by compiling it in a worker, and keeps nothing: for authors, before an upload.
///
/// # Errors
/// The errors of [`crate::Engine::compile`].
pub async fn judge(
    source: Bytes,
    limits: CompileLimits,
    worker: Vec<PathBuf>,
) -> Result<Manifest, Fault> {
    let compiler = Compiler::new(limits, Arc::new(Limits::default()), worker);
    let artefact = compiler.compile(source, Effort::Full).await?;
    Ok(artefact::manifest(&artefact)?.0)
}
