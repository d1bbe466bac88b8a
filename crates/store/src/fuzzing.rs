//! The fuzz target of this crate, and the properties that hold for any input: a panic is a finding.
//!
//! `fuzz/` runs this function with generated inputs; the test below runs it with the inputs that it found.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a target reports what it found"
)]

use crate::seal::Seal;

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

/// The file of an artefact: it opens only if this host sealed it, for this engine and this source.
pub fn seal(data: &[u8]) {
    let seal = Seal::new([7; 32]);
    let (engine, source) = ("2-0123456789abcdef", [9; 32]);
    if let Some(code) = seal.open(engine, &source, data) {
        assert_eq!(seal.close(engine, &source, code), data);
        assert!(seal.open("2-0", &source, data).is_none());
        assert!(seal.open(engine, &[8; 32], data).is_none());
        assert!(Seal::new([8; 32]).open(engine, &source, data).is_none());
    }
    let sealed = seal.close(engine, &source, data);
    assert_eq!(seal.open(engine, &source, &sealed), Some(data));
}

#[cfg(test)]
mod tests {
    #[test]
    fn corpus_of_seals() {
        super::replay::corpus("store_seal", super::seal);
    }
}
