//! Compiled code without its zeros.
//!
//! Most of a small module's compiled code is padding to pages and the empty heap of its start-up. It is stored as runs
//! of bytes with only zeros between them, and read back into a file that consists of zeros at first. Unlike
//! decompression, this takes almost no time, and a call of an unloaded function waits for it.
//!
//! Layout: the length of the code (eight bytes), then for each run the number of zeros before it (four bytes), its length
//! (four bytes) and its bytes. All numbers are little-endian.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Bytes of a page.
const PAGE: u64 = 4096;
/// The fewest zeros that end a run: a run costs eight bytes and a system call.
const ZEROS: usize = 256;

/// Appends `code` to `packed`.
///
/// # Errors
/// `None` if the code is longer than 4 GiB.
pub(super) fn pack(code: &[u8], packed: &mut Vec<u8>) -> Option<()> {
    u32::try_from(code.len()).ok()?;
    packed.extend_from_slice(&(code.len() as u64).to_le_bytes());
    let mut rest = code;
    while let Some(zeros) = rest.iter().position(|byte| *byte != 0) {
        rest = rest.get(zeros..)?;
        let run = run(rest);
        for number in [zeros, run.len()] {
            packed.extend_from_slice(&u32::try_from(number).ok()?.to_le_bytes());
        }
        packed.extend_from_slice(run);
        rest = rest.get(run.len()..)?;
    }
    Some(())
}

/// The bytes up to the next [`ZEROS`] zeros, or to the last byte that is not zero.
fn run(bytes: &[u8]) -> &[u8] {
    let (mut end, mut zeros) = (0, 0);
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != 0 {
            (end, zeros) = (at + 1, 0);
            continue;
        }
        zeros += 1;
        if zeros == ZEROS {
            break;
        }
    }
    bytes.get(..end).unwrap_or(bytes)
}

/// Packed code.
#[derive(Clone, Copy)]
pub(crate) struct PackedCode<'a> {
    length: u64,
    runs: &'a [u8],
}

impl<'a> PackedCode<'a> {
    /// Reads the length; `None` if it is missing.
    pub(super) fn read(packed: &'a [u8]) -> Option<Self> {
        let (length, runs) = packed.split_first_chunk()?;
        let length = u64::from_le_bytes(*length);
        // Longer code is never packed; a corrupt length must not make a file of that size.
        u32::try_from(length).ok()?;
        Some(Self { length, runs })
    }

    /// Writes the code into an empty file.
    ///
    /// # Errors
    /// `InvalidData` if the runs are corrupt; the errors of the file.
    pub(super) fn write(self, file: &File) -> io::Result<()> {
        file.set_len(self.length)?;
        for run in self.runs() {
            let (at, bytes) = run?;
            file.write_all_at(bytes, at)?;
        }
        Ok(())
    }

    /// The code, if it is whole and not longer than `most`.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn unpacked(self, most: u64) -> Option<Vec<u8>> {
        let length = usize::try_from(self.length).ok()?;
        let mut code = vec![0; (self.length <= most).then_some(length)?];
        for run in self.runs() {
            let (at, bytes) = run.ok()?;
            let at = usize::try_from(at).ok()?;
            code.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        }
        Some(code)
    }

    /// The bytes of memory that the code takes: its pages that are not all zeros.
    pub(crate) fn resident(self) -> u64 {
        let pages = |(at, bytes): (u64, &[u8])| {
            let end = (at + bytes.len() as u64).next_multiple_of(PAGE);
            end - at / PAGE * PAGE
        };
        self.runs().map_while(Result::ok).map(pages).sum()
    }

    fn runs(self) -> impl Iterator<Item = io::Result<(u64, &'a [u8])>> {
        let torn = || io::Error::new(io::ErrorKind::InvalidData, "its code is torn");
        let (mut rest, mut at) = (self.runs, 0u64);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let run = (|| {
                let (zeros, after) = rest.split_first_chunk()?;
                let (length, after) = after.split_first_chunk()?;
                let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                let (bytes, after) = after.split_at_checked(length)?;
                let start = at + u64::from(u32::from_le_bytes(*zeros));
                (rest, at) = (after, start + bytes.len() as u64);
                (at <= self.length).then_some((start, bytes))
            })();
            if run.is_none() {
                rest = &[];
            }
            Some(run.ok_or_else(torn))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(code: &[u8]) -> Vec<u8> {
        let mut packed = vec![];
        pack(code, &mut packed).unwrap();
        packed
    }

    fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
        let file = tempfile::tempfile().unwrap();
        PackedCode::read(packed)?.write(&file).ok()?;
        let mut code = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut code, 0).unwrap();
        Some(code)
    }

    proptest! {
        #[test]
        fn code_comes_back(parts in prop::collection::vec((0usize..3 * ZEROS, 0usize..40, any::<u8>()), 0..8)) {
            let mut code = vec![];
            for (zeros, length, byte) in parts {
                code.resize(code.len() + zeros, 0);
                code.resize(code.len() + length, byte);
            }
            let packed = packed(&code);
            prop_assert_eq!(unpacked(&packed), Some(code));
        }

        #[test]
        fn whatever_is_read_is_bounded(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut torn = 100u64.to_le_bytes().to_vec();
            torn.extend(bytes);
            if let Some(code) = unpacked(&torn) {
                prop_assert_eq!(code.len(), 100);
            }
        }
    }

    #[test]
    fn zeros_take_no_room() {
        let mut code = vec![0; 1 << 20];
        code[5] = 1;
        code[1 << 19] = 2;
        assert_eq!(packed(&code).len(), 8 + 2 * 9);
        assert_eq!(unpacked(&packed(&code)), Some(code));
        assert_eq!(unpacked(&packed(&[])), Some(vec![]));
        assert_eq!(unpacked(&packed(&[0; 9])), Some(vec![0; 9]));
    }

    #[test]
    fn torn_code_is_refused() {
        let whole = packed(&[1; 50]);
        for length in 0..whole.len() {
            // A file cut right after the length reads as code of zeros; only the store's MAC distinguishes it from a
            // whole one.
            if length != 8 {
                assert_eq!(unpacked(&whole[..length]), None, "{length}");
            }
        }
        assert_eq!(unpacked(&[0xff; 8]), None);
    }
}
