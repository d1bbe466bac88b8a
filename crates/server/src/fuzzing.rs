//! What a fuzzer feeds to this crate, and what has to hold of anything that it feeds: a panic is a finding.
//!
//! `fuzz/` runs these functions with inputs that it makes up; the tests below run them with those that it found.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a target reports what it found"
)]

use crate::grants::{Ceiling, Declaration};
use iof_commands::Grants;
use iof_engine::Limits;

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

/// A `function.toml`, or its fields in JSON.
pub fn declaration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let ceiling = Ceiling {
        grants: Grants::as_shipped(),
        limits: Limits::default().into(),
        concurrency: 500,
    };
    let declared = match Declaration::read(text, &ceiling) {
        Ok(declared) => declared,
        Err(fault) => {
            let code = &*fault.code;
            assert!(matches!(code, "declaration" | "ceiling"), "{fault:?}");
            return;
        }
    };
    for rule in &declared.outbound.0 {
        assert!(
            ceiling.grants.outbound.covers(rule).is_some(),
            "{rule} is above the ceiling"
        );
    }
    assert!(declared.commands.is_subset(&ceiling.grants.commands));
    let json = serde_json::to_string(&declared).unwrap();
    let again = Declaration::read(&json, &ceiling).unwrap();
    assert_eq!(again, declared, "JSON says something else: {json}");
}

#[cfg(test)]
mod tests {
    use super::replay::corpus;

    #[test]
    fn corpus_of_declarations() {
        corpus("server_declaration", super::declaration);
    }
}
