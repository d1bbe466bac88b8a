//! The values of a form while it is read, and the merging of values with the same name.
//!
//! They are as deep as `server.json_depth` allows, so nothing here recurses: neither merging, nor writing, nor dropping
//! ([`Tree`]). One field of the form is merged into a value at a time, so on each level at most one part of it goes
//! deeper.

use crate::json::{index, quoted};
use std::collections::{BTreeMap, HashMap};

pub(super) enum Node {
    Text(String),
    /// The value that a text becomes when it is merged with an object.
    True,
    Array(Array),
    Object(Object),
}

/// A nested value, which is taken apart level by level when it is dropped.
pub(super) struct Tree(pub(super) Node);

/// Elements by index; indices without an element are left out at the end.
#[derive(Default)]
pub(super) struct Array {
    items: BTreeMap<usize, Node>,
    length: usize,
}

/// Fields in the order in which they arrived.
#[derive(Default)]
pub(super) struct Object {
    pub(super) fields: Vec<(String, Node)>,
    places: HashMap<String, usize>,
}

/// Joins two values to one array; a value that is an array adds its elements.
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

    fn is_nested(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Object(_))
    }

    /// Merges a value of the same name into this one.
    pub(super) fn merge(&mut self, source: Self) {
        let (mut target, mut source) = (self, source);
        while let Some((inner, value)) = target.absorb(source) {
            (target, source) = (inner, value);
        }
    }

    /// Merges one level of a value, and returns the part that is still to be merged, with its target.
    fn absorb(&mut self, source: Self) -> Option<(&mut Self, Self)> {
        if source.is_empty_text() {
            return None;
        }
        if let (Self::Array(array), Self::Object(_)) = (&mut *self, &source) {
            let mut object = Object::default();
            for (at, value) in std::mem::take(array).items {
                object.insert(&at.to_string(), value);
            }
            *self = Self::Object(object);
        }
        match (self, source) {
            (Self::Array(target), Self::Array(source)) => return target.absorb(source),
            (Self::Array(target), source) => target.push(source),
            (Self::Object(target), Self::Text(name)) => target.insert(&name, Self::True),
            (Self::Object(target), source) => return target.absorb(source),
            (target, source) => {
                let first = std::mem::replace(target, Self::True);
                *target = both(first, source);
            }
        }
        None
    }

    pub(super) fn write(&self, text: &mut String) {
        // The last piece is the next to be written.
        let mut pieces = vec![Piece::Value(self)];
        while let Some(piece) = pieces.pop() {
            match piece {
                Piece::Mark(mark) => text.push(mark),
                Piece::Name(name) => {
                    text.push_str(&quoted(name));
                    text.push(':');
                }
                Piece::Value(Self::Text(value)) => text.push_str(&quoted(value)),
                Piece::Value(Self::True) => text.push_str("true"),
                Piece::Value(Self::Array(array)) => {
                    text.push('[');
                    pieces.push(Piece::Mark(']'));
                    for (behind, value) in array.items.values().rev().enumerate() {
                        pieces.extend((behind > 0).then_some(Piece::Mark(',')));
                        pieces.push(Piece::Value(value));
                    }
                }
                Piece::Value(Self::Object(object)) => {
                    text.push('{');
                    pieces.push(Piece::Mark('}'));
                    let mut fields: Vec<_> = object.fields.iter().collect();
                    fields.sort_by_key(|(name, _)| index(name).map_or((true, 0), |at| (false, at)));
                    for (behind, (name, value)) in fields.into_iter().rev().enumerate() {
                        pieces.extend((behind > 0).then_some(Piece::Mark(',')));
                        pieces.extend([Piece::Value(value), Piece::Name(name)]);
                    }
                }
            }
        }
    }
}

/// A part of the text of a value.
enum Piece<'a> {
    Value(&'a Node),
    Name(&'a str),
    Mark(char),
}

impl Drop for Tree {
    fn drop(&mut self) {
        let mut nodes = vec![std::mem::replace(&mut self.0, Node::True)];
        while let Some(node) = nodes.pop() {
            match node {
                Node::Array(array) => nodes.extend(array.items.into_values()),
                Node::Object(object) => {
                    nodes.extend(object.fields.into_iter().map(|(_, value)| value));
                }
                Node::Text(_) | Node::True => {}
            }
        }
    }
}

impl Array {
    /// An array with one element, and no elements before it.
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

    fn absorb(&mut self, source: Self) -> Option<(&mut Node, Node)> {
        let mut deeper = None;
        for (at, value) in source.items {
            match self.items.get(&at) {
                None => {
                    self.items.insert(at, value);
                    self.length = self.length.max(at + 1);
                }
                Some(earlier) if earlier.is_nested() && value.is_nested() => {
                    deeper = Some((at, value));
                }
                Some(_) => self.push(value),
            }
        }
        let (at, value) = deeper?;
        Some((self.items.get_mut(&at)?, value))
    }
}

impl Object {
    pub(super) fn get(&mut self, name: &str) -> Option<&mut Node> {
        let at = *self.places.get(name)?;
        self.fields.get_mut(at).map(|(_, value)| value)
    }

    /// Sets a field. JavaScript does not make a field named `__proto__`.
    pub(super) fn insert(&mut self, name: &str, value: Node) {
        let lost = match self.get(name) {
            _ if name == "__proto__" => value,
            Some(earlier) => std::mem::replace(earlier, value),
            None => {
                self.places.insert(name.to_owned(), self.fields.len());
                self.fields.push((name.to_owned(), value));
                return;
            }
        };
        drop(Tree(lost));
    }

    /// Adds the fields of an object, or the elements of an array by their indices.
    fn absorb(&mut self, source: Node) -> Option<(&mut Node, Node)> {
        let fields: Vec<(String, Node)> = match source {
            Node::Object(object) => object.fields,
            Node::Array(array) => {
                let items = array.items.into_iter();
                items.map(|(at, value)| (at.to_string(), value)).collect()
            }
            Node::Text(_) | Node::True => return None,
        };
        let mut deeper = None;
        for (name, value) in fields {
            match self.get(&name) {
                None => self.insert(&name, value),
                Some(_) if value.is_nested() => deeper = Some((name, value)),
                Some(earlier) => earlier.merge(value),
            }
        }
        let (name, value) = deeper?;
        Some((self.get(&name)?, value))
    }
}
