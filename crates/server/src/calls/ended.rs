//! A call that ended.

use crate::functions::LoadedFunction;
use iof_engine::Outcome;
use uuid::Uuid;

/// A call that ended, as its observers see it.
#[derive(Clone, Copy)]
pub(crate) struct EndedCall<'a> {
    pub(crate) call: Uuid,
    pub(crate) function: &'a LoadedFunction,
    pub(crate) export: &'a str,
    pub(crate) outcome: &'a Outcome,
}
