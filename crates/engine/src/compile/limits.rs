//! The limits of a compile worker.

use crate::limits::{CompileLimits, Limits};
use serde::{Deserialize, Serialize};

/// The limits of a worker, passed as one argument in JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WorkerLimits {
    pub(super) compile: CompileLimits,
    pub(super) call: Limits,
}

impl WorkerLimits {
    pub(crate) fn new(compile: &CompileLimits, call: &Limits) -> Self {
        Self {
            compile: compile.clone(),
            call: call.clone(),
        }
    }
}
