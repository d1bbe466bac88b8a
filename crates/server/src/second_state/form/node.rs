//! The values of a form while it is read, and how two values of one name become one.

use crate::json::{index, quoted};
use std::collections::{BTreeMap, HashMap};

pub(super) enum Node {
    Text(String),
    /// The value that a text becomes when it is merged with an object.
    True,
    Array(Array),
    Object(Object),
}

/// Elements by index; indices without an element are left out at the end.
#[derive(Default)]
pub(super) struct Array {
    items: BTreeMap<usize, Node>,
    length: usize,
}

/// Fields in the order in which they came.
#[derive(Default)]
pub(super) struct Object {
    pub(super) fields: Vec<(String, Node)>,
    places: HashMap<String, usize>,
}

/// Two values in one array; a value that is an array adds its elements.
pub(super) fn both(first: Node, second: Node) -> Node {
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

    /// Merges two values of one name.
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

    pub(super) fn write(&self, text: &mut String) {
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
    /// One element, with nothing before it.
    pub(super) fn at(place: usize, value: Node) -> Self {
        Self {
            items: BTreeMap::from([(place, value)]),
            length: place + 1,
        }
    }

    pub(super) fn of(values: impl IntoIterator<Item = Node>) -> Self {
        let mut array = Self::default();
        values.into_iter().for_each(|value| array.push(value));
        array
    }

    pub(super) fn push(&mut self, value: Node) {
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
    pub(super) fn get(&mut self, name: &str) -> Option<&mut Node> {
        let at = *self.places.get(name)?;
        self.fields.get_mut(at).map(|(_, value)| value)
    }

    /// Sets a field. JavaScript does not make a field named `__proto__`.
    pub(super) fn insert(&mut self, name: &str, value: Node) {
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

    /// Adds the fields of an object, or the elements of an array by their indices.
    pub(super) fn merge(&mut self, source: Node) {
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
