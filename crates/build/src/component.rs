//! Components: a core module that declares its world in a custom section, encoded in the form that hosts accept.
//!
//! Rustc makes core modules for `wasm32-wasip1`; every tool that builds components wraps them in the same way, be it
//! `cargo component`, `wasm-tools component new` or this module. wasmtime's adapter provides the WASI preview 1 imports
//! of the standard library.

use crate::Error;
use crate::summary::{Export, Import};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::ComponentEncoder;
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{Resolve, WorldItem, WorldKey};

/// The component of a core module; `program` has a `main`.
///
/// # Errors
/// [`Error::Module`] if it declares no world, or does not match it.
pub(crate) fn encode(module: &[u8], program: bool) -> Result<Vec<u8>, Error> {
    let adapter = match program {
        true => WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
        false => WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
    };
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter))
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| Error::Module(format!("it makes no component: {error:#}")))
}

/// The exports and imports of a component.
///
/// # Errors
/// [`Error::Module`] if they cannot be read.
pub(crate) fn world(component: &[u8]) -> Result<(Vec<Export>, Vec<Import>), Error> {
    let unread = |error: &dyn std::fmt::Display| Error::Module(format!("{error:#}"));
    let (resolve, world) = match decode(component).map_err(|error| unread(&error))? {
        DecodedWasm::Component(resolve, world) => (resolve, world),
        DecodedWasm::WitPackage(..) => return Err(unread(&"it holds interfaces, and no code")),
    };
    let Some(world) = resolve.worlds.get(world) else {
        return Err(unread(&"it has no world"));
    };
    let exports = world.exports.iter().flat_map(|(key, item)| {
        let place = name(&resolve, key);
        functions(&resolve, item, &place)
            .into_iter()
            .map(move |function| match item {
                WorldItem::Interface { .. } => format!("{place}#{function}"),
                _ => function,
            })
            .collect::<Vec<_>>()
    });
    let exports = exports
        .map(|name| Export {
            name,
            signature: None,
        })
        .collect();
    let imports = world
        .imports
        .iter()
        .map(|(key, item)| {
            let module = name(&resolve, key);
            Import {
                names: functions(&resolve, item, &module),
                module,
                unserved: vec![],
            }
        })
        .filter(|import| !import.names.is_empty())
        .collect();
    Ok((exports, imports))
}

fn name(resolve: &Resolve, key: &WorldKey) -> String {
    resolve.name_world_key(key)
}

/// The names of functions; types and interfaces with only types have none.
fn functions(resolve: &Resolve, item: &WorldItem, name: &str) -> Vec<String> {
    match item {
        WorldItem::Function(_) => vec![name.to_owned()],
        WorldItem::Interface { id, .. } => {
            let interface = resolve.interfaces.get(*id);
            let names = interface.map(|interface| interface.functions.keys().cloned().collect());
            names.unwrap_or_default()
        }
        WorldItem::Type { .. } => vec![],
    }
}
