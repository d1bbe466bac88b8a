use wasm_bindgen::prelude::*;

#[wasm_bindgen]
pub fn say(s: &str) -> String {
  let greeting = String::from("hello ");
  return greeting + s;
}
