//! From a module's bytes to an artefact, in a child process.
//!
//! A compiler is not built to withstand its input: a module of a few kilobytes can ask for minutes and gigabytes, and
//! wasmtime's authors do not count that as a flaw of theirs. So the work is done by a child of the same program, which
//! bounds its own memory and core time before it reads the first byte ([`worker`]), while this side bounds the wall
//! time, the number of children, and the queue for them.

mod allocator;
mod constructors;
mod functions;
mod imports;
mod inspect;
mod instance;
mod leftovers;
mod prime;
pub(crate) mod shape;
mod validate;
pub(crate) mod worker;

use crate::limits::{CompileLimits, Limits};
use crate::{Manifest, artefact};
use bytes::Bytes;
use iof_fault::{Fault, FaultKind};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;
use worker::WorkerLimits;

/// Runs compile workers.
#[derive(Debug)]
pub(crate) struct Compiler {
    limits: CompileLimits,
    /// Limits of a call, into which a module must fit.
    call: Arc<Limits>,
    worker: Vec<PathBuf>,
    worker_limits: WorkerLimits,
    /// One permit for each child.
    permits: Semaphore,
    /// Uploads that hold or wait for one.
    queued: AtomicUsize,
    parallel: usize,
}

/// The most that an artefact may be of its source; compiled code is usually a few times its source.
const ARTEFACT_GROWTH: u64 = 16;
const ARTEFACT_ROOM: u64 = 64 << 20;

/// Words of a worker on stderr when the kernel gives it no more memory: the allocator's, the threads', wasmtime's maps'.
const OUT_OF_MEMORY: [&str; 4] = [
    "memory allocation of",
    "unable to allocate",
    "failed to spawn thread",
    "Cannot allocate memory",
];

impl Compiler {
    pub(crate) fn new(limits: CompileLimits, call: Arc<Limits>, worker: Vec<PathBuf>) -> Self {
        let parallel = match limits.parallel {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        let worker_limits = WorkerLimits::new(&limits, &call);
        Self {
            permits: Semaphore::new(parallel),
            parallel,
            queued: AtomicUsize::new(0),
            worker,
            worker_limits,
            limits,
            call,
        }
    }

    pub(crate) async fn compile(&self, source: Bytes) -> Result<Vec<u8>, Fault> {
        validate::precheck(&source, &self.limits)?;
        let _place = self.queue()?;
        let internal =
            |error: &dyn std::fmt::Display| Fault::host("The module could not be compiled.", error);
        let _permit = self
            .permits
            .acquire()
            .await
            .map_err(|error| internal(&error))?;

        let [program, args @ ..] = self.worker.as_slice() else {
            return Err(internal(&"no compile worker configured"));
        };
        let limits =
            serde_json::to_string(&self.worker_limits).map_err(|error| internal(&error))?;
        let mut child = Command::new(program)
            .args(args)
            .arg(limits)
            .env_clear()
            // Memory that is only set aside would count against `compile_memory`.
            .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| internal(&error))?;
        let (Some(mut stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(internal(&"the worker has no pipes"));
        };
        let room = (source.len() as u64)
            .saturating_mul(ARTEFACT_GROWTH)
            .saturating_add(ARTEFACT_ROOM);
        let work = async {
            let (mut answer, mut complaint) = (Vec::new(), Vec::new());
            let (mut stdout, mut stderr) = (stdout.take(room), stderr.take(16 << 10));
            let feed = async {
                // A worker that refuses early closes its end; its answer says why.
                let _ = stdin.write_all(&source).await;
                drop(stdin);
            };
            let (_, answered, complained) = tokio::join!(
                feed,
                stdout.read_to_end(&mut answer),
                stderr.read_to_end(&mut complaint)
            );
            answered?;
            complained?;
            // A worker that says more than there is room for would wait for us: end it.
            if answer.len() as u64 >= room {
                child.start_kill()?;
            }
            std::io::Result::Ok((child.wait().await?, answer, complaint))
        };
        // On a timeout the child is dropped, and so killed.
        match tokio::time::timeout(self.limits.compile_time, work).await {
            Ok(Ok((status, answer, complaint))) => self.judge(status, answer, &complaint),
            Ok(Err(error)) => Err(internal(&error)),
            Err(_) => Err(self.too_slow()),
        }
    }

    pub(crate) fn accept(&self, manifest: &Manifest) -> Result<(), Fault> {
        manifest.fits(&self.call)?;
        imports::accept(&manifest.unserved, self.limits.unknown_imports)
    }

    fn judge(
        &self,
        status: ExitStatus,
        mut answer: Vec<u8>,
        complaint: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        use std::os::unix::process::ExitStatusExt;
        let complaint = String::from_utf8_lossy(complaint);
        match (status.code(), answer.first()) {
            (Some(0), Some(&worker::ARTEFACT)) => {
                answer.remove(0);
                Ok(answer)
            }
            (Some(0), Some(&worker::FAULT)) => Err(worker::refusal(answer.get(1..).unwrap_or_default())),
            // SIGXCPU at the soft limit, SIGKILL at the hard one.
            _ if matches!(status.signal(), Some(24 | 9)) => Err(self.too_slow()),
            _ if OUT_OF_MEMORY.iter().any(|words| complaint.contains(words)) => {
                Err(Fault::new(
                    FaultKind::CompileMemory,
                    format!(
                        "Compiling the module takes more than compile.compile_memory = {}. Make it smaller, or raise \
                         the setting.",
                        self.limits.compile_memory
                    ),
                ))
            }
            _ => Err(Fault::new(
                FaultKind::CompilerFailed,
                "The compiler could not cope with this module. If other runtimes run it, please report it.",
            )
            .with_detail(format!("{status}: {complaint}"))),
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

    fn queue(&self) -> Result<Place<'_>, Fault> {
        let before = self.queued.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.queued);
        if before >= self.parallel + self.limits.compile_queue {
            return Err(Fault::new(
                FaultKind::CompileQueue,
                format!(
                    "{} uploads wait to be compiled (compile.compile_queue). Try again soon.",
                    self.limits.compile_queue
                ),
            ));
        }
        Ok(place)
    }
}

/// Judges a module as an upload does, by compiling it in a worker, and keeps nothing: for its author, before an upload.
///
/// # Errors
/// As for [`crate::Engine::compile`].
pub async fn judge(
    source: Bytes,
    limits: CompileLimits,
    worker: Vec<PathBuf>,
) -> Result<Manifest, Fault> {
    let compiler = Compiler::new(limits, Arc::new(Limits::default()), worker);
    let artefact = compiler.compile(source).await?;
    Ok(artefact::manifest(&artefact)?.0)
}

/// Leaves the queue when dropped.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
