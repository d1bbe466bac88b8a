//! How many requests are in progress: over the process, and for one host and port.
//!
//! A request that finds no place waits, in order, until its time is over. It waits for its upstream
//! first and holds no place of the process meanwhile, so that a slow upstream fills its own queue
//! and not everybody's. The table of upstreams holds those in use alone: a function that asks for a
//! new name every time leaves nothing behind.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use crate::{Error, Kind};

const SHARDS: usize = 16;

pub(crate) struct Limits {
    process: Arc<Semaphore>,
    process_limit: usize,
    upstream_limit: usize,
    /// Several small locks, so that requests to different upstreams seldom meet at one.
    shards: [Mutex<HashMap<String, Upstream>>; SHARDS],
    hasher: RandomState,
}

struct Upstream {
    semaphore: Arc<Semaphore>,
    /// Requests that hold or await a place; at none the entry goes.
    users: usize,
}

/// A place among the requests in progress; dropping it frees the place.
pub(crate) struct Place {
    _process: OwnedSemaphorePermit,
    _upstream: OwnedSemaphorePermit,
    _user: User,
}

struct User {
    limits: Arc<Limits>,
    upstream: String,
}

impl Limits {
    pub(crate) fn new(process_limit: usize, upstream_limit: usize) -> Arc<Limits> {
        Arc::new(Limits {
            process: Arc::new(Semaphore::new(process_limit)),
            process_limit,
            upstream_limit,
            shards: Default::default(),
            hasher: RandomState::new(),
        })
    }

    /// Waits for a place for a request to `upstream` (`host:port`), until `deadline` at most.
    pub(crate) async fn place(
        self: &Arc<Limits>,
        upstream: String,
        deadline: Instant,
    ) -> Result<Place, Error> {
        let user = self.enter(upstream);
        let (semaphore, user) = user;
        let upstream = timeout_at(deadline, semaphore.acquire_owned()).await;
        let Ok(Ok(upstream)) = upstream else {
            let (limit, host) = (self.upstream_limit, &user.upstream);
            return Err(busy(format!(
                "{limit} requests to {host} are in progress (limit max_concurrent_per_upstream)"
            )));
        };
        let process = timeout_at(deadline, self.process.clone().acquire_owned()).await;
        let Ok(Ok(process)) = process else {
            let limit = self.process_limit;
            return Err(busy(format!(
                "{limit} outbound requests are in progress (limit max_concurrent)"
            )));
        };
        Ok(Place {
            _process: process,
            _upstream: upstream,
            _user: user,
        })
    }

    fn enter(self: &Arc<Limits>, upstream: String) -> (Arc<Semaphore>, User) {
        let mut shard = self.shard(&upstream);
        let entry = shard.entry(upstream.clone()).or_insert_with(|| Upstream {
            semaphore: Arc::new(Semaphore::new(self.upstream_limit)),
            users: 0,
        });
        entry.users += 1;
        (
            entry.semaphore.clone(),
            User {
                limits: self.clone(),
                upstream,
            },
        )
    }

    fn shard(&self, upstream: &str) -> MutexGuard<'_, HashMap<String, Upstream>> {
        let index = self.hasher.hash_one(upstream) as usize % SHARDS;
        // Nothing panics while it is held; were it to, the counts inside are still good.
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let mut shard = self.limits.shard(&self.upstream);
        if let Some(entry) = shard.get_mut(&self.upstream) {
            entry.users -= 1;
            if entry.users == 0 {
                shard.remove(&self.upstream);
            }
        }
    }
}

fn busy(message: String) -> Error {
    Error::new(Kind::Busy, message)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    fn upstreams(limits: &Limits) -> usize {
        limits
            .shards
            .iter()
            .map(|shard| shard.lock().unwrap().len())
            .sum()
    }

    #[tokio::test]
    async fn one_upstream_does_not_take_the_places_of_another() {
        let limits = Limits::new(2, 1);
        let first = limits.place("a:80".into(), soon()).await.unwrap();
        let error = limits.place("a:80".into(), soon()).await.err().unwrap();
        assert_eq!(error.kind(), Kind::Busy);
        assert!(
            error.to_string().contains("max_concurrent_per_upstream"),
            "{error}"
        );
        let second = limits.place("b:80".into(), soon()).await.unwrap();
        let error = limits.place("c:80".into(), soon()).await.err().unwrap();
        assert!(
            error.to_string().contains("(limit max_concurrent)"),
            "{error}"
        );
        drop(first);
        limits.place("c:80".into(), soon()).await.unwrap();
        drop(second);
        assert_eq!(
            upstreams(&limits),
            0,
            "upstreams that nobody uses are forgotten"
        );
    }

    #[tokio::test]
    async fn a_waiting_request_gets_the_place_that_becomes_free() {
        let limits = Limits::new(1, 1);
        let held = limits.place("a:80".into(), soon()).await.unwrap();
        let (waited, ()) = tokio::join!(
            limits.place("a:80".into(), soon() + Duration::from_secs(9)),
            async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                drop(held);
            }
        );
        waited.unwrap();
    }
}
