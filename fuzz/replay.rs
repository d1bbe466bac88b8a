//! The replay of a corpus: what `cargo xtask test` runs of a fuzz target, on stable and without a fuzzer. Each crate that
//! has targets includes this file in its tests.

use std::path::Path;

/// Runs a target with every input that is kept for it.
#[expect(
    clippy::disallowed_methods,
    reason = "a test without a runtime whose threads it could block"
)]
pub(crate) fn corpus(name: &str, target: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let folder = fuzz.join("corpus").join(name);
    let mut inputs: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    for input in inputs {
        // Shown when the target panics.
        println!("{}", input.display());
        target(&std::fs::read(&input).unwrap());
    }
}
