//! A request to run a function, read from its body and headers.

use crate::callback::RequestTarget;
use crate::memory::MemoryReservation;
use iof_engine::Arg;

/// A parsed request, before anything is fetched for it.
pub(super) struct ParsedCall {
    pub(super) args: Vec<Arg>,
    /// The fetch whose body replaces the argument.
    pub(super) fetch: Option<RequestTarget>,
    /// The target of the result: `Some(None)` for no target, `None` for the stored target.
    pub(super) callback: Option<Option<RequestTarget>>,
    /// The memory for bodies that fetched and parsed arguments take.
    pub(super) shares: Vec<MemoryReservation>,
}
