//! The doc comments of a component, in the custom section `package-docs` of wit-parser: those of the functions and types of its
//! world. They are words for readers, so what cannot be read is left out, with a warning, and keeps nothing from being
//! deployed.
//!
//! The section is read by the library that defines it, against the component's own types: it names nothing that is not there.

use crate::manifest::Described;
use serde_json::Value as Json;
use wasmparser::{Parser, Payload};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{
    Docs as Comment, Function, PackageMetadata, Resolve, Type, TypeDefKind, WorldId, WorldItem,
};

/// The most bytes of the section, and of all that is taken from it: a comment is repeated wherever its type is used.
pub(crate) const DOCS: usize = 128 << 10;

/// The doc comments of a component.
pub(super) struct Docs {
    resolve: Resolve,
    world: WorldId,
    left: usize,
}

impl Docs {
    /// The comments of a component; `None` if it has none.
    ///
    /// # Errors
    /// A clause that states why they cannot be read.
    pub(super) fn read(component: &[u8]) -> Result<Option<Self>, String> {
        match size(component) {
            0 => return Ok(None),
            size if size > DOCS => {
                return Err(format!(
                    "they have {size} bytes, and at most {DOCS} are read"
                ));
            }
            _ => {}
        }
        match decode(component) {
            Ok(DecodedWasm::Component(resolve, world)) => Ok(Some(Self {
                resolve,
                world,
                left: DOCS,
            })),
            Ok(DecodedWasm::WitPackage(..)) => Err("the component is a package of WIT".to_owned()),
            Err(error) => Err(format!("{error:#}").chars().take(400).collect()),
        }
    }

    /// Adds the comments of an export, `function` or `interface#function`, to its description.
    pub(super) fn describe(&mut self, symbol: &str, described: &mut Described) {
        let Self {
            resolve,
            world,
            left,
        } = self;
        let Some(function) = function(resolve, *world, symbol) else {
            return;
        };
        if let Some(comment) = taken(&function.docs, left) {
            described.doc = comment.to_owned();
        }
        for (param, of) in described.params.iter_mut().zip(&function.params) {
            if let Some(schema) = &mut param.schema {
                add(resolve, left, schema, &of.ty);
            }
        }
        let result = function.result.map(|ty| match kind(resolve, &ty) {
            // What an export returns is described without its error.
            Some(TypeDefKind::Result(of)) => of.ok.unwrap_or(ty),
            _ => ty,
        });
        if let (Some(schema), Some(ty)) = (&mut described.result, result) {
            add(resolve, left, schema, &ty);
        }
    }
}

/// Bytes of all sections of comments, at any depth, as the library reads them.
fn size(component: &[u8]) -> usize {
    let sections = Parser::new(0).parse_all(component);
    let sizes = sections.map(|payload| match payload {
        Ok(Payload::CustomSection(section)) if section.name() == PackageMetadata::SECTION_NAME => {
            section.data().len().max(1)
        }
        _ => 0,
    });
    sizes.sum()
}

fn function<'a>(resolve: &'a Resolve, world: WorldId, symbol: &str) -> Option<&'a Function> {
    let exports = &resolve.worlds.get(world)?.exports;
    let named = |name: &str| {
        let mut found = exports.iter();
        found.find(|(key, _)| resolve.name_world_key(key) == name)
    };
    match symbol.split_once('#') {
        None => match named(symbol)? {
            (_, WorldItem::Function(function)) => Some(function),
            _ => None,
        },
        Some((interface, function)) => match named(interface)? {
            (_, WorldItem::Interface { id, .. }) => {
                resolve.interfaces.get(*id)?.functions.get(function)
            }
            _ => None,
        },
    }
}

/// A comment, if there is one and room for it.
fn taken<'a>(comment: &'a Comment, left: &mut usize) -> Option<&'a str> {
    let text = comment.contents.as_deref()?.trim();
    *left = left.checked_sub(text.len())?;
    Some(text)
}

/// The kind of a type, behind all of its other names.
fn kind<'a>(resolve: &'a Resolve, ty: &Type) -> Option<&'a TypeDefKind> {
    let Type::Id(id) = ty else { return None };
    match &resolve.types.get(*id)?.kind {
        TypeDefKind::Type(of) => kind(resolve, of),
        kind => Some(kind),
    }
}

/// Adds a comment to a schema, before one that it has.
fn put(schema: &mut Json, comment: &str) {
    if let Some(schema) = schema.as_object_mut() {
        let text = match schema.get("description").and_then(Json::as_str) {
            Some(text) => format!("{comment}\n\n{text}"),
            None => comment.to_owned(),
        };
        schema.insert("description".to_owned(), text.into());
    }
}

/// Adds the comments of a type to its schema, as `describe::schema` makes it.
fn add(resolve: &Resolve, left: &mut usize, schema: &mut Json, ty: &Type) {
    let Type::Id(id) = ty else { return };
    let Some(definition) = resolve.types.get(*id) else {
        return;
    };
    parts(resolve, left, schema, &definition.kind);
    if let Some(comment) = taken(&definition.docs, left) {
        put(schema, comment);
    }
}

/// Adds the comments of the parts of a type.
fn parts(resolve: &Resolve, left: &mut usize, schema: &mut Json, kind: &TypeDefKind) {
    match kind {
        TypeDefKind::Type(of) => add(resolve, left, schema, of),
        TypeDefKind::Record(record) => {
            for field in &record.fields {
                let properties = schema.get_mut("properties");
                let Some(schema) = properties.and_then(|all| all.get_mut(&field.name)) else {
                    continue;
                };
                add(resolve, left, schema, &field.ty);
                if let Some(comment) = taken(&field.docs, left) {
                    put(schema, comment);
                }
            }
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant.cases.iter();
            words(left, schema, cases.map(|case| (&*case.name, &case.docs)));
            for case in &variant.cases {
                let Some(ty) = &case.ty else { continue };
                let all = schema.get_mut("anyOf").and_then(Json::as_array_mut);
                let all = all.into_iter().flatten();
                let mut tagged =
                    all.filter_map(|one| one.get_mut("properties")?.get_mut(&case.name));
                if let Some(schema) = tagged.next() {
                    add(resolve, left, schema, ty);
                }
            }
        }
        TypeDefKind::Enum(of) => {
            let cases = of.cases.iter();
            words(left, schema, cases.map(|case| (&*case.name, &case.docs)));
        }
        TypeDefKind::Flags(of) => {
            let flags = of.flags.iter();
            words(left, schema, flags.map(|flag| (&*flag.name, &flag.docs)));
        }
        TypeDefKind::List(of) => add_at(resolve, left, schema.pointer_mut("/items"), of),
        TypeDefKind::Option(of) => {
            let is_wrapped = matches!(self::kind(resolve, of), Some(TypeDefKind::Option(_)));
            let place = match is_wrapped {
                true => "/anyOf/0/properties/some",
                false => "/anyOf/0",
            };
            add_at(resolve, left, schema.pointer_mut(place), of);
        }
        TypeDefKind::Result(of) => {
            for (side, place) in [
                (&of.ok, "/anyOf/0/properties/ok"),
                (&of.err, "/anyOf/1/properties/err"),
            ] {
                if let Some(ty) = side {
                    add_at(resolve, left, schema.pointer_mut(place), ty);
                }
            }
        }
        TypeDefKind::Tuple(of) => {
            for (at, ty) in of.types.iter().enumerate() {
                add_at(
                    resolve,
                    left,
                    schema.pointer_mut(&format!("/prefixItems/{at}")),
                    ty,
                );
            }
        }
        _ => {}
    }
}

fn add_at(resolve: &Resolve, left: &mut usize, schema: Option<&mut Json>, ty: &Type) {
    if let Some(schema) = schema {
        add(resolve, left, schema, ty);
    }
}

/// Lists the words of a type that have comments.
fn words<'a>(
    left: &mut usize,
    schema: &mut Json,
    words: impl Iterator<Item = (&'a str, &'a Comment)>,
) {
    let lines = words.filter_map(|(word, comment)| {
        let comment = taken(comment, left)?.replace('\n', " ");
        Some(format!("* `{word}`: {comment}"))
    });
    let lines: Vec<_> = lines.collect();
    if !lines.is_empty() {
        put(schema, &lines.join("\n"));
    }
}
