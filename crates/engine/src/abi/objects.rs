//! Texts that a guest made for JavaScript: the messages of its errors, the elements of its lists of texts.
//!
//! wasm-bindgen refers to a JavaScript value by a number, its handle. There is no JavaScript here, and only texts have
//! a meaning without it. So only texts are kept, with their handles, until the guest drops them. They count toward
//! `limits.memory`.

use crate::accounting::MemoryAccounting;
use crate::limits::LimitExceeded;

/// The first handle: above those that wasm-bindgen reserves, and above the address of any short text.
const FIRST: u32 = 0x4000_0000;
/// The bytes that one text takes besides its contents.
const OVERHEAD: usize = 64;
/// The most bytes that are kept of the latest text.
const LAST: usize = 4096;

/// The texts of one instance.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    texts: Vec<Option<String>>,
    free: Vec<usize>,
    /// The beginning of the latest text: all that is known about an error that is returned as a reference.
    last: Option<String>,
}

impl Objects {
    /// Keeps a text, and returns its handle.
    ///
    /// # Errors
    /// [`LimitExceeded::Memory`]
    pub(crate) fn insert(
        &mut self,
        text: String,
        space: &mut MemoryAccounting,
    ) -> Result<u32, LimitExceeded> {
        self.note(&text);
        if !space.take(text.len() + OVERHEAD) {
            return Err(LimitExceeded::Memory);
        }
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.texts.push(None);
                self.texts.len() - 1
            }
        };
        let handle = u32::try_from(at).ok().and_then(|at| FIRST.checked_add(at));
        let handle = handle.ok_or(LimitExceeded::Memory)?;
        if let Some(place) = self.texts.get_mut(at) {
            *place = Some(text);
        }
        Ok(handle)
    }

    /// Records a text that has no handle.
    pub(crate) fn note(&mut self, text: &str) {
        let end = text.floor_char_boundary(LAST);
        self.last = text.get(..end).map(str::to_owned);
    }

    pub(crate) fn get(&self, handle: u32) -> Option<&str> {
        let at = handle.checked_sub(FIRST)? as usize;
        self.texts.get(at)?.as_deref()
    }

    /// Removes a text; its handle may be used again.
    pub(crate) fn remove(&mut self, handle: u32, space: &mut MemoryAccounting) -> Option<String> {
        let at = handle.checked_sub(FIRST)? as usize;
        let text = self.texts.get_mut(at)?.take()?;
        self.free.push(at);
        space.give_back(text.len() + OVERHEAD);
        Some(text)
    }

    /// The latest text.
    pub(crate) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }
}

/// The data of a store whose guest may make texts.
pub(crate) trait Holder: Send + 'static {
    /// The texts, and the memory account that they count toward.
    fn objects(&mut self) -> (&mut Objects, &mut MemoryAccounting);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use bytesize::ByteSize;

    #[test]
    fn texts_count_until_they_are_dropped() {
        let limits = Limits {
            memory: ByteSize::b(300),
            ..Limits::default()
        };
        let (mut objects, mut space) = (Objects::default(), MemoryAccounting::new(&limits));
        let first = objects.insert("a".repeat(100), &mut space).unwrap();
        let second = objects.insert("b".into(), &mut space).unwrap();
        assert!(objects.insert("c".repeat(100), &mut space).is_err());
        assert_eq!(objects.get(first).unwrap().len(), 100);
        objects.remove(first, &mut space).unwrap();
        assert!(objects.remove(first, &mut space).is_none());
        let third = objects.insert("d".repeat(100), &mut space).unwrap();
        assert_eq!((objects.get(second), third), (Some("b"), first));
        for handle in [0, 1028, FIRST - 1, FIRST + 2, u32::MAX] {
            assert!(objects.get(handle).is_none());
        }
        objects.note(&"\u{e9}".repeat(4000));
        assert_eq!(objects.last().unwrap().len(), LAST);
    }
}
