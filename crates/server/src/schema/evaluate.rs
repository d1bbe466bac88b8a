//! The run of a schema over a value, step by step.

use super::compile::{Check, Id, Node, Pattern, Program, Types};
use super::equality::{compare, equal, hash, is_multiple, whole};
use crate::parsing::Budget;
use iof_fault::{Fault, FaultKind};
use serde_json::{Map, Value as Json};
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::hash::RandomState;

/// Schemas that are evaluated within one another: each has a frame on the stack.
const DEPTH: u32 = 512;
/// Bytes of text that are read in a step.
const BYTES: usize = 64;
/// What an entry of the known outcomes costs: steps, and bytes.
const KNOWN_STEPS: u64 = 4;
const KNOWN_BYTES: usize = 64;
/// The longest quotation of a value in a message, in bytes.
const QUOTED: usize = 300;

/// A place in the value where it is not what the schema asks for, and why.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Mismatch {
    /// A JSON Pointer.
    pub(super) path: String,
    pub(super) why: String,
}

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
    left: u64,
    most: u64,
    budget: &'a mut Budget,
    depth: u32,
    /// How many checks around this one need no reason.
    quiet: u32,
    /// What is known of the nodes that combine others, by node and address of the value: each is evaluated once for
    /// each value, however many ways lead there.
    known: HashMap<(Id, usize), bool>,
}

/// The properties and items that successful checks of one value have looked at.
#[derive(Default)]
struct Evaluated<'v> {
    properties: HashSet<&'v str>,
    items: HashSet<usize>,
}

/// The way from the whole value to a part.
#[derive(Clone, Copy)]
enum Path<'a> {
    Whole,
    Name(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

/// Checks a value. It matches if there is no mismatch.
///
/// # Errors
/// `schema-steps`, and those of the budget.
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

/// A value matches, or the evaluation stops.
type Outcome = Result<(), Stop>;

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

    fn learn(&mut self, key: Option<(Id, usize)>, matches: bool) -> Outcome {
        let Some(key) = key else { return Ok(()) };
        self.step(KNOWN_STEPS)?;
        if self.known.insert(key, matches).is_none() {
            self.budget.take(KNOWN_BYTES)?;
        }
        Ok(())
    }

    fn too_much(&self) -> Stop {
        let message = format!(
            "An argument takes more steps to check against its JSON Schema than server.schema_steps = {}. Send a smaller one, or deploy the function with a simpler schema.",
            self.most
        );
        Fault::new(FaultKind::SchemaSteps, message).into()
    }

    /// The stop of a mismatch, with its words only if somebody reads them.
    fn mismatch(&self, path: &Path<'_>, why: impl FnOnce() -> String) -> Outcome {
        Err(match self.quiet {
            0 => Stop::Mismatch(Box::new(Mismatch {
                path: path.to_string(),
                why: why(),
            })),
            _ => Stop::Silent,
        })
    }

    fn matches(&mut self, pattern: &Pattern, text: &str) -> Result<bool, Stop> {
        self.step((text.len() as u64 + 1).saturating_mul(pattern.steps))?;
        Ok(pattern.regex.is_match(text))
    }
}

impl Program {
    fn node<'v>(
        &self,
        id: Id,
        value: &'v Json,
        path: &Path<'_>,
        mut seen: Option<&mut Evaluated<'v>>,
        run: &mut Run<'_>,
    ) -> Outcome {
        run.step(1)?;
        let checks = match self.nodes.get(id) {
            None | Some(Node::Always) => return Ok(()),
            Some(Node::Never) => return run.mismatch(path, || "nothing is allowed here".into()),
            Some(Node::Checks(checks)) => checks,
        };
        // Where evaluations are noted, an outcome is more than whether it matches.
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
        let mut own = Evaluated::default();
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

    /// A part of the value that is not this one.
    fn part(&self, id: Id, value: &Json, path: &Path<'_>, run: &mut Run<'_>) -> Outcome {
        self.node(id, value, path, None, run)
    }

    /// A check whose mismatch is not one of the whole.
    fn holds<'v>(
        &self,
        id: Id,
        value: &'v Json,
        seen: Option<&mut Evaluated<'v>>,
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
        seen: Option<&mut Evaluated<'v>>,
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

    /// Checks that other schemas decide about the same value.
    fn combination<'v>(
        &self,
        check: &Check,
        value: &'v Json,
        path: &Path<'_>,
        mut seen: Option<&mut Evaluated<'v>>,
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
                    // The others count only for what they evaluate.
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

    fn array<'v>(
        &self,
        check: &Check,
        items: &'v [Json],
        path: &Path<'_>,
        mut seen: Option<&mut Evaluated<'v>>,
        run: &mut Run<'_>,
    ) -> Outcome {
        let count = items.len() as u64;
        match check {
            Check::MinItems(min) if count < *min => {
                return run.mismatch(path, || format!("{count} items are fewer than {min}"));
            }
            Check::MaxItems(max) if count > *max => {
                return run.mismatch(path, || format!("{count} items are more than {max}"));
            }
            Check::UniqueItems if !are_unique(items, run)? => {
                return run.mismatch(path, || "an item occurs more than once".into());
            }
            Check::Items { prefix, rest } => {
                for (index, item) in items.iter().enumerate() {
                    let Some(id) = prefix.get(index).or(rest.as_ref()) else {
                        break;
                    };
                    self.part(*id, item, &Path::Index(path, index), run)?;
                    if let Some(seen) = seen.as_mut() {
                        seen.items.insert(index);
                    }
                }
            }
            Check::Contains { id, min, max } => {
                let mut found = 0;
                for (index, item) in items.iter().enumerate() {
                    if self.holds(*id, item, None, run)? {
                        found += 1;
                        if let Some(seen) = seen.as_mut() {
                            seen.items.insert(index);
                        }
                    }
                }
                if found < *min || max.is_some_and(|max| found > max) {
                    return run.mismatch(path, || {
                        format!("{found} items match the schema of `contains`")
                    });
                }
            }
            Check::UnevaluatedItems(id) => {
                let Some(seen) = seen else { return Ok(()) };
                for (index, item) in items.iter().enumerate() {
                    run.step(1)?;
                    if seen.items.insert(index) {
                        self.part(*id, item, &Path::Index(path, index), run)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn object<'v>(
        &self,
        check: &Check,
        fields: &'v Map<String, Json>,
        path: &Path<'_>,
        mut seen: Option<&mut Evaluated<'v>>,
        run: &mut Run<'_>,
    ) -> Outcome {
        let count = fields.len() as u64;
        let missing = |run: &mut Run<'_>, names: &[String]| {
            for name in names {
                run.read(name.len())?;
                if !fields.contains_key(name) {
                    let why = || format!("{} is a required property", quoted_text(name));
                    return run.mismatch(path, why);
                }
            }
            Ok(())
        };
        match check {
            Check::MinProperties(min) if count < *min => {
                return run.mismatch(path, || format!("{count} properties are fewer than {min}"));
            }
            Check::MaxProperties(max) if count > *max => {
                return run.mismatch(path, || format!("{count} properties are more than {max}"));
            }
            Check::Required(names) => return missing(run, names),
            Check::DependentRequired(each) => {
                for (name, names) in each {
                    run.step(1)?;
                    if fields.contains_key(name) {
                        missing(run, names)?;
                    }
                }
            }
            Check::PropertyNames(id) => {
                for name in fields.keys() {
                    run.read(name.len())?;
                    if !self.is_allowed_name(*id, name, run)? {
                        let why = || format!("{} is not an allowed name", quoted_text(name));
                        return run.mismatch(path, why);
                    }
                }
            }
            Check::Properties {
                named,
                patterns,
                rest,
            } => {
                for (name, value) in fields {
                    run.read(name.len())?;
                    let here = Path::Name(path, name);
                    let mut ids: Vec<Id> = named.get(name).copied().into_iter().collect();
                    for (pattern, id) in patterns {
                        if run.matches(pattern, name)? {
                            ids.push(*id);
                        }
                    }
                    if ids.is_empty() {
                        ids.extend(rest);
                    }
                    if ids.is_empty() {
                        continue;
                    }
                    for id in ids {
                        self.field(id, name, value, &here, run)?;
                    }
                    if let Some(seen) = seen.as_mut() {
                        seen.properties.insert(name);
                    }
                }
            }
            Check::UnevaluatedProperties(id) => {
                let Some(seen) = seen else { return Ok(()) };
                for (name, value) in fields {
                    run.read(name.len())?;
                    if seen.properties.insert(name) {
                        let here = Path::Name(path, name);
                        self.field(*id, name, value, &here, run)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A name is a value of its own, at an address that others have after it.
    fn is_allowed_name(&self, id: Id, name: &str, run: &mut Run<'_>) -> Result<bool, Stop> {
        let known = std::mem::take(&mut run.known);
        let allowed = self.holds(id, &Json::String(name.to_owned()), None, run);
        let for_name = std::mem::replace(&mut run.known, known).len();
        run.budget.give_back(for_name * KNOWN_BYTES);
        allowed
    }

    /// The value of a property, or the property itself where none is allowed.
    fn field(
        &self,
        id: Id,
        name: &str,
        value: &Json,
        path: &Path<'_>,
        run: &mut Run<'_>,
    ) -> Outcome {
        if matches!(
            (self.nodes.get(id), path),
            (Some(Node::Never), Path::Name(..))
        ) && let Path::Name(object, _) = path
        {
            let why = || format!("the property {} is not allowed", quoted_text(name));
            return run.mismatch(object, why);
        }
        self.part(id, value, path, run)
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

fn are_unique(items: &[Json], run: &mut Run<'_>) -> Result<bool, Stop> {
    let seed = RandomState::new();
    let mut known: HashMap<u64, Vec<&Json>> = HashMap::new();
    for item in items {
        let same = known.entry(hash(item, &seed, run)?).or_default();
        for other in same.iter() {
            if equal(item, other, run)? {
                return Ok(false);
            }
        }
        same.push(item);
    }
    Ok(true)
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

impl std::fmt::Display for Types {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let before = if index == 0 { "" } else { " or " };
            write!(f, "{before}\"{name}\"")?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole => Ok(()),
            Self::Name(path, name) => {
                let name = name.replace('~', "~0").replace('/', "~1");
                write!(
                    f,
                    "{path}/{}",
                    name.chars().take(QUOTED).collect::<String>()
                )
            }
            Self::Index(path, index) => write!(f, "{path}/{index}"),
        }
    }
}

/// A value as JSON, or the beginning of it.
fn quoted(value: &Json) -> String {
    let mut beginning = Beginning(String::new());
    // An error is that it is longer.
    let _ = write!(beginning, "{value}");
    beginning.0
}

fn quoted_text(text: &str) -> String {
    let mut beginning = Beginning(String::new());
    let _ = write!(beginning, "{text:?}");
    beginning.0
}

/// A text that ends where it becomes too long.
struct Beginning(String);

impl std::fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = QUOTED.saturating_sub(self.0.len());
        self.0.extend(text.chars().take(room));
        match self.0.len() < QUOTED {
            true => Ok(()),
            false => Err(std::fmt::Error),
        }
    }
}
