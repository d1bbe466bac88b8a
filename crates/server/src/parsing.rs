//! Work whose size a client decides: parsing, decoding, checking.
//!
//! As many permits as cores bound the work, which runs on threads that serve no connection. Each piece of work has a
//! [`Budget`], which it checks as it proceeds; the budget ends it when its time is over, its caller is gone, or the
//! memory for bodies is used up. So a client that leaves, a deadline and a stop of the server all end the work.

use crate::memory::{MemoryPool, MemoryReservation};
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The work between two checks of the deadline, in bytes.
const STRIDE: usize = 64 << 10;

/// The most steps of a schema that run on the connection's own thread, before the work takes a permit.
const STEPS_WITHOUT_TURN: u64 = 20_000;
/// The bytes of work that a step of a schema counts as.
const STEP: usize = 64;

/// The permits to parse.
pub(crate) struct ParsingTurns(Arc<Semaphore>);

/// The time, memory and steps that a piece of work may still use.
#[derive(Default)]
pub(crate) struct Budget {
    /// `None` for small work, which runs on the thread of its connection without limits.
    bounds: Option<Bounds>,
    /// The work since the last check of the clock, in bytes.
    work: usize,
    /// The memory taken, of which `share` holds a part.
    taken: usize,
    counted: usize,
    share: MemoryReservation,
    /// Steps of schemas, counted while there are no bounds.
    steps: u64,
}

struct Bounds {
    pool: Arc<MemoryPool>,
    deadline: Instant,
    gone: Arc<AtomicBool>,
}

/// A guard that tells the work on drop that its caller is gone.
struct Waiter(Arc<AtomicBool>);

impl ParsingTurns {
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(cores)))
    }

    pub(crate) async fn take<T: Send + 'static>(
        &self,
        pool: Arc<MemoryPool>,
        deadline: Instant,
        work: impl FnOnce(&mut Budget) -> Result<T, Fault> + Send + 'static,
    ) -> Result<(T, MemoryReservation), Fault> {
        let waiter = Waiter(Arc::default());
        let gone = Arc::clone(&waiter.0);
        let turn = Arc::clone(&self.0).acquire_owned();
        let done = async {
            let turn = turn.await;
            let work = move || {
                let mut budget = Budget {
                    bounds: Some(Bounds {
                        pool,
                        deadline,
                        gone,
                    }),
                    ..Budget::default()
                };
                let result = budget.look().and_then(|()| work(&mut budget));
                drop(turn);
                result.map(|result| (result, budget.share))
            };
            tokio::task::spawn_blocking(work).await
        };
        match tokio::time::timeout_at(deadline, done).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => Err(Fault::host("The body could not be read.", error)),
            Err(_) => Err(late()),
        }
    }
}

impl Budget {
    /// Accounts for work on a number of bytes.
    ///
    /// # Errors
    /// `wall-time` when its time is over; `request` when its caller is gone.
    pub(crate) fn spend(&mut self, bytes: usize) -> Result<(), Fault> {
        self.work = self.work.saturating_add(bytes);
        if self.work < STRIDE {
            return Ok(());
        }
        self.work = 0;
        self.look()
    }

    /// Accounts for steps of a schema.
    ///
    /// # Errors
    /// The errors of [`spend`](Self::spend); without a permit, an error when there are too many steps:
    /// [`needs_turn`](Self::needs_turn).
    pub(crate) fn step(&mut self, steps: u64) -> Result<(), Fault> {
        if self.bounds.is_some() {
            let steps = usize::try_from(steps).unwrap_or(usize::MAX);
            return self.spend(steps.saturating_mul(STEP));
        }
        self.steps = self.steps.saturating_add(steps);
        match self.needs_turn() {
            false => Ok(()),
            true => Err(late()),
        }
    }

    /// Returns whether the work was too long for the thread on which it began, and must run again with a permit.
    pub(crate) fn needs_turn(&self) -> bool {
        self.steps > STEPS_WITHOUT_TURN
    }

    /// Accounts for memory.
    ///
    /// # Errors
    /// `body-memory`
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), Fault> {
        self.taken = self.taken.saturating_add(bytes);
        let Some(bounds) = &self.bounds else {
            return Ok(());
        };
        if self.taken > self.counted {
            self.counted = self.taken.saturating_add(STRIDE);
            self.share.grow_to(&bounds.pool, self.counted as u64)?;
        }
        Ok(())
    }

    /// Releases memory, so that it can be taken again.
    pub(crate) fn give_back(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_sub(bytes);
    }

    fn look(&self) -> Result<(), Fault> {
        match &self.bounds {
            Some(bounds) if bounds.gone.load(Ordering::Relaxed) => {
                Err(Fault::new(FaultKind::Request, "The client left."))
            }
            Some(bounds) if bounds.deadline <= Instant::now() => Err(late()),
            _ => Ok(()),
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs work of a bounded size that is too long for a thread of connections.
///
/// # Errors
/// A panic of the work.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Fault::host("The server failed.", error))
}

fn late() -> Fault {
    Fault::new(
        FaultKind::WallTime,
        "Reading the body took longer than the call has (limits.wall_time). Send less, or try again when the server is less busy.",
    )
}
