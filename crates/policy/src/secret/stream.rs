//! The mask over a response that comes in pieces.

use std::sync::Arc;

use super::mask::{Mask, Search, replace};

/// The mask over a text that comes in pieces, for secrets that are cut by their borders.
///
/// A piece is passed on up to the first position at which a secret, or an escape, may have begun that the next piece
/// completes. Most pieces end nowhere near one, and are passed on whole: an event of a stream waits for no other.
pub struct StreamMask {
    mask: Arc<Mask>,
    /// The end of the text so far, which may be a part of a secret: at most the longest secret in its longest spelling.
    held: Vec<u8>,
    /// The part of `held` that the last mask replaces already; `None` if something came after that mask.
    covered: Option<usize>,
}

impl StreamMask {
    /// A mask for a text that has not begun.
    pub fn new(mask: Arc<Mask>) -> StreamMask {
        StreamMask {
            mask,
            held: Vec::new(),
            covered: None,
        }
    }

    /// The next part of the masked text.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(piece);
        let Search { found, decided } = self.mask.occurrences(&self.held, true);
        self.pass(&found, decided)
    }

    /// The rest of the masked text, at its end.
    pub fn end(&mut self) -> Vec<u8> {
        let Search { found, .. } = self.mask.occurrences(&self.held, false);
        self.pass(&found, self.held.len())
    }

    fn pass(&mut self, found: &[(usize, usize)], decided: usize) -> Vec<u8> {
        let begun = found.partition_point(|(start, _)| *start < decided);
        let mut masked = Vec::with_capacity(decided);
        let (text, found) = (&self.held[..decided], &found[..begun]);
        replace(text, found, &mut self.covered, &mut masked);
        self.held.drain(..decided);
        masked
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;
    use crate::secret::mask::tests::mask;

    /// `text` through a [`StreamMask`], cut at `cuts`.
    fn streamed(mask: &Arc<Mask>, text: &[u8], cuts: &[usize]) -> Vec<u8> {
        let mut stream = StreamMask::new(Arc::clone(mask));
        let mut all = Vec::new();
        let mut at = 0;
        for cut in cuts {
            let cut = (*cut).clamp(at, text.len());
            all.extend(stream.push(&text[at..cut]));
            at = cut;
        }
        all.extend(stream.push(&text[at..]));
        all.extend(stream.end());
        all
    }

    #[test]
    fn a_secret_that_is_cut_is_found() {
        let mask = Arc::new(mask(&["s3cr/t+\"v&l\\ue=", "other"]));
        let base64 = STANDARD.encode("xs3cr/t+\"v&l\\ue=x");
        for text in [
            "s3cr/t+\"v&l\\ue=",
            "a s3cr%2Ft%2B%22v%26l%5Cue%3Dotherotherx",
            "s3cr%252Ft%252B%2522v%2526l%255Cue%253D%",
            r#"s3cr\/t+\u0022v\u0026l\\ue\u003d"#,
            "s3cr/t+&#34;v&#x26;l\\ue=&am",
            &base64,
            "s3cr/t s3cr/t+\"v&l\\u othe%",
        ] {
            let whole = mask.bytes(text.as_bytes()).unwrap_or(text.into());
            let every: Vec<_> = (0..text.len()).collect();
            assert_eq!(streamed(&mask, text.as_bytes(), &every), whole, "{text}");
            for first in every {
                assert_eq!(
                    streamed(&mask, text.as_bytes(), &[first]),
                    whole,
                    "{text} {first}"
                );
            }
        }
    }

    #[test]
    fn a_piece_without_a_beginning_of_a_secret_is_passed_on_at_once() {
        let mut stream = StreamMask::new(Arc::new(mask(&["T0ken-T0ken"])));
        assert_eq!(stream.push(b"data: {\"a\":1}\n\n"), b"data: {\"a\":1}\n\n");
        assert_eq!(stream.push(b"data: T0k"), b"data: ");
        assert_eq!(stream.push(b"en\n\n"), b"T0ken\n\n");
        assert_eq!(stream.push(b"100%"), b"100");
        assert_eq!(stream.push(b" T0ken-T0ken"), b"% ");
        assert_eq!(stream.push(b"T0ken-T0ken."), b"***.");
        assert_eq!(stream.end(), b"");
    }

    proptest! {
        /// A text in pieces is masked as the whole text is.
        #[test]
        fn pieces_are_masked_as_the_whole(
            text in "[ab%4&#;x12\\\\u0]{0,60}",
            values in proptest::collection::vec("[ab%4&;]{1,6}", 1..4),
            mut cuts in proptest::collection::vec(0..60usize, 0..8),
        ) {
            cuts.sort_unstable();
            let values: Vec<_> = values.iter().map(String::as_str).collect();
            let mask = Arc::new(mask(&values));
            let whole = mask.bytes(text.as_bytes()).unwrap_or(text.clone().into());
            prop_assert_eq!(streamed(&mask, text.as_bytes(), &cuts), whole);
        }
    }
}
