//! Request bodies, limited in size, time and memory. All bodies share this memory with the answers that are being sent.

use crate::coding::Coding;
use crate::memory::{MemoryPool, MemoryReservation, SMALL};
use crate::parsing::{Budget, ParsingTurns};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use bytesize::ByteSize;
use http::HeaderMap;
use http_body_util::BodyExt;
use iof_fault::{Fault, FaultKind};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The memory that large bodies share, and the permits to parse them.
pub(crate) struct BodyMemory {
    pool: Arc<MemoryPool>,
    turns: ParsingTurns,
    wait: Duration,
}

/// A body in memory, and its reservation.
pub(crate) struct BufferedBody {
    pub(crate) bytes: Bytes,
    _share: MemoryReservation,
}

impl BodyMemory {
    pub(crate) fn new(limit: ByteSize, wait: Duration) -> Self {
        Self {
            pool: MemoryPool::new(limit.as_u64()),
            turns: ParsingTurns::new(),
            wait,
        }
    }

    /// Reads a body to its end, and decodes it if its headers name a coding.
    ///
    /// # Errors
    /// `too_large` when it has more than `limit` bytes; `body-memory`; `body-wait`; `request` if the client aborted it;
    /// and the errors of a coding that is unknown or does not match the body.
    pub(crate) async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        limit: ByteSize,
        too_large: impl Fn() -> Fault,
    ) -> Result<BufferedBody, Fault> {
        let limit = limit.as_u64();
        // A client that states coding and size is refused before it gets `100 Continue` or sends the body. If it sends
        // the body anyway, the connection handles it.
        let coding = Coding::of(headers)?;
        let stated = http_body::Body::size_hint(&body).lower();
        if stated > limit {
            return Err(too_large());
        }
        if stated > SMALL as u64 {
            self.pool.has_room(stated)?;
        }
        let deadline = Instant::now() + self.wait;
        let collected = self.collect(body, limit, &too_large);
        let held = match tokio::time::timeout_at(deadline, collected).await {
            Ok(result) => result?,
            Err(_) => {
                return Err(Fault::new(
                    FaultKind::BodyWait,
                    "The body took longer than server.body_wait to arrive.",
                ));
            }
        };
        match coding {
            None => Ok(held),
            // Boxed, so that bodies without a coding do not carry the future of the decoder.
            Some(coding) => Box::pin(self.decoded(coding, held, limit, deadline, too_large)).await,
        }
    }

    /// Reserves memory for data that did not arrive as a body.
    ///
    /// # Errors
    /// `body-memory`
    pub(crate) fn share(&self, bytes: usize) -> Result<MemoryReservation, Fault> {
        let mut share = MemoryReservation::default();
        share.grow_to(&self.pool, bytes as u64)?;
        Ok(share)
    }

    /// Takes memory until it is released.
    ///
    /// # Errors
    /// `body-memory`
    pub(crate) fn take(&self, bytes: u64) -> Result<(), Fault> {
        self.pool.take(bytes)
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.pool.give_back(bytes);
    }

    /// Runs work whose size a client decides, off the thread of its connection. As many permits as cores bound such
    /// work. The work ends when its deadline passes or its caller is gone, at its next check of the [`Budget`]. The
    /// returned reservation is the memory that the work took from the budget.
    ///
    /// # Errors
    /// `wall-time`, `body-memory`, and the errors of the work.
    pub(crate) async fn parse<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce(&mut Budget) -> Result<T, Fault> + Send + 'static,
    ) -> Result<(T, MemoryReservation), Fault> {
        self.turns
            .take(Arc::clone(&self.pool), deadline, work)
            .await
    }

    async fn decoded(
        &self,
        coding: Coding,
        held: BufferedBody,
        limit: u64,
        deadline: Instant,
        too_large: impl Fn() -> Fault,
    ) -> Result<BufferedBody, Fault> {
        let encoded = held.bytes.clone();
        let decode = move |budget: &mut Budget| coding.decode(&encoded, limit, budget);
        match self.parse(deadline, decode).await? {
            (Some(bytes), share) => Ok(BufferedBody {
                bytes,
                _share: share,
            }),
            (None, _) => Err(too_large()),
        }
    }

    async fn collect(
        &self,
        mut body: Body,
        limit: u64,
        too_large: impl Fn() -> Fault,
    ) -> Result<BufferedBody, Fault> {
        let mut share = MemoryReservation::default();
        let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(broken)?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let total = (first.len() + rest.len() + data.len()) as u64;
            if total > limit {
                return Err(too_large());
            }
            share.grow_to(&self.pool, total)?;
            // A body of one piece, the common case, is not copied.
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
        Ok(BufferedBody {
            bytes,
            _share: share,
        })
    }
}

/// The fault of a body over its limit, such as `server.request_body = 100 MiB`.
pub(crate) fn larger_than(kind: FaultKind, limit: impl std::fmt::Display) -> Fault {
    Fault::new(kind, format!("The body is larger than {limit}."))
}

/// The fault of a body that ended before it was complete.
fn broken(error: axum::Error) -> Fault {
    let mut causes = std::iter::successors(
        Some(&error as &(dyn std::error::Error + 'static)),
        |error| error.source(),
    );
    let is_malformed = causes.any(|cause| {
        let cause = cause.downcast_ref::<std::io::Error>();
        cause.is_some_and(|error| {
            matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::InvalidData
            )
        })
    });
    let message = match is_malformed {
        true => "The body's chunks are malformed.",
        false => "The body ended before it was complete.",
    };
    Fault::new(FaultKind::Request, message).with_detail(error)
}
