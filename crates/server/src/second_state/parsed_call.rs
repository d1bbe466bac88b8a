//! A request to run a function, as its body and headers say it.

use crate::callback::RequestTarget;
use crate::memory::MemoryReservation;
use iof_engine::Arg;

/// A request that was read, before anything is fetched for it.
pub(super) struct ParsedCall {
    pub(super) args: Vec<Arg>,
    /// The fetch whose body replaces the argument.
    pub(super) fetch: Option<RequestTarget>,
    /// The target of the result: `Some(None)` says nowhere, `None` leaves it to the stored one.
    pub(super) callback: Option<Option<RequestTarget>>,
    /// The memory for bodies that fetched and parsed arguments take.
    pub(super) shares: Vec<MemoryReservation>,
}
