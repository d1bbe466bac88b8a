//! A call that ended.

use crate::call_log::CallerKind;
use crate::functions::LoadedFunction;
use iof_engine::Outcome;
use iof_trace::CallTrace;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// A call that ended, as its observers see it.
#[derive(Clone, Copy)]
pub(crate) struct EndedCall<'a> {
    pub(crate) call: Uuid,
    pub(crate) function: &'a LoadedFunction,
    pub(crate) export: &'a str,
    pub(crate) caller: CallerKind,
    pub(crate) outcome: &'a Outcome,
    /// The functions of the guest that were under way when it failed, for those who may read its log.
    pub(crate) frames: &'a [Box<str>],
    /// The trace that the call belongs to, if traces are exported.
    pub(crate) trace: Option<&'a Arc<CallTrace>>,
    /// The time for which the call waited for its permits.
    pub(crate) queued: Duration,
    /// The time that the call took, including that wait.
    pub(crate) wall: Duration,
}
