//! The keywords of arrays and objects.

use super::equality::{equal, hash};
use super::evaluate::Coverage;
use super::mismatch::{Path, quoted_text};
use super::program::{Check, Id, Node, Program};
use super::run::{KNOWN_BYTES, Outcome, Run, Stop};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::hash::RandomState;

impl Program {
    pub(super) fn array<'v>(
        &self,
        check: &Check,
        items: &'v [Json],
        path: &Path<'_>,
        mut seen: Option<&mut Coverage<'v>>,
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

    pub(super) fn object<'v>(
        &self,
        check: &Check,
        fields: &'v Map<String, Json>,
        path: &Path<'_>,
        mut seen: Option<&mut Coverage<'v>>,
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

    /// A name is a temporary value whose address later values may reuse, so its outcome is not cached by address.
    fn is_allowed_name(&self, id: Id, name: &str, run: &mut Run<'_>) -> Result<bool, Stop> {
        let known = std::mem::take(&mut run.known);
        let allowed = self.holds(id, &Json::String(name.to_owned()), None, run);
        let for_name = std::mem::replace(&mut run.known, known).len();
        run.budget.give_back(for_name * KNOWN_BYTES);
        allowed
    }

    /// Checks the value of a property, or reports a property that is not allowed.
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
