//! Constructors that no code of a module calls.
//!
//! C and Rust code for WASI relies on `__wasm_call_ctors`, which makes the environment visible. Current linkers call it
//! from `_initialize` or from every export. Linkers before 2021 did not call it in a library at all, so functions of
//! 2020 saw no environment without a workaround. A module that has the function and never calls it gets it as its
//! `_initialize`, and is then treated like a current module.

use super::functions::INITIALIZE;
use std::borrow::Cow;
use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{ExportKind, ExportSection, RawSection};
use wasmparser::{ExternalKind, KnownCustom, Name, Operator, Parser, Payload};

const CONSTRUCTORS: &str = "__wasm_call_ctors";

/// The module, with an export `_initialize` if nothing else calls its constructors.
pub(super) fn adopt(source: &[u8]) -> Cow<'_, [u8]> {
    match orphan(source) {
        Some(function) => add_export(source, function).map_or(Cow::Borrowed(source), Cow::Owned),
        None => Cow::Borrowed(source),
    }
}

/// The index of a `__wasm_call_ctors` that nothing calls, in a valid module.
fn orphan(source: &[u8]) -> Option<u32> {
    let (mut exported, mut named, mut started) = (None, None, None);
    for payload in Parser::new(0).parse_all(source) {
        match payload.ok()? {
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.ok()?;
                    match (export.kind, export.name) {
                        (ExternalKind::Func, INITIALIZE | "_start") => return None,
                        (ExternalKind::Func, CONSTRUCTORS) => exported = Some(export.index),
                        _ => {}
                    }
                }
            }
            Payload::StartSection { func, .. } => started = Some(func),
            Payload::CustomSection(section) => {
                if let KnownCustom::Name(names) = section.as_known() {
                    named = named.or_else(|| named_constructors(names));
                }
            }
            _ => {}
        }
    }
    let function = exported.or(named)?;
    (started != Some(function) && !is_called(source, function)?).then_some(function)
}

fn named_constructors(names: wasmparser::NameSectionReader<'_>) -> Option<u32> {
    // A name section that cannot be read is ignored.
    names.into_iter().find_map(|name| match name {
        Ok(Name::Function(functions)) => functions
            .into_iter()
            .filter_map(Result::ok)
            .find(|naming| naming.name == CONSTRUCTORS)
            .map(|naming| naming.index),
        _ => None,
    })
}

/// Returns whether any code calls the function.
fn is_called(source: &[u8], function: u32) -> Option<bool> {
    for payload in Parser::new(0).parse_all(source) {
        if let Payload::CodeSectionEntry(body) = payload.ok()? {
            for operator in body.get_operators_reader().ok()? {
                if let Operator::Call { function_index } = operator.ok()?
                    && function_index == function
                {
                    return Some(true);
                }
            }
        }
    }
    Some(false)
}

/// The module with one more export; all other sections unchanged.
fn add_export(source: &[u8], function: u32) -> Option<Vec<u8>> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(source) {
        let payload = payload.ok()?;
        if let Payload::ExportSection(section) = payload {
            let mut exports = ExportSection::new();
            RoundtripReencoder
                .parse_export_section(&mut exports, section)
                .ok()?;
            exports.export(INITIALIZE, ExportKind::Func, function);
            module.section(&exports);
        } else if let Some((id, range)) = payload.as_section() {
            let data = source.get(range)?;
            module.section(&RawSection { id, data });
        }
    }
    Some(module.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adopted(text: &str) -> bool {
        let source = wat::parse_str(text).unwrap();
        match adopt(&source) {
            Cow::Borrowed(_) => false,
            Cow::Owned(module) => {
                let exports = Parser::new(0)
                    .parse_all(&module)
                    .find_map(|payload| match payload.unwrap() {
                        Payload::ExportSection(section) => Some(
                            section
                                .into_iter()
                                .map(|export| export.unwrap().name.to_owned())
                                .collect::<Vec<_>>(),
                        ),
                        _ => None,
                    })
                    .unwrap();
                assert_eq!(exports, ["say", INITIALIZE]);
                true
            }
        }
    }

    #[test]
    fn constructors_that_nothing_calls_become_the_initialiser() {
        assert!(adopted(
            r#"(module (func $__wasm_call_ctors) (func (export "say")))"#
        ));
    }

    #[test]
    fn others_are_left_alone() {
        for text in [
            r#"(module (func (export "say")))"#,
            r#"(module (func $__wasm_call_ctors) (func (export "say") call $__wasm_call_ctors))"#,
            r#"(module (func $__wasm_call_ctors) (func (export "say")) (func (export "_initialize")))"#,
            r#"(module (func $__wasm_call_ctors) (func (export "say")) (start $__wasm_call_ctors))"#,
        ] {
            assert!(!adopted(text), "{text}");
        }
    }
}
