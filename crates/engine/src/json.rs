//! A JSON tokenizer. It builds no tree, so it takes only one byte of memory for each open bracket.
//!
//! The grammar is that of RFC 8259, as JavaScript reads it: a text may contain unpaired surrogates, and numbers have
//! any length. Nothing recurses, so depth costs no stack.

/// A token of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// `{`
    BeginObject,
    /// `}`
    EndObject,
    /// `[`
    BeginArray,
    /// `]`
    EndArray,
    /// The name of a field, in its quotes.
    Key,
    /// A string, in its quotes.
    Text,
    /// A number.
    Number,
    /// `true`, `false` or `null`.
    Word,
}

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    /// The byte at which the error shows, from 0.
    pub at: usize,
}

/// A reader of one JSON text.
#[derive(Debug)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The open brackets: true for that of an object.
    open: Vec<bool>,
    next: Next,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    CommaOrEnd,
    Nothing,
}

impl<'a> Scanner<'a> {
    /// A reader at the beginning of a text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            open: Vec::new(),
            next: Next::Value,
        }
    }

    /// The number of brackets that are open.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.open.len()
    }

    /// The position in bytes after the last token (for a key, after its colon).
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next token and its text; `None` after the end of the value.
    ///
    /// # Errors
    /// [`NotJson`]
    pub fn token(&mut self) -> Result<Option<(Token, &'a str)>, NotJson> {
        let mut first = self.peek();
        if let (Next::CommaOrEnd, Some(b',')) = (self.next, first) {
            self.at += 1;
            first = self.peek();
            self.next = match self.open.last() {
                Some(true) => Next::Key,
                _ => Next::Value,
            };
        }
        let Some(first) = first else {
            return match self.next {
                Next::Nothing => Ok(None),
                _ => Err(self.broken()),
            };
        };
        let start = self.at;
        let token = match (self.next, first) {
            (Next::KeyOrEnd | Next::CommaOrEnd, b'}') if self.open.last() == Some(&true) => {
                self.close();
                Token::EndObject
            }
            (Next::ValueOrEnd | Next::CommaOrEnd, b']') if self.open.last() == Some(&false) => {
                self.close();
                Token::EndArray
            }
            (Next::Key | Next::KeyOrEnd, b'"') => {
                self.string()?;
                let end = self.at;
                if self.peek() != Some(b':') {
                    return Err(self.broken());
                }
                self.at += 1;
                self.next = Next::Value;
                return Ok(Some((Token::Key, self.piece(start, end)?)));
            }
            (Next::Value | Next::ValueOrEnd, _) => self.value(first)?,
            _ => return Err(self.broken()),
        };
        Ok(Some((token, self.piece(start, self.at)?)))
    }

    fn value(&mut self, first: u8) -> Result<Token, NotJson> {
        let token = match first {
            b'{' => {
                (self.at, self.next) = (self.at + 1, Next::KeyOrEnd);
                self.open.push(true);
                return Ok(Token::BeginObject);
            }
            b'[' => {
                (self.at, self.next) = (self.at + 1, Next::ValueOrEnd);
                self.open.push(false);
                return Ok(Token::BeginArray);
            }
            b'"' => {
                self.string()?;
                Token::Text
            }
            b'-' | b'0'..=b'9' => {
                self.number()?;
                Token::Number
            }
            _ => {
                let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
                let words: [&[u8]; 3] = [b"true", b"false", b"null"];
                let word = words.into_iter().find(|word| rest.starts_with(word));
                self.at += word.ok_or_else(|| self.broken())?.len();
                Token::Word
            }
        };
        self.after_value();
        Ok(token)
    }

    fn close(&mut self) {
        self.at += 1;
        self.open.pop();
        self.after_value();
    }

    fn after_value(&mut self) {
        self.next = match self.open.is_empty() {
            true => Next::Nothing,
            false => Next::CommaOrEnd,
        };
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Skips a string, beginning at its opening quote.
    fn string(&mut self) -> Result<(), NotJson> {
        let bytes = self.text.as_bytes();
        self.at += 1;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.at += self.escape()?,
                Some(b' '..) => self.at += 1,
                _ => return Err(self.broken()),
            }
        }
    }

    /// The length of an escape, in bytes.
    fn escape(&self) -> Result<usize, NotJson> {
        let rest = self.text.as_bytes().get(self.at + 1..).unwrap_or_default();
        match rest {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Ok(2),
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|d| d.is_ascii_hexdigit()) => Ok(6),
            _ => Err(self.broken()),
        }
    }

    fn number(&mut self) -> Result<(), NotJson> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        if !self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.broken());
        }
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn piece(&self, start: usize, end: usize) -> Result<&'a str, NotJson> {
        self.text.get(start..end).ok_or_else(|| self.broken())
    }

    fn broken(&self) -> NotJson {
        NotJson { at: self.at }
    }
}

/// The texts of the first `most` elements of an array; `None` if the text is not a JSON array.
pub(crate) fn elements(text: &str, most: usize) -> Option<Vec<&str>> {
    let mut scanner = Scanner::new(text);
    let (Token::BeginArray, _) = scanner.token().ok()?? else {
        return None;
    };
    let (mut elements, mut start) = (Vec::new(), None);
    while let Some((token, piece)) = scanner.token().ok()? {
        let end = scanner.position();
        // An element begins at its first token; a closing bracket ends an element that began earlier.
        let begins = start.is_none() && token != Token::EndArray;
        if begins {
            start = Some(end - piece.len());
        }
        if scanner.depth() == 1
            && let Some(start) = start.take()
            && elements.len() < most
        {
            elements.push(text.get(start..end)?);
        }
    }
    Some(elements)
}

/// Returns whether a text is one JSON value, of any depth.
#[must_use]
pub fn is_json(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    loop {
        match scanner.token() {
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_has_its_elements() {
        assert_eq!(
            elements(" [ 1.0, [2, [3]] ,{\"a\": []},\"x]\",null ] ", 9),
            Some(vec!["1.0", "[2, [3]]", "{\"a\": []}", "\"x]\"", "null"])
        );
        assert_eq!(elements("[1,2,3]", 2), Some(vec!["1", "2"]));
        assert_eq!(elements("[]", 2), Some(vec![]));
        for text in ["{}", "[1,]", "[1", "[1]]", "", "[1] 2", "[[1]"] {
            assert_eq!(elements(text, 9), None, "{text}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(is_json(&deep));
        assert!(!is_json(&"[{\"a\":".repeat(1_000_000)));
    }

    #[test]
    fn halves_of_pairs_are_texts_of_javascript() {
        assert!(is_json(r#""\ud83d""#));
        assert!(is_json(&format!("[{}]", "9".repeat(1_000_000))));
    }

    proptest::proptest! {
        /// The scanner accepts exactly the texts that serde_json accepts.
        #[test]
        fn the_grammar_is_that_of_serde_json(text in "[\\[\\]{}:,\"0-9eE.+\\-a-z \\\\\n]{0,30}") {
            let known = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            proptest::prop_assert_eq!(is_json(&text), known, "{}", text);
        }
    }
}
