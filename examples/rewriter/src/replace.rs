//! Replacing a text in a stream of pieces.

/// A replacement, and the bytes that may be the beginning of the text.
pub struct Replace {
    from: Vec<u8>,
    to: Vec<u8>,
    held: Vec<u8>,
}

impl Replace {
    pub fn new(from: &str, to: &str) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            held: vec![],
        }
    }

    /// The bytes that are final, now that this piece has come.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend(piece);
        if self.from.is_empty() {
            return std::mem::take(&mut self.held);
        }
        let (mut ready, mut at) = (vec![], 0);
        while let Some(rest) = self.held.get(at..) {
            if rest.starts_with(&self.from) {
                ready.extend(&self.to);
                at += self.from.len();
            } else if self.from.starts_with(rest) {
                break; // The next piece decides. Nothing is left, too, begins the text.
            } else {
                ready.push(rest[0]);
                at += 1;
            }
        }
        self.held.drain(..at.min(self.held.len()));
        ready
    }

    /// The bytes that were held back, at the end of the stream.
    pub fn end(self) -> Vec<u8> {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::Replace;

    fn replaced(pieces: &[&str], from: &str, to: &str) -> String {
        let mut replace = Replace::new(from, to);
        let mut all: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| replace.push(piece.as_bytes()))
            .collect();
        all.extend(replace.end());
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn a_text_is_replaced_wherever_it_is_cut() {
        let text = "an old cat, an older cat, an ol";
        for at in 0..text.len() {
            let (one, two) = text.split_at(at);
            assert_eq!(
                replaced(&[one, two], "old", "new"),
                "an new cat, an newer cat, an ol"
            );
        }
        let bytes: Vec<_> = text.split("").collect();
        assert_eq!(replaced(&bytes, "an old", "no"), "no cat, noer cat, an ol");
    }

    #[test]
    fn overlaps_and_empty_texts_are_replaced_right() {
        assert_eq!(replaced(&["aa", "ab"], "aab", "x"), "ax");
        assert_eq!(replaced(&["ab"], "", "x"), "ab");
        assert_eq!(replaced(&[], "a", "x"), "");
    }
}
