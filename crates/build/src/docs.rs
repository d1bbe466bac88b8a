//! The doc comments of a project's WIT, kept in its component.
//!
//! A component states the names and types of what it exports, and no comments; the tools that make it drop them. wit-parser has a
//! section for them, `package-docs`, which servers read for the function's own document. The comments are laid over the types that the
//! component states, so the section names nothing that is not there, and other tools read the component as before.

use std::path::Path;
use wasm_encoder::{ComponentSection, CustomSection};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{
    InterfaceId, PackageMetadata, Resolve, TypeDefKind, TypeId, WorldId, WorldItem, WorldKey,
};

/// The component with the comments of the WIT in a folder; of the one world there, if none is named. Where the folder is not
/// there, or cannot be read, the component stays as it is: comments keep nobody from building.
pub(crate) fn keep(mut component: Vec<u8>, wit: &Path, world: Option<&str>) -> Vec<u8> {
    if let Some(section) = section(&component, wit, world) {
        let length = component.len();
        CustomSection {
            name: PackageMetadata::SECTION_NAME.into(),
            data: section.into(),
        }
        .append_to_component(&mut component);
        // A component that has such a section keeps that one.
        if decode(&component).is_err() {
            component.truncate(length);
        }
    }
    component
}

fn section(component: &[u8], wit: &Path, world: Option<&str>) -> Option<Vec<u8>> {
    if !wit.is_dir() {
        return None;
    }
    let mut source = Resolve::default();
    let (package, _) = source.push_path(wit).ok()?;
    let from = source.select_world(&[package], world).ok()?;
    let Ok(DecodedWasm::Component(mut resolve, to)) = decode(component) else {
        return None;
    };
    lay((&source, from), (&mut resolve, to));
    let package = resolve.worlds.get(to)?.package?;
    let metadata = PackageMetadata::extract(&resolve, package);
    let encoded = metadata.encode().ok()?;
    // A version and `{}` are no comments.
    (encoded.len() > 3).then_some(encoded)
}

/// Lays the comments of a world over the same world without them.
fn lay((source, from): (&Resolve, WorldId), (resolve, to): (&mut Resolve, WorldId)) {
    let (from, to) = (&source.worlds[from], &mut resolve.worlds[to]);
    let (mut types, mut interfaces) = (vec![], vec![]);
    for (key, item) in &from.exports {
        match (item, to.exports.get_mut(key)) {
            (WorldItem::Function(from), Some(WorldItem::Function(to))) => {
                to.docs = from.docs.clone();
            }
            // An interface of its own package has no place in the section.
            (WorldItem::Interface { id: from, .. }, Some(WorldItem::Interface { id: to, .. }))
                if matches!(key, WorldKey::Name(_)) =>
            {
                interfaces.push((*from, *to));
            }
            _ => {}
        }
    }
    for (key, item) in &from.imports {
        if let (WorldItem::Type { id: from, .. }, Some(WorldItem::Type { id: to, .. })) =
            (item, to.imports.get(key))
        {
            types.push((*from, *to));
        }
    }
    for (from, to) in interfaces {
        types.extend(lay_interface((source, from), (resolve, to)));
    }
    for (from, to) in types {
        lay_type((source, from), (resolve, to));
    }
}

/// Lays the comments of an interface's functions, and returns its types.
fn lay_interface(
    (source, from): (&Resolve, InterfaceId),
    (resolve, to): (&mut Resolve, InterfaceId),
) -> Vec<(TypeId, TypeId)> {
    let (from, to) = (&source.interfaces[from], &mut resolve.interfaces[to]);
    to.docs = from.docs.clone();
    for (name, function) in &from.functions {
        if let Some(to) = to.functions.get_mut(name) {
            to.docs = function.docs.clone();
        }
    }
    let types = from.types.iter();
    types
        .filter_map(|(name, from)| Some((*from, *to.types.get(name)?)))
        .collect()
}

fn lay_type((source, from): (&Resolve, TypeId), (resolve, to): (&mut Resolve, TypeId)) {
    let (from, to) = (&source.types[from], &mut resolve.types[to]);
    to.docs = from.docs.clone();
    // Both have the same parts in the same order, or the comments are of another type.
    macro_rules! parts {
        ($from:expr, $to:expr) => {
            for (from, to) in $from.iter().zip($to.iter_mut()) {
                if from.name == to.name {
                    to.docs = from.docs.clone();
                }
            }
        };
    }
    match (&from.kind, &mut to.kind) {
        (TypeDefKind::Record(from), TypeDefKind::Record(to)) => parts!(from.fields, to.fields),
        (TypeDefKind::Variant(from), TypeDefKind::Variant(to)) => parts!(from.cases, to.cases),
        (TypeDefKind::Enum(from), TypeDefKind::Enum(to)) => parts!(from.cases, to.cases),
        (TypeDefKind::Flags(from), TypeDefKind::Flags(to)) => parts!(from.flags, to.flags),
        _ => {}
    }
}
