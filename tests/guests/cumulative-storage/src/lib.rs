//! A number under the function's own key, counted up by every call: the 2020 example, through the crate of that time.

// The same module as the examples have, so that the tests run what users write.
#[path = "../../../../examples/hello/src/bindgen.rs"]
mod bindgen;

use rust_storage_interface_library::ssvm_storage::{load, store};

/// The key that every function has, unless the call names one.
fn key(named: &str) -> String {
    match named.len() {
        32 => named.to_owned(),
        _ => std::env::var("storage_key").expect("a storage key"),
    }
}

/// Stores a number, and answers its key.
///
/// # Safety
/// The contract of `bindgen::text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn init(ret: *mut [usize; 2], ptr: *mut u8, len: usize) {
    fn run(number: &str) -> String {
        let key = key("");
        store::update(&key, number.to_owned());
        key
    }
    // SAFETY: the host keeps the contract.
    unsafe { bindgen::text(run, ret, ptr, len) }
}

/// Counts up, and answers the number.
///
/// # Safety
/// The contract of `bindgen::text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn increment(ret: *mut [usize; 2], ptr: *mut u8, len: usize) {
    fn run(named: &str) -> String {
        let key = key(named);
        let number: i64 = load::load_as_string(&key).parse().expect("a number");
        store::update(&key, (number + 1).to_string());
        (number + 1).to_string()
    }
    // SAFETY: the host keeps the contract.
    unsafe { bindgen::text(run, ret, ptr, len) }
}

/// Stores a text under a new key, and answers the key.
///
/// # Safety
/// The contract of `bindgen::text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn keep(ret: *mut [usize; 2], ptr: *mut u8, len: usize) {
    // SAFETY: the host keeps the contract.
    unsafe { bindgen::text(|text| store::store(text.to_owned()), ret, ptr, len) }
}

/// The text under a key.
///
/// # Safety
/// The contract of `bindgen::text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn look(ret: *mut [usize; 2], ptr: *mut u8, len: usize) {
    // SAFETY: the host keeps the contract.
    unsafe { bindgen::text(load::load_as_string, ret, ptr, len) }
}
