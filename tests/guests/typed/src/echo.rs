//! One function for each type: it answers its argument.

use std::borrow::Cow;

macro_rules! echo {
    ($($name:ident: $ty:ty;)*) => {$(
        /// Answers its argument.
        #[iof::function]
        fn $name(value: $ty) -> $ty {
            value
        }
    )*};
}

echo! {
    echo_bool: bool;
    echo_i8: i8;
    echo_u8: u8;
    echo_i16: i16;
    echo_u16: u16;
    echo_i32: i32;
    echo_u32: u32;
    echo_i64: i64;
    echo_u64: u64;
    echo_f32: f32;
    echo_f64: f64;
    echo_string: String;
    echo_bytes: Vec<u8>;
    echo_point: Point;
    echo_plain: Plain;
    echo_option: Option<i32>;
    echo_list: Vec<String>;
    echo_tuple: (u8, bool, String);
    echo_shape: Shape;
    echo_name: Name;
    echo_number: Number;
    echo_json: iof::serde_json::Value;
}

/// Another name for text, which crosses as text.
type Name = String;
/// Another name for a number, which crosses as JSON.
type Number = u32;

/// A point on a map.
#[iof::data]
struct Point {
    /// Degrees north.
    north: f64,
    /// Degrees east.
    east: f64,
    /// The name of the place.
    label: Option<String>,
}

/// One of several.
#[iof::data]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Shape {
    Dot(Point),
    FilledCircle { middle: Point, radius: f64 },
}

/// JSON without a schema.
#[derive(iof::serde::Serialize, iof::serde::Deserialize)]
#[serde(crate = "iof::serde")]
struct Plain {
    text: String,
    numbers: Vec<i64>,
}

/// Takes nothing and answers nothing.
#[iof::function]
fn nothing() {}

/// Takes text and answers nothing.
#[iof::function]
fn swallow(text: &str) {
    let _ = text;
}

/// Answers text out of nothing.
#[iof::function]
fn constant() -> &'static str {
    "constant"
}

/// Answers a part of its argument.
#[iof::function]
fn trimmed(text: &str) -> &str {
    text.trim()
}

/// Answers a part of its argument, or a copy.
#[iof::function]
fn shout(text: &str) -> Cow<'_, str> {
    if text.contains(|c: char| c.is_lowercase()) {
        Cow::Owned(text.to_uppercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// The bytes, last one first.
#[iof::function]
fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

/// The point that is farthest north.
///
/// Of several, the last.
///
/// # Panics
/// When there is none: this section is not part of the description.
#[iof::function]
fn northernmost(points: &[Point]) -> &Point {
    points
        .iter()
        .max_by(|a, b| a.north.total_cmp(&b.north))
        .unwrap()
}

/// All kinds of parameters at once, as one text.
#[iof::function]
#[allow(clippy::too_many_arguments)]
fn many(
    text: &str,
    bytes: &[u8],
    flag: bool,
    small: i8,
    large: u64,
    half: f32,
    point: &Point,
    more: Option<Vec<u16>>,
) -> String {
    format!(
        "{text} {bytes:?} {flag} {small} {large} {half} {} {} {:?} {more:?}",
        point.north, point.east, point.label
    )
}

/// The sum of two numbers.
#[iof::function]
fn add(a: i32, b: i32) -> i32 {
    a.wrapping_add(b)
}
