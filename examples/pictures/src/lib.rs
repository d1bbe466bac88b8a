//! Two functions on a picture, each by one command of the server's: `classify` asks a model what it shows, and
//! `thumbnail` has ImageMagick make a small one of it.
//!
//! Neither the weights of the model nor ImageMagick are in this module, and a broken picture breaks neither: what a
//! command says of it is the answer.

#[cfg_attr(not(target_family = "wasm"), allow(dead_code))]
mod bindgen;

/// What came of a command.
pub struct Done {
    /// Its exit status.
    pub status: i32,
    /// Its output.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: Vec<u8>,
}

/// The three most likely digits of a picture, as JSON: `[{"index":7,"label":"seven","score":0.98},…]`.
pub fn classify(picture: &[u8], run: impl Fn(&str, &[&str], &[u8]) -> Done) -> Vec<u8> {
    answer(run("infer", &["digits"], picture))
}

/// The picture, no larger than 200 × 200, as PNG.
pub fn thumbnail(picture: &[u8], run: impl Fn(&str, &[&str], &[u8]) -> Done) -> Vec<u8> {
    answer(run("thumbnail", &["200x200"], picture))
}

/// The output of a command, or a line that says why there is none.
fn answer(done: Done) -> Vec<u8> {
    match done.status {
        0 => done.stdout,
        status => {
            let said = String::from_utf8_lossy(&done.stderr);
            format!("error {status}: {}", said.trim_end()).into_bytes()
        }
    }
}

#[cfg(target_family = "wasm")]
fn run(program: &str, args: &[&str], stdin: &[u8]) -> Done {
    let output = wasmedge_process_interface::Command::new(program)
        .args(args)
        .stdin_u8vec(stdin)
        .output();
    Done {
        status: output.status,
        stdout: output.stdout,
        stderr: output.stderr,
    }
}

/// What the host calls; see [`bindgen`] for the shape.
///
/// # Safety
/// The contract of [`bindgen::bytes`].
#[cfg(target_family = "wasm")]
#[unsafe(export_name = "classify")]
pub unsafe extern "C" fn classify_abi(ret: *mut [usize; 2], ptr: *mut u8, len: usize) {
    // SAFETY: the caller keeps the contract.
    unsafe { bindgen::bytes(|picture| classify(picture, run), ret, ptr, len) }
}

/// What the host calls.
///
/// # Safety
/// The contract of [`bindgen::bytes`].
#[cfg(target_family = "wasm")]
#[unsafe(export_name = "thumbnail")]
pub unsafe extern "C" fn thumbnail_abi(ret: *mut [usize; 2], ptr: *mut u8, len: usize) {
    // SAFETY: the caller keeps the contract.
    unsafe { bindgen::bytes(|picture| thumbnail(picture, run), ret, ptr, len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(status: i32) -> impl Fn(&str, &[&str], &[u8]) -> Done {
        move |program, args, stdin| Done {
            status,
            stdout: [program.as_bytes(), args[0].as_bytes(), stdin].join(&b' '),
            stderr: b"no picture\n".to_vec(),
        }
    }

    #[test]
    fn commands_answer() {
        assert_eq!(classify(b"png", done(0)), b"infer digits png");
        assert_eq!(thumbnail(b"png", done(0)), b"thumbnail 200x200 png");
        assert_eq!(classify(b"png", done(4)), b"error 4: no picture");
    }
}
