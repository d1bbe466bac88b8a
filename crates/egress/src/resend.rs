//! Resends: requests that are sent again without a request of the function, because the connection failed and not the
//! other side.
//!
//! A server closes a connection that has been idle for long enough, and a request may be on its way then: it gets an
//! end of the connection and no answer. Every client that reuses connections has to expect that, so a request of an
//! idempotent method is sent again on a new connection, once (RFC 9112 section 9.3.1, RFC 9110 section 9.2.2); on a new
//! connection, an end is the other side's answer. A POST may have been carried out, and is never repeated: connections
//! that are about to be closed are not used at all ([`pool`]).
//!
//! HTTP/2 can state that a request was not processed, by refusing its stream or by a GOAWAY that names an earlier one:
//! such a request is sent again whatever its method (RFC 9113 sections 6.8 and 8.7).
//!
//! [`pool`]: crate::pool

use std::time::Duration;

use http::Method;
use tokio::time::Instant;

use crate::pool::Failure;
use crate::retry::{IDEMPOTENT, pause};

/// The most times that an unprocessed request is sent again.
const MOST: u32 = 3;

/// The resends of one hop so far, by reason.
#[derive(Default)]
pub(crate) struct Resends {
    stale: bool,
    unprocessed: u32,
}

impl Resends {
    /// Returns whether the next connection has to be a new one.
    pub(crate) fn fresh(&self) -> bool {
        self.stale
    }

    /// Returns the pause before the request is sent again, if it is. An unprocessed request goes out at once the first
    /// time, then after the pauses of a retry: a server that refuses may be busy.
    pub(crate) fn after(
        &mut self,
        method: &Method,
        failure: &Failure,
        deadline: Instant,
    ) -> Option<Duration> {
        match failure {
            Failure::Stale(_) if !self.stale && IDEMPOTENT.contains(method) => {
                self.stale = true;
                Some(Duration::ZERO)
            }
            Failure::Unprocessed(_) if self.unprocessed < MOST => {
                let before = self.unprocessed.checked_sub(1);
                let pause = before.map_or(Duration::ZERO, pause);
                if Instant::now() + pause >= deadline {
                    return None;
                }
                self.unprocessed += 1;
                Some(pause)
            }
            _ => None,
        }
    }
}
