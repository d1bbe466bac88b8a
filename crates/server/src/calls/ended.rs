//! A call that ended.

use crate::functions::LoadedFunction;
use iof_engine::Outcome;
use std::time::Duration;
use uuid::Uuid;

/// A call that ended, as its observers see it.
#[derive(Clone, Copy)]
pub(crate) struct EndedCall<'a> {
    pub(crate) call: Uuid,
    pub(crate) function: &'a LoadedFunction,
    pub(crate) export: &'a str,
    pub(crate) outcome: &'a Outcome,
    /// How long it waited for its permits.
    pub(crate) queued: Duration,
    /// How long it took, that wait included.
    pub(crate) wall: Duration,
}
