//! An evaluation under way: the steps that are left, and what is known already.

use super::compile::{Id, Pattern};
use super::mismatch::{Mismatch, Path};
use crate::parsing::Budget;
use iof_fault::{Fault, FaultKind};
use std::collections::HashMap;

/// Bytes of text that are read in a step.
const BYTES: usize = 64;
/// What an entry of the known outcomes costs: steps, and bytes.
const KNOWN_STEPS: u64 = 4;
pub(super) const KNOWN_BYTES: usize = 64;

/// The end of an evaluation before all of it is done. It is small: evaluations are nested, and each has one on the stack.
#[derive(Debug)]
pub(super) enum Stop {
    /// The value does not match, and nobody asks why.
    Silent,
    Mismatch(Box<Mismatch>),
    Fault(Box<Fault>),
}

/// The steps that are left.
pub(super) struct Run<'a> {
    pub(super) left: u64,
    pub(super) most: u64,
    pub(super) budget: &'a mut Budget,
    pub(super) depth: u32,
    /// How many checks around this one need no reason.
    pub(super) quiet: u32,
    /// What is known of the nodes that combine others, by node and address of the value: each is evaluated once for
    /// each value, however many ways lead there.
    pub(super) known: HashMap<(Id, usize), bool>,
}

/// A value matches, or the evaluation stops.
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
    /// `schema-steps`, and those of the budget.
    pub(super) fn step(&mut self, steps: u64) -> Outcome {
        match self.left.checked_sub(steps) {
            Some(left) => self.left = left,
            None => return Err(self.too_much()),
        }
        Ok(self.budget.step(steps)?)
    }

    /// Accounts for the reading of text.
    ///
    /// # Errors
    /// As [`step`](Self::step).
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

    /// The stop of a mismatch, with its words only if somebody reads them.
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
