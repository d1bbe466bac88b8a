//! Every type of argument and result of `wasmedge-bindgen`, one export each, and the ways in which a call fails.

// The allocator's exports come with it.
extern crate wasmedge_bindgen;

use wasmedge_bindgen_macro::wasmedge_bindgen;

#[wasmedge_bindgen]
pub fn say(s: String) -> String {
    "hello ".to_owned() + &s
}

#[wasmedge_bindgen]
pub fn zero() -> String {
    "nothing needed".to_owned()
}

#[wasmedge_bindgen]
pub fn join(a: String, b: String) -> String {
    a + &b
}

/// Several arguments of every shape, named in the answer.
#[wasmedge_bindgen]
pub fn mixed(a: String, b: u32, c: Vec<u8>, d: i64, e: f64, f: bool, g: char) -> String {
    format!("{a}|{b}|{c:?}|{d}|{e}|{f}|{g}")
}

/// Integers of every width, which are passed in the same eight bytes when no type is stated.
#[wasmedge_bindgen]
pub fn widths(a: u8, b: i8, c: u16, d: i16, e: u32, f: i32, g: u64, h: i64) -> String {
    format!("{a} {b} {c} {d} {e} {f} {g} {h}")
}

/// Arrays of every type.
#[wasmedge_bindgen]
pub fn arrays(
    a: Vec<i8>,
    b: Vec<u16>,
    c: Vec<i16>,
    d: Vec<u32>,
    e: Vec<i32>,
    f: Vec<u64>,
    g: Vec<i64>,
) -> String {
    format!("{a:?}{b:?}{c:?}{d:?}{e:?}{f:?}{g:?}")
}

// One of each: the argument, unchanged. (The macro does not see through a macro's types.)

#[wasmedge_bindgen]
pub fn same_u8(value: u8) -> u8 {
    value
}

#[wasmedge_bindgen]
pub fn same_i8(value: i8) -> i8 {
    value
}

#[wasmedge_bindgen]
pub fn same_u16(value: u16) -> u16 {
    value
}

#[wasmedge_bindgen]
pub fn same_i16(value: i16) -> i16 {
    value
}

#[wasmedge_bindgen]
pub fn same_u32(value: u32) -> u32 {
    value
}

#[wasmedge_bindgen]
pub fn same_i32(value: i32) -> i32 {
    value
}

#[wasmedge_bindgen]
pub fn same_u64(value: u64) -> u64 {
    value
}

#[wasmedge_bindgen]
pub fn same_i64(value: i64) -> i64 {
    value
}

#[wasmedge_bindgen]
pub fn same_f32(value: f32) -> f32 {
    value
}

#[wasmedge_bindgen]
pub fn same_f64(value: f64) -> f64 {
    value
}

#[wasmedge_bindgen]
pub fn same_u8s(value: Vec<u8>) -> Vec<u8> {
    value
}

#[wasmedge_bindgen]
pub fn same_i8s(value: Vec<i8>) -> Vec<i8> {
    value
}

#[wasmedge_bindgen]
pub fn same_u16s(value: Vec<u16>) -> Vec<u16> {
    value
}

#[wasmedge_bindgen]
pub fn same_i16s(value: Vec<i16>) -> Vec<i16> {
    value
}

#[wasmedge_bindgen]
pub fn same_u32s(value: Vec<u32>) -> Vec<u32> {
    value
}

#[wasmedge_bindgen]
pub fn same_i32s(value: Vec<i32>) -> Vec<i32> {
    value
}

#[wasmedge_bindgen]
pub fn same_u64s(value: Vec<u64>) -> Vec<u64> {
    value
}

#[wasmedge_bindgen]
pub fn same_i64s(value: Vec<i64>) -> Vec<i64> {
    value
}

/// No result.
#[wasmedge_bindgen]
pub fn silent() {}

/// Several results.
#[wasmedge_bindgen]
pub fn several(s: String) -> (String, u32, Vec<u8>, Vec<i64>, f64) {
    let bytes = s.clone().into_bytes();
    (s.clone(), s.len() as u32, bytes, vec![-1, i64::MAX], 0.5)
}

/// One result or an error.
#[wasmedge_bindgen]
pub fn fails(s: String) -> Result<String, String> {
    match s.as_str() {
        "ok" => Ok("fine".to_owned()),
        _ => Err(s),
    }
}

/// Several results or an error.
#[wasmedge_bindgen]
pub fn fails_twice(s: String) -> Result<(i32, String), String> {
    match s.as_str() {
        "ok" => Ok((-7, "fine".to_owned())),
        _ => Err(s),
    }
}

#[wasmedge_bindgen]
pub fn panics(s: String) -> String {
    panic!("asked to: {s}")
}

/// As many bytes as it is told.
#[wasmedge_bindgen]
pub fn bytes(count: u32) -> Vec<u8> {
    vec![b'x'; count as usize]
}

/// An export of another type is called as its type says.
///
/// # Safety
/// None is needed.
#[no_mangle]
pub unsafe extern "C" fn add(a: i64, b: i64) -> i64 {
    a.wrapping_add(b)
}

// The macro of 0.4.1 writes `to_le_bytes` for booleans and characters, too, which have none: no function that returns
// one was ever built with it. What hosts read as such is written by hand.
macro_rules! scalar {
    ($($name:ident($argument:ident: $type:ty) code $code:literal, $bytes:expr;)*) => {$(
        /// # Safety
        /// The table has one entry, a number.
        #[no_mangle]
        pub unsafe extern "C" fn $name(table: *const u32, _count: i32) -> *const u8 {
            // SAFETY: the caller's promise.
            let $argument = unsafe { *(*table as *const $type) };
            let bytes: &'static [u8] = Vec::leak($bytes);
            let result: &'static [u32; 3] = Box::leak(Box::new([bytes.as_ptr() as u32, $code, bytes.len() as u32]));
            let mut answer = vec![0];
            answer.extend((result.as_ptr() as u32).to_le_bytes());
            answer.extend(1u32.to_le_bytes());
            Vec::leak(answer).as_ptr()
        }
    )*};
}
scalar! {
    negate(value: u8) code 11, vec![1 - value];
    same_char(value: u32) code 12, value.to_le_bytes().to_vec();
}
