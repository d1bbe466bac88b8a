//! A value of a component's type as JSON, and as the result of a call.

use super::{describe, keys};
use crate::Value;
use crate::limits::LimitExceeded;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use iof_fault::{Fault, FaultKind};
use std::collections::HashMap;
use wasmtime::component::{Type, Val};

/// The result of a call as its caller gets it: texts, bytes and simple values as those of core modules, all else as
/// JSON. An `ok` is replaced by its value.
///
/// # Errors
/// [`LimitExceeded::Output`]; for an `err`, the fault with its JSON.
pub(super) fn result(value: Val, ty: &Type, most: u64) -> wasmtime::Result<Value> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let (result, of) = match (value, ty) {
        (Val::Result(result), Type::Result(of)) => (result, of),
        (value, ty) => return plain(value, ty, most),
    };
    match (result, of.ok(), of.err()) {
        (Ok(Some(value)), Some(ty), _) => plain(*value, &ty, most),
        (Ok(_), ..) => Ok(Value::Unit),
        (Err(Some(error)), _, Some(ty)) => Err(returned(Some((&*error, &ty)), most)?.into()),
        (Err(_), ..) => Err(returned(None, most)?.into()),
    }
}

/// The fault of an error that a function returned.
pub(super) fn returned(error: Option<(&Val, &Type)>, most: usize) -> Result<Fault, LimitExceeded> {
    /// The most bytes of an error that a message quotes.
    const SHOWN: usize = 4096;
    let Some((error, ty)) = error else {
        return Ok(Fault::new(
            FaultKind::FunctionError,
            "The function returned an error.",
        ));
    };
    let json = json(error, ty, most)?;
    let shown = match error {
        Val::String(text) => text,
        _ => &json,
    };
    let shown = shown.get(..shown.floor_char_boundary(SHOWN));
    let mut fault = Fault::new(FaultKind::FunctionError, shown.unwrap_or_default());
    if json.len() <= SHOWN {
        fault.ending.get_or_insert_default().value = Some(json);
    }
    Ok(fault)
}

fn plain(value: Val, ty: &Type, most: usize) -> wasmtime::Result<Value> {
    Ok(match value {
        Val::Bool(value) => Value::Bool(value),
        Val::U8(value) => Value::Integer(value.into()),
        Val::S8(value) => Value::Integer(value.into()),
        Val::U16(value) => Value::Integer(value.into()),
        Val::S16(value) => Value::Integer(value.into()),
        Val::U32(value) => Value::Integer(value.into()),
        Val::S32(value) => Value::Integer(value.into()),
        Val::U64(value) => Value::Integer(value.into()),
        Val::S64(value) => Value::Integer(value.into()),
        Val::String(text) => Value::Text(within(text.into_bytes(), most)?),
        Val::List(values) if describe::is_bytes(ty) => Value::Bytes(within(bytes(&values), most)?),
        value => Value::Json(json(&value, ty, most)?.into()),
    })
}

/// The bytes of a result, if there are at most `most`.
pub(super) fn within(bytes: Vec<u8>, most: usize) -> Result<Bytes, LimitExceeded> {
    match bytes.len() <= most {
        true => Ok(Bytes::from(bytes)),
        false => Err(LimitExceeded::Output),
    }
}

/// The bytes of a `list<u8>`.
fn bytes(values: &[Val]) -> Vec<u8> {
    let byte = |value: &Val| match value {
        Val::U8(byte) => *byte,
        _ => 0,
    };
    values.iter().map(byte).collect()
}

/// A value as JSON of at most `most` bytes.
pub(super) fn json(value: &Val, ty: &Type, most: usize) -> Result<String, LimitExceeded> {
    let mut writer = Writer {
        out: String::new(),
        most,
    };
    writer.value(value, ty)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    most: usize,
}

type Written = Result<(), LimitExceeded>;

impl Writer {
    fn push(&mut self, text: &str) -> Written {
        if text.len() > self.most - self.out.len() {
            return Err(LimitExceeded::Output);
        }
        self.out.push_str(text);
        Ok(())
    }

    fn quoted(&mut self, text: &str) -> Written {
        if text.len() > self.most {
            return Err(LimitExceeded::Output);
        }
        self.push(&serde_json::Value::from(text).to_string())
    }

    /// Writes a number, or its name if JSON has no form for it.
    fn float(&mut self, number: f64, shortest: impl FnOnce() -> String) -> Written {
        match number {
            n if n.is_nan() => self.push("\"NaN\""),
            f64::INFINITY => self.push("\"Infinity\""),
            f64::NEG_INFINITY => self.push("\"-Infinity\""),
            _ => self.push(&shortest()),
        }
    }

    /// Writes a list of values.
    fn list<T>(
        &mut self,
        brackets: [&str; 2],
        values: impl IntoIterator<Item = T>,
        mut each: impl FnMut(&mut Self, T) -> Written,
    ) -> Written {
        self.push(brackets[0])?;
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                self.push(",")?;
            }
            each(self, value)?;
        }
        self.push(brackets[1])
    }

    /// Writes an object of one member; a case without a value has null.
    fn tagged(&mut self, name: &str, value: Option<&Val>, ty: Option<&Type>) -> Written {
        self.push("{")?;
        self.quoted(name)?;
        self.push(":")?;
        match (value, ty) {
            (Some(value), Some(ty)) => self.value(value, ty)?,
            _ => self.push("null")?,
        }
        self.push("}")
    }

    /// Writes a map as an object. Of pairs with the same key, which only a guest can make, the last one counts, as in the
    /// component model.
    fn map(&mut self, pairs: &[(Val, Val)], ty: &Type) -> Written {
        let names: Vec<_> = pairs.iter().map(|(key, _)| keys::name(key)).collect();
        let at: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
        let last = names.iter().zip(pairs).enumerate();
        let last = last.filter(|(here, (name, _))| at.get(name.as_str()) == Some(here));
        self.list(["{", "}"], last, |out, (_, (name, (_, value)))| {
            out.quoted(name)?;
            out.push(":")?;
            out.value(value, ty)
        })
    }

    fn value(&mut self, value: &Val, ty: &Type) -> Written {
        match (value, ty) {
            (Val::Bool(value), _) => self.push(if *value { "true" } else { "false" }),
            (Val::U8(value), _) => self.push(&value.to_string()),
            (Val::S8(value), _) => self.push(&value.to_string()),
            (Val::U16(value), _) => self.push(&value.to_string()),
            (Val::S16(value), _) => self.push(&value.to_string()),
            (Val::U32(value), _) => self.push(&value.to_string()),
            (Val::S32(value), _) => self.push(&value.to_string()),
            (Val::U64(value), _) => self.push(&value.to_string()),
            (Val::S64(value), _) => self.push(&value.to_string()),
            (Val::Float32(number), _) => self.float((*number).into(), || {
                serde_json::to_string(number).unwrap_or_default()
            }),
            (Val::Float64(number), _) => self.float(*number, || {
                serde_json::to_string(number).unwrap_or_default()
            }),
            (Val::Char(value), _) => self.quoted(value.encode_utf8(&mut [0; 4])),
            (Val::String(text), _) => self.quoted(text),
            (Val::List(values), ty) if describe::is_bytes(ty) => {
                if values.len() > self.most {
                    return Err(LimitExceeded::Output);
                }
                self.push("\"")?;
                self.push(&BASE64_STANDARD.encode(bytes(values)))?;
                self.push("\"")
            }
            (Val::List(values), Type::List(of)) => {
                let element = of.ty();
                self.list(["[", "]"], values, |out, value| out.value(value, &element))
            }
            (Val::Map(pairs), Type::Map(of)) => self.map(pairs, &of.value()),
            (Val::Record(fields), Type::Record(of)) => {
                let pairs = fields.iter().zip(of.fields());
                self.list(["{", "}"], pairs, |out, ((name, value), field)| {
                    out.quoted(name)?;
                    out.push(":")?;
                    out.value(value, &field.ty)
                })
            }
            (Val::Tuple(values), Type::Tuple(of)) => {
                let pairs = values.iter().zip(of.types());
                self.list(["[", "]"], pairs, |out, (value, ty)| out.value(value, &ty))
            }
            (Val::Variant(name, value), Type::Variant(of)) => match value {
                None => self.quoted(name),
                Some(value) => {
                    let case = of.cases().find(|case| case.name == name);
                    let ty = case.and_then(|case| case.ty);
                    self.tagged(name, Some(value), ty.as_ref())
                }
            },
            (Val::Enum(name), _) => self.quoted(name),
            (Val::Option(None), _) => self.push("null"),
            (Val::Option(Some(value)), Type::Option(of)) => match describe::is_wrapped(&of.ty()) {
                true => self.tagged("some", Some(value), Some(&of.ty())),
                false => self.value(value, &of.ty()),
            },
            (Val::Result(Ok(value)), Type::Result(of)) => {
                self.tagged("ok", value.as_deref(), of.ok().as_ref())
            }
            (Val::Result(Err(value)), Type::Result(of)) => {
                self.tagged("err", value.as_deref(), of.err().as_ref())
            }
            (Val::Flags(names), _) => self.list(["[", "]"], names, |out, name| out.quoted(name)),
            // `describe` refuses exports of other types, and a value has its type.
            _ => self.push("null"),
        }
    }
}
