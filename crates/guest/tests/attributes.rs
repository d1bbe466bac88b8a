//! The attributes on functions of every shape: they build, and leave the functions unchanged.
//!
//! Their exports run only inside of a module, where the server's own tests call them.

#![deny(warnings)]
#![allow(missing_docs)]
#![allow(clippy::ptr_arg, clippy::unused_unit)] // the attributes must accept every spelling
#![deny(unsafe_code)]

use std::borrow::Cow;
use std::sync::LazyLock;

type Name = String;
type Number = u32;

#[iof::data]
#[derive(Debug, PartialEq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
enum Colour {
    DarkRed,
    Other { code: u8 },
}

/// A type without a schema and without `iof::data`.
#[derive(iof::serde::Serialize, iof::serde::Deserialize)]
#[serde(crate = "iof::serde")]
struct Plain(u8);

/// Does nothing.
#[iof::function]
fn nothing() {}

#[iof::function]
pub fn unit() -> () {}

#[iof::function]
#[expect(clippy::too_many_arguments)]
pub(crate) fn numbers(
    a: bool,
    b: i8,
    c: u8,
    d: i16,
    e: u16,
    f: i32,
    g: u32,
    h: i64,
    i: u64,
    j: f32,
    k: f64,
) -> f64 {
    f64::from(u8::from(a))
        + f64::from(b)
        + f64::from(c)
        + f64::from(d)
        + f64::from(e)
        + f64::from(f)
        + f64::from(g)
        + h as f64
        + i as f64
        + f64::from(j)
        + k
}

#[iof::function]
fn references(a: &bool, b: &i64, c: &String, d: &Vec<u8>, e: &[Colour], f: &Option<Plain>) -> bool {
    *a && *b == 1 && c.is_empty() && d.is_empty() && e.is_empty() && f.is_none()
}

#[iof::function]
fn borrowed(text: &str) -> &str {
    text.trim()
}

#[iof::function]
fn borrowed_bytes(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii()
}

#[iof::function]
fn borrowed_json(all: &Vec<Colour>) -> &Colour {
    &all[0]
}

#[iof::function]
fn borrowed_number(all: &(u8, u16)) -> &u16 {
    &all.1
}

#[iof::function]
fn constant() -> &'static str {
    "text"
}

#[iof::function]
fn cow(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(text)
}

#[iof::function]
fn boxed(text: Box<str>, bytes: Box<[u8]>) -> (Box<str>, Box<[u8]>) {
    (text, bytes)
}

#[iof::function]
fn aliases(name: Name, number: Number) -> Name {
    name.repeat(number as usize)
}

#[iof::function]
fn shadows(
    area: u32,
    value: String,
    error: Vec<u8>,
    result: Option<String>,
) -> Result<u32, String> {
    let _ = (value, error, result);
    Ok(area)
}

#[iof::function]
fn raw(r#type: &str) -> Option<char> {
    r#type.chars().next()
}

#[iof::function]
fn r#yield(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

#[iof::function]
fn fails_with_text(fails: bool) -> Result<(), &'static str> {
    if fails { Err("it does") } else { Ok(()) }
}

#[iof::function]
fn fails_with_anything(text: &str) -> Result<i64, Box<dyn std::error::Error>> {
    Ok(text.parse()?)
}

#[iof::function]
fn fails_with_code(text: &str) -> iof::Result<Colour> {
    match text {
        "red" => Ok(Colour::DarkRed),
        _ => Err(iof::Error::new("no-such-colour", text)),
    }
}

#[iof::function]
fn fails_like_io(text: &str) -> std::io::Result<bool> {
    text.parse().map_err(std::io::Error::other)
}

#[iof::function]
#[cfg(any())]
fn absent(a: NoSuchType) {}

#[deprecated]
#[iof::function]
pub fn old() {}

static TABLE: LazyLock<Vec<u32>> = LazyLock::new(|| (0..10).map(|n| n * n).collect());

#[iof::prime]
fn tables() {
    LazyLock::force(&TABLE);
}

macro_rules! exported {
    ($name:ident, $ty:ty) => {
        #[iof::function]
        fn $name(value: $ty) -> $ty {
            value
        }
    };
}
exported!(from_a_macro, u64);
exported!(text_from_a_macro, String);

#[test]
fn functions_stay_functions() {
    nothing();
    unit();
    assert_eq!(numbers(true, 1, 2, 3, 4, 5, 6, 7, 8, 9.0, 10.0), 56.0);
    assert!(references(&true, &1, &String::new(), &vec![], &[], &None));
    assert_eq!(borrowed(" a "), "a");
    assert_eq!(borrowed_bytes(b" a "), b"a");
    assert_eq!(
        borrowed_json(&vec![Colour::Other { code: 1 }]),
        &Colour::Other { code: 1 }
    );
    assert_eq!(borrowed_number(&(1, 2)), &2);
    assert_eq!(constant(), "text");
    assert_eq!(cow("a"), "a");
    assert_eq!(
        boxed("a".into(), (*b"b").into()),
        ("a".into(), (*b"b").into())
    );
    assert_eq!(aliases("a".to_owned(), 3), "aaa");
    assert_eq!(shadows(1, String::new(), vec![], None), Ok(1));
    assert_eq!(raw("type"), Some('t'));
    assert_eq!(r#yield(vec![1, 2]), [2, 1]);
    assert_eq!(fails_with_text(true), Err("it does"));
    assert_eq!(fails_with_anything("7").unwrap(), 7);
    assert_eq!(
        fails_with_code("blue").unwrap_err().code(),
        "no-such-colour"
    );
    assert!(fails_like_io("true").unwrap());
    tables();
    assert_eq!(TABLE[3], 9);
    assert_eq!(from_a_macro(1), 1);
    assert_eq!(text_from_a_macro("a".to_owned()), "a");
}
