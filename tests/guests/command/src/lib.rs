//! Runs any command: a [`Request`] as JSON in, `{"status", "stdout", "stderr"}` as JSON out.
//!
//! `run_ssvm` goes through the host module `ssvm_process`, `run_wasmedge` through `wasmedge_process`.

#[path = "../../../../examples/hello/src/bindgen.rs"]
mod bindgen;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

/// What to run.
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
through!(run_ssvm, rust_process_interface_library);
through!(run_wasmedge, wasmedge_process_interface);
