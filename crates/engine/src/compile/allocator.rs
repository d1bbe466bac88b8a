//! The exports with which a module lets the host allocate in its memory.

use super::functions::{Functions, is};
use crate::manifest::{Allocator, Core};

pub(super) const I32: Core = Core::I32;
/// The allocator that the crate `wasmedge-bindgen` exports, which identifies its modules.
pub(super) const ALLOCATE: &str = "allocate";
pub(super) const DEALLOCATE: &str = "deallocate";

/// The allocator of wasm-bindgen or wasmedge-bindgen.
pub(super) fn find(types: &Functions) -> Option<Allocator> {
    bindgen(types).or_else(|| {
        let theirs = is(types, ALLOCATE, &[I32], &[I32]) && is(types, DEALLOCATE, &[I32, I32], &[]);
        theirs.then(|| Allocator {
            malloc: ALLOCATE.to_owned(),
            takes_align: false,
            free: Some(DEALLOCATE.to_owned()),
        })
    })
}

/// `__wbindgen_malloc`, or its name in a module that the tool stripped: the one `__wbindgen_export*` of its type.
fn bindgen(types: &Functions) -> Option<Allocator> {
    let arity = |name: &str| {
        let (params, results) = types.get(name)?;
        let integers = params.iter().chain(results).all(|core| *core == I32);
        (integers && results.len() == 1).then_some(params.len())
    };
    let malloc = if arity("__wbindgen_malloc").is_some() {
        "__wbindgen_malloc".to_owned()
    } else {
        let mut candidates = types.keys().filter(|name| {
            name.starts_with("__wbindgen_export") && matches!(arity(name), Some(1 | 2))
        });
        let only = candidates.next()?;
        if candidates.next().is_some() {
            return None;
        }
        only.clone()
    };
    let takes_align = match arity(&malloc)? {
        1 => false,
        2 => true,
        _ => return None,
    };
    const FREE: &str = "__wbindgen_free";
    Some(Allocator {
        malloc,
        takes_align,
        free: types.contains_key(FREE).then(|| FREE.to_owned()),
    })
}
