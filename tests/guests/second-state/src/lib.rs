//! The functions that the tests of the 2020 service called: greeting, doubling, a chain of two conversions, a form of three parts.
//!
//! Written anew from what is known of them, with the same results to the letter: `c_to_f` reads a whole number, and so
//! traps on `25.0`, which `average` writes.

// The same module as the examples have, so that the tests run what users write.
#[path = "../../../../examples/hello/src/bindgen.rs"]
mod bindgen;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

macro_rules! export {
    ($($(#[$doc:meta])* fn $name:ident($($argument:ident)?) $body:block)*) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// The contract of `bindgen::text`.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(ret: *mut [usize; 2] $(, $argument: *mut u8, len: usize)?) {
            export!(@call ret $body $($argument len)?);
        }
    )*};
    (@call $ret:ident $body:block $argument:ident $len:ident) => {
        fn run($argument: &str) -> String $body
        // SAFETY: the host keeps the contract.
        unsafe { bindgen::text(run, $ret, $argument, $len) }
    };
    (@call $ret:ident $body:block) => {
        fn run(_: &str) -> String $body
        // SAFETY: the host keeps the contract, and an empty text takes no memory.
        unsafe { bindgen::text(run, $ret, std::ptr::NonNull::dangling().as_ptr(), 0) }
    };
}

/// The type on which both ends of the chain agree, each with a number type of its own.
#[derive(Deserialize, Serialize)]
struct Celsius<T> {
    celsius_temperature: T,
}

export! {
    /// Greets.
    fn say(s) {
        format!("hello {s}")
    }

    /// Twice a number.
    fn double(number) {
        let number: i64 = number.trim().parse().expect("a number");
        (number * 2).to_string()
    }

    /// The mean of all numbers in a JSON document.
    fn average(document) {
        let document: Value = serde_json::from_str(document).expect("JSON");
        let mut all = vec![];
        numbers(&document, &mut all);
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        serde_json::to_string(&Celsius { celsius_temperature: mean }).expect("a number")
    }

    /// Degrees of Celsius to degrees of Fahrenheit.
    fn c_to_f(document) {
        let celsius: Celsius<u64> = serde_json::from_str(document).expect("a whole number of degrees");
        json!({ "result": celsius.celsius_temperature as f64 * 1.8 + 32.0 }).to_string()
    }

    /// The text of a slash command, whose form arrives as JSON.
    fn slack(form) {
        let form: Value = serde_json::from_str(form).expect("JSON");
        form["text"].as_str().unwrap_or_default().to_owned()
    }

    /// The function's state.
    fn state() {
        std::env::args().nth(1).expect("a state")
    }

    /// The identifier of the function.
    fn environment() {
        let variable = |name| std::env::var(name).expect("a variable");
        json!({ "wasm_id": variable("wasm_id"), "storage_key": variable("storage_key") }).to_string()
    }
}

fn numbers(value: &Value, all: &mut Vec<f64>) {
    match value {
        Value::Number(number) => all.extend(number.as_f64()),
        Value::Array(values) => values.iter().for_each(|value| numbers(value, all)),
        Value::Object(fields) => fields.values().for_each(|value| numbers(value, all)),
        _ => {}
    }
}

/// The parts of a form.
#[derive(Serialize)]
struct Parts<'a> {
    input_a: &'a str,
    input_b: &'a str,
    input_c: &'a str,
}

/// Names three texts.
///
/// # Safety
/// `ret` is a return area; each pointer, with its length, is an argument made with `__wbindgen_malloc`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn multipart(
    ret: *mut [usize; 2],
    a: *mut u8,
    a_len: usize,
    b: *mut u8,
    b_len: usize,
    c: *mut u8,
    c_len: usize,
) {
    // SAFETY: the caller gives the three allocations up.
    let [a, b, c] = [(a, a_len), (b, b_len), (c, c_len)]
        .map(|(pointer, len)| unsafe { Vec::from_raw_parts(pointer, len, len) });
    let [a, b, c] = [&a, &b, &c].map(|bytes| String::from_utf8_lossy(bytes));
    let parts = Parts {
        input_a: &a,
        input_b: &b,
        input_c: &c,
    };
    let answer = serde_json::to_string(&parts)
        .expect("texts")
        .into_bytes()
        .into_boxed_slice();
    let len = answer.len();
    let pointer = Box::into_raw(answer).cast::<u8>();
    // SAFETY: `ret` is valid for this write, says the caller.
    unsafe { ret.write_unaligned([pointer as usize, len]) };
}
