//! A text as its next reader may read it: with one level of escapes decoded.
//!
//! A value can be written in very many ways: each of its bytes percent-encoded or not, in upper or lower case, each of
//! its characters escaped for JSON or HTML or not. Listing the spellings of a value (the alternative) fails at the
//! first server that encodes one more character than expected, so the text is decoded instead: escapes are decoded on
//! the way, and every byte remembers its bytes in the original. Nothing is copied, so a body of any size needs a few
//! bytes of memory here. An escape need not be valid where it stands (`%41` in JSON); that only makes more texts match,
//! and masks too much rather than too little.

use std::collections::VecDeque;

/// One byte of the decoded text, and its range in the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) byte: u8,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The units of `text` without decoding.
pub(super) fn units(text: &[u8]) -> impl Iterator<Item = Unit> {
    text.iter().enumerate().map(|(i, &byte)| Unit {
        byte,
        start: i,
        end: i + 1,
    })
}

/// Returns whether `text` has any escapes.
pub(super) fn has_escapes(text: &[u8]) -> bool {
    memchr::memchr3(b'%', b'\\', b'&', text).is_some()
}

/// The units of `inner` with one level of escapes undone: `%41`, `\n`, `\x41`, `\u0041`, `&amp;`,
/// `&#65;`, `&#x41;`.
pub(super) struct Unescape<I> {
    inner: I,
    /// True if the text goes on behind the end of `inner`.
    more: bool,
    /// True if `inner` has ended.
    ended: bool,
    /// The start of an escape that the end of `inner` cuts.
    cut: Option<usize>,
    ahead: VecDeque<Unit>,
    /// The rest of a character of several bytes.
    out: VecDeque<Unit>,
}

/// The longest look-ahead, in characters: `#x10FFFF;` after a `&`, `u` and two surrogates after a `\`.
const LONGEST: usize = 11;

impl<I: Iterator<Item = Unit>> Unescape<I> {
    pub(super) fn new(inner: I) -> Unescape<I> {
        Unescape {
            inner,
            more: false,
            ended: false,
            cut: None,
            ahead: VecDeque::with_capacity(LONGEST + 1),
            out: VecDeque::new(),
        }
    }

    /// The units of the beginning of a text: they end before an escape of which the rest is yet to come.
    pub(super) fn beginning(inner: I) -> Unescape<I> {
        Unescape {
            more: true,
            ..Unescape::new(inner)
        }
    }

    /// The start of the escape before which the units ended.
    pub(super) fn cut(&self) -> Option<usize> {
        self.cut
    }

    pub(super) fn inner(&self) -> &I {
        &self.inner
    }

    fn byte(&mut self, index: usize) -> Option<u8> {
        while self.ahead.len() <= index {
            let Some(unit) = self.inner.next() else {
                self.ended = true;
                return None;
            };
            self.ahead.push_back(unit);
        }
        self.ahead.get(index).map(|unit| unit.byte)
    }

    fn digits(&mut self, from: usize, count: usize) -> Option<u32> {
        (from..from + count).try_fold(0, |number, i| {
            let digit = char::from(self.byte(i)?).to_digit(16)?;
            Some(number * 16 + digit)
        })
    }

    /// Reads the escape that begins with `mark`: its character, and the number of units after the
    /// mark.
    fn escape(&mut self, mark: u8) -> Option<(EscapedText, usize)> {
        match mark {
            b'%' => Some((EscapedText::Byte(self.digits(0, 2)? as u8), 2)),
            b'\\' => self.backslash(),
            b'&' => self.entity(),
            _ => None,
        }
    }

    fn backslash(&mut self) -> Option<(EscapedText, usize)> {
        let byte = match self.byte(0)? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            other @ (b'"' | b'\\' | b'/' | b'\'') => other,
            b'x' => return Some((EscapedText::Byte(self.digits(1, 2)? as u8), 3)),
            b'u' => {
                let first = self.digits(1, 4)?;
                if let Some(character) = char::from_u32(first) {
                    return Some((EscapedText::Character(character), 5));
                }
                // Half of a character outside the first plane: RFC 8259 section 7 writes two.
                if (self.byte(5)?, self.byte(6)?) != (b'\\', b'u') {
                    return None;
                }
                let second = self.digits(7, 4)?;
                let character = char::decode_utf16([first as u16, second as u16]).next()?;
                return Some((EscapedText::Character(character.ok()?), 11));
            }
            _ => return None,
        };
        Some((EscapedText::Byte(byte), 1))
    }

    fn entity(&mut self) -> Option<(EscapedText, usize)> {
        let mut name = Vec::with_capacity(LONGEST);
        let length = loop {
            match self.byte(name.len())? {
                b';' => break name.len() + 1,
                byte if name.len() < LONGEST => name.push(byte),
                _ => return None,
            }
        };
        let character = match &*name {
            b"amp" => '&',
            b"lt" => '<',
            b"gt" => '>',
            b"quot" => '"',
            b"apos" => '\'',
            [b'#', b'x' | b'X', digits @ ..] => number(digits, 16)?,
            [b'#', digits @ ..] => number(digits, 10)?,
            _ => return None,
        };
        Some((EscapedText::Character(character), length))
    }
}

enum EscapedText {
    Byte(u8),
    Character(char),
}

fn number(digits: &[u8], base: u32) -> Option<char> {
    let digits = std::str::from_utf8(digits).ok()?;
    char::from_u32(u32::from_str_radix(digits, base).ok()?)
}

impl<I: Iterator<Item = Unit>> Iterator for Unescape<I> {
    type Item = Unit;

    fn next(&mut self) -> Option<Unit> {
        if let Some(unit) = self.out.pop_front() {
            return Some(unit);
        }
        if self.cut.is_some() {
            return None;
        }
        let first = self.ahead.pop_front().or_else(|| self.inner.next())?;
        self.ended = false;
        let Some((escaped, length)) = self.escape(first.byte) else {
            if self.more && self.ended {
                self.cut = Some(first.start);
                return None;
            }
            return Some(first);
        };
        let end = self
            .ahead
            .drain(..length)
            .next_back()
            .map_or(first.end, |u| u.end);
        let mut room = [0; 4];
        let bytes = match escaped {
            EscapedText::Byte(byte) => {
                room[0] = byte;
                &room[..1]
            }
            EscapedText::Character(character) => character.encode_utf8(&mut room).as_bytes(),
        };
        let start = first.start;
        let units = bytes.iter().map(|&byte| Unit { byte, start, end });
        self.out.extend(units);
        self.out.pop_front()
    }
}

/// `text` with one level of escapes undone.
pub(super) fn unescaped(text: &[u8]) -> Vec<u8> {
    Unescape::new(units(text)).map(|unit| unit.byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once() {
        for (text, read) in [
            ("plain", "plain"),
            ("%41%6a%6A", "Ajj"),
            ("%2541", "%41"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz%%41", "%zz%A"),
            (r#"a\"b\\c\/d\n"#, "a\"b\\c/d\n"),
            (r"\u0041\u00E9\x41", "AéA"),
            (r"\ud83d\ude00", "\u{1f600}"),
            (r"\ud83d\u0041", r"\ud83dA"),
            (r"\ud83d", r"\ud83d"),
            (r"\q\", r"\q\"),
            ("&amp;&lt;&#65;&#x42;&apos;", "&<AB'"),
            ("a&b;c&", "a&b;c&"),
            ("&#99999999999;", "&#99999999999;"),
            ("&averylongname;", "&averylongname;"),
        ] {
            let undone = unescaped(text.as_bytes());
            assert_eq!(String::from_utf8(undone).unwrap(), read, "{text}");
        }
    }

    #[test]
    fn each_byte_keeps_its_range_in_the_original() {
        let places: Vec<_> = Unescape::new(units(r"a%41\u00e9b".as_bytes()))
            .map(|u| (u.byte, u.start, u.end))
            .collect();
        assert_eq!(
            places,
            [
                (b'a', 0, 1),
                (b'A', 1, 4),
                (0xc3, 4, 10),
                (0xa9, 4, 10),
                (b'b', 10, 11)
            ]
        );
        let twice: Vec<_> = Unescape::new(Unescape::new(units(b"x%2541y")))
            .map(|u| (u.byte, u.start, u.end))
            .collect();
        assert_eq!(twice, [(b'x', 0, 1), (b'A', 1, 6), (b'y', 6, 7)]);
    }
}
