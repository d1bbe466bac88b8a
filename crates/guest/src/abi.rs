//! The boundary to the server as safe types and functions. All `unsafe` code is in this module.
//!
//! [`Area`] and [`Pointer`] have no constructor. They are made as parameters of an exported function, which only the
//! server calls, and the server keeps the contract that is written at each; their methods rely on that.

#![allow(unsafe_code)]

#[cfg(target_family = "wasm")]
pub(crate) mod imports;
mod memory;

/// An argument's bytes: an allocation of `__wbindgen_malloc`, with alignment 1, that the server hands over.
#[repr(transparent)]
pub struct Pointer(*mut u8);

impl Pointer {
    /// The bytes. `length` is the parameter behind the pointer.
    #[must_use]
    pub fn take(self, length: usize) -> Vec<u8> {
        // SAFETY: the server made this allocation of `length` bytes with alignment 1, which is that of a `Vec<u8>` of
        // this capacity, wrote all of it, and handed it over. Of length zero it is dangling and not null, as in a
        // `Vec`.
        unsafe { Vec::from_raw_parts(self.0, length, length) }
    }
}

/// The return area: room for a pointer and a length.
#[repr(transparent)]
pub struct Area(*mut [usize; 2]);

impl Area {
    /// Hands the result over. It belongs to the server now, which may free it with `__wbindgen_free(ptr, len, 1)`.
    pub fn fill(self, result: Vec<u8>) {
        let result = result.into_boxed_slice(); // without spare capacity, because the length is also the freed size
        let length = result.len();
        let pointer = Box::into_raw(result).cast::<u8>();
        // SAFETY: the server made the area, of at least two words, for this write. It need not be aligned.
        unsafe { self.0.write_unaligned([pointer as usize, length]) };
    }
}

#[cfg(test)]
mod tests {
    use super::memory::{__wbindgen_free, __wbindgen_malloc, __wbindgen_realloc};
    use super::*;

    /// A pointer, as the server makes one.
    fn given(bytes: &[u8]) -> Pointer {
        let pointer = __wbindgen_malloc(bytes.len(), 1);
        // SAFETY: the allocation has this length.
        unsafe { pointer.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Pointer(pointer)
    }

    #[test]
    fn bytes_are_taken_over_and_handed_over() {
        for bytes in [&b""[..], b"a", b"some text"] {
            let argument = given(bytes).take(bytes.len());
            assert_eq!(argument, bytes);
            let mut area = [0; 2];
            let mut result = Vec::with_capacity(100);
            result.extend(argument);
            Area(&raw mut area).fill(result);
            let [pointer, length] = area;
            // SAFETY: the allocation was filled above, and is freed once.
            unsafe {
                let seen = std::slice::from_raw_parts(pointer as *const u8, length);
                assert_eq!(seen, bytes);
                __wbindgen_free(pointer as *mut u8, length, 1);
            }
        }
    }

    #[test]
    fn an_allocation_grows_and_is_freed() {
        let pointer = given(b"abc").0;
        // SAFETY: each call gets the result of the one before it.
        unsafe {
            let pointer = __wbindgen_realloc(pointer, 3, 5000, 1);
            assert_eq!(std::slice::from_raw_parts(pointer, 3), b"abc");
            let pointer = __wbindgen_realloc(pointer, 5000, 0, 1);
            assert_eq!(pointer as usize, 1, "an allocation of nothing dangles");
            let pointer = __wbindgen_realloc(pointer, 0, 8, 8);
            assert_eq!(pointer as usize % 8, 0);
            __wbindgen_free(pointer, 8, 8);
        }
        __wbindgen_malloc(0, 4);
    }
}
