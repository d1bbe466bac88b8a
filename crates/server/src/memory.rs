//! A memory pool of bounded size, and reservations in it.

use bytesize::ByteSize;
use iof_fault::{Fault, FaultKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The size in bytes up to which bodies are not counted, and are read on the thread of their connection: the number of
/// calls bounds them.
pub(crate) const SMALL: usize = 64 << 10;

/// Memory of a bounded size.
pub(crate) struct MemoryPool {
    used: AtomicU64,
    limit: u64,
}

/// A reservation of a part of the memory; released on drop.
#[derive(Default)]
pub(crate) struct MemoryReservation(Option<(Arc<MemoryPool>, u64)>);

impl MemoryPool {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicU64::new(0),
            limit,
        })
    }

    /// Checks that a number of bytes is free now.
    ///
    /// # Errors
    /// `body-memory`
    pub(crate) fn has_room(&self, bytes: u64) -> Result<(), Fault> {
        match self.used.load(Ordering::Acquire) + bytes > self.limit {
            true => Err(full()),
            false => Ok(()),
        }
    }

    /// Takes memory until it is released.
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

    /// Refuses a total that would not fit into an empty pool.
    fn bound(&self, total: u64) -> Result<(), Fault> {
        match total > self.limit {
            false => Ok(()),
            true => Err(Fault::new(
                FaultKind::OversizedBody,
                format!(
                    "The body takes more memory than server.body_memory = {}. Send a smaller one.",
                    ByteSize(self.limit)
                ),
            )),
        }
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::AcqRel);
    }
}

impl MemoryReservation {
    /// Grows the reservation to `total` bytes.
    ///
    /// # Errors
    /// `body-memory`
    pub(crate) fn grow_to(&mut self, pool: &Arc<MemoryPool>, total: u64) -> Result<(), Fault> {
        if total <= SMALL as u64 {
            return Ok(());
        }
        let (pool, bytes) = self.0.get_or_insert_with(|| (Arc::clone(pool), 0));
        let Some(more) = total.checked_sub(*bytes) else {
            return Ok(());
        };
        pool.bound(total)?;
        pool.take(more)?;
        *bytes = total;
        Ok(())
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        if let Some((pool, bytes)) = self.0.take() {
            pool.give_back(bytes);
        }
    }
}

fn full() -> Fault {
    Fault::new(
        FaultKind::BodyMemory,
        "The bodies of current requests and answers already take all of server.body_memory. Try again soon.",
    )
}
