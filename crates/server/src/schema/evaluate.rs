//! Evaluation of a schema on a value, step by step.

use super::equality::{compare, equal, is_multiple, whole};
use super::mismatch::{Mismatch, Path, quoted, quoted_text};
use super::program::{Check, Id, Node, Program, Types};
use super::run::{KNOWN_BYTES, Outcome, Run, Stop};
use crate::parsing::Budget;
use iof_fault::Fault;
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};

/// The deepest nesting of schemas in evaluation: each has a frame on the stack.
const DEPTH: u32 = 512;

/// The properties and items of one value that successful checks have evaluated.
#[derive(Default)]
pub(super) struct Coverage<'v> {
    pub(super) properties: HashSet<&'v str>,
    pub(super) items: HashSet<usize>,
}

/// Checks a value. It matches if there is no mismatch.
///
/// # Errors
/// `schema-steps`, and the errors of the budget.
pub(super) fn check(
    program: &Program,
    value: &Json,
    steps: u64,
    budget: &mut Budget,
) -> Result<Option<Mismatch>, Fault> {
    let mut run = Run {
        left: steps,
        most: steps,
        budget,
        depth: 0,
        quiet: 0,
        known: HashMap::new(),
    };
    let outcome = program.node(0, value, &Path::Whole, None, &mut run);
    let known = run.known.len();
    budget.give_back(known * KNOWN_BYTES);
    match outcome {
        Ok(()) => Ok(None),
        Err(Stop::Silent) => Ok(Some(Mismatch::default())),
        Err(Stop::Mismatch(mismatch)) => Ok(Some(*mismatch)),
        Err(Stop::Fault(fault)) => Err(*fault),
    }
}

impl Program {
    pub(super) fn node<'v>(
        &self,
        id: Id,
        value: &'v Json,
        path: &Path<'_>,
        mut seen: Option<&mut Coverage<'v>>,
        run: &mut Run<'_>,
    ) -> Outcome {
        run.step(1)?;
        let checks = match self.nodes.get(id) {
            None | Some(Node::Always) => return Ok(()),
            Some(Node::Never) => return run.mismatch(path, || "nothing is allowed here".into()),
            Some(Node::Checks(checks)) => checks,
        };
        // If evaluations are tracked, an outcome is more than match or mismatch, and is not cached.
        let key = (!self.tracks && checks.iter().any(Check::combines))
            .then(|| (id, std::ptr::from_ref(value).addr()));
        match key.and_then(|key| run.known.get(&key)) {
            Some(true) => return Ok(()),
            Some(false) if run.quiet > 0 => return Err(Stop::Silent),
            _ => {}
        }
        if run.depth >= DEPTH {
            return Err(run.too_much());
        }
        run.depth += 1;
        let mut own = Coverage::default();
        for check in checks {
            let seen = self.tracks.then_some(&mut own);
            let outcome = self.check(check, value, path, seen, run);
            if let Err(stop) = outcome {
                run.depth -= 1;
                if !matches!(stop, Stop::Fault(_)) {
                    run.learn(key, false)?;
                }
                return Err(stop);
            }
        }
        run.depth -= 1;
        run.learn(key, true)?;
        if let Some(seen) = seen.as_mut() {
            run.step((own.properties.len() + own.items.len()) as u64)?;
            seen.properties.extend(own.properties);
            seen.items.extend(own.items);
        }
        Ok(())
    }

    /// Checks a part of the value against a schema.
    pub(super) fn part(&self, id: Id, value: &Json, path: &Path<'_>, run: &mut Run<'_>) -> Outcome {
        self.node(id, value, path, None, run)
    }

    /// Returns whether a schema matches; a mismatch is not one of the whole value.
    pub(super) fn holds<'v>(
        &self,
        id: Id,
        value: &'v Json,
        seen: Option<&mut Coverage<'v>>,
        run: &mut Run<'_>,
    ) -> Result<bool, Stop> {
        run.quiet += 1;
        let outcome = self.node(id, value, &Path::Whole, seen, run);
        run.quiet -= 1;
        match outcome {
            Ok(()) => Ok(true),
            Err(Stop::Fault(fault)) => Err(Stop::Fault(fault)),
            Err(Stop::Silent | Stop::Mismatch(_)) => Ok(false),
        }
    }

    fn check<'v>(
        &self,
        check: &Check,
        value: &'v Json,
        path: &Path<'_>,
        seen: Option<&mut Coverage<'v>>,
        run: &mut Run<'_>,
    ) -> Outcome {
        run.step(1)?;
        match check {
            check if check.combines() => self.combination(check, value, path, seen, run),
            Check::Type(types) if !types.include(value) => {
                run.mismatch(path, || format!("{} is not of type {types}", quoted(value)))
            }
            Check::Enum(values) => {
                for one in values {
                    if equal(one, value, run)? {
                        return Ok(());
                    }
                }
                let listed = || values.iter().take(10).map(quoted).collect::<Vec<_>>();
                run.mismatch(path, || {
                    let more = if values.len() > 10 { ", …" } else { "" };
                    let listed = listed().join(", ");
                    format!("{} is not one of {listed}{more}", quoted(value))
                })
            }
            Check::Const(one) => match equal(one, value, run)? {
                true => Ok(()),
                false => run.mismatch(path, || format!("{} is not {}", quoted(value), quoted(one))),
            },
            _ => match value {
                Json::Number(_) => number(check, value, path, run),
                Json::String(text) => string(check, value, text, path, run),
                Json::Array(items) => self.array(check, items, path, seen, run),
                Json::Object(fields) => self.object(check, fields, path, seen, run),
                Json::Null | Json::Bool(_) => Ok(()),
            },
        }
    }

    /// Checks that apply other schemas to the same value.
    fn combination<'v>(
        &self,
        check: &Check,
        value: &'v Json,
        path: &Path<'_>,
        mut seen: Option<&mut Coverage<'v>>,
        run: &mut Run<'_>,
    ) -> Outcome {
        match check {
            Check::Ref(id) => return self.node(*id, value, path, seen, run),
            Check::AllOf(ids) => {
                for id in ids {
                    self.node(*id, value, path, seen.as_deref_mut(), run)?;
                }
            }
            Check::AnyOf(ids) => {
                let mut any = false;
                for id in ids {
                    any |= self.holds(*id, value, seen.as_deref_mut(), run)?;
                    // The other schemas matter only for what they evaluate.
                    if any && !self.tracks {
                        break;
                    }
                }
                if !any {
                    return run.mismatch(path, || {
                        format!("{} matches none of the schemas of `anyOf`", quoted(value))
                    });
                }
            }
            Check::OneOf(ids) => {
                let mut count = 0;
                for id in ids {
                    count += usize::from(self.holds(*id, value, seen.as_deref_mut(), run)?);
                }
                if count != 1 {
                    return run.mismatch(path, || {
                        let count = if count == 0 { "none" } else { "more than one" };
                        format!(
                            "{} matches {count} of the schemas of `oneOf`",
                            quoted(value)
                        )
                    });
                }
            }
            Check::Not(id) if self.holds(*id, value, None, run)? => {
                return run.mismatch(path, || {
                    format!("{} matches the schema of `not`", quoted(value))
                });
            }
            Check::If {
                condition,
                then,
                otherwise,
            } => {
                let branch = match self.holds(*condition, value, seen.as_deref_mut(), run)? {
                    true => then,
                    false => otherwise,
                };
                if let Some(id) = branch {
                    return self.node(*id, value, path, seen, run);
                }
            }
            Check::DependentSchemas(each) => {
                let Json::Object(fields) = value else {
                    return Ok(());
                };
                for (name, id) in each {
                    run.step(1)?;
                    if fields.contains_key(name) {
                        self.node(*id, value, path, seen.as_deref_mut(), run)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn number(check: &Check, value: &Json, path: &Path<'_>, run: &Run<'_>) -> Outcome {
    let Json::Number(number) = value else {
        return Ok(());
    };
    let (wrong, problem, bound) = match check {
        Check::Minimum(min) => (compare(number, min).is_lt(), "less than", min),
        Check::Maximum(max) => (compare(number, max).is_gt(), "greater than", max),
        Check::ExclusiveMinimum(min) => (compare(number, min).is_le(), "not greater than", min),
        Check::ExclusiveMaximum(max) => (compare(number, max).is_ge(), "not less than", max),
        Check::MultipleOf(of) => (!is_multiple(number, of), "not a multiple of", of),
        _ => return Ok(()),
    };
    match wrong {
        true => run.mismatch(path, || format!("{number} is {problem} {bound}")),
        false => Ok(()),
    }
}

fn string(check: &Check, value: &Json, text: &str, path: &Path<'_>, run: &mut Run<'_>) -> Outcome {
    let (wrong, problem) = match check {
        Check::MinLength(min) | Check::MaxLength(min) => {
            run.read(text.len())?;
            let length = text.chars().count() as u64;
            match check {
                Check::MinLength(_) => (length < *min, format!("shorter than {min} characters")),
                _ => (length > *min, format!("longer than {min} characters")),
            }
        }
        Check::Pattern(pattern) => {
            let matches = run.matches(pattern, text)?;
            if matches {
                return Ok(());
            }
            return run.mismatch(path, || {
                let pattern = quoted_text(pattern.regex.as_str());
                format!("{} does not match {pattern}", quoted(value))
            });
        }
        _ => return Ok(()),
    };
    match wrong {
        true => run.mismatch(path, || format!("{} is {problem}", quoted(value))),
        false => Ok(()),
    }
}

impl Types {
    fn include(&self, value: &Json) -> bool {
        self.0.iter().any(|name| match value {
            Json::Null => *name == "null",
            Json::Bool(_) => *name == "boolean",
            Json::String(_) => *name == "string",
            Json::Array(_) => *name == "array",
            Json::Object(_) => *name == "object",
            Json::Number(number) => {
                // The largest doubles have no fraction either.
                let is_whole =
                    || whole(number).is_some() || number.as_f64().is_some_and(|n| n.fract() == 0.0);
                *name == "number" || *name == "integer" && is_whole()
            }
        })
    }
}
