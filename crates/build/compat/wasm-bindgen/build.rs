//! Tells rustc a version that it takes.
//!
//! rustc refuses to compile a crate `wasm_bindgen` before 0.2.88, because those rely on an ABI of `extern "C"` for wasm
//! that is gone. This one does not rely on it, and so says what the refusal looks at.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=CARGO_PKG_VERSION_PATCH=88");
}
