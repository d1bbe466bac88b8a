//! The kind `typed`: exports of components, called with JSON.
//!
//! A value is passed by its type: [`lower`] reads JSON as a value of a type, [`lift`] writes a value as JSON, and
//! [`describe`] states the same for clients, as JSON Schema. docs/components.md has the table of types. An argument is
//! read without a tree between text and value, and its values are counted: `limits.memory` bounds the values of one
//! call that the host holds, in both directions. Functions whose values are all texts and bytes take a direct path
//! ([`plain`]).

pub(crate) mod describe;
mod keys;
mod lift;
mod lower;
mod plain;
mod reader;
#[cfg(test)]
mod tests;

use crate::json::elements;
use crate::{Arg, StatedSignature, Value};
use iof_fault::{Fault, FaultKind};
use lower::Room;
pub(crate) use plain::PlainCall;
use plain::Shape;
use std::sync::Arc;
use wasmtime::component::{Type, Val};

/// The types of one export.
pub(crate) struct TypedSignature {
    name: Arc<str>,
    params: Vec<(String, Type)>,
    result: Option<Type>,
    /// `Some` for a function with texts and bytes only.
    shape: Option<Shape>,
}

impl TypedSignature {
    pub(crate) fn new(name: Arc<str>, of: &wasmtime::component::types::ComponentFunc) -> Self {
        let params = of.params().map(|(name, ty)| (name.to_owned(), ty));
        let (params, result) = (params.collect::<Vec<_>>(), of.results().next());
        let shape = Shape::of(&params, result.as_ref());
        Self {
            name,
            params,
            result,
            shape,
        }
    }

    /// Lowers `args` to values that take at most `room` bytes on the host.
    ///
    /// # Errors
    /// `arguments`, naming the one that does not fit.
    pub(crate) fn plan(
        &self,
        args: &[Arg],
        stated: Option<&StatedSignature>,
        room: u64,
    ) -> Result<Vec<Val>, Fault> {
        if stated.is_some() {
            return Err(self.misfit("its types are those of its component, and cannot be stated"));
        }
        let room = Room::new(room);
        let texts;
        let (given, is_json) = match args {
            // The API of 2020 sends all arguments as one text.
            [Arg::Text(text)] if self.params.len() != 1 => {
                texts = std::str::from_utf8(text).unwrap_or_default().trim_ascii();
                let pieces = match texts {
                    "" => Some(vec![]),
                    texts => elements(texts, self.params.len() + 1),
                };
                let pieces = pieces.ok_or_else(|| self.misfit("send them as a JSON array"))?;
                let args = pieces
                    .into_iter()
                    .map(|piece| Arg::Text(text.slice_ref(piece.as_bytes())));
                (args.collect::<Vec<_>>(), true)
            }
            args => (args.to_vec(), false),
        };
        if given.len() > self.params.len() {
            return Err(self.misfit(&format!("got {} arguments", args.len())));
        }
        let mut given = given.iter();
        self.params
            .iter()
            .map(|(name, ty)| {
                let value = match given.next() {
                    Some(arg) if is_json => lower::element(ty, arg, &room),
                    Some(arg) => lower::argument(ty, arg, &room),
                    None => lower::missing(ty).ok_or_else(|| "it is missing".to_owned()),
                };
                value.map_err(|why| self.misfit(&format!("argument `{name}`: {why}")))
            })
            .collect()
    }

    fn misfit(&self, problem: &str) -> Fault {
        let params = self.params.iter();
        let params: Vec<_> = params
            .map(|(name, ty)| format!("{name}: {}", describe::text(ty)))
            .collect();
        let problem: String = problem.chars().take(1000).collect();
        Fault::new(
            FaultKind::Arguments,
            format!("`{}` takes ({}); {problem}.", self.name, params.join(", ")),
        )
    }

    /// Room for the result of a call.
    pub(crate) fn results(&self) -> Vec<Val> {
        vec![Val::Bool(false); usize::from(self.result.is_some())]
    }

    /// The result of a call, which takes at most `most` bytes.
    ///
    /// # Errors
    /// [`LimitExceeded::Output`](crate::limits::LimitExceeded::Output), and the fault of a function that returned an error.
    pub(crate) fn result(&self, results: Vec<Val>, most: u64) -> wasmtime::Result<Value> {
        match (results.into_iter().next(), &self.result) {
            (Some(value), Some(ty)) => lift::result(value, ty, most),
            _ => Ok(Value::Unit),
        }
    }
}
