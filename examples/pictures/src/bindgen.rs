//! The ABI of 2020 for bytes, by hand.
//!
//! In 2020 wasm-bindgen wrote these shims. It no longer builds for WASI targets, and the ABI is small: an export
//! that takes bytes and answers bytes is
//!
//! ```text
//! f(ret: *mut [usize; 2], ptr: *mut u8, len: usize)
//! ```
//!
//! * The host makes the argument with `__wbindgen_malloc(len, 1)` and writes the bytes into it. It belongs to the
//!   function from the call on: the function drops it, the host does not free it.
//! * The function writes pointer and length of its result to `ret`, which the host made the same way. The result
//!   belongs to the host, which reads it and frees it with `__wbindgen_free(ptr, len, 1)`.
//! * `memory` and the three allocator functions are exported. An allocation of nothing is a dangling, aligned
//!   pointer that nobody frees.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};

/// Runs `f` on an argument of the host and leaves its result in `ret`.
///
/// # Safety
/// `ret` is valid for a write of two words; `ptr` and `len` are an allocation of `__wbindgen_malloc(len, 1)` that
/// the caller gives up.
pub(crate) unsafe fn bytes(
    f: impl Fn(&[u8]) -> Vec<u8>,
    ret: *mut [usize; 2],
    ptr: *mut u8,
    len: usize,
) {
    // SAFETY: the allocation is of `len` bytes with alignment 1, as a Vec<u8> of that capacity has.
    let argument = unsafe { Vec::from_raw_parts(ptr, len, len) };
    let result = f(&argument).into_boxed_slice();
    let len = result.len();
    let ptr = Box::into_raw(result).cast::<u8>();
    // SAFETY: `ret` is valid for this write, says the caller; it need not be aligned for the host's sake.
    unsafe { ret.write_unaligned([ptr as usize, len]) };
}

/// Memory for the host to write to.
#[unsafe(no_mangle)]
extern "C" fn __wbindgen_malloc(size: usize, align: usize) -> *mut u8 {
    let layout = layout(size, align);
    if size == 0 {
        return layout.align() as *mut u8;
    }
    // SAFETY: the layout is not of size zero.
    let ptr = unsafe { alloc(layout) };
    if ptr.is_null() {
        handle_alloc_error(layout)
    }
    ptr
}

/// The same memory at another size.
///
/// # Safety
/// `ptr`, `old` and `align` are those of an allocation of this module.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wbindgen_realloc(
    ptr: *mut u8,
    old: usize,
    new: usize,
    align: usize,
) -> *mut u8 {
    if old == 0 {
        return __wbindgen_malloc(new, align);
    }
    if new == 0 {
        // SAFETY: the caller's contract.
        unsafe { __wbindgen_free(ptr, old, align) };
        return layout(new, align).align() as *mut u8;
    }
    let grown = layout(new, align);
    // SAFETY: the allocation exists with this layout, and the new size is not zero.
    let ptr = unsafe { realloc(ptr, layout(old, align), new) };
    if ptr.is_null() {
        handle_alloc_error(grown)
    }
    ptr
}

/// Gives memory back.
///
/// # Safety
/// `ptr`, `size` and `align` are those of an allocation of this module.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wbindgen_free(ptr: *mut u8, size: usize, align: usize) {
    if size != 0 {
        // SAFETY: the allocation exists with this layout.
        unsafe { dealloc(ptr, layout(size, align)) }
    }
}

/// A layout, or the end of the call: a host that asks for an impossible one has lost its way.
fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap_or_else(|_| std::process::abort())
}
