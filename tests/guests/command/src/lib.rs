//! Runs any command: a [`Request`] as JSON in, `{"status", "stdout", "stderr"}` as JSON out.
//!
//! `run_ssvm` goes through the host module `ssvm_process`, `run_wasmedge` through `wasmedge_process`.

#[path = "../../../../examples/hello/src/bindgen.rs"]
mod bindgen;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

/// The command to run.
#[derive(Deserialize)]
struct Request {
    program: String,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    stdin: String,
    /// Milliseconds; the crates say 10,000 when nobody says anything.
    timeout: Option<u32>,
}

macro_rules! through {
    ($name:ident, $library:ident) => {
        /// Runs a [`Request`].
        ///
        /// # Safety
        /// The contract of `bindgen::text`.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(ret: *mut [usize; 2], ptr: *mut u8, len: usize) {
            fn run(request: &str) -> String {
                let request: Request = match serde_json::from_str(request) {
                    Ok(request) => request,
                    Err(e) => return format!("error: {e}"),
                };
                let mut command = $library::Command::new(&request.program);
                command
                    .args(&request.args)
                    .envs(&request.env)
                    .stdin_u8vec(&request.stdin);
                if let Some(milliseconds) = request.timeout {
                    command.timeout(milliseconds);
                }
                let output = command.output();
                json!({
                    "status": output.status,
                    "stdout": String::from_utf8_lossy(&output.stdout),
                    "stderr": String::from_utf8_lossy(&output.stderr),
                })
                .to_string()
            }
            // SAFETY: the host keeps the contract.
            unsafe { bindgen::text(run, ret, ptr, len) }
        }
    };
}
/// Posts a word to a URL, and answers what came back: the least that a function with an outbound request does.
///
/// # Safety
/// The contract of `bindgen::text`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn post(ret: *mut [usize; 2], ptr: *mut u8, len: usize) {
    fn run(url: &str) -> String {
        let output = wasmedge_process_interface::Command::new("http_proxy")
            .args(["post", url])
            .stdin_u8vec("world")
            .output();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
    // SAFETY: the host keeps the contract.
    unsafe { bindgen::text(run, ret, ptr, len) }
}

/// The name of this version, of two: a test replaces the word in the module.
static MODE: [u8; 17] = *b"judge mode:strict";

/// Asks a URL for a number in JSON. The strict version has a fault: it takes for granted that there is one.
///
/// Its output depends on everything that a host answers: a command, both clocks, randomness.
fn judge(url: &str) -> String {
    let output = wasmedge_process_interface::Command::new("http_proxy")
        .args(["get", url])
        .output();
    let began = std::time::Instant::now();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let random = std::collections::hash_map::RandomState::new();
    let drawn = std::hash::BuildHasher::hash_one(&random, 1);
    println!("at {now:?}, after {:?}, drew {drawn}", began.elapsed());
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    // Read as if it might change, or the compiler would decide now.
    let mode = unsafe { std::ptr::read_volatile(&MODE) };
    match answer["number"].as_i64() {
        Some(number) => format!("{number} {drawn}"),
        None if mode.ends_with(b"strict") => panic!("no number in {answer}"),
        None => format!("none {drawn}"),
    }
}

/// [`judge`].
///
/// # Safety
/// The contract of `bindgen::text`.
#[unsafe(export_name = "judge")]
pub unsafe extern "C" fn judge_abi(ret: *mut [usize; 2], ptr: *mut u8, len: usize) {
    // SAFETY: the host keeps the contract.
    unsafe { bindgen::text(judge, ret, ptr, len) }
}

through!(run_ssvm, rust_process_interface_library);
through!(run_wasmedge, wasmedge_process_interface);
