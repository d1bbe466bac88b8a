//! The export `init` of componentize-qjs, which is taken away.
//!
//! The tool calls it once, to hand the source to QuickJS, takes a snapshot, and leaves it in the component. There it would let
//! every caller give the interpreter another script, which runs with the grants of the function.
//!
//! An export adds one to the numbers of functions, and later sections count on it. So the section of the export becomes a second
//! alias of what it exports, which adds one as well.

use std::ops::Range;

const NAME: &[u8] = b"\x04init";
/// Ids of sections of a component (Binary.md of the component model).
const ALIAS: u8 = 6;
const EXPORT: u8 = 11;
/// The magic number, the version and the layer.
const HEAD: usize = 8;

/// The component without the export `init`, if it has one.
///
/// # Errors
/// A sentence, for a component that is put together in another way.
pub(super) fn without_init(component: Vec<u8>) -> Result<Vec<u8>, String> {
    let shape = || {
        "componentize-qjs made a component of an unknown shape: its export `init` would let callers run a script of their own, and \
         cannot be taken away. Use version 0.4.5"
            .to_owned()
    };
    let sections = sections(&component).ok_or_else(shape)?;
    let content = |range: &Range<usize>| component.get(range.clone()).unwrap_or_default();
    let is_init =
        |section: &Section| section.id == EXPORT && contains(content(&section.content), NAME);
    let Some(at) = sections.iter().position(is_init) else {
        return Ok(component);
    };
    let (export, before) = match at.checked_sub(1).and_then(|before| sections.get(before)) {
        Some(before) => (&sections[at], before),
        None => return Err(shape()),
    };
    // One export of a function, without a type of its own; before it, one alias of the export `init` of an instance.
    let one_export = content(&export.content)
        .strip_prefix(b"\x01\x00")
        .and_then(|rest| rest.strip_prefix(NAME))
        .is_some_and(|rest| rest.first() == Some(&1) && rest.last() == Some(&0));
    let one_alias = before.id == ALIAS
        && content(&before.content).starts_with(b"\x01\x01\x00")
        && content(&before.content).ends_with(NAME);
    if !one_export || !one_alias || sections.iter().skip(at + 1).any(is_init) {
        return Err(shape());
    }
    let parts = [
        component.get(..export.whole.start),
        component.get(before.whole.clone()),
        component.get(export.whole.end..),
    ];
    Ok(parts.into_iter().flatten().collect::<Vec<_>>().concat())
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
    use super::without_init;
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
        assert_eq!(exports(&without_init(whole).unwrap()), ["total"]);
        let without = component(TOTAL);
        assert_eq!(without_init(without.clone()).unwrap(), without);
    }

    #[test]
    fn another_shape_is_refused() {
        let other = component(&format!(
            "{TOTAL} (alias export $c \"init\" (func $init)) (export $two \"initial\" (func $init)) (export \"init\" (func $init))"
        ));
        assert!(
            without_init(other)
                .unwrap_err()
                .contains("Use version 0.4.5")
        );
        assert!(without_init(b"\0asm\x0d\0\x01\0\x0b\x7f".to_vec()).is_err());
    }
}
