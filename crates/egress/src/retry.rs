//! Retries: which requests are sent again, and when.
//!
//! A request is sent again only if its function requests retries, and if its method is idempotent (RFC 9110 section
//! 9.2.2): whether a request that failed halfway was carried out is unknown, and carrying it out twice must be the same
//! as once. It is sent again only after a failure that may be over in a moment: nothing listened, the connection broke,
//! the name servers were silent, or a gateway reports that its upstream is unavailable (502, 503, 504). A host that
//! takes long to answer gets no second request: it is busy, and the time is better spent waiting. Every try is
//! recorded, and the function sees the result of the last one.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::Instant;

use crate::redirect::Hop;
use crate::{Config, Error, Outbound};

/// The first pause; each following one is twice as long.
const FIRST: Duration = Duration::from_millis(100);

const LONGEST: Duration = Duration::from_secs(2);

/// The idempotent methods: PUT, DELETE and the safe ones. TRACE is never sent.
pub(crate) const IDEMPOTENT: [Method; 5] = [
    Method::GET,
    Method::HEAD,
    Method::OPTIONS,
    Method::PUT,
    Method::DELETE,
];

/// The tries that one request has left, redirects included.
pub(crate) struct Retries {
    left: u32,
    done: u32,
    /// The deadline, before which each pause must end.
    deadline: Instant,
}

impl Retries {
    pub(crate) fn new(context: &Outbound<'_>, config: &Config, deadline: Instant) -> Retries {
        Retries {
            left: context.retries.min(config.max_retries),
            done: 0,
            deadline,
        }
    }

    /// Returns the pause before `hop` is sent again because of `error`, if it is.
    pub(crate) fn after_error(&mut self, hop: &Hop, error: &Error) -> Option<Duration> {
        match error.is_transient() {
            true => self.take(hop, Duration::ZERO),
            false => None,
        }
    }

    /// The same for a response. If the server states a time to wait, the request is not sent earlier; if that time is
    /// too long, or not written in seconds, the function gets the response.
    pub(crate) fn after_response(
        &mut self,
        hop: &Hop,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<Duration> {
        match status {
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {}
            _ => return None,
        }
        let at_least = match headers.get(RETRY_AFTER) {
            None => Duration::ZERO,
            Some(value) => Duration::from_secs(value.to_str().ok()?.parse().ok()?),
        };
        self.take(hop, at_least)
    }

    fn take(&mut self, hop: &Hop, at_least: Duration) -> Option<Duration> {
        if self.left == 0 || !IDEMPOTENT.contains(&hop.method) {
            return None;
        }
        let pause = pause(self.done).max(at_least);
        if Instant::now().checked_add(pause)? >= self.deadline {
            return None;
        }
        self.left -= 1;
        self.done += 1;
        Some(pause)
    }
}

/// Half of the pause is random, so that requests that failed together do not come back together.
pub(crate) fn pause(done: u32) -> Duration {
    let whole = FIRST.saturating_mul(1 << done.min(16)).min(LONGEST);
    let half = whole / 2;
    half + half.mul_f64(rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        for (done, least, most) in [
            (0, 50, 100),
            (1, 100, 200),
            (2, 200, 400),
            (5, 1000, 2000),
            (9, 1000, 2000),
            (u32::MAX, 1000, 2000),
        ] {
            let pauses: Vec<_> = (0..50).map(|_| pause(done).as_millis()).collect();
            assert!(
                pauses.iter().all(|ms| (least..=most).contains(ms)),
                "{done}: {pauses:?}"
            );
            assert!(pauses.iter().any(|ms| *ms != pauses[0]), "{pauses:?}");
        }
    }
}
