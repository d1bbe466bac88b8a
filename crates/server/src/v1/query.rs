//! Parameters of the query, parsed into the struct that a handler takes.
//!
//! A parameter that the struct does not have is refused, because a misspelt filter must not show everything. A repeated
//! parameter is refused, too, because one of the two would be ignored. Rejected: axum's own `Query`, which ignores
//! both.

use super::answer::ErrorResponse;
use crate::app::App;
use crate::http::truncate;
use axum::extract::FromRequestParts;
use http::request::Parts;
use iof_fault::{Fault, FaultKind};
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Error, Expected, MapAccess, Unexpected, Visitor,
};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use std::borrow::Cow;
use std::fmt::{self, Display};
use std::sync::Arc;
use utoipa::ToSchema;

/// The query of a request, as `T` with a field for each parameter.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Query<T> {
    type Rejection = ErrorResponse;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ErrorResponse> {
        Ok(Self(read(parts.uri.query())?))
    }
}

/// # Errors
/// `query`, naming the parameter.
fn read<T: DeserializeOwned>(query: Option<&str>) -> Result<T, Fault> {
    T::deserialize(QueryString(query.unwrap_or_default())).map_err(|problem| match problem {
        Problem::Query(message) => Fault::new(FaultKind::Query, message),
        Problem::Shape(_) | Problem::Range(_) => {
            Fault::host("The query could not be read.", problem)
        }
    })
}

/// The number of requested rows.
#[derive(Clone, Copy, Debug, PartialEq, ToSchema)]
#[schema(minimum = 1, maximum = 1000)]
pub(super) struct RowLimit(u32);

/// The id of a row after or before which other rows are requested.
#[derive(Clone, Copy, Debug, PartialEq, ToSchema)]
#[schema(minimum = 0)]
pub(super) struct RowId(i64);

/// The seconds that a request waits for a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, ToSchema)]
#[schema(minimum = 0, maximum = 60)]
pub(super) struct WaitSeconds(u64);

impl RowLimit {
    pub(super) fn get(self) -> u32 {
        self.0
    }
}

impl Default for RowLimit {
    fn default() -> Self {
        Self(100)
    }
}

impl RowId {
    pub(super) fn get(self) -> i64 {
        self.0
    }
}

impl WaitSeconds {
    pub(super) fn get(self) -> u64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for RowLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        within(u32::deserialize(deserializer)?, 1, 1_000).map(Self)
    }
}

impl<'de> Deserialize<'de> for RowId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        within(i64::deserialize(deserializer)?, 0, i64::MAX).map(Self)
    }
}

impl<'de> Deserialize<'de> for WaitSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        within(u64::deserialize(deserializer)?, 0, 60).map(Self)
    }
}

fn within<T: PartialOrd + Display, E: Error>(value: T, least: T, most: T) -> Result<T, E> {
    if value < least || value > most {
        let range = Range(least, most);
        return Err(E::invalid_value(Unexpected::Other("a number"), &range));
    }
    Ok(value)
}

/// The bounds of a number.
struct Range<T>(T, T);

impl<T: Display> Expected for Range<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} to {}", self.0, self.1)
    }
}

/// A failure to read a query.
#[derive(Debug, PartialEq)]
enum Problem {
    /// A sentence that names the parameter.
    Query(String),
    /// The bounds that a number exceeds.
    Range(String),
    /// The value does not have the field's type, which is named.
    Shape(&'static str),
}

impl Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(text) | Self::Range(text) => formatter.write_str(text),
            Self::Shape(wanted) => formatter.write_str(wanted),
        }
    }
}

impl std::error::Error for Problem {}

impl Error for Problem {
    fn custom<T: Display>(_: T) -> Self {
        // The only type without a parser in this file is the id of a call.
        Self::Shape("an id, as `iof-call` has it")
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Range(expected.to_string())
    }
}

/// A query, as a deserializer for the struct of its parameters.
struct QueryString<'de>(&'de str);

impl<'de> Deserializer<'de> for QueryString<'de> {
    type Error = Problem;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let mut values = vec![None; known.len()];
        for (name, value) in url::form_urlencoded::parse(self.0.as_bytes()) {
            let Some(at) = known.iter().position(|known| *known == name) else {
                return Err(Problem::Query(format!(
                    "There is no parameter {:?} here; there are {}.",
                    truncate(&name),
                    known.join(", ")
                )));
            };
            if values[at].replace(value).is_some() {
                return Err(Problem::Query(format!(
                    "The parameter {name} comes twice. Send it once."
                )));
            }
        }
        let values = known.iter().zip(values);
        visitor.visit_map(Parameters {
            rest: values.filter_map(|(name, value)| Some((*name, value?))),
            next: None,
        })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem::Shape("parameters"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// The parameters of a query, in the order of the struct's fields.
struct Parameters<'de, I> {
    rest: I,
    next: Option<(&'static str, Cow<'de, str>)>,
}

impl<'de, I> MapAccess<'de> for Parameters<'de, I>
where
    I: Iterator<Item = (&'static str, Cow<'de, str>)>,
{
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        self.next = self.rest.next();
        let name = self.next.as_ref().map(|(name, _)| *name);
        name.map(|name| seed.deserialize(StrDeserializer::new(name)))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let (name, value) = self.next.take().ok_or(Problem::Shape("a value"))?;
        seed.deserialize(Parameter(&value))
            .map_err(|problem| match problem {
                Problem::Range(range) => {
                    Problem::Query(format!("The parameter {name} is {range}."))
                }
                Problem::Shape(wanted) => Problem::Query(format!(
                    "The parameter {name} must be {wanted}: got {:?}.",
                    truncate(&value)
                )),
                query @ Problem::Query(_) => query,
            })
    }
}

/// The text of one parameter, which the type of its field reads.
struct Parameter<'a>(&'a str);

macro_rules! parsed {
    ($($method:ident $visit:ident $wanted:literal)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            visitor.$visit(self.0.parse().map_err(|_| Problem::Shape($wanted))?)
        })+
    };
}

impl<'de> Deserializer<'de> for Parameter<'_> {
    type Error = Problem;

    parsed! {
        deserialize_bool visit_bool "true or false"
        deserialize_u8 visit_u8 "a whole number from 0 to 255"
        deserialize_u32 visit_u32 "a whole number, 0 or more"
        deserialize_u64 visit_u64 "a whole number, 0 or more"
        deserialize_i64 visit_i64 "a whole number"
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_str(self.0)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i128 u16 u128 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct TestQuery {
        after: Option<RowId>,
        limit: RowLimit,
        wait: WaitSeconds,
        call: Option<Uuid>,
        name: Option<String>,
        idle: Option<bool>,
        canary: Option<u8>,
    }

    fn of(query: &str) -> Result<TestQuery, String> {
        read(Some(query)).map_err(|fault| {
            assert_eq!(fault.kind, FaultKind::Query, "{fault:?}");
            fault.message
        })
    }

    #[test]
    fn parameters_are_the_fields() {
        assert_eq!(of(""), Ok(TestQuery::default()));
        assert_eq!(
            of("limit=1000&after=0&wait=60&name=a+b%21&idle=true&canary=7"),
            Ok(TestQuery {
                after: Some(RowId(0)),
                limit: RowLimit(1000),
                wait: WaitSeconds(60),
                call: None,
                name: Some("a b!".into()),
                idle: Some(true),
                canary: Some(7),
            })
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, said) in [
            (
                "limits=1",
                "There is no parameter \"limits\" here; there are after, limit, wait, call, name, idle, canary.",
            ),
            (
                "wait=1&wait=1",
                "The parameter wait comes twice. Send it once.",
            ),
            ("limit=0", "The parameter limit is 1 to 1000."),
            ("limit=1001", "The parameter limit is 1 to 1000."),
            ("wait=61", "The parameter wait is 0 to 60."),
            (
                "after=-1",
                "The parameter after is 0 to 9223372036854775807.",
            ),
            (
                "limit=-1",
                "The parameter limit must be a whole number, 0 or more: got \"-1\".",
            ),
            (
                "limit=",
                "The parameter limit must be a whole number, 0 or more: got \"\".",
            ),
            (
                "call=x",
                "The parameter call must be an id, as `iof-call` has it: got \"x\".",
            ),
            (
                "idle=yes",
                "The parameter idle must be true or false: got \"yes\".",
            ),
            (
                "canary=256",
                "The parameter canary must be a whole number from 0 to 255: got \"256\".",
            ),
        ] {
            assert_eq!(of(query), Err(said.to_owned()), "{query}");
        }
    }
}
