//! Reading bodies: capped in size, in time, and all together in memory, with answers that are being sent.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use bytesize::ByteSize;
use http_body_util::BodyExt;
use iof_engine::Fault;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bodies up to this size are not counted: the number of calls bounds them.
const SMALL: u64 = 64 << 10;

/// The memory that large bodies share.
pub(crate) struct BodyMemory {
    used: AtomicU64,
    limit: u64,
    wait: Duration,
}

/// A body, and its share of the memory until it is dropped.
pub(crate) struct Held<'a> {
    pub(crate) bytes: Bytes,
    _share: Share<'a>,
}

impl BodyMemory {
    pub(crate) fn new(limit: ByteSize, wait: Duration) -> Self {
        Self {
            used: AtomicU64::new(0),
            limit: limit.as_u64(),
            wait,
        }
    }

    /// Reads a body to its end.
    ///
    /// # Errors
    /// `too_large` when it has more than `limit` bytes, `body-memory`, `body-wait`, or `request` if the client broke it off.
    pub(crate) async fn read(
        &self,
        body: Body,
        limit: ByteSize,
        too_large: impl Fn() -> Fault,
    ) -> Result<Held<'_>, Fault> {
        let limit = limit.as_u64();
        // A client that says the size is refused before it sends, and before it is told to. What it sends even so is
        // its connection's business.
        let stated = http_body::Body::size_hint(&body).lower();
        if stated > limit {
            return Err(too_large());
        }
        if stated > SMALL && self.used.load(Ordering::Acquire) + stated > self.limit {
            return Err(full());
        }
        match tokio::time::timeout(self.wait, self.collect(body, limit, too_large)).await {
            Ok(result) => result,
            Err(_) => Err(Fault::limit(
                "body-wait",
                408,
                "The body took longer than server.body_wait to arrive.",
            )),
        }
    }

    /// Takes a share for what came another way than as a body.
    ///
    /// # Errors
    /// `body-memory`
    pub(crate) fn share(&self, bytes: usize) -> Result<Share<'_>, Fault> {
        let mut share = Share {
            memory: self,
            bytes: 0,
        };
        share.grow_to(bytes as u64)?;
        Ok(share)
    }

    /// Takes memory until it is given back.
    ///
    /// # Errors
    /// `body-memory`
    pub(crate) fn take(&self, bytes: u64) -> Result<(), Fault> {
        let before = self.used.fetch_add(bytes, Ordering::AcqRel);
        if before + bytes > self.limit {
            self.give_back(bytes);
            return Err(full());
        }
        Ok(())
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    async fn collect(
        &self,
        mut body: Body,
        limit: u64,
        too_large: impl Fn() -> Fault,
    ) -> Result<Held<'_>, Fault> {
        let mut share = Share {
            memory: self,
            bytes: 0,
        };
        let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                Fault::client("request", "The body broke off.").with_detail(error)
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let total = (first.len() + rest.len() + data.len()) as u64;
            if total > limit {
                return Err(too_large());
            }
            share.grow_to(total)?;
            // The usual body is one piece and is not copied.
            if first.is_empty() && rest.is_empty() {
                first = data;
            } else {
                rest.extend_from_slice(&std::mem::take(&mut first));
                rest.extend_from_slice(&data);
            }
        }
        let bytes = if rest.is_empty() {
            first
        } else {
            rest.freeze()
        };
        Ok(Held {
            bytes,
            _share: share,
        })
    }
}

/// A part of the memory, until it is dropped.
pub(crate) struct Share<'a> {
    memory: &'a BodyMemory,
    bytes: u64,
}

impl Share<'_> {
    fn grow_to(&mut self, total: u64) -> Result<(), Fault> {
        if total <= SMALL {
            return Ok(());
        }
        self.memory.take(total - self.bytes)?;
        self.bytes = total;
        Ok(())
    }
}

fn full() -> Fault {
    Fault::limit(
        "body-memory",
        503,
        "The bodies of all requests and answers under way take server.body_memory already. Try again soon.",
    )
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.memory.give_back(self.bytes);
        }
    }
}
