//! A limit on the calls that run at once, and on the calls that wait to run.

use crate::settings::Settings;
use iof_admission::{Admission, AdmissionError, Permit};
use iof_fault::{Fault, FaultKind};

/// A limiter of calls. Clones share it.
#[derive(Clone)]
pub(crate) struct ConcurrencyLimiter {
    admission: Admission,
    scope: Scope,
}

/// The calls that a limiter counts.
#[derive(Clone, Copy)]
enum Scope {
    Server,
    Function,
    /// The calls of one function that declares no lower limit.
    Share,
}

impl ConcurrencyLimiter {
    /// The limiter of all calls of a server: `server.concurrency`.
    pub(crate) fn of_server(settings: &Settings) -> Self {
        Self::new(settings.concurrency, settings, Scope::Server)
    }

    /// The limiter of one function: the `concurrency` that it declares, but at most its share of the server. `None` if
    /// the server's own limit is as low.
    pub(crate) fn of_function(declared: Option<u32>, settings: &Settings) -> Option<Self> {
        let share = settings.function_concurrency();
        match declared {
            Some(limit) if limit <= share => Some(Self::new(limit, settings, Scope::Function)),
            _ if share < settings.concurrency => Some(Self::new(share, settings, Scope::Share)),
            _ => None,
        }
    }

    fn new(limit: u32, settings: &Settings, scope: Scope) -> Self {
        let (limit, queue) = (limit.max(1) as usize, settings.queue as usize);
        Self {
            admission: Admission::with_wait(limit, queue, Some(settings.queue_wait)),
            scope,
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.admission.limit()
    }

    /// The number of calls that run now.
    pub(crate) fn running(&self) -> usize {
        self.admission.running()
    }

    /// The number of calls that wait for a permit now.
    pub(crate) fn waiting(&self) -> usize {
        self.admission.waiting()
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// `queue` when too many calls wait already, `queue-wait` when the wait took too long, both 503; for a function's
    /// own limit, `concurrency`, 429, in either case.
    pub(crate) async fn acquire(&self) -> Result<Permit, Fault> {
        match self.admission.try_acquire() {
            Some(permit) => Ok(permit),
            // Boxed, so that calls that need not wait do not carry the future of the wait.
            None => Box::pin(self.admission.acquire())
                .await
                .map_err(|error| self.scope.fault(error, self.limit())),
        }
    }
}

impl Scope {
    fn fault(self, error: AdmissionError, limit: usize) -> Fault {
        let (kind, why) = match (self, error) {
            (Self::Server, AdmissionError::TimedOut) => (
                FaultKind::QueueWait,
                "The server is busy: no call ended within server.queue_wait. Try again soon.",
            ),
            (Self::Server, AdmissionError::QueueFull) => (
                FaultKind::Queue,
                "The server is busy: server.queue calls wait already. Try again soon.",
            ),
            (Self::Function | Self::Share, AdmissionError::TimedOut) => (
                FaultKind::FunctionConcurrency,
                "none ended within server.queue_wait",
            ),
            (Self::Function | Self::Share, AdmissionError::QueueFull) => (
                FaultKind::FunctionConcurrency,
                "server.queue calls wait already",
            ),
        };
        match self {
            Self::Server => Fault::new(kind, why),
            Self::Function => Fault::new(
                kind,
                format!(
                    "The function already runs concurrency = {limit} calls at once, and {why}. Try again soon."
                ),
            ),
            Self::Share => Fault::new(
                kind,
                format!(
                    "One function runs at most {limit} calls at a time (server.concurrency_per_function), and {why}. Try again soon."
                ),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limiter(limit: u32, queue: u32, queue_wait: Duration) -> ConcurrencyLimiter {
        let settings = Settings {
            queue,
            queue_wait,
            ..Settings::default()
        };
        ConcurrencyLimiter::new(limit, &settings, Scope::Server)
    }

    #[test]
    fn no_function_takes_all_of_a_server() {
        let limit = |declared, concurrency, concurrency_per_function| {
            let settings = Settings {
                concurrency,
                concurrency_per_function,
                ..Settings::default()
            };
            let limiter = ConcurrencyLimiter::of_function(declared, &settings);
            limiter.map(|limiter| limiter.limit())
        };
        assert_eq!(limit(None, 500, 0), Some(400));
        assert_eq!(limit(Some(500), 500, 0), Some(400));
        assert_eq!(limit(Some(7), 500, 0), Some(7));
        assert_eq!(limit(None, 500, 20), Some(20));
        assert_eq!(limit(None, 500, 500), None);
        assert_eq!(limit(None, 500, 900), None);
        // With few permits, one function may use them all.
        assert_eq!(limit(None, 4, 0), None);
        assert_eq!(limit(Some(1), 1, 0), Some(1));
    }

    #[tokio::test]
    async fn a_full_queue_and_a_long_wait_are_refused() {
        let one = limiter(1, 1, Duration::from_millis(20));
        let _inside = one.acquire().await.unwrap();
        let (first, second) = tokio::join!(one.acquire(), one.acquire());
        assert_eq!(first.err().unwrap().code(), "queue-wait");
        assert_eq!(second.err().unwrap().code(), "queue");
        let no_queue = limiter(1, 0, Duration::from_secs(1));
        let _inside = no_queue.acquire().await.unwrap();
        assert_eq!(no_queue.acquire().await.err().unwrap().code(), "queue");
    }
}
