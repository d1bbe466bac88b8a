//! The descriptions of a module's functions, for their callers.
//!
//! For each function `f` there is an export `__iof_describe_f`, which returns this JSON as text:
//!
//! ```json
//! {
//!   "iof": 1,
//!   "name": "f",
//!   "doc": "Greets.",
//!   "params": [{ "name": "whom", "type": "json", "schema": { "type": "object" } }],
//!   "result": { "type": "string" },
//!   "fallible": false
//! }
//! ```
//!
//! Besides these, `"raw": true` means that the one argument is the body unchanged, and `"methods": ["GET"]` lists the
//! HTTP methods that call the function; without it, `POST` does.
//!
//! Types are `unit`, `bool`, `i8` to `u64`, `f32`, `f64`, `string`, `bytes`, `request`, `response` and `json`. Only the
//! last have a `schema` (JSON Schema, draft 2020-12), which is `true` for a type without a schema of its own: any value
//! may fit.

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::value::Of;

/// The version of this format.
const VERSION: u32 = 1;

/// A described type.
pub struct Described {
    kind: &'static str,
    schema: Option<fn() -> Value>,
}

/// The direction of a type: its schema may differ between reading and writing.
#[derive(Clone, Copy)]
pub enum Direction {
    /// A parameter, which a function reads.
    Accepted,
    /// A result, which a function writes.
    Returned,
}

impl Described {
    /// A type that is fully described by its name.
    #[must_use]
    pub const fn plain(kind: &'static str) -> Self {
        Self { kind, schema: None }
    }

    /// A type in memory.
    #[must_use]
    pub fn new(kind: &'static str, schema: fn() -> Value) -> Self {
        Self {
            kind,
            schema: (kind == "json").then_some(schema),
        }
    }
}

/// The options of the attribute for requests to a function.
pub struct Exchange {
    /// True if the one argument is the body unchanged.
    pub raw: bool,
    /// The methods that call it, in upper case.
    pub methods: &'static [&'static str],
}

/// The JSON description of one function.
#[must_use]
pub fn describe<const N: usize>(
    name: &'static str,
    doc: &'static str,
    params: [(&'static str, Described); N],
    result: Described,
    fallible: bool,
    exchange: Exchange,
) -> Vec<u8> {
    let params: Vec<_> = params
        .into_iter()
        .map(|(name, ty)| Typed::of(Some(name), &ty))
        .collect();
    let function = Function {
        iof: VERSION,
        name,
        doc,
        params: &params,
        result: Typed::of(None, &result),
        fallible,
        raw: exchange.raw,
        methods: exchange.methods,
    };
    // The JSON of texts and schemas cannot fail; a server would refuse an empty description.
    serde_json::to_vec(&function).unwrap_or_default()
}

#[derive(Serialize)]
struct Function<'a> {
    iof: u32,
    name: &'static str,
    doc: &'static str,
    params: &'a [Typed],
    result: Typed,
    fallible: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    raw: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    methods: &'static [&'static str],
}

#[derive(Serialize)]
struct Typed {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "schema")]
    schema: Option<fn() -> Value>,
}

impl Typed {
    fn of(name: Option<&'static str>, ty: &Described) -> Self {
        Self {
            name,
            kind: ty.kind,
            schema: ty.schema,
        }
    }
}

fn schema<S: Serializer>(schema: &Option<fn() -> Value>, to: S) -> Result<S::Ok, S::Error> {
    schema.map(|schema| schema()).serialize(to)
}

/// The fallback for a type without a schema. The module `value` explains how the attribute chooses.
pub trait NoSchema {
    /// The schema of any value.
    #[must_use]
    fn schema(_: Direction) -> Value {
        Value::Bool(true)
    }
}

impl<T: ?Sized> NoSchema for Of<T> {}

#[cfg(feature = "schema")]
impl<T: ?Sized + schemars::JsonSchema> Of<T> {
    /// The schema of the type.
    #[must_use]
    pub fn schema(direction: Direction) -> Value {
        use schemars::generate::SchemaSettings;

        let settings = SchemaSettings::draft2020_12();
        let settings = match direction {
            Direction::Accepted => settings.for_deserialize(),
            Direction::Returned => settings.for_serialize(),
        };
        settings
            .into_generator()
            .into_root_schema_for::<T>()
            .to_value()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::value::AnyValue as _;

    /// With a schema.
    #[iof::data]
    struct Pair {
        /// The first one.
        left: u8,
        #[serde(default)]
        right: bool,
    }

    #[derive(Serialize)]
    struct Plain(u8);

    #[test]
    fn a_description_has_parameters_and_result() {
        let described = describe(
            "f",
            "Does.",
            [
                ("a", Described::plain("i64")),
                (
                    "b",
                    Described::new(<Of<Pair>>::KIND, || <Of<Pair>>::schema(Direction::Accepted)),
                ),
                (
                    "c",
                    Described::new(<Of<String>>::KIND, || {
                        <Of<String>>::schema(Direction::Accepted)
                    }),
                ),
            ],
            Described::new(<Of<Plain>>::KIND, || {
                <Of<Plain>>::schema(Direction::Returned)
            }),
            true,
            Exchange {
                raw: false,
                methods: &[],
            },
        );
        let schema = if cfg!(feature = "schema") {
            json!({
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "title": "Pair",
                "description": "With a schema.",
                "type": "object",
                "properties": {
                    "left": {
                        "description": "The first one.",
                        "type": "integer",
                        "format": "uint8",
                        "minimum": 0,
                        "maximum": 255,
                    },
                    "right": { "type": "boolean", "default": false },
                },
                "required": ["left"],
            })
        } else {
            json!(true)
        };
        assert_eq!(
            serde_json::from_slice::<Value>(&described).unwrap(),
            json!({
                "iof": 1,
                "name": "f",
                "doc": "Does.",
                "params": [
                    { "name": "a", "type": "i64" },
                    { "name": "b", "type": "json", "schema": schema },
                    { "name": "c", "type": "string" },
                ],
                "result": { "type": "json", "schema": true },
                "fallible": true,
            })
        );
    }
}
