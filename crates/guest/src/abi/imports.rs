//! The imports that the server provides to a module.
//!
//! An import that no function uses is not in the module, so that a module without storage also runs on hosts without
//! it.

use std::time::Duration;

use crate::command::{Output, Run};

#[link(wasm_import_module = "wasmedge_process")]
unsafe extern "C" {
    fn wasmedge_process_set_prog_name(name: *const u8, length: usize);
    fn wasmedge_process_add_arg(argument: *const u8, length: usize);
    fn wasmedge_process_add_env(
        name: *const u8,
        name_length: usize,
        value: *const u8,
        value_length: usize,
    );
    fn wasmedge_process_add_stdin(bytes: *const u8, length: usize);
    fn wasmedge_process_set_timeout(milliseconds: u32);
    fn wasmedge_process_run() -> i32;
    fn wasmedge_process_get_stdout_len() -> usize;
    fn wasmedge_process_get_stdout(to: *mut u8);
    fn wasmedge_process_get_stderr_len() -> usize;
    fn wasmedge_process_get_stderr(to: *mut u8);
}

#[link(wasm_import_module = "iof")]
unsafe extern "C" {
    /// Ends the call with a fault.
    #[link_name = "fail"]
    fn end(code: *const u8, code_length: usize, message: *const u8, message_length: usize);
    /// Ends the call with a fault, and sets the status that callers see.
    #[link_name = "fail_with_status"]
    fn end_with_status(
        code: *const u8,
        code_length: usize,
        message: *const u8,
        message_length: usize,
        status: u32,
    );
    /// The length of the value under a key, which the server holds for `storage_read`; -1 if there is none.
    fn storage_get(key: *const u8, key_length: usize) -> i64;
    /// Writes the value of the last `storage_get`, all of it.
    fn storage_read(to: *mut u8);
    /// Stores a value under a key; it is on the disk when this returns.
    fn storage_set(key: *const u8, key_length: usize, value: *const u8, value_length: usize);
    /// Removes the value under a key: 1 if there was one, else 0.
    #[link_name = "storage_remove"]
    fn storage_forget(key: *const u8, key_length: usize) -> i32;
    /// Makes a batch of changes, all of them or none: 1 if it was made; 0 if a value is not the one that the batch
    /// requires.
    #[link_name = "storage_commit"]
    fn storage_make(batch: *const u8, length: usize) -> i32;
    /// The length of the text of a sum, which the server holds for `storage_read`; -1 if the value under the key is not
    /// a number, or the sum does not fit 64 bits.
    fn storage_add(key: *const u8, key_length: usize, delta: i64) -> i64;
    /// The length of a page of keys that begin with a prefix and come after a key, which the server holds for
    /// `storage_read`: for each key its length in four bytes, little-endian, and the key. A page with fewer than
    /// [`PAGE`] keys is the last.
    fn storage_list(
        prefix: *const u8,
        prefix_length: usize,
        after: *const u8,
        after_length: usize,
    ) -> i64;
}

/// Keys in a page of `storage_list`.
const PAGE: usize = 1000;

/// Ends the call. A server that does not know statuses gets errors without them.
pub(crate) fn fail(code: &str, message: &str, status: Option<u16>) -> ! {
    let (code, code_length) = (code.as_ptr(), code.len());
    let (message, message_length) = (message.as_ptr(), message.len());
    // SAFETY: the server reads these two texts, and nothing else.
    unsafe {
        match status {
            None => end(code, code_length, message, message_length),
            Some(status) => {
                end_with_status(code, code_length, message, message_length, status.into());
            }
        }
    }
    core::arch::wasm32::unreachable()
}

/// Runs a command.
pub(crate) fn run(run: &Run) -> Output {
    let milliseconds = u32::try_from(run.timeout.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: the server reads each text or byte array at its address and length only during the call of the import.
    let status = unsafe {
        wasmedge_process_set_prog_name(run.name.as_ptr(), run.name.len());
        for argument in &run.args {
            wasmedge_process_add_arg(argument.as_ptr(), argument.len());
        }
        for (name, value) in &run.env {
            wasmedge_process_add_env(name.as_ptr(), name.len(), value.as_ptr(), value.len());
        }
        if !run.stdin.is_empty() {
            wasmedge_process_add_stdin(run.stdin.as_ptr(), run.stdin.len());
        }
        wasmedge_process_set_timeout(milliseconds.max(u32::from(run.timeout > Duration::ZERO)));
        wasmedge_process_run()
    };
    // SAFETY: there is room for as many bytes as the server announced; for none, it writes none.
    let (stdout, stderr) = unsafe {
        let mut stdout = vec![0; wasmedge_process_get_stdout_len()];
        wasmedge_process_get_stdout(stdout.as_mut_ptr());
        let mut stderr = vec![0; wasmedge_process_get_stderr_len()];
        wasmedge_process_get_stderr(stderr.as_mut_ptr());
        (stdout, stderr)
    };
    Output {
        status,
        stdout,
        stderr,
    }
}

/// The value under a key.
pub(crate) fn load(key: &str) -> Option<Vec<u8>> {
    // SAFETY: the server reads the key.
    let length = unsafe { storage_get(key.as_ptr(), key.len()) };
    let mut value = vec![0; usize::try_from(length).ok()?];
    // SAFETY: there is room for as many bytes as the server announced; for none, it writes none.
    unsafe { storage_read(value.as_mut_ptr()) };
    Some(value)
}

/// Stores a value.
pub(crate) fn save(key: &str, value: &[u8]) {
    // SAFETY: the server reads the key and the value.
    unsafe { storage_set(key.as_ptr(), key.len(), value.as_ptr(), value.len()) };
}

/// Removes a value; returns `true` if there was one.
pub(crate) fn forget(key: &str) -> bool {
    // SAFETY: the server reads the key.
    unsafe { storage_forget(key.as_ptr(), key.len()) == 1 }
}

/// Makes a batch of changes; returns `true` if it was made.
pub(crate) fn commit(batch: &[u8]) -> bool {
    // SAFETY: the server reads the batch.
    unsafe { storage_make(batch.as_ptr(), batch.len()) == 1 }
}

/// Adds to a number; the text of the sum, if there is one.
pub(crate) fn add(key: &str, delta: i64) -> Option<Vec<u8>> {
    // SAFETY: the server reads the key.
    let length = unsafe { storage_add(key.as_ptr(), key.len(), delta) };
    let mut sum = vec![0; usize::try_from(length).ok()?];
    // SAFETY: there is room for as many bytes as the server announced.
    unsafe { storage_read(sum.as_mut_ptr()) };
    Some(sum)
}

/// A page of keys that begin with a prefix and come after a key, and the last of them, unless it is the last page. A
/// key that is not text was set by other means, and is left out.
pub(crate) fn page(prefix: &str, after: &[u8]) -> (Vec<String>, Option<Vec<u8>>) {
    // SAFETY: the server reads the prefix and the key.
    let length =
        unsafe { storage_list(prefix.as_ptr(), prefix.len(), after.as_ptr(), after.len()) };
    let mut page = vec![0; usize::try_from(length).unwrap_or(0)];
    // SAFETY: there is room for as many bytes as the server announced; for none, it writes none.
    unsafe { storage_read(page.as_mut_ptr()) };
    let mut found = Vec::new();
    let (mut keys, mut last) = (0, None);
    let mut rest = page.as_slice();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let Some((key, tail)) = tail.split_at_checked(u32::from_le_bytes(*length) as usize) else {
            break;
        };
        found.extend(core::str::from_utf8(key).map(str::to_owned));
        last = Some(key.to_vec());
        keys += 1;
        rest = tail;
    }
    (found, last.filter(|_| keys >= PAGE))
}
