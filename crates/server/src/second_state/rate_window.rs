//! A limit on the requests of one client per minute, counted as in the original.
//!
//! It is off unless `second_state.rate_limit` is set. The minute is the server's, not the client's: all counts restart
//! together, at the time that `X-RateLimit-Reset` announces. A client is an IPv4 address, or the network of an IPv6
//! address, because one client has billions of IPv6 addresses. Behind a proxy the client is the proxy, which should
//! then count clients itself.

use crate::connection::network;
use crate::reply;
use axum::body::Body;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use iof_fault::{Fault, FaultKind};
use quick_cache::sync::Cache;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The most addresses that are counted at once; the least recent ones are forgotten.
const CLIENTS: usize = 100_000;
const MINUTE: u64 = 60;

/// A limiter that counts the requests of each client in the current minute.
pub(super) struct FixedWindowLimiter {
    limit: u32,
    /// The end of the minute, in Unix seconds.
    ends: AtomicU64,
    counts: Cache<IpAddr, Arc<AtomicU32>>,
}

/// The decision on a request, which headers of its answer announce.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decision {
    limit: u32,
    remaining: u32,
    reset: u64,
    refused: bool,
}

impl FixedWindowLimiter {
    /// A limiter; `None` for no limit.
    pub(super) fn new(limit: u32) -> Option<Self> {
        (limit > 0).then(|| Self {
            limit,
            ends: AtomicU64::new(0),
            counts: Cache::new(CLIENTS),
        })
    }

    /// Counts a request.
    pub(super) fn count(&self, client: IpAddr) -> Decision {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        self.count_at(client, now.map_or(0, |since| since.as_secs()))
    }

    fn count_at(&self, client: IpAddr, now: u64) -> Decision {
        let ends = self.ends.load(Ordering::Acquire);
        if now >= ends {
            let next = now + MINUTE;
            // The first request after the end clears the counts; a concurrent request may count in either minute.
            let first = self
                .ends
                .compare_exchange(ends, next, Ordering::AcqRel, Ordering::Acquire);
            if first.is_ok() {
                self.counts.clear();
            }
        }
        let counted = self
            .counts
            .get_or_insert_with(&network(client), || Ok::<_, Infallible>(Arc::default()));
        let Ok(count) = counted;
        let count = count.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        Decision {
            limit: self.limit,
            remaining: self.limit.saturating_sub(count),
            reset: self.ends.load(Ordering::Acquire),
            refused: count > self.limit,
        }
    }
}

impl Decision {
    /// The refusal, if the client sent too many requests.
    pub(super) fn refusal(self) -> Option<Response<Body>> {
        self.refused.then(|| {
            let fault = Fault::new(
                FaultKind::RateLimit,
                format!(
                    "More than second_state.rate_limit = {} requests a minute came from this address.",
                    self.limit
                ),
            );
            let text = "Too many requests, please try again later.";
            let mut response = reply::ok_but(&fault, reply::HTML, text);
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            let wait = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let wait = self.reset.saturating_sub(wait.as_secs()).max(1);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(wait));
            response
        })
    }

    /// Adds the headers that tell the client its remaining requests.
    pub(super) fn tell(self, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        for (name, value) in [
            ("x-ratelimit-limit", u64::from(self.limit)),
            ("x-ratelimit-remaining", u64::from(self.remaining)),
            ("x-ratelimit-reset", self.reset),
        ] {
            headers.insert(HeaderName::from_static(name), value.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_number_a_minute() {
        let limiter = FixedWindowLimiter::new(2).unwrap();
        let of = |client: &str, now| {
            let counted = limiter.count_at(client.parse().unwrap(), now);
            (counted.remaining, counted.refused, counted.reset)
        };
        assert_eq!(of("192.0.2.1", 1000), (1, false, 1060));
        assert_eq!(of("::ffff:192.0.2.1", 1001), (0, false, 1060));
        assert_eq!(of("192.0.2.1", 1059), (0, true, 1060));
        assert_eq!(of("192.0.2.2", 1059), (1, false, 1060));
        assert_eq!(of("192.0.2.1", 1060), (1, false, 1120));
        assert_eq!(of("2001:db8::1", 1061), (1, false, 1120));
        assert_eq!(of("2001:db8::2", 1061), (0, false, 1120));
        assert_eq!(of("2001:db8:0:1::2", 1061), (1, false, 1120));
        assert!(FixedWindowLimiter::new(0).is_none());
    }
}
