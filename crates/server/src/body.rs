//! Reading bodies: capped in size, in time, and all together in memory.

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
        // A client that says the size is refused before it sends.
        if http_body::Body::size_hint(&body).lower() > limit {
            drain(body).await;
            return Err(too_large());
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
                drain(body).await;
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

/// Reads on for a moment and keeps nothing: a client that is still sending when we close would lose the answer.
pub(crate) async fn drain(mut body: Body) {
    const MOST: usize = 16 << 20;
    let drained = async {
        let mut total = 0;
        while let Some(Ok(frame)) = body.frame().await {
            total += frame.data_ref().map_or(0, Bytes::len);
            if total > MOST {
                break;
            }
        }
    };
    // The answer goes out either way.
    let _ = tokio::time::timeout(Duration::from_secs(1), drained).await;
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
        let more = total - self.bytes;
        let before = self.memory.used.fetch_add(more, Ordering::AcqRel);
        self.bytes = total;
        if before + more > self.memory.limit {
            return Err(Fault::limit(
                "body-memory",
                503,
                "The bodies of all requests under way take server.body_memory already. Try again soon.",
            ));
        }
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.memory.used.fetch_sub(self.bytes, Ordering::AcqRel);
        }
    }
}
