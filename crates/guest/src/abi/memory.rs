//! The exports with which the server allocates memory for arguments: those of wasm-bindgen.
//!
//! An allocation of zero bytes is a dangling, aligned pointer that is never freed.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};

/// Memory for the server to write to.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub(crate) extern "C" fn __wbindgen_malloc(size: usize, align: usize) -> *mut u8 {
    let layout = layout(size, align);
    if size == 0 {
        return dangling(layout);
    }
    // SAFETY: the layout is not of size zero.
    let pointer = unsafe { alloc(layout) };
    if pointer.is_null() {
        handle_alloc_error(layout)
    }
    pointer
}

/// Changes the size of an allocation.
///
/// # Safety
/// `pointer`, `old` and `align` are those of an allocation of this module.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
#[allow(dead_code)]
pub(crate) unsafe extern "C" fn __wbindgen_realloc(
    pointer: *mut u8,
    old: usize,
    new: usize,
    align: usize,
) -> *mut u8 {
    if old == 0 {
        return __wbindgen_malloc(new, align);
    }
    let grown = layout(new, align);
    if new == 0 {
        // SAFETY: the caller's contract.
        unsafe { __wbindgen_free(pointer, old, align) };
        return dangling(grown);
    }
    // SAFETY: the allocation exists with this layout, and the new size is not zero.
    let pointer = unsafe { realloc(pointer, layout(old, align), new) };
    if pointer.is_null() {
        handle_alloc_error(grown)
    }
    pointer
}

/// Frees memory.
///
/// # Safety
/// `pointer`, `size` and `align` are those of an allocation of this module.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
#[allow(dead_code)]
pub(crate) unsafe extern "C" fn __wbindgen_free(pointer: *mut u8, size: usize, align: usize) {
    if size != 0 {
        // SAFETY: the allocation exists with this layout.
        unsafe { dealloc(pointer, layout(size, align)) }
    }
}

fn dangling(layout: Layout) -> *mut u8 {
    std::ptr::without_provenance_mut(layout.align())
}

/// A layout; ends the call if the server requests an impossible one, which it never should.
fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap_or_else(|_| std::process::abort())
}
