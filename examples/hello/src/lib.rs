//! The smallest function of iof: `say("world")` answers `hello world`.
//!
//! It needs nothing from the outside, so it is built for `wasm32-unknown-unknown` and imports nothing.

mod bindgen;

/// Greets.
pub fn say(name: &str) -> String {
    ["hello ", name].concat()
}

/// The function that the host calls; see [`bindgen`] for the shape.
///
/// # Safety
/// `ret` is a return area of eight bytes, and `ptr` with `len` is an argument made with `__wbindgen_malloc`.
#[unsafe(export_name = "say")]
pub unsafe extern "C" fn say_abi(ret: *mut [usize; 2], ptr: *mut u8, len: usize) {
    // SAFETY: the caller keeps the contract of `say_abi`, which is that of `bindgen::text`.
    unsafe { bindgen::text(say, ret, ptr, len) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn greets() {
        assert_eq!(super::say("world"), "hello world");
        assert_eq!(super::say(""), "hello ");
    }
}
