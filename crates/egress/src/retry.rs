//! Retries: the requests that are sent again, and when.
//!
//! Only those whose function asked for it, and whose method is idempotent (RFC 9110 section 9.2.2):
//! of a request that failed halfway nobody knows whether it was carried out, and carrying it out twice
//! must be the same as once. Only after what may be over in a moment: nobody listened, the
//! connection broke, the name servers were silent, or a gateway says that what is behind it is not
//! there (502, 503, 504). A host that takes long to answer is not asked again: it is busy, and the
//! time is better spent waiting. Errors of another try are the same as those of the first, so every
//! try is on record and the last one is what the function sees.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::Instant;

use crate::redirect::Hop;
use crate::{Config, Error, Outbound};

/// The first pause; each following one is twice as long.
const FIRST: Duration = Duration::from_millis(100);

const LONGEST: Duration = Duration::from_secs(2);

/// PUT, DELETE and the safe methods. TRACE never leaves.
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
    /// No pause ends after it.
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

    /// Returns the pause before `hop` is sent again, if it is, because of `error`.
    pub(crate) fn after_error(&mut self, hop: &Hop, error: &Error) -> Option<Duration> {
        match error.is_transient() {
            true => self.take(hop, Duration::ZERO),
            false => None,
        }
    }

    /// The same because of a response. When the server says how long to wait, it is not asked
    /// earlier: with a time that is too long, or that is not written in seconds, the response is the
    /// function's.
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

/// Half of it is left to chance, so that requests that failed together do not come back together.
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
