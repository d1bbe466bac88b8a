use rust_storage_interface_library::ssvm_storage;
use ssvm_wasi_helper::ssvm_wasi_helper::_initialize;
use std::env;
use wasm_bindgen::prelude::*;

// Keeps a number under the key that the service gives to each function.
#[wasm_bindgen]
pub fn init(number: String) -> String {
  _initialize();
  let key: String = env::var("storage_key").unwrap();
  ssvm_storage::store::update(&key, number);
  key
}

// Counts it up.
#[wasm_bindgen]
pub fn increment() -> String {
  _initialize();
  let key: String = env::var("storage_key").unwrap();
  let kept: String = ssvm_storage::load::load_as_string(&key);
  let next: i32 = kept.parse::<i32>().unwrap() + 1;
  ssvm_storage::store::update(&key, next.to_string());
  next.to_string()
}

// The state of the function, which its caller sets.
#[wasm_bindgen]
pub fn context() -> String {
  let args: Vec<String> = env::args().collect();
  return args[1].clone();
}
