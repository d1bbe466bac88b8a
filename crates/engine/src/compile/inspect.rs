//! The manifest of a module, read from its bytes; a module's descriptions are read by running it.

use super::allocator::{self, ALLOCATE, DEALLOCATE, I32};
use super::functions::{Functions, is, is_users};
use super::instance::Instance;
use super::leftovers;
use crate::abi::{bindgen, command, described, descriptor};
use crate::manifest::{Abi, Allocator, Described, Export, Kind, Manifest, Primed, Signature};
use command::START;
use iof_fault::{Fault, FaultKind};
use wasmparser::{Parser, Payload};

/// The manifest of a module, except for its imports; `describe` is an instance in which its descriptors can be run, or the
/// reason why there is none.
///
/// # Errors
/// `unsupported-type` if a function declares a type that no call can pass.
pub(super) fn manifest(
    source: &[u8],
    (names, types): &(Vec<String>, Functions),
    describe: &mut Result<Instance, String>,
) -> Result<Manifest, Fault> {
    let allocator = allocator::find(types);
    let wasmedge = allocator.as_ref().is_some_and(|a| a.malloc == ALLOCATE);
    let program = is(types, START, &[], &[]);
    let mut exports: Vec<Export> = vec![];
    for symbol in names.iter().filter(|name| is_users(name)) {
        let Some((params, results)) = types.get(symbol) else {
            continue;
        };
        if wasmedge && matches!(&**symbol, ALLOCATE | DEALLOCATE)
            || program && leftovers::is_compilers(symbol, params, results)
        {
            continue;
        }
        let described = types.contains_key(&descriptor_of(symbol));
        let name = match described {
            true => without_hash(symbol),
            false => symbol,
        };
        exports.push(Export {
            name: name.to_owned(),
            symbol: symbol.clone(),
            core_params: params.clone(),
            core_results: results.clone(),
            signature: None,
            described: None,
            unread: None,
            abi: match wasmedge && params == &[I32, I32] && results == &[I32] {
                true => Abi::Wasmedge,
                false => Abi::Bindgen,
            },
        });
    }
    let version = section(source, "__wasm_bindgen_unstable").and_then(descriptor::version);
    let mut room = described::MAX_ALL;
    for export in &mut exports {
        let descriptor = descriptor_of(&export.symbol);
        if types.contains_key(&descriptor) {
            let codes = describe.as_mut().ok();
            let codes = codes.and_then(|instance| instance.describe(&descriptor));
            let signature = descriptor::read(codes.as_deref(), version)
                .and_then(|signature| bindgen::agrees(export, signature));
            export.signature = Some(signature.map_err(|what| unsupported(export, &what))?);
        }
        let description = described::export_of(&export.name);
        if types.contains_key(&description) {
            match description_of(
                export,
                &description,
                allocator.as_ref(),
                describe,
                &mut room,
            ) {
                Ok((signature, described)) => {
                    (export.signature, export.described) = (Some(signature), Some(described));
                }
                Err(why) => export.unread = Some(why),
            }
        }
    }
    if program {
        exports.push(program_of(START));
    }
    Ok(Manifest {
        kind: if program {
            Kind::WasiCommand
        } else {
            Kind::Bindgen
        },
        exports,
        allocator,
        initialize: vec![],
        primed: Primed::No(String::new()),
        unserved: vec![],
        files: false,
        space: 0,
        failing_start: None,
        unread_docs: None,
        draft: false,
        descriptions_checked: true,
        world: None,
    })
}

/// The description that the export `description` returns, if it fits `export`. `room` is the number of bytes left for
/// the descriptions of the module.
///
/// # Errors
/// A clause that states why it cannot be read.
fn description_of(
    export: &Export,
    description: &str,
    allocator: Option<&Allocator>,
    describe: &mut Result<Instance, String>,
    room: &mut usize,
) -> Result<(Signature, Described), String> {
    let instance = describe.as_mut().map_err(|why| why.clone())?;
    let allocator = allocator.ok_or("the module exports no allocator")?;
    let text = instance.text(description, allocator, described::MAX)?;
    *room = room.saturating_sub(text.len());
    if *room == 0 {
        return Err(format!(
            "the descriptions of the module take more than {} KiB together",
            described::MAX_ALL >> 10
        ));
    }
    let (signature, described) = described::read(&export.name, &text)?;
    match export.abi == Abi::Bindgen && !bindgen::fits(export, &signature) {
        true => Err("its types are not those of the export's core type".into()),
        false => Ok((signature, described)),
    }
}

/// The fault of a function that declares a type that no call can pass.
fn unsupported(export: &Export, what: &str) -> Fault {
    let name: String = export.name.chars().take(100).collect();
    Fault::new(
        FaultKind::UnsupportedType,
        format!(
            "The function `{name}` cannot be called: {what}. Give it the types that docs/guide/functions.md lists, or do \
             not export it."
        ),
    )
}

/// The one export of a program, whose code is `symbol`.
pub(super) fn program_of(symbol: &str) -> Export {
    let (signature, described) = command::describe();
    Export {
        name: command::MAIN.to_owned(),
        symbol: symbol.to_owned(),
        core_params: vec![],
        core_results: vec![],
        signature: Some(signature),
        described: Some(described),
        unread: None,
        abi: Abi::Command,
    }
}

fn descriptor_of(symbol: &str) -> String {
    format!("__wbindgen_describe_{symbol}")
}

/// `say_af3bca193e7a9d75` is `say`.
fn without_hash(symbol: &str) -> &str {
    match symbol.rsplit_once('_') {
        Some((name, hash))
            if hash.len() == 16
                && hash.bytes().all(|b| b.is_ascii_hexdigit())
                && !name.is_empty() =>
        {
            name
        }
        _ => symbol,
    }
}

/// The bytes of a custom section.
fn section<'a>(source: &'a [u8], name: &str) -> Option<&'a [u8]> {
    Parser::new(0)
        .parse_all(source)
        .find_map(|payload| match payload {
            Ok(Payload::CustomSection(section)) if section.name() == name => Some(section.data()),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_not_part_of_a_name() {
        assert_eq!(without_hash("say_af3bca193e7a9d75"), "say");
        assert_eq!(without_hash("same_u32_af3bca193e7a9d75"), "same_u32");
        for kept in [
            "say",
            "say_hello",
            "_af3bca193e7a9d75",
            "say_af3bca193e7a9d7z",
            "say_af3b",
        ] {
            assert_eq!(without_hash(kept), kept);
        }
    }
}
