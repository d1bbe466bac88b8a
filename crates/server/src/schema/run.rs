//! An evaluation in progress: the remaining steps, and the outcomes that are already known.

use super::mismatch::{Mismatch, Path};
use super::program::{Id, Pattern};
use crate::parsing::Budget;
use iof_fault::{Fault, FaultKind};
use std::collections::HashMap;

/// Bytes of text that count as one step.
const BYTES: usize = 64;
/// The cost of an entry of the known outcomes: steps, and bytes.
const KNOWN_STEPS: u64 = 4;
pub(super) const KNOWN_BYTES: usize = 64;

/// The early end of an evaluation. It is small, because evaluations are nested, and each has one on the stack.
#[derive(Debug)]
pub(super) enum Stop {
    /// The value does not match, and no reason is needed.
    Silent,
    Mismatch(Box<Mismatch>),
    Fault(Box<Fault>),
}

/// A run of a program, with the remaining steps.
pub(super) struct Run<'a> {
    pub(super) left: u64,
    pub(super) most: u64,
    pub(super) budget: &'a mut Budget,
    pub(super) depth: u32,
    /// The number of enclosing checks that need no reason.
    pub(super) quiet: u32,
    /// The known outcomes of nodes that combine others, by node and address of the value: a node evaluates each value
    /// once, however many paths lead there.
    pub(super) known: HashMap<(Id, usize), bool>,
}

/// `Ok` if a value matches; an early end of the evaluation otherwise.
pub(super) type Outcome = Result<(), Stop>;

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

impl Run<'_> {
    /// Accounts for work.
    ///
    /// # Errors
    /// `schema-steps`, and the errors of the budget.
    pub(super) fn step(&mut self, steps: u64) -> Outcome {
        match self.left.checked_sub(steps) {
            Some(left) => self.left = left,
            None => return Err(self.too_much()),
        }
        Ok(self.budget.step(steps)?)
    }

    /// Accounts for reading text.
    ///
    /// # Errors
    /// The errors of [`step`](Self::step).
    pub(super) fn read(&mut self, bytes: usize) -> Outcome {
        self.step((bytes / BYTES) as u64 + 1)
    }

    pub(super) fn learn(&mut self, key: Option<(Id, usize)>, matches: bool) -> Outcome {
        let Some(key) = key else { return Ok(()) };
        self.step(KNOWN_STEPS)?;
        if self.known.insert(key, matches).is_none() {
            self.budget.take(KNOWN_BYTES)?;
        }
        Ok(())
    }

    pub(super) fn too_much(&self) -> Stop {
        let message = format!(
            "An argument takes more steps to check against its JSON Schema than server.schema_steps = {}. Send a smaller one, or deploy the function with a simpler schema.",
            self.most
        );
        Fault::new(FaultKind::SchemaSteps, message).into()
    }

    /// The stop for a mismatch, with its message only if a reason is needed.
    pub(super) fn mismatch(&self, path: &Path<'_>, why: impl FnOnce() -> String) -> Outcome {
        Err(match self.quiet {
            0 => Stop::Mismatch(Box::new(Mismatch {
                path: path.to_string(),
                why: why(),
            })),
            _ => Stop::Silent,
        })
    }

    pub(super) fn matches(&mut self, pattern: &Pattern, text: &str) -> Result<bool, Stop> {
        self.step((text.len() as u64 + 1).saturating_mul(pattern.steps))?;
        Ok(pattern.regex.is_match(text))
    }
}
