//! Exports that tools leave in a component, and that are taken away.
//!
//! componentize-qjs and componentize-py call a function `init` once, to hand a source or the name of an application to the
//! interpreter, take a snapshot, and leave the function in the component. There it would let every caller start the interpreter with
//! another script or application, under the grants of the function.
//!
//! An export adds one to the numbers of functions or instances, and later sections count on it. So its section is replaced by one
//! that adds one as well: a second alias of the function, or an instance without exports.

use super::Tool;
use std::ops::Range;

/// Ids of sections of a component (Binary.md of the component model).
const INSTANCE: u8 = 5;
const ALIAS: u8 = 6;
const EXPORT: u8 = 11;
/// The magic number, the version and the layer.
const HEAD: usize = 8;

/// An export that a tool leaves behind.
struct Leftover {
    /// Its name, after its length.
    name: &'static [u8],
    /// The sort of what is exported.
    sort: u8,
}

/// The function `init` of the world.
const QJS: Leftover = Leftover {
    name: b"\x04init",
    sort: 1,
};
/// The interface `exports`, whose only function is `init`.
const PY: Leftover = Leftover {
    name: b"\x07exports",
    sort: 5,
};
/// A section of one instance, which is made of no exports.
const EMPTY_INSTANCE: [u8; 5] = [INSTANCE, 3, 1, 1, 0];

/// The component without what its tool left behind.
///
/// # Errors
/// A sentence, for a component that is put together in another way.
pub(super) fn removed(component: Vec<u8>, tool: Tool) -> Result<Vec<u8>, String> {
    let leftover = match tool {
        Tool::ComponentizeQjs => QJS,
        Tool::ComponentizePy => PY,
        _ => return Ok(component),
    };
    let shape = || {
        format!(
            "{tool} made a component of an unknown shape: its export `init` would let callers start another script, and cannot be \
             taken away. Use the version that `iof new` pins"
        )
    };
    let sections = sections(&component).ok_or_else(shape)?;
    let content = |section: &Section| component.get(section.content.clone()).unwrap_or_default();
    let has_it =
        |section: &Section| section.id == EXPORT && contains(content(section), leftover.name);
    let mut found = sections
        .iter()
        .enumerate()
        .filter(|(_, section)| has_it(section));
    let (at, export) = match (found.next(), found.next()) {
        (None, _) => return Ok(component),
        (Some(found), None) => found,
        _ => return Err(shape()),
    };
    // One export, without a type of its own.
    let is_alone = content(export)
        .strip_prefix(b"\x01\x00")
        .and_then(|rest| rest.strip_prefix(leftover.name))
        .is_some_and(|rest| rest.first() == Some(&leftover.sort) && rest.last() == Some(&0));
    if !is_alone {
        return Err(shape());
    }
    let instead = match tool {
        Tool::ComponentizePy => &EMPTY_INSTANCE[..],
        _ => {
            // One alias of the function of an instance.
            let before = at.checked_sub(1).and_then(|before| sections.get(before));
            let alias = before.filter(|before| {
                before.id == ALIAS
                    && content(before).starts_with(b"\x01\x01\x00")
                    && content(before).ends_with(leftover.name)
            });
            let whole = alias.map(|alias| alias.whole.clone());
            whole
                .and_then(|whole| component.get(whole))
                .ok_or_else(shape)?
        }
    };
    let (before, after) = (
        component.get(..export.whole.start).unwrap_or_default(),
        component.get(export.whole.end..).unwrap_or_default(),
    );
    Ok([before, instead, after].concat())
}

/// A section of the outermost component.
struct Section {
    id: u8,
    /// With its id and its length.
    whole: Range<usize>,
    content: Range<usize>,
}

/// All sections; `None` if the bytes are not a component.
fn sections(component: &[u8]) -> Option<Vec<Section>> {
    let (mut sections, mut at) = (vec![], HEAD);
    while at < component.len() {
        let id = *component.get(at)?;
        let (length, start) = number(component, at + 1)?;
        let end = start
            .checked_add(length)
            .filter(|end| *end <= component.len())?;
        sections.push(Section {
            id,
            whole: at..end,
            content: start..end,
        });
        at = end;
    }
    Some(sections)
}

/// A number in LEB128 of at most 32 bits, and the position behind it.
fn number(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut number = 0;
    for (count, byte) in bytes.get(at..)?.iter().take(5).enumerate() {
        number |= usize::from(byte & 0x7f) << (7 * count);
        if byte & 0x80 == 0 {
            return Some((number, at + count + 1));
        }
    }
    None
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::{Tool, removed};
    use crate::Summary;

    /// A component as the tool makes them.
    fn component(exports: &str) -> Vec<u8> {
        let text = format!(
            "(component
                (component $c
                    (core module $m (func (export \"init\")) (func (export \"total\")))
                    (core instance $m (instantiate $m))
                    (func (export \"init\") (canon lift (core func $m \"init\")))
                    (func (export \"total\") (canon lift (core func $m \"total\"))))
                (instance $c (instantiate $c))
                {exports})"
        );
        wat::parse_str(text).unwrap()
    }

    fn exports(component: &[u8]) -> Vec<String> {
        let summary = Summary::of(component).unwrap();
        summary
            .exports
            .into_iter()
            .map(|export| export.name)
            .collect()
    }

    const TOTAL: &str =
        "(alias export $c \"total\" (func $total)) (export \"total\" (func $total))";

    #[test]
    fn the_export_is_gone_and_the_others_stay() {
        let whole = component(&format!(
            "(alias export $c \"init\" (func $init)) (export \"init\" (func $init)) {TOTAL}"
        ));
        assert_eq!(exports(&whole), ["init", "total"]);
        assert_eq!(
            exports(&removed(whole, Tool::ComponentizeQjs).unwrap()),
            ["total"]
        );
        let without = component(TOTAL);
        assert_eq!(
            removed(without.clone(), Tool::ComponentizeQjs).unwrap(),
            without
        );
    }

    #[test]
    fn an_interface_is_gone_and_the_next_one_stays() {
        let rest = "(alias export $c \"total\" (func $total))
            (instance $prices (export \"total\" (func $total))) (export \"local:app/prices\" (instance $prices))";
        let init = "(alias export $c \"init\" (func $init)) (instance $exports (export \"init\" (func $init)))";
        let whole = component(&format!(
            "{init} (export \"exports\" (instance $exports)) {rest} (export \"local:app/again\" (instance $prices))"
        ));
        assert_eq!(exports(&whole)[0], "exports#init");
        let removed = removed(whole, Tool::ComponentizePy).unwrap();
        assert_eq!(
            exports(&removed),
            ["local:app/prices#total", "local:app/again#total"]
        );
    }

    #[test]
    fn another_shape_is_refused() {
        let other = component(&format!(
            "{TOTAL} (alias export $c \"init\" (func $init)) (export $two \"initial\" (func $init)) (export \"init\" (func $init))"
        ));
        assert!(
            removed(other, Tool::ComponentizeQjs)
                .unwrap_err()
                .contains("Use the version that `iof new` pins")
        );
        assert!(removed(b"\0asm\x0d\0\x01\0\x0b\x7f".to_vec(), Tool::ComponentizePy).is_err());
    }
}
