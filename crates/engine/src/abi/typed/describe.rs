//! The types of a component's exports as clients see them: the words of a signature, and JSON Schema.

use super::keys;
use crate::manifest::{Described, Param, Signature};
use crate::types::Type as Plain;
use serde_json::{Map, Value as Json, json};
use wasmtime::component::Type;
use wasmtime::component::types::ComponentFunc;

/// The most parts of the types of a component's exports together: each is described and shown to clients.
pub(crate) const PARTS: usize = 10_000;
/// The most characters of a type in a message.
const SHOWN: usize = 400;

/// A signature and its description, in the form that clients of core modules know, within `parts`.
///
/// # Errors
/// A clause that states why a call cannot carry a type.
pub(crate) fn signature(
    of: &ComponentFunc,
    parts: &mut usize,
) -> Result<(Signature, Described), String> {
    let (mut params, mut described) = (vec![], vec![]);
    for (name, ty) in of.params() {
        let schema = schema(&ty, parts)?;
        let plain = plain(&ty, true);
        described.push(Param {
            name: name.to_owned(),
            schema: (plain == Plain::Json).then_some(schema),
        });
        params.push(plain);
    }
    let result = of.results().next();
    let (result, fallible) = match &result {
        Some(Type::Result(of)) => {
            if let Some(error) = of.err() {
                schema(&error, parts)?;
            }
            (of.ok(), true)
        }
        _ => (result, false),
    };
    let (result, schema) = match result {
        None => (Plain::Unit, None),
        Some(ty) => {
            let schema = schema(&ty, parts)?;
            let plain = plain(&ty, false);
            (plain.clone(), (plain == Plain::Json).then_some(schema))
        }
    };
    Ok((
        Signature {
            params,
            result,
            fallible: false,
            patch: None,
        },
        Described {
            doc: String::new(),
            params: described,
            result: schema,
            fallible,
            body: crate::manifest::BodyUse::Arguments,
            methods: vec![],
        },
    ))
}

/// The type of a core module that is passed in the same way, or JSON if there is none.
fn plain(ty: &Type, is_param: bool) -> Plain {
    match ty {
        Type::Bool => Plain::Bool,
        Type::U8 => Plain::U8,
        Type::S8 => Plain::I8,
        Type::U16 => Plain::U16,
        Type::S16 => Plain::I16,
        Type::U32 => Plain::U32,
        Type::S32 => Plain::I32,
        // As arguments, such numbers may be strings as well.
        Type::U64 if !is_param => Plain::U64,
        Type::S64 if !is_param => Plain::I64,
        Type::String => Plain::String,
        ty if is_bytes(ty) => Plain::Bytes,
        _ => Plain::Json,
    }
}

/// Returns whether a type is `list<u8>`, which is written in base64.
pub(super) fn is_bytes(ty: &Type) -> bool {
    matches!(ty, Type::List(of) if matches!(of.ty(), Type::U8))
}

/// Returns whether the value of an option of this type is written as `{"some": …}`, because the value itself can be
/// null.
pub(super) fn is_wrapped(ty: &Type) -> bool {
    matches!(ty, Type::Option(_))
}

/// The JSON Schema of a type, within `parts`.
fn schema(ty: &Type, parts: &mut usize) -> Result<Json, String> {
    *parts = parts
        .checked_sub(1)
        .ok_or_else(|| format!("the types of the exports have more than {PARTS} parts together"))?;
    let integer = |min: i64, max: i64| json!({ "type": "integer", "minimum": min, "maximum": max });
    let tagged = |name: &str, schema: Json| json!({ "type": "object", "properties": { name: schema }, "required": [name], "additionalProperties": false });
    let refused = |what: &str| Err(format!("its types have {what}, which JSON cannot carry"));
    Ok(match ty {
        Type::Bool => json!({ "type": "boolean" }),
        Type::U8 => integer(0, u8::MAX.into()),
        Type::S8 => integer(i8::MIN.into(), i8::MAX.into()),
        Type::U16 => integer(0, u16::MAX.into()),
        Type::S16 => integer(i16::MIN.into(), i16::MAX.into()),
        Type::U32 => integer(0, u32::MAX.into()),
        Type::S32 => integer(i32::MIN.into(), i32::MAX.into()),
        Type::U64 => json!({ "type": ["integer", "string"], "format": "uint64", "minimum": 0 }),
        Type::S64 => json!({ "type": ["integer", "string"], "format": "int64" }),
        Type::Float32 | Type::Float64 => {
            json!({ "anyOf": [{ "type": "number" }, { "enum": ["NaN", "Infinity", "-Infinity"] }] })
        }
        Type::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        Type::String => json!({ "type": "string" }),
        ty if is_bytes(ty) => json!({ "type": "string", "contentEncoding": "base64" }),
        Type::List(of) => json!({ "type": "array", "items": schema(&of.ty(), parts)? }),
        Type::Tuple(of) => {
            let items: Vec<_> = of
                .types()
                .map(|ty| schema(&ty, parts))
                .collect::<Result<_, _>>()?;
            let count = items.len();
            json!({ "type": "array", "prefixItems": items, "items": false, "minItems": count, "maxItems": count })
        }
        Type::Record(of) => {
            let (mut properties, mut required) = (Map::new(), vec![]);
            for field in of.fields() {
                properties.insert(field.name.to_owned(), schema(&field.ty, parts)?);
                if !matches!(field.ty, Type::Option(_)) {
                    required.push(field.name);
                }
            }
            json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
        }
        Type::Variant(of) => {
            let (mut words, mut cases) = (vec![], vec![]);
            for case in of.cases() {
                match &case.ty {
                    None => words.push(case.name),
                    Some(ty) => cases.push(tagged(case.name, schema(ty, parts)?)),
                }
            }
            if !words.is_empty() {
                cases.push(json!({ "enum": words }));
            }
            json!({ "anyOf": cases })
        }
        Type::Enum(of) => {
            let names: Vec<_> = of.names().collect();
            json!({ "enum": names })
        }
        Type::Flags(of) => {
            let names: Vec<_> = of.names().collect();
            json!({ "type": "array", "items": { "enum": names }, "uniqueItems": true })
        }
        Type::Option(of) => {
            let inner = schema(&of.ty(), parts)?;
            let inner = match is_wrapped(&of.ty()) {
                true => tagged("some", inner),
                false => inner,
            };
            json!({ "anyOf": [inner, { "type": "null" }] })
        }
        Type::Result(of) => {
            let mut side = |name: &str, ty: Option<Type>| {
                let inner = match ty {
                    Some(ty) => schema(&ty, parts)?,
                    None => json!({ "type": "null" }),
                };
                Ok::<_, String>(tagged(name, inner))
            };
            json!({ "anyOf": [side("ok", of.ok())?, side("err", of.err())?] })
        }
        Type::Own(_) | Type::Borrow(_) => return refused("a resource"),
        Type::Future(_) => return refused("a future"),
        Type::Stream(_) => return refused("a stream"),
        Type::ErrorContext => return refused("an error context"),
        Type::Map(of) if !keys::are_names(&of.key()) => {
            return refused(
                "a map whose keys are neither texts, characters, integers nor truth values",
            );
        }
        Type::Map(of) => {
            json!({ "type": "object", "additionalProperties": schema(&of.value(), parts)? })
        }
        Type::FixedLengthList(_) => return refused("a list of fixed length"),
    })
}

/// A type in the words of WIT, shortened.
pub(crate) fn text(ty: &Type) -> String {
    let mut out = String::new();
    write(ty, &mut out);
    if out.len() > SHOWN {
        out.truncate(out.floor_char_boundary(SHOWN));
        out.push('…');
    }
    out
}

/// A function's type in the words of WIT: `func(a: u32) -> u32`.
pub(crate) fn of_function(of: &ComponentFunc) -> String {
    let params = of.params();
    let params: Vec<_> = params
        .map(|(name, ty)| format!("{name}: {}", text(&ty)))
        .collect();
    let result = of.results().next();
    let result = result.map_or(String::new(), |ty| format!(" -> {}", text(&ty)));
    let keyword = if of.async_() { "async func" } else { "func" };
    format!("{keyword}({}){result}", params.join(", "))
}

/// Writes a type, until the text is long enough.
fn write(ty: &Type, out: &mut String) {
    if out.len() > SHOWN {
        return;
    }
    let named = |out: &mut String, word: &str, parts: Vec<(String, Option<Type>)>| {
        out.push_str(word);
        out.push_str(" { ");
        for (at, (name, ty)) in parts.iter().enumerate() {
            if out.len() > SHOWN {
                return;
            }
            if at > 0 {
                out.push_str(", ");
            }
            out.push_str(name);
            match (word, ty) {
                ("record", Some(ty)) => {
                    out.push_str(": ");
                    write(ty, out);
                }
                (_, Some(ty)) => {
                    out.push('(');
                    write(ty, out);
                    out.push(')');
                }
                (_, None) => {}
            }
        }
        out.push_str(" }");
    };
    let of = |out: &mut String, word: &str, parts: Vec<Option<Type>>| {
        out.push_str(word);
        out.push('<');
        for (at, ty) in parts.iter().enumerate() {
            if at > 0 {
                out.push_str(", ");
            }
            match ty {
                Some(ty) => write(ty, out),
                None => out.push('_'),
            }
        }
        out.push('>');
    };
    let word = match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::S8 => "s8",
        Type::U16 => "u16",
        Type::S16 => "s16",
        Type::U32 => "u32",
        Type::S32 => "s32",
        Type::U64 => "u64",
        Type::S64 => "s64",
        Type::Float32 => "f32",
        Type::Float64 => "f64",
        Type::Char => "char",
        Type::String => "string",
        Type::List(list) => return of(out, "list", vec![Some(list.ty())]),
        Type::FixedLengthList(list) => return of(out, "list", vec![Some(list.ty())]),
        Type::Map(map) => return of(out, "map", vec![Some(map.key()), Some(map.value())]),
        Type::Tuple(tuple) => return of(out, "tuple", tuple.types().map(Some).collect()),
        Type::Option(option) => return of(out, "option", vec![Some(option.ty())]),
        Type::Result(result) => match (result.ok(), result.err()) {
            (None, None) => "result",
            (ok, None) => return of(out, "result", vec![ok]),
            (ok, err) => return of(out, "result", vec![ok, err]),
        },
        Type::Record(record) => {
            let fields = record.fields();
            let fields = fields.map(|field| (field.name.to_owned(), Some(field.ty)));
            return named(out, "record", fields.collect());
        }
        Type::Variant(variant) => {
            let cases = variant.cases();
            let cases = cases.map(|case| (case.name.to_owned(), case.ty));
            return named(out, "variant", cases.collect());
        }
        Type::Enum(names) => {
            let names = names.names().map(|name| (name.to_owned(), None));
            return named(out, "enum", names.collect());
        }
        Type::Flags(names) => {
            let names = names.names().map(|name| (name.to_owned(), None));
            return named(out, "flags", names.collect());
        }
        Type::Own(_) => "own<resource>",
        Type::Borrow(_) => "borrow<resource>",
        Type::Future(_) => "future",
        Type::Stream(_) => "stream",
        Type::ErrorContext => "error-context",
    };
    out.push_str(word);
}
