//! The child process that compiles: it bounds itself, and answers one module after another until it ends.
//!
//! A module is sent as an effort, a length and the bytes; an answer as a kind, a mark, a length and the bytes. The
//! worker ends after any answer that may have left it in a bad state: a fault, a trap, a large module, memory that it
//! still holds. The mark of the answer announces that, and the parent starts another worker.

use super::effort::{Compilation, Effort};
use super::limits::WorkerLimits;
use super::lines;
use super::toolchain::Toolchain;
use crate::limits::CompileLimits;
use iof_fault::{Fault, FaultKind};
use rustix::process::{
    Resource, Rlimit, Signal, getpid, kill_process, set_parent_process_death_signal, setrlimit,
};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The kind of an answer that is an artefact.
pub(super) const ARTEFACT: u8 = b'A';
/// The kind of an answer that is a [`WorkerRefusal`] in JSON.
pub(super) const FAULT: u8 = b'F';
/// The mark of an answer after which the worker waits for another module.
pub(super) const STAYS: u8 = b'S';
/// The mark of the last answer of a worker.
pub(super) const ENDS: u8 = b'E';
/// The byte before a module that is compiled in full.
pub(super) const FULL: u8 = b'F';
/// The byte before a module that is compiled quickly.
pub(super) const DRAFT: u8 = b'D';
/// The byte before a module of which only the line table is wanted.
pub(super) const LINES: u8 = b'L';
/// The bytes before an answer: its kind, its mark, and its length.
pub(super) const HEADER: usize = 10;

/// The largest module after which a worker takes another one. Larger modules are rare, and leave memory in an unknown
/// state.
pub(super) const SMALL: usize = 1 << 20;
/// The most modules that one worker compiles.
const MODULES: u32 = 64;
/// The fraction of `compile.compile_memory` that a worker may hold between two modules.
const HELD: u64 = 8;
/// The core time that all modules of one worker may take together, in addition to the limit of the last one.
const CORE_TIME: Duration = Duration::from_secs(10);

/// The part of a module that a worker makes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// Its code.
    Code(Effort),
    /// The lines of its code.
    Lines,
}

/// A fault on its way to the parent.
#[derive(Deserialize, Serialize)]
struct WorkerRefusal {
    kind: FaultKind,
    message: String,
    detail: Option<String>,
}

/// Reads a refusal, for the parent. Any bytes from a worker are read as the kind of a fault, never as a success.
pub(super) fn refusal(answer: &[u8]) -> Fault {
    match serde_json::from_slice::<WorkerRefusal>(answer) {
        Ok(refused) => {
            let mut fault = Fault::new(refused.kind, refused.message);
            fault.detail = refused.detail;
            fault
        }
        Err(error) => Fault::host("The module could not be compiled.", error),
    }
}

/// Runs a worker process. `limits` is the argument that the parent passed.
///
/// # Errors
/// An error when the process cannot limit itself or communicate with its parent; the program then exits with a failure.
pub fn run(limits: &str) -> std::io::Result<()> {
    let limits: WorkerLimits = serde_json::from_str(limits)?;
    bound(&limits.compile)?;
    let core_time = CoreTime::watch(limits.compile.compile_cpu);
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut toolchain: Option<Toolchain> = None;
    for number in 1.. {
        let Some((wanted, source)) = module(&mut input, &limits.compile)? else {
            break;
        };
        core_time.start()?;
        let compiled = match (wanted, &toolchain) {
            (Wanted::Lines, _) => line_table(&source, &limits.compile),
            (Wanted::Code(effort), Some(toolchain)) => toolchain.compile(&source, effort),
            (Wanted::Code(effort), None) => Toolchain::new(&limits)
                .and_then(|built| toolchain.insert(built).compile(&source, effort)),
        };
        core_time.stop();
        let (kind, clean, answer) = match compiled {
            Ok(compiled) => (ARTEFACT, compiled.clean, compiled.artefact),
            Err(fault) => {
                let refused = WorkerRefusal {
                    kind: fault.kind,
                    message: fault.message,
                    detail: fault.detail,
                };
                (FAULT, false, serde_json::to_vec(&refused)?)
            }
        };
        let stays = clean
            && number < MODULES
            && source.len() <= SMALL
            && core_used() < CORE_TIME
            && memory_held() <= limits.compile.compile_memory.as_u64() / HELD;
        output.write_all(&[kind, if stays { STAYS } else { ENDS }])?;
        output.write_all(&(answer.len() as u64).to_le_bytes())?;
        output.write_all(&answer)?;
        output.flush()?;
        if !stays {
            break;
        }
    }
    Ok(())
}

/// The line table of a module, in the place of its code.
fn line_table(source: &[u8], limits: &CompileLimits) -> Result<Compilation, Fault> {
    let most = usize::try_from(limits.line_table.as_u64()).unwrap_or(usize::MAX);
    let table = lines::table(source, most);
    let table = table.map_err(|why| Fault::new(FaultKind::InvalidModule, why))?;
    Ok(Compilation {
        artefact: table,
        clean: true,
    })
}

/// Reads the next module; `None` when the parent has no more.
fn module(
    input: &mut impl Read,
    limits: &CompileLimits,
) -> std::io::Result<Option<(Wanted, Vec<u8>)>> {
    let mut header = [0; 9];
    match input.read_exact(&mut header) {
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let [effort, length @ ..] = header;
    let wanted = match effort {
        DRAFT => Wanted::Code(Effort::Draft),
        LINES => Wanted::Lines,
        _ => Wanted::Code(Effort::Full),
    };
    let length = u64::from_le_bytes(length);
    // The parent sends no larger module; one more byte is read so that the fault can be named.
    let most = limits.module_size.as_u64().saturating_add(1);
    let mut source = Vec::new();
    input.take(length.min(most)).read_to_end(&mut source)?;
    Ok(Some((wanted, source)))
}

/// Sets limits that the kernel enforces, whatever the compiler does.
fn bound(limits: &CompileLimits) -> std::io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    bound_core_time(limits.compile_cpu, Duration::ZERO)?;
    // The limit of writable private memory: address space that is only reserved, as for wasm memories, does not count.
    cap(
        Resource::Data,
        limits.compile_memory.as_u64(),
        limits.compile_memory.as_u64(),
    )?;
    cap(Resource::Core, 0, 0)?;
    // Memory images are files in memory; no other file is written.
    cap(
        Resource::Fsize,
        limits.compile_memory.as_u64(),
        limits.compile_memory.as_u64(),
    )?;
    // Calls take precedence.
    rustix::process::nice(10)?;
    Ok(())
}

fn cap(resource: Resource, current: u64, maximum: u64) -> std::io::Result<()> {
    setrlimit(
        resource,
        Rlimit {
            current: Some(current),
            maximum: Some(maximum),
        },
    )?;
    Ok(())
}

/// Bounds the core time of the process to what it has used and one more module. The kernel counts whole seconds, so
/// [`CoreTime`] acts before it.
fn bound_core_time(limit: Duration, used: Duration) -> std::io::Result<()> {
    let seconds = limit.as_secs().max(1).saturating_add(1);
    let most = seconds.saturating_add(CORE_TIME.as_secs() + 1);
    cap(
        Resource::Cpu,
        used.as_secs().saturating_add(seconds).min(most),
        most,
    )
}

/// The watchdog of the core time of each module, all threads together.
struct CoreTime {
    limit: Duration,
    /// The core time of the process at which it ends, in nanoseconds; `u64::MAX` between modules.
    end: Arc<AtomicU64>,
}

impl CoreTime {
    const LOOK: Duration = Duration::from_millis(50);

    /// Starts the thread that checks the clock, which ends with the process.
    #[expect(
        clippy::disallowed_methods,
        reason = "a separate thread in a process without a runtime"
    )]
    fn watch(limit: Duration) -> Self {
        let end = Arc::new(AtomicU64::new(u64::MAX));
        let watched = Arc::clone(&end);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Self::LOOK);
                if nanoseconds(core_used()) >= watched.load(Ordering::Relaxed) {
                    // The signal that the kernel sends at its own limit.
                    let _ = kill_process(getpid(), Signal::XCPU);
                }
            }
        });
        let limit = Duration::from_secs(limit.as_secs().max(1));
        Self { limit, end }
    }

    fn start(&self) -> std::io::Result<()> {
        let used = core_used();
        bound_core_time(self.limit, used)?;
        let end = nanoseconds(used.saturating_add(self.limit));
        self.end.store(end, Ordering::Relaxed);
        Ok(())
    }

    fn stop(&self) {
        self.end.store(u64::MAX, Ordering::Relaxed);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The core time of this process so far, all its threads together.
fn core_used() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        used.tv_sec.try_into().unwrap_or(u64::MAX),
        used.tv_nsec.try_into().unwrap_or(0),
    )
}

/// Writable private memory of this process, in bytes, as `Resource::Data` counts it. More than any limit if the kernel
/// does not report it.
fn memory_held() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmData:")?.trim().strip_suffix(" kB"))
        .and_then(|number| number.parse::<u64>().ok())
        .map_or(u64::MAX, |kibibytes| kibibytes.saturating_mul(1024))
}
