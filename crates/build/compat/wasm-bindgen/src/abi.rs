//! The border of the sandbox, in core types: the one module of this crate with `unsafe` code.
//!
//! ```text
//! f(ret: *mut [usize; 2], ptr: *mut u8, len: usize, number: i64)
//! ```
//!
//! * A text or a byte array goes in as address and length. The host makes it with `__wbindgen_malloc(len, 1)`; from the
//!   call on it belongs to the function.
//! * It comes out through `ret`, the return area that the host made the same way. It belongs to the host, which may
//!   free it with `__wbindgen_free(ptr, len, 1)`.
//! * A number is one parameter, or the result.
//! * An allocation of nothing is a dangling, aligned address that nobody frees.
//!
//! A shim does not know how many parameters a type takes: it has two for each, and one that is `()` is none in wasm.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};

/// The place at which the host expects the address and length of a result.
pub type Area = *mut [usize; 2];

/// The form in which an argument arrives.
pub trait Incoming {
    /// The first core parameter.
    type First;
    /// The second, or `()`.
    type Second;
    /// The value for which the core parameters stand.
    ///
    /// # Safety
    /// They come from a host that keeps the contract of this module.
    unsafe fn take(first: Self::First, second: Self::Second) -> Self;
}

/// The form in which a result leaves.
pub trait Outgoing {
    /// [`Area`], or `()`.
    type Area;
    /// The core result, or `()`.
    type Core;
    /// Hands the result to the host.
    ///
    /// # Safety
    /// An [`Area`] is valid for a write of two words.
    unsafe fn give(self, area: Self::Area) -> Self::Core;
}

impl Incoming for Vec<u8> {
    type First = *mut u8;
    type Second = usize;
    unsafe fn take(first: *mut u8, second: usize) -> Self {
        // SAFETY: an allocation of `second` bytes with alignment 1, as a Vec<u8> of that capacity has; it is ours now.
        unsafe { Vec::from_raw_parts(first, second, second) }
    }
}

impl Outgoing for Vec<u8> {
    type Area = Area;
    type Core = ();
    unsafe fn give(self, area: Area) {
        let bytes = self.into_boxed_slice();
        let length = bytes.len();
        let address = Box::into_raw(bytes).cast::<u8>();
        // SAFETY: the caller's contract; the host need not have aligned it.
        unsafe { area.write_unaligned([address as usize, length]) }
    }
}

impl Outgoing for () {
    type Area = ();
    type Core = ();
    unsafe fn give(self, (): ()) {}
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl Incoming for $number {
            type First = $number;
            type Second = ();
            unsafe fn take(first: $number, (): ()) -> Self {
                first
            }
        }
        impl Outgoing for $number {
            type Area = ();
            type Core = $number;
            unsafe fn give(self, (): ()) -> $number {
                self
            }
        }
    )*};
}
numbers!(i32 i64 f32 f64);

#[cfg(target_family = "wasm")]
#[link(wasm_import_module = "iof")]
unsafe extern "C" {
    #[link_name = "fail"]
    fn host_fail(code: *const u8, code_len: usize, message: *const u8, message_len: usize) -> !;
}

/// Ends the call: a fault of this function with a code and a text.
pub fn fail(code: &str, message: &str) -> ! {
    #[cfg(target_family = "wasm")]
    // SAFETY: both are valid for reads of their lengths; the host copies them and does not come back.
    unsafe {
        host_fail(code.as_ptr(), code.len(), message.as_ptr(), message.len())
    }
    // A test on the author's machine: what would end the call ends the test, and says why.
    #[cfg(not(target_family = "wasm"))]
    panic!("{code}: {message}")
}

/// Memory for the host to write to.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub extern "C" fn __wbindgen_malloc(size: usize, align: usize) -> *mut u8 {
    let layout = layout(size, align);
    if size == 0 {
        return layout.align() as *mut u8;
    }
    // SAFETY: the layout is not of size zero.
    let address = unsafe { alloc(layout) };
    if address.is_null() {
        handle_alloc_error(layout)
    }
    address
}

/// The same memory at another size.
///
/// # Safety
/// `address`, `old` and `align` are those of an allocation of this module.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub unsafe extern "C" fn __wbindgen_realloc(
    address: *mut u8,
    old: usize,
    new: usize,
    align: usize,
) -> *mut u8 {
    if old == 0 {
        return __wbindgen_malloc(new, align);
    }
    if new == 0 {
        // SAFETY: the caller's contract.
        unsafe { __wbindgen_free(address, old, align) };
        return __wbindgen_malloc(0, align);
    }
    let grown = layout(new, align);
    // SAFETY: the allocation exists with this layout, and the new size is neither zero nor too large.
    let moved = unsafe { realloc(address, layout(old, align), new) };
    if moved.is_null() {
        handle_alloc_error(grown)
    }
    moved
}

/// Gives memory back.
///
/// # Safety
/// `address`, `size` and `align` are those of an allocation of this module.
#[cfg_attr(target_family = "wasm", unsafe(no_mangle))]
pub unsafe extern "C" fn __wbindgen_free(address: *mut u8, size: usize, align: usize) {
    if size != 0 {
        // SAFETY: the allocation exists with this layout.
        unsafe { dealloc(address, layout(size, align)) }
    }
}

/// A layout, or the end of the call: a host that asks for an impossible one has lost its way.
fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap_or_else(|_| std::process::abort())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_go_in_and_come_out() {
        let length = 5;
        let address = __wbindgen_malloc(length, 1);
        // SAFETY: five bytes that were just made, then given up; the area is a local.
        let result = unsafe {
            address.copy_from_nonoverlapping(b"hello".as_ptr(), length);
            let taken = Vec::<u8>::take(address, length);
            assert_eq!(taken, b"hello");
            let mut area = [0; 2];
            taken.give(&raw mut area);
            Vec::<u8>::take(area[0] as *mut u8, area[1])
        };
        assert_eq!(result, b"hello");
    }

    #[test]
    fn nothing_is_no_allocation() {
        let address = __wbindgen_malloc(0, 8);
        assert_eq!(address as usize, 8);
        // SAFETY: no memory stands behind it, whatever is done with it.
        unsafe {
            let grown = __wbindgen_realloc(address, 0, 16, 8);
            let gone = __wbindgen_realloc(grown, 16, 0, 8);
            assert_eq!(gone as usize, 8);
            __wbindgen_free(gone, 0, 8);
            assert_eq!(Vec::<u8>::take(__wbindgen_malloc(0, 1), 0), b"");
        }
    }

    #[test]
    #[should_panic(expected = "error: no")]
    fn off_wasm_a_failure_is_a_panic() {
        fail("error", "no")
    }
}
