//! The compute pool of models: separate threads, a permit for each, and a bounded queue.
//!
//! A permit is held for as long as a core is busy for it, and not for as long as a caller waits: an abandoned run keeps
//! its permit until the operator that computes has ended. So there are never more threads at work than permits,
//! whatever callers do. tokio's blocking threads are not used: they are shared with everything else that blocks, grow
//! to hundreds, and have small stacks.

use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};

use iof_admission::{Admission, AdmissionError, Permit};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::{Config, Error, Kind, Watch};

/// The stack of a thread: graphs are walked recursively. A worker has the same, so that a model that it survived fits.
pub(crate) const STACK: usize = 16 << 20;

type Job = Box<dyn FnOnce() + Send>;

/// The threads and their permits.
pub(crate) struct CoreLimiter {
    jobs: Sender<Job>,
    admission: Admission,
    queue: usize,
}

/// The right to keep one core busy, until all its clones are dropped.
#[derive(Clone)]
pub(crate) struct CorePermit {
    _permit: Arc<Permit>,
}

impl CoreLimiter {
    pub(crate) fn new(config: &Config) -> Result<CoreLimiter, Error> {
        let (jobs, receiver) = channel::<Job>();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..config.threads() {
            let receiver = Arc::clone(&receiver);
            let thread = std::thread::Builder::new()
                .name(format!("infer-{number}"))
                .stack_size(STACK);
            thread.spawn(move || work(&receiver)).map_err(|error| {
                Error::host(format!("a thread of the models cannot be started: {error}"))
            })?;
        }
        Ok(CoreLimiter {
            jobs,
            admission: Admission::new(config.threads(), config.queue),
            queue: config.queue,
        })
    }

    /// Waits for a permit, until `deadline`.
    ///
    /// # Errors
    /// [`Kind::Busy`] if the queue is full, [`Kind::Time`] if the deadline passes.
    pub(crate) async fn place(&self, deadline: Instant) -> Result<CorePermit, Error> {
        match self.admission.acquire_until(deadline).await {
            Ok(permit) => Ok(CorePermit {
                _permit: Arc::new(permit),
            }),
            Err(AdmissionError::QueueFull) => Err(Error::new(
                Kind::Busy,
                format!(
                    "all permits are taken, and infer.queue = {} runs wait already. Try again soon",
                    self.queue
                ),
            )),
            Err(AdmissionError::TimedOut) => Err(Error::new(
                Kind::Time,
                "the time was over before a permit was free (infer.concurrency)",
            )),
        }
    }

    /// Computes on a thread, in `place`. Dropping the future abandons the work: its watch is set,
    /// and the permit is free when the work has ended.
    ///
    /// # Errors
    /// The errors of `work`; [`Kind::Failed`] if it panics; [`Kind::Time`] when the deadline passes
    /// before it is done.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        place: CorePermit,
        deadline: Instant,
        work: impl FnOnce(&Watch) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let watch = Arc::new(Watch::until(deadline.into_std()));
        let abandon = CancelGuard(Arc::clone(&watch));
        let (answer, answered) = oneshot::channel();
        let job = move || {
            let result = unpanicked(|| work(&watch));
            drop(place);
            // The result of an abandoned run is dropped.
            let _ = answer.send(result);
        };
        let lost = || Error::host("the threads of the models have ended");
        self.jobs.send(Box::new(job)).map_err(|_| lost())?;
        let result = timeout_at(deadline, answered).await;
        drop(abandon);
        match result {
            Ok(result) => result.map_err(|_| lost())?,
            Err(_) => Err(Error::new(
                Kind::Time,
                "the time was over (the call's deadline, or infer.run_time)",
            )),
        }
    }

    /// The number of permits that are free now.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.admission.limit() - self.admission.running()
    }
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // A job cannot panic, so the lock is never poisoned.
        let job = jobs.lock().recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

/// Turns a panic into an error: tract has assertions that a model can reach.
pub(crate) fn unpanicked<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
        let message = message.unwrap_or("without a message");
        tracing::error!(target: "iof::infer", "a model panicked: {message}");
        Err(Error::failed(format!("the model panicked: {message}")))
    })
}

/// A guard that marks a run as abandoned when it is dropped.
struct CancelGuard(Arc<Watch>);

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "threads of their own may sleep")]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    fn places(concurrency: usize, queue: usize) -> CoreLimiter {
        let config = Config {
            concurrency,
            queue,
            ..Config::default()
        };
        CoreLimiter::new(&config).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_thread_continues() {
        let places = places(1, 0);
        for _ in 0..3 {
            let place = places.place(soon()).await.unwrap();
            let result = places.run(place, soon(), |_| -> Result<(), _> { panic!("oh {}", 1) });
            let error = result.await.unwrap_err();
            assert_eq!(error.to_string(), "the model panicked: oh 1");
        }
        let place = places.place(soon()).await.unwrap();
        assert_eq!(places.run(place, soon(), |_| Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn the_queue_and_the_wait_are_limited() {
        let places = places(1, 1);
        let held = places.place(soon()).await.unwrap();
        let short = Instant::now() + Duration::from_millis(50);
        let (first, second) = tokio::join!(places.place(short), places.place(short));
        assert_eq!(first.err().map(|e| e.kind), Some(Kind::Time));
        let second = second.err().unwrap();
        assert_eq!(second.kind, Kind::Busy);
        assert!(second.to_string().contains("infer.queue = 1"), "{second}");
        // A run that timed out has left the queue.
        let later = Instant::now() + Duration::from_millis(10);
        assert_eq!(
            places.place(later).await.err().map(|e| e.kind),
            Some(Kind::Time)
        );
        drop(held);
        assert!(places.place(short).await.is_ok());
    }

    #[tokio::test]
    async fn an_abandoned_run_keeps_its_permit_until_it_ends() {
        let places = places(1, 0);
        let place = places.place(soon()).await.unwrap();
        let short = Instant::now() + Duration::from_millis(30);
        let run = places.run(place, short, |watch| {
            while watch.check().is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
            // An operator that takes long does not check the watch.
            std::thread::sleep(Duration::from_millis(100));
            Ok(())
        });
        assert_eq!(run.await.err().map(|e| e.kind), Some(Kind::Time));
        assert_eq!(places.free(), 0);
        assert_eq!(
            places.place(soon()).await.err().map(|e| e.kind),
            Some(Kind::Busy)
        );
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(places.free(), 1);
        // A run that is dropped before its deadline is abandoned as well.
        let place = places.place(soon()).await.unwrap();
        let run = places.run(place, soon(), |watch| {
            while watch.check().is_ok() {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        });
        assert!(
            tokio::time::timeout(Duration::from_millis(20), run)
                .await
                .is_err()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(places.free(), 1);
    }
}
