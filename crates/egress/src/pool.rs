//! The pool of idle connections.
//!
//! Connections are kept by scheme, host and port; the last one returned is used first, so that those left by a burst
//! grow old and are closed. A request that finds none makes one: it does not wait for another's. HTTP/1 or HTTP/2 is
//! chosen in the TLS handshake, and a host that speaks HTTP/2 has one connection.

use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::uri::Authority;
use http::{HeaderValue, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::Instant;
use url::{Position, Url};

use crate::connection::{Http1, Http2, OutgoingRequest, ThreadId};
use crate::dial::Connector;
use crate::{Config, Error, Kind};

/// The origin of connections: `https://host:port` or `http://host:port`.
pub(crate) type Key = Arc<str>;

pub(crate) struct Pool {
    connector: Connector,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    idle_timeout: Duration,
    max_idle_per_host: usize,
    /// Several small locks, so that requests to different hosts seldom contend.
    shards: [Mutex<Hosts>; SHARDS],
    hasher: RandomState,
    /// True while a task closes connections that waited too long, which it does as long as any wait.
    sweeping: AtomicBool,
    sweep: Mutex<JoinSet<()>>,
}

const SHARDS: usize = 16;

type Hosts = HashMap<Key, Host>;

/// The connections of one key.
#[derive(Default)]
struct Host {
    /// The last one returned is at the end.
    http1: Vec<Idle>,
    http2: Option<(Instant, Http2)>,
}

struct Idle {
    http1: Box<Http1>,
    since: Instant,
    /// The time for which it may wait.
    waits: Duration,
}

impl Idle {
    fn is_old(&self) -> bool {
        self.since.elapsed() >= self.waits
    }
}

/// The bounds within which a request gets a connection.
#[derive(Clone, Copy)]
pub(crate) struct Connecting {
    /// True for a new connection.
    pub(crate) fresh: bool,
    /// The time for a new connection, if less than the settings'.
    pub(crate) within: Option<Duration>,
}

/// The reason why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Connect(#[from] Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// A reused connection ended without a byte of an answer: most likely it was being closed when the request was
    /// sent, but the request may have been carried out.
    #[error(transparent)]
    Stale(hyper::Error),
    /// The other side states that it did not process the request (RFC 9113 sections 6.8 and 8.7).
    #[error(transparent)]
    Unprocessed(hyper::Error),
}

impl Failure {
    pub(crate) fn http(&self) -> Option<&hyper::Error> {
        match self {
            Failure::Connect(_) => None,
            Failure::Http(e) | Failure::Stale(e) | Failure::Unprocessed(e) => Some(e),
        }
    }
}

/// The head of a response, and its connection if that returns to the pool; that of HTTP/2 stays there.
pub(crate) type ResponseHead = (Response<Incoming>, Option<Box<Http1>>);

/// A connection, and `true` if it has carried a request before.
enum Connection {
    Http1(Box<Http1>, bool),
    Http2(Http2, bool),
}

impl Pool {
    pub(crate) fn new(config: &Config, connector: Connector) -> Arc<Pool> {
        // The setting is checked to be 16 MiB at most.
        let max_head = config.max_response_headers.as_u64() as u32;
        let mut http1 = http1::Builder::new();
        http1
            .max_buf_size(max_head as usize)
            .max_headers(config.max_response_header_count)
            // Folded lines become one, joined by a space (RFC 9112 section 5.2).
            .allow_obsolete_multiline_headers_in_responses(true);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            // HTTP/2 counts 32 bytes more per line, and aborts without a reason where HTTP/1 names one: leave room, and
            // let the exact check of the exchange come first.
            .max_header_list_size(max_head * 2)
            // One connection carries all requests to its host: notice when it is dead.
            .keep_alive_interval(Some(Duration::from_secs(20)));
        Arc::new(Pool {
            connector,
            http1,
            http2,
            idle_timeout: config.pool_idle_timeout,
            max_idle_per_host: config.pool_max_idle_per_host,
            shards: Default::default(),
            hasher: RandomState::new(),
            sweeping: AtomicBool::new(false),
            sweep: Mutex::default(),
        })
    }

    /// Sends `request` to the origin of `url`, which is `key`, and returns the head of the response. `to` is set to the
    /// connection's address as soon as there is one.
    ///
    /// The other side may have closed an idle connection at that very moment. A request of which nothing was sent then
    /// goes out on another connection here; for any other, the failure states what is known ([`Failure::Stale`],
    /// [`Failure::Unprocessed`]).
    pub(crate) async fn send(
        self: &Arc<Self>,
        key: &Key,
        url: &Url,
        mut request: OutgoingRequest,
        connecting: Connecting,
        to: &mut Option<SocketAddr>,
    ) -> Result<ResponseHead, Failure> {
        loop {
            let Connecting { fresh, within } = connecting;
            let taken = match if fresh { None } else { self.take(key) } {
                Some(taken) => taken,
                // Boxed: few requests connect, and the others need not carry this future.
                None => Box::pin(self.connect(key, url, within)).await?,
            };
            let (used, mut not_sent, failure) = match taken {
                Connection::Http1(mut http1, used) => {
                    *to = Some(http1.to);
                    match http1.send(request).await {
                        Ok(response) => return Ok((response, Some(http1))),
                        Err(e) => {
                            let stale = used && !http1.answered();
                            let failure = if stale { Failure::Stale } else { Failure::Http };
                            (used, e, failure as fn(hyper::Error) -> Failure)
                        }
                    }
                }
                Connection::Http2(mut http2, used) => {
                    *to = Some(http2.to);
                    match http2.send(request).await {
                        Ok(response) => return Ok((response, None)),
                        Err(e) => {
                            let failure = of_stream(&e, used);
                            (used, e, failure)
                        }
                    }
                }
            };
            match not_sent.take_message() {
                Some(again) if used => request = again,
                _ => return Err(failure(not_sent.into_error())),
            }
        }
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// Keeps a connection that is ready for another request.
    pub(crate) fn put(self: &Arc<Self>, key: Key, http1: Box<Http1>) {
        let waits = http1.waits().unwrap_or(self.idle_timeout);
        let idle = Idle {
            waits: waits.min(self.idle_timeout),
            since: Instant::now(),
            http1,
        };
        if idle.is_old() {
            return;
        }
        let mut hosts = self.shard(&key);
        let others = &mut hosts.entry(key).or_default().http1;
        if others.len() < self.max_idle_per_host {
            others.push(idle);
        }
        drop(hosts);
        self.start_sweep();
    }

    fn take(&self, key: &Key) -> Option<Connection> {
        let here = ThreadId::current();
        loop {
            let mut hosts = self.shard(key);
            let host = hosts.get_mut(key)?;
            if let Some((used, http2)) = &mut host.http2 {
                if http2.sender.is_ready() {
                    *used = Instant::now();
                    return Some(Connection::Http2(http2.clone(), true));
                }
                host.http2 = None;
            }
            // Prefers one of this thread's: the bytes of another thread's would wake that one first.
            let own = host
                .http1
                .iter()
                .rposition(|idle| idle.http1.thread == here);
            let last = host.http1.len().checked_sub(1)?;
            let mut idle = host.http1.remove(own.unwrap_or(last));
            // Its socket is checked without the lock.
            drop(hosts);
            if !idle.is_old() && idle.http1.is_still_ready() {
                return Some(Connection::Http1(idle.http1, true));
            }
        }
    }

    async fn connect(
        self: &Arc<Self>,
        key: &Key,
        url: &Url,
        within: Option<Duration>,
    ) -> Result<Connection, Failure> {
        let authority = &url[Position::BeforeHost..Position::AfterPort];
        let wrong = |e: &dyn std::fmt::Display| {
            Error::new(
                Kind::Url,
                format!("the host is not one that HTTP accepts: {e}"),
            )
        };
        let io = self.connector.connect(url, within).await?;
        if !io.is_http2() {
            let host = HeaderValue::from_str(authority).map_err(|e| wrong(&e))?;
            let http1 = Http1::handshake(io, &self.http1, host).await?;
            return Ok(Connection::Http1(Box::new(http1), false));
        }
        let authority: Authority = authority.parse().map_err(|e| wrong(&e))?;
        let to = io.to();
        let (sender, connection) = self.http2.handshake(TokioIo::new(io)).await?;
        // The task ends when there is no sender any more, or the other side closes.
        TokioExecutor::new().execute(async {
            let _ = connection.await;
        });
        let http2 = Http2 {
            sender,
            authority,
            to,
        };
        let mut hosts = self.shard(key);
        hosts.entry(Arc::clone(key)).or_default().http2 = Some((Instant::now(), http2.clone()));
        drop(hosts);
        self.start_sweep();
        Ok(Connection::Http2(http2, false))
    }

    fn start_sweep(self: &Arc<Self>) {
        // This is only a load, except for the first connection after a while.
        if self.sweeping.load(Ordering::Relaxed) || self.sweeping.swap(true, Ordering::AcqRel) {
            return;
        }
        // A connection may return from a task that is dropped with its runtime.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (pool, every) = (Arc::downgrade(self), self.idle_timeout);
        let mut sweep = self.sweep.lock();
        while sweep.try_join_next().is_some() {}
        sweep.spawn_on(sweep_every(every, pool), &runtime);
    }

    /// Closes connections that waited too long. Returns whether any are left.
    fn close_old(&self) -> bool {
        // Cleared before the check: a connection that returns after it starts the next sweep.
        self.sweeping.store(false, Ordering::Release);
        let old = |since: &Instant| since.elapsed() >= self.idle_timeout;
        let mut left = false;
        for shard in &self.shards {
            let mut hosts = shard.lock();
            hosts.retain(|_, host| {
                host.http1.retain(|idle| !idle.is_old());
                host.http2.take_if(|(since, _)| old(since));
                !host.http1.is_empty() || host.http2.is_some()
            });
            left |= !hosts.is_empty();
        }
        // This sweep goes on, unless another was started meanwhile.
        left && !self.sweeping.swap(true, Ordering::AcqRel)
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Hosts> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        // No code panics while the lock is held; if it did, the connections inside would still be valid.
        self.shards[index].lock()
    }
}

/// Classifies the failure of a request on HTTP/2 that got no response.
fn of_stream(not_sent: &TrySendError<OutgoingRequest>, used: bool) -> fn(hyper::Error) -> Failure {
    let error = not_sent.error();
    let cause = std::error::Error::source(error).and_then(|e| e.downcast_ref::<h2::Error>());
    // hyper calls it a user error when it drops a request that waited for its turn on a connection that the other side
    // ends; no other user error can occur here.
    let never_left = not_sent.message().is_some() || error.is_user();
    let disowned = cause.is_some_and(|cause| {
        let refused = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
        // h2 reports it only to the streams above the last one that the other side names.
        cause.is_remote() && (refused || cause.is_go_away())
    });
    match (never_left || disowned, cause) {
        (true, _) => Failure::Unprocessed,
        (false, None) if used => Failure::Stale,
        _ => Failure::Http,
    }
}

async fn sweep_every(every: Duration, pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(every).await;
        match pool.upgrade() {
            Some(pool) if pool.close_old() => {}
            _ => return,
        }
    }
}
