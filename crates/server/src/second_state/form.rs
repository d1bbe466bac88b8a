//! Forms as the original read them: `qs` 6.7 behind `body-parser` 1.19, which nests fields to any depth, keeps arrays as
//! sparse as they come, and takes 1,000 fields.
//!
//! | field | becomes |
//! |---|---|
//! | `a=1&a=2` | `{"a":["1","2"]}` |
//! | `a[b]=1&a[c]=2` | `{"a":{"b":"1","c":"2"}}` |
//! | `d[]=x&d[]=y`, `d[1]=y&d[0]=x` | `{"d":["x","y"]}` |

use crate::json::{index, quoted, too_deep};
use crate::parsing::Budget;
use iof_fault::{Fault, FaultKind};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// The smallest limit of an index of an array; a form of more fields has a greater one.
const ARRAY: usize = 100;
/// The deepest form, however deep JSON may be: what merges two fields recurses.
const DEPTH: u32 = 500;
/// Memory for a value or a level of nesting.
const NODE: usize = 256;

/// The limits of a form.
#[derive(Clone, Copy)]
pub(super) struct FormLimits {
    /// `second_state.form_fields`
    pub(super) fields: u32,
    /// `server.json_depth`
    pub(super) depth: u32,
}

enum Node {
    Text(String),
    /// The form of a text that meets an object.
    True,
    Array(Array),
    Object(Object),
}

/// Elements by place; where there are none is left out at the end.
#[derive(Default)]
struct Array {
    items: BTreeMap<usize, Node>,
    length: usize,
}

/// Fields in the order in which they came.
#[derive(Default)]
struct Object {
    fields: Vec<(String, Node)>,
    places: HashMap<String, usize>,
}

/// One step into what a form says.
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
/// `form-fields`, `json-depth`, and those of the budget.
pub(super) fn read(text: &str, limits: FormLimits, budget: &mut Budget) -> Result<String, Fault> {
    let ampersands = text.bytes().filter(|byte| *byte == b'&').count();
    if ampersands >= limits.fields as usize {
        let most = limits.fields;
        return Err(Fault::new(
            FaultKind::FormFields,
            format!(
                "The form has more fields than second_state.form_fields = {most}. Send fewer, or JSON."
            ),
        ));
    }
    let (most, depth) = (ampersands.max(ARRAY), limits.depth.min(DEPTH));
    // Fields of one name come together before names are taken apart.
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
    let mut form = Object::default();
    for (name, value) in fields {
        budget.spend(name.len() + 1)?;
        let steps = steps(&name, most);
        if steps.len() > depth as usize {
            return Err(too_deep(depth));
        }
        budget.take(NODE * steps.len())?;
        if let Some(value) = chain(&steps, value) {
            form.merge(value);
        }
    }
    let mut json = String::new();
    Node::Object(form).write(&mut json);
    Ok(json)
}

/// Decodes `+` and percent signs; a text in which they stand for nothing is left as it is.
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

/// A name taken apart: what stands before the first pair of brackets, then what stands in each.
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

/// A value in what its name's steps lead through; `None` where the original had none.
fn chain(steps: &[Step<'_>], value: Node) -> Option<Node> {
    let (mut node, mut steps) = (value, steps.iter().rev().peekable());
    steps.peek()?;
    for step in steps {
        node = match step {
            Step::Next => match node {
                Node::Array(values) => Node::Array(values),
                value => Node::Array(Array::of([value])),
            },
            Step::Index(at) => Node::Array(Array {
                items: BTreeMap::from([(*at, node)]),
                length: at + 1,
            }),
            Step::Name(name) => {
                let mut object = Object::default();
                object.insert(name, node);
                Node::Object(object)
            }
        };
    }
    Some(node)
}

/// Two values in an array; one that is an array already brings its elements.
fn both(first: Node, second: Node) -> Node {
    let mut values = Array::of([first]);
    match second {
        Node::Array(more) => more
            .items
            .into_values()
            .for_each(|value| values.push(value)),
        value => values.push(value),
    }
    Node::Array(values)
}

impl Node {
    fn is_empty_text(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }

    /// Joins two values of one name.
    fn merged(self, source: Self) -> Self {
        match (self, source) {
            (target, source) if source.is_empty_text() => target,
            (Self::Array(mut target), source @ (Self::Text(_) | Self::True)) => {
                target.push(source);
                Self::Array(target)
            }
            (Self::Object(mut target), Self::Text(name)) => {
                target.insert(&name, Self::True);
                Self::Object(target)
            }
            (Self::Array(target), Self::Array(source)) => Self::Array(target.merged(source)),
            (Self::Array(target), source) => {
                let mut object = Object::default();
                for (at, value) in target.items {
                    object.insert(&at.to_string(), value);
                }
                object.merge(source);
                Self::Object(object)
            }
            (Self::Object(mut target), source) => {
                target.merge(source);
                Self::Object(target)
            }
            (target, source) => both(target, source),
        }
    }

    fn write(&self, text: &mut String) {
        match self {
            Self::Text(value) => text.push_str(&quoted(value)),
            Self::True => text.push_str("true"),
            Self::Array(array) => {
                text.push('[');
                for (at, value) in array.items.values().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    value.write(text);
                }
                text.push(']');
            }
            Self::Object(object) => {
                text.push('{');
                let mut fields: Vec<_> = object.fields.iter().collect();
                fields.sort_by_key(|(name, _)| index(name).map_or((true, 0), |at| (false, at)));
                for (at, (name, value)) in fields.into_iter().enumerate() {
                    if at > 0 {
                        text.push(',');
                    }
                    text.push_str(&quoted(name));
                    text.push(':');
                    value.write(text);
                }
                text.push('}');
            }
        }
    }
}

impl Array {
    fn of(values: impl IntoIterator<Item = Node>) -> Self {
        let mut array = Self::default();
        values.into_iter().for_each(|value| array.push(value));
        array
    }

    fn push(&mut self, value: Node) {
        self.items.insert(self.length, value);
        self.length += 1;
    }

    fn merged(mut self, source: Self) -> Self {
        for (at, value) in source.items {
            match self.items.remove(&at) {
                None => {
                    self.items.insert(at, value);
                    self.length = self.length.max(at + 1);
                }
                Some(earlier @ (Node::Array(_) | Node::Object(_)))
                    if matches!(value, Node::Array(_) | Node::Object(_)) =>
                {
                    self.items.insert(at, earlier.merged(value));
                }
                Some(earlier) => {
                    self.items.insert(at, earlier);
                    self.push(value);
                }
            }
        }
        self
    }
}

impl Object {
    fn get(&mut self, name: &str) -> Option<&mut Node> {
        let at = *self.places.get(name)?;
        self.fields.get_mut(at).map(|(_, value)| value)
    }

    /// Sets a field. Of the name `__proto__` JavaScript makes no field.
    fn insert(&mut self, name: &str, value: Node) {
        if name == "__proto__" {
            return;
        }
        match self.get(name) {
            Some(earlier) => *earlier = value,
            None => {
                self.places.insert(name.to_owned(), self.fields.len());
                self.fields.push((name.to_owned(), value));
            }
        }
    }

    /// Adds the fields of an object, or the elements of an array by their places.
    fn merge(&mut self, source: Node) {
        let fields: Vec<(String, Node)> = match source {
            Node::Object(object) => object.fields,
            Node::Array(array) => {
                let items = array.items.into_iter();
                items.map(|(at, value)| (at.to_string(), value)).collect()
            }
            Node::Text(_) | Node::True => return,
        };
        for (name, value) in fields {
            match self.get(&name) {
                None => self.insert(&name, value),
                Some(earlier) => {
                    *earlier = std::mem::replace(earlier, Node::True).merged(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FormLimits = FormLimits {
        fields: 1000,
        depth: 1000,
    };

    fn form(text: &str) -> String {
        read(text, LIMITS, &mut Budget::default()).unwrap()
    }

    /// Each pair is the original parser's own output.
    #[test]
    fn fields_nest_as_in_the_original() {
        for (sent, read) in [
            ("text=hi&x=1", r#"{"text":"hi","x":"1"}"#),
            ("a=1&a=2", r#"{"a":["1","2"]}"#),
            ("a=1&a=2&a=3", r#"{"a":["1","2","3"]}"#),
            (
                "a[b]=1&a[c]=2&d[]=x&d[]=y",
                r#"{"a":{"b":"1","c":"2"},"d":["x","y"]}"#,
            ),
            (
                "text=hello+world%21&x=%C3%A4",
                r#"{"text":"hello world!","x":"ä"}"#,
            ),
            ("text=100%&x=%zz", r#"{"text":"100%","x":"%zz"}"#),
            ("text=%ff", r#"{"text":"%ff"}"#),
            ("a&b=", r#"{"a":"","b":""}"#),
            ("=x", r#"{}"#),
            ("__proto__[x]=1&a=1", r#"{"a":"1"}"#),
            ("a[__proto__]=1", r#"{"a":{}}"#),
            ("a[__proto__][b]=1&a[c]=2", r#"{"a":{"c":"2"}}"#),
            ("__proto__=1&a=1", r#"{"a":"1"}"#),
            ("a[100]=x", r#"{"a":["x"]}"#),
            ("a[101]=x", r#"{"a":{"101":"x"}}"#),
            ("a[1]=y&a[0]=x", r#"{"a":["x","y"]}"#),
            ("a[0]=x&a[0]=y", r#"{"a":[["x","y"]]}"#),
            ("a[b]=1&a=2", r#"{"a":{"2":true,"b":"1"}}"#),
            ("a=2&a[b]=1", r#"{"a":["2",{"b":"1"}]}"#),
            ("a=&a[b]=1", r#"{"a":["",{"b":"1"}]}"#),
            ("a[b]=1&a=", r#"{"a":{"b":"1"}}"#),
            ("a[]=1&a[b]=2", r#"{"a":{"0":"1","b":"2"}}"#),
            ("a[b]=2&a[]=1", r#"{"a":{"0":"1","b":"2"}}"#),
            ("a[0]=1&a[b]=2", r#"{"a":{"0":"1","b":"2"}}"#),
            ("a[5]=1&a[]=2", r#"{"a":["2","1"]}"#),
            ("a[][b]=1&a[][b]=2", r#"{"a":[{"b":["1","2"]}]}"#),
            ("a[][b]=1&a[][c]=2", r#"{"a":[{"b":"1","c":"2"}]}"#),
            ("a[0][b]=1&a[0][c]=2", r#"{"a":[{"b":"1","c":"2"}]}"#),
            ("[a]=1", r#"{"a":"1"}"#),
            ("[]=1&[]=2", r#"{"0":"1","1":"2"}"#),
            ("[0]=1&x=2", r#"{"0":"1","x":"2"}"#),
            ("a[b]c[d]=1", r#"{"a":{"b":{"d":"1"}}}"#),
            ("a[[x]=1", r#"{"a[":{"x":"1"}}"#),
            ("a[x]]=1", r#"{"a":{"x":"1"}}"#),
            ("a]=1", r#"{"a]":"1"}"#),
            ("a[=1", r#"{"a[":"1"}"#),
            ("a[b=1", r#"{"a[b":"1"}"#),
            ("a[b]=1=2", r#"{"a":{"b":"1=2"}}"#),
            ("a=b=c", r#"{"a":"b=c"}"#),
            ("1[x]=b&1=a", r#"{"1":["a",{"x":"b"}]}"#),
            ("b=1&10=2&9=3", r#"{"9":"3","10":"2","b":"1"}"#),
            (
                "toString=1&a[hasOwnProperty]=2",
                r#"{"toString":"1","a":{"hasOwnProperty":"2"}}"#,
            ),
            ("a.b=1", r#"{"a.b":"1"}"#),
            ("a[01]=x&a[-1]=y", r#"{"a":{"01":"x","-1":"y"}}"#),
            ("a[ 1]=x", r#"{"a":{" 1":"x"}}"#),
            ("&&a=1&&", r#"{"a":"1"}"#),
            ("a%5Bb%5D=1", r#"{"a":{"b":"1"}}"#),
            ("a%5Bb%5D%5B%5D=1&a[b][]=2", r#"{"a":{"b":["1","2"]}}"#),
            (
                "a[b][c][d][e][f][g][h]=1",
                r#"{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":"1"}}}}}}}}"#,
            ),
            ("a[1]=1&a[1]=2&a[2]=3", r#"{"a":[["1","2"],"3"]}"#),
            ("a[0]=1&a=2&a[0]=3", r#"{"a":[["1","3"],"2"]}"#),
            ("a[b]=true&a[b][c]=1", r#"{"a":{"b":["true",{"c":"1"}]}}"#),
            ("a=1&a=2&a[b]=3", r#"{"a":{"0":"1","1":"2","b":"3"}}"#),
            ("a=1&a=2&a[]=3", r#"{"a":["1","2","3"]}"#),
            ("a[]=1&a=2", r#"{"a":["1","2"]}"#),
            ("a[]=&a[]=x", r#"{"a":["","x"]}"#),
            ("a[2]=x&a=y", r#"{"a":["x","y"]}"#),
            ("b[toString]=1&b=x", r#"{"b":{"toString":"1","x":true}}"#),
            ("a=%E2%82", r#"{"a":"%E2%82"}"#),
            ("a=%F0%9F%98%80", r#"{"a":"😀"}"#),
            ("utf8=%E2%9C%93&a=1", r#"{"utf8":"✓","a":"1"}"#),
            ("a=1;b=2", r#"{"a":"1;b=2"}"#),
            ("a[]", r#"{"a":[""]}"#),
            ("a[b]", r#"{"a":{"b":""}}"#),
            ("a[][]=1&a[][]=2", r#"{"a":["1","2"]}"#),
            ("a[0][]=1&a[0][]=2", r#"{"a":[["1","2"]]}"#),
            ("a[b]=1&a[b]=2", r#"{"a":{"b":["1","2"]}}"#),
            (
                "a[b]=1&a[b]=2&a[b][c]=3",
                r#"{"a":{"b":{"0":"1","1":"2","c":"3"}}}"#,
            ),
            ("[]=a&b=2", r#"{"0":"a","b":"2"}"#),
            ("[=1&]=2", r#"{"[":"1","]":"2"}"#),
        ] {
            assert_eq!(form(sent), read, "{sent}");
        }
    }

    #[test]
    fn fields_and_depth_are_bounded() {
        let fields = |count: usize| vec!["a=1"; count].join("&");
        assert!(form(&fields(1000)).starts_with(r#"{"a":["1","1""#));
        let read = |text: &str| read(text, LIMITS, &mut Budget::default());
        assert_eq!(read(&fields(1001)).unwrap_err().code(), "form-fields");
        assert_eq!(read(&"&".repeat(1000)).unwrap_err().code(), "form-fields");
        let deep = |depth: usize| format!("a{}=1", "[b]".repeat(depth - 1));
        assert!(read(&deep(500)).is_ok());
        assert_eq!(read(&deep(501)).unwrap_err().code(), "json-depth");
        // A form of a hundred kilobytes cannot make an array of a hundred million places.
        let sparse: Vec<_> = (0..999).map(|at| format!("a[{at}][998]=x")).collect();
        assert!(form(&sparse.join("&")).len() < 20_000);
    }

    proptest::proptest! {
        /// Any text is safe.
        #[test]
        fn any_text_is_a_form(text in "[a-c0-2\\[\\]=&%+_]{0,60}") {
            let json = form(&text);
            proptest::prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
        }
    }
}
