//! Limits on the requests in progress: of the process, of one function, and of one host and port.
//!
//! A request without a permit waits, in order, until its deadline. It waits for its function first, then for its
//! upstream, and holds no permit of a wider scope meanwhile: a function that sends too much fills its own queue, a slow
//! upstream its own, and neither fills the queue of all. The tables hold only entries in use: a function that requests
//! a new name every time leaves nothing behind.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use iof_admission::{Admission, AdmissionError};
use tokio::time::Instant;

use crate::{Config, Error, Kind};

const SHARDS: usize = 16;

pub(crate) struct Limits {
    process: Admission,
    functions: Arc<Table>,
    upstreams: Arc<Table>,
}

/// A permit for one request, of its function, its upstream and the process; released on drop.
pub(crate) struct Permit {
    _process: iof_admission::Permit,
    _upstream: KeyPermit,
    _function: KeyPermit,
}

/// The wait of a request for its permits. A permit that is free is taken without reading the clock.
#[derive(Debug, Default)]
pub(crate) struct Wait {
    /// The beginning of a wait that has not ended.
    since: Option<Instant>,
    /// The whole wait, and the setting at which it ended.
    ended: Option<Waited>,
}

/// The time for which a request waited for its turn, and the setting that bounds the requests in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    /// The time, of all limits together.
    pub took: Duration,
    /// The setting, such as `max_concurrent_per_function`; the last one, if it waited for several.
    pub limit: &'static str,
}

impl Wait {
    async fn permit(
        &mut self,
        limit: &'static str,
        admission: &Admission,
        deadline: Instant,
    ) -> Result<iof_admission::Permit, AdmissionError> {
        if let Some(permit) = admission.try_acquire() {
            return Ok(permit);
        }
        let took = self.ended.map_or(Duration::ZERO, |ended| ended.took);
        self.ended = Some(Waited { took, limit });
        self.since = Some(Instant::now());
        let permit = admission.acquire_until(deadline).await;
        self.end();
        permit
    }

    fn end(&mut self) {
        if let (Some(since), Some(ended)) = (self.since.take(), &mut self.ended) {
            ended.took += since.elapsed();
        }
    }

    /// The wait until now, if there was one. The wait of a request that is cancelled meanwhile has not ended.
    pub(crate) fn waited(&mut self) -> Option<Waited> {
        self.end();
        self.ended
    }
}

impl Limits {
    pub(crate) fn new(config: &Config) -> Limits {
        Limits {
            process: Admission::new(config.max_concurrent, usize::MAX),
            functions: Table::new(
                "max_concurrent_per_function",
                config.max_concurrent_per_function,
            ),
            upstreams: Table::new(
                "max_concurrent_per_upstream",
                config.max_concurrent_per_upstream,
            ),
        }
    }

    /// Waits for a permit for a request of `function` to `upstream` (`host:port`), until `deadline` at the latest.
    pub(crate) async fn acquire(
        &self,
        function: &str,
        upstream: &str,
        deadline: Instant,
        wait: &mut Wait,
    ) -> Result<Permit, Error> {
        let function = self.functions.share(function, deadline, wait).await;
        let function = function.ok_or_else(|| {
            let limit = self.functions.limit;
            busy(format!(
                "{limit} outbound requests of this function are in progress (limit \
                 max_concurrent_per_function)"
            ))
        })?;
        let share = self.upstreams.share(upstream, deadline, wait).await;
        let share = share.ok_or_else(|| {
            let limit = self.upstreams.limit;
            busy(format!(
                "{limit} requests to {upstream} are in progress already (limit max_concurrent_per_upstream)"
            ))
        })?;
        let process = wait.permit("max_concurrent", &self.process, deadline).await;
        let Ok(process) = process else {
            let limit = self.process.limit();
            return Err(busy(format!(
                "{limit} outbound requests are in progress already (limit max_concurrent)"
            )));
        };
        Ok(Permit {
            _process: process,
            _upstream: share,
            _function: function,
        })
    }
}

/// One limit for each key.
struct Table {
    setting: &'static str,
    limit: usize,
    /// Several small locks, so that requests with different keys seldom contend.
    shards: [Mutex<HashMap<String, Entry>>; SHARDS],
    hasher: RandomState,
}

struct Entry {
    admission: Admission,
    /// Requests that hold or await a share; the entry is removed when there are none.
    users: usize,
}

/// A permit of one key.
struct KeyPermit {
    _permit: iof_admission::Permit,
    _user: User,
}

struct User {
    table: Arc<Table>,
    key: String,
}

impl Table {
    fn new(setting: &'static str, limit: usize) -> Arc<Table> {
        Arc::new(Table {
            setting,
            limit,
            shards: Default::default(),
            hasher: RandomState::new(),
        })
    }

    async fn share(
        self: &Arc<Table>,
        key: &str,
        deadline: Instant,
        wait: &mut Wait,
    ) -> Option<KeyPermit> {
        let (admission, user) = self.enter(key);
        let permit = wait.permit(self.setting, &admission, deadline).await.ok()?;
        Some(KeyPermit {
            _permit: permit,
            _user: user,
        })
    }

    fn enter(self: &Arc<Table>, key: &str) -> (Admission, User) {
        let mut shard = self.shard(key);
        let entry = shard.entry(key.to_owned()).or_insert_with(|| Entry {
            admission: Admission::new(self.limit, usize::MAX),
            users: 0,
        });
        entry.users += 1;
        let user = User {
            table: self.clone(),
            key: key.to_owned(),
        };
        (entry.admission.clone(), user)
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, HashMap<String, Entry>> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        // No code panics while the lock is held; if it did, the counts inside would still be valid.
        self.shards[index].lock()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut shard = self.table.shard(&self.key);
        if let Some(entry) = shard.get_mut(&self.key) {
            entry.users -= 1;
            if entry.users == 0 {
                shard.remove(&self.key);
            }
        }
    }
}

fn busy(message: String) -> Error {
    Error::new(Kind::Busy, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    fn limits(process: usize, function: usize, upstream: usize) -> Limits {
        Limits::new(&Config {
            max_concurrent: process,
            max_concurrent_per_function: function,
            max_concurrent_per_upstream: upstream,
            ..Config::default()
        })
    }

    fn in_use(limits: &Limits) -> usize {
        [&limits.functions, &limits.upstreams]
            .iter()
            .flat_map(|table| &table.shards)
            .map(|shard| shard.lock().len())
            .sum()
    }

    async fn refused(limits: &Limits, function: &str, upstream: &str) -> String {
        let refusal = limits
            .acquire(function, upstream, soon(), &mut Wait::default())
            .await;
        let error = refusal.err().unwrap();
        assert_eq!(error.kind(), Kind::Busy);
        error.to_string()
    }

    #[tokio::test]
    async fn one_upstream_does_not_take_the_permits_of_another() {
        let limits = limits(2, 9, 1);
        let first = limits
            .acquire("f", "a:80", soon(), &mut Wait::default())
            .await
            .unwrap();
        let error = refused(&limits, "f", "a:80").await;
        assert!(error.contains("max_concurrent_per_upstream"), "{error}");
        let second = limits
            .acquire("f", "b:80", soon(), &mut Wait::default())
            .await
            .unwrap();
        let error = refused(&limits, "f", "c:80").await;
        assert!(error.contains("(limit max_concurrent)"), "{error}");
        drop(first);
        limits
            .acquire("f", "c:80", soon(), &mut Wait::default())
            .await
            .unwrap();
        drop(second);
        assert_eq!(in_use(&limits), 0, "unused entries are removed");
    }

    #[tokio::test]
    async fn one_function_does_not_take_the_permits_of_another() {
        let limits = limits(3, 2, 3);
        let first = limits
            .acquire("f", "a:80", soon(), &mut Wait::default())
            .await
            .unwrap();
        let _second = limits
            .acquire("f", "b:80", soon(), &mut Wait::default())
            .await
            .unwrap();
        for upstream in ["a:80", "c:80"] {
            let error = refused(&limits, "f", upstream).await;
            assert!(error.contains("max_concurrent_per_function"), "{error}");
        }
        let other = limits
            .acquire("g", "a:80", soon(), &mut Wait::default())
            .await
            .unwrap();
        drop(other);
        drop(first);
        limits
            .acquire("f", "c:80", soon(), &mut Wait::default())
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_waiting_request_gets_the_permit_that_becomes_free() {
        let limits = limits(1, 1, 1);
        let held = limits
            .acquire("f", "a:80", soon(), &mut Wait::default())
            .await
            .unwrap();
        let mut wait = Wait::default();
        let (waited, ()) = tokio::join!(
            limits.acquire("f", "a:80", soon() + Duration::from_secs(9), &mut wait),
            async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                drop(held);
            }
        );
        waited.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_reports_its_time_and_its_setting() {
        let limits = limits(9, 1, 1);
        let mut first = Wait::default();
        let held = limits
            .acquire("f", "a:80", soon(), &mut first)
            .await
            .unwrap();
        assert_eq!(first.waited(), None, "its permit was free");
        let mut second = Wait::default();
        let refused = limits.acquire("f", "b:80", soon(), &mut second).await;
        assert!(refused.is_err());
        let waited = second.waited().unwrap();
        assert_eq!(waited.limit, "max_concurrent_per_function");
        assert!(waited.took >= Duration::from_millis(50), "{waited:?}");
        // A wait that is cancelled, as by the command's own deadline.
        let mut third = Wait::default();
        let deadline = soon() + Duration::from_secs(9);
        let waits = limits.acquire("g", "a:80", deadline, &mut third);
        let cancelled = tokio::time::timeout(Duration::from_millis(20), waits).await;
        assert!(cancelled.is_err());
        let waited = third.waited().unwrap();
        assert_eq!(waited.limit, "max_concurrent_per_upstream");
        assert!(waited.took >= Duration::from_millis(20), "{waited:?}");
        drop(held);
    }
}
