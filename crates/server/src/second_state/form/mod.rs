//! Forms as the original read them, with `qs` 6.7 behind `body-parser` 1.19, which nests fields to any depth, keeps
//! arrays sparse, and accepts 1,000 fields.
//!
//! | field | becomes |
//! |---|---|
//! | `a=1&a=2` | `{"a":["1","2"]}` |
//! | `a[b]=1&a[c]=2` | `{"a":{"b":"1","c":"2"}}` |
//! | `d[]=x&d[]=y`, `d[1]=y&d[0]=x` | `{"d":["x","y"]}` |

mod node;
#[cfg(test)]
mod tests;

use crate::json::{index, too_deep};
use crate::parsing::Budget;
use iof_fault::{Fault, FaultKind};
use node::{Array, Node, Object, Tree, both};
use std::borrow::Cow;

/// The lowest limit of array indices; a form with more fields has a higher limit.
const ARRAY: usize = 100;
/// The bytes of memory for a value or a level of nesting.
const NODE: usize = 256;

/// The limits of a form.
#[derive(Clone, Copy)]
pub(super) struct FormLimits {
    /// `server.form_fields`
    pub(super) fields: u32,
    /// `server.json_depth`
    pub(super) depth: u32,
}

/// One step of a field's name.
enum Step<'a> {
    Name(&'a str),
    /// `[]`
    Next,
    /// `[7]`
    Index(usize),
}

/// The fields of a form, as JSON.
///
/// # Errors
/// `form-fields`, `json-depth`, and the errors of the budget.
pub(super) fn read(text: &str, limits: FormLimits, budget: &mut Budget) -> Result<String, Fault> {
    let ampersands = text.bytes().filter(|byte| *byte == b'&').count();
    if ampersands >= limits.fields as usize {
        let most = limits.fields;
        return Err(Fault::new(
            FaultKind::FormFields,
            format!(
                "The form has more fields than server.form_fields = {most}. Send fewer, or JSON."
            ),
        ));
    }
    let (most, depth) = (ampersands.max(ARRAY), limits.depth);
    // Fields with the same name are joined before names are split.
    let mut given = Object::default();
    for part in text.split('&') {
        budget.spend(part.len() + 1)?;
        budget.take(part.len() + NODE)?;
        let end = part.find("]=").map(|at| at + 1).or_else(|| part.find('='));
        let (name, value) = match end {
            Some(at) => (part.get(..at), part.get(at + 1..)),
            None => (Some(part), None),
        };
        let name = decoded(name.unwrap_or_default());
        let value = Node::Text(decoded(value.unwrap_or_default()).into_owned());
        match given.get(&name) {
            None => given.insert(&name, value),
            Some(Node::Array(values)) => values.push(value),
            Some(first) => *first = both(std::mem::replace(first, Node::True), value),
        }
    }
    let mut fields = given.fields;
    fields.sort_by_key(|(name, _)| index(name).map_or((true, 0), |index| (false, index)));
    let mut form = Tree(Node::Object(Object::default()));
    for (name, value) in fields {
        budget.spend(name.len() + 1)?;
        let steps = steps(&name, most);
        if steps.len() > depth as usize {
            return Err(too_deep(depth));
        }
        budget.take(NODE * steps.len())?;
        if let Some(value) = chain(&steps, value) {
            form.0.merge(value);
        }
    }
    let mut json = String::new();
    form.0.write(&mut json);
    Ok(json)
}

/// Decodes `+` and percent signs; a text in which they are malformed is left as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    let text: Cow<str> = match text.contains('+') {
        true => text.replace('+', " ").into(),
        false => text.into(),
    };
    let mut signs = text.match_indices('%');
    let is_digit = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    if !text.contains('%') || !signs.all(|(at, _)| is_digit(at + 1) && is_digit(at + 2)) {
        return text;
    }
    match percent_encoding::percent_decode_str(&text).decode_utf8() {
        Ok(decoded) => decoded.into_owned().into(),
        Err(_) => text,
    }
}

/// The steps of a name: the text before the first pair of brackets, then the text in each pair.
fn steps(name: &str, most: usize) -> Vec<Step<'_>> {
    let mut steps = vec![];
    let mut opened = None;
    let mut parent = name;
    for (end, bracket) in name.match_indices(['[', ']']) {
        match (bracket, opened) {
            ("[", _) => opened = Some(end),
            (_, Some(start)) => {
                if steps.is_empty() {
                    parent = name.get(..start).unwrap_or_default();
                }
                opened = None;
                let inner = name.get(start + 1..end).unwrap_or_default();
                steps.push(
                    match index(inner).and_then(|index| usize::try_from(index).ok()) {
                        _ if inner.is_empty() => Step::Next,
                        Some(index) if index <= most => Step::Index(index),
                        _ => Step::Name(inner),
                    },
                );
            }
            _ => {}
        }
    }
    if !parent.is_empty() {
        steps.insert(0, Step::Name(parent));
    }
    steps
}

/// A value nested by the steps of its name; `None` where the original had none.
fn chain(steps: &[Step<'_>], value: Node) -> Option<Node> {
    let (mut node, mut steps) = (value, steps.iter().rev().peekable());
    steps.peek()?;
    for step in steps {
        node = match step {
            Step::Next => match node {
                Node::Array(values) => Node::Array(values),
                value => Node::Array(Array::of([value])),
            },
            Step::Index(at) => Node::Array(Array::at(*at, node)),
            Step::Name(name) => {
                let mut object = Object::default();
                object.insert(name, node);
                Node::Object(object)
            }
        };
    }
    Some(node)
}
