use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

/// The places at which two texts of bytes are the same.
/// The answer is the first place of the second in the first.
#[wasm_bindgen]
pub fn search(text: &[u8], part: &[u8]) -> i32 {
  match text.windows(part.len().max(1)).position(|w| w == part) {
    Some(n) => n as i32,
    None => -1,
  }
}

#[wasm_bindgen]
pub fn reverse(mut bytes: Vec<u8>) -> Vec<u8> {
  bytes.reverse();
  bytes
}

#[wasm_bindgen]
pub fn lowest_common_multiple(a: i32, b: i32) -> i32 {
  fn gcd(a: i32, b: i32) -> i32 { if b == 0 { a } else { gcd(b, a % b) } }
  a / gcd(a, b) * b
}

#[wasm_bindgen]
pub fn repeat(count: i32, bytes: &[u8]) -> Vec<u8> {
  bytes.repeat(count as usize)
}

#[wasm_bindgen]
pub fn sum(numbers: &[f64]) -> f64 { numbers.iter().sum() }

#[wasm_bindgen]
pub fn squares(numbers: Vec<i32>) -> Vec<i32> { numbers.iter().map(|n| n * n).collect() }

#[wasm_bindgen]
pub fn nothing() {}

#[wasm_bindgen]
pub fn mixed(a: &str, b: u32, c: &[u8], d: i64, e: f64, f: bool, g: f32, h: u64, i: char) -> String {
  format!("{}|{}|{:?}|{}|{}|{}|{}|{}|{}", a, b, c, d, e, f, g, h, i)
}

#[wasm_bindgen(js_name = fileSize)]
pub extern fn file_size(bytes: &[u8]) -> Result<String, JsValue> {
  if bytes.is_empty() {
    return Err(JsValue::from_str("the file is empty"));
  }
  Ok(format!("{} bytes", bytes.len()))
}

#[wasm_bindgen]
pub fn maybe(text: Option<String>, number: Option<i32>) -> Option<String> {
  text.map(|text| format!("{} {:?}", text, number))
}

macro_rules! same {
  ($($name:ident: $type:ty),*) => {$(
    #[wasm_bindgen]
    pub fn $name(value: $type) -> $type { value }
  )*};
}
same! {
  same_u8: u8, same_u16: u16, same_u32: u32, same_u64: u64, same_i8: i8, same_i16: i16, same_i32: i32, same_i64: i64,
  same_f32: f32, same_f64: f64, same_bool: bool, same_char: char, same_usize: usize
}

#[derive(Serialize, Deserialize)]
struct Point { x: f64, y: f64 }

#[wasm_bindgen]
pub fn mirror(point: &JsValue) -> Result<JsValue, JsValue> {
  let point: Point = point.into_serde().map_err(|e| JsValue::from(e.to_string()))?;
  JsValue::from_serde(&Point { x: point.y, y: point.x }).map_err(|e| e.to_string().into())
}

static mut STARTED: u32 = 0;

#[wasm_bindgen(start)]
pub fn start() { unsafe { STARTED += 1 } }

#[wasm_bindgen]
pub fn started() -> u32 { unsafe { STARTED } }
