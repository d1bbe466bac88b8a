//! The errors of the compiler for features that are not there, and no others.
//!
//! Each case is a crate of its own, as errors of one would hide those of the next. The host's target shows the same
//! errors as wasm does, so no target has to be installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[allow(
    clippy::disallowed_methods,
    reason = "there is no runtime whose thread it could block"
)]
/// `cargo check` of a function crate with this source.
fn check(name: &str, source: &str) -> Output {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!(
        "[workspace]\n[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2018\"\n\
         [lib]\ncrate-type = [\"cdylib\"]\n[dependencies]\nwasm-bindgen = {{ path = {:?} }}\n",
        Path::new(env!("CARGO_MANIFEST_DIR"))
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.join("src/lib.rs"), source).unwrap();
    Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--offline", "--color", "never"])
        .current_dir(&folder)
        .env("CARGO_TARGET_DIR", folder.with_file_name("refusals-target"))
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap()
}

#[test]
fn each_says_what_to_do_instead() {
    for (name, source, words) in [
        (
            "unknown-argument",
            "#[wasm_bindgen] pub fn f(a: std::collections::HashMap<String, u8>) { drop(a) }",
            &[
                "cannot take `HashMap<String, u8>`",
                "take anything else as JSON",
            ][..],
        ),
        (
            "unknown-reference",
            "#[wasm_bindgen] pub fn f(a: &String) { drop(a.clone()) }",
            &["cannot take `&String`", "by reference it takes `&str`"],
        ),
        (
            "unknown-option",
            "#[wasm_bindgen] pub fn f(a: Option<std::time::Duration>) { drop(a) }",
            &["cannot take `Option<Duration>`", "what may be missing is"],
        ),
        (
            "unknown-result",
            "#[wasm_bindgen] pub fn f() -> Vec<String> { vec![] }",
            &[
                "cannot return `Vec<String>`",
                "return anything else as JSON",
            ],
        ),
        (
            "unknown-error",
            "#[wasm_bindgen] pub fn f() -> Result<u8, std::fmt::Error> { Ok(1) }",
            &["the error of a `Result` is a text"],
        ),
        (
            "javascript",
            "#[wasm_bindgen] extern \"C\" { fn alert(s: &str); }",
            &[
                "`extern` block are JavaScript",
                "`http_proxy` makes requests",
            ],
        ),
        (
            "structs",
            "#[wasm_bindgen] pub struct A { x: u8 } #[wasm_bindgen] impl A { #[wasm_bindgen(constructor)] pub fn new() -> A { A { x: 1 } } }",
            &["on a `struct`", "on an `impl`", "due to 2 previous errors"],
        ),
        (
            "closures",
            "#[wasm_bindgen] pub fn f() { drop(Closure::wrap(Box::new(|| ()) as Box<dyn Fn()>)) }",
            &[
                "a `Closure` is for JavaScript to call",
                "call the function directly",
            ],
        ),
    ] {
        let output = check(name, &format!("use wasm_bindgen::prelude::*;\n{source}\n"));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{name} was taken");
        for word in words {
            assert!(said.contains(word), "{name}: {word} is not in {said}");
        }
        assert!(!said.contains("panicked"), "{name}: {said}");
    }
}

#[test]
fn strict_crates_get_no_warning() {
    let output = check(
        "strict",
        "//! Strict.\n#![forbid(unsafe_code)]\n#![deny(warnings, missing_docs)]\nuse wasm_bindgen::prelude::*;\n\
         /// A name.\npub type Name = String;\n\
         /// Names that the expansion might use itself.\n#[wasm_bindgen]\npub fn describe(__area: Name, _: u8) -> Result<Name, JsError> { Ok(__area) }\n\
         /// In a macro.\n#[macro_export]\nmacro_rules! one { ($name:ident: $type:ty) => {\n/// One.\n#[wasm_bindgen]\npub fn $name(value: $type) -> u32 { value.len() as u32 }\n} }\n\
         one!(length: &str);\n",
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_version_stands_once() {
    let manifest = include_str!("../Cargo.toml");
    assert_eq!(manifest.matches("version = \"0.2.61\"").count(), 1);
    assert_eq!(
        manifest.matches("0.2.61").count(),
        1,
        "whoever replaces it replaces all of it"
    );
}
