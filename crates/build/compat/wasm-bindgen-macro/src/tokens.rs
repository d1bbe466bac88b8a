//! Looking at tokens.

use crate::proc_macro::{Delimiter, Spacing, Span, TokenStream, TokenTree};

/// The rest of some tokens.
pub(crate) struct Tokens {
    all: Vec<TokenTree>,
    at: usize,
}

impl Tokens {
    pub(crate) fn new(stream: TokenStream) -> Self {
        Self {
            all: stream.into_iter().collect(),
            at: 0,
        }
    }

    pub(crate) fn peek(&self) -> Option<&TokenTree> {
        self.all.get(self.at)
    }

    pub(crate) fn next(&mut self) -> Option<TokenTree> {
        let token = self.all.get(self.at).cloned();
        self.at += usize::from(token.is_some());
        token
    }

    /// Takes the identifier `word` if it is next.
    pub(crate) fn word(&mut self, word: &str) -> Option<Span> {
        match self.peek() {
            Some(TokenTree::Ident(ident)) if ident.to_string() == word => {
                let span = ident.span();
                self.at += 1;
                Some(span)
            }
            _ => None,
        }
    }

    /// Takes the character `c` if it is next.
    pub(crate) fn punct(&mut self, c: char) -> bool {
        let found = matches!(self.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == c);
        self.at += usize::from(found);
        found
    }

    /// Takes a group if it is next.
    pub(crate) fn group(&mut self, delimiter: Delimiter) -> Option<TokenStream> {
        match self.peek() {
            Some(TokenTree::Group(group)) if group.delimiter() == delimiter => {
                let stream = group.stream();
                self.at += 1;
                Some(stream)
            }
            _ => None,
        }
    }

    /// True if a group is next.
    pub(crate) fn at_group(&self, delimiter: Delimiter) -> bool {
        matches!(self.peek(), Some(TokenTree::Group(group)) if group.delimiter() == delimiter)
    }

    /// Takes attributes; answers what is inside of their brackets.
    pub(crate) fn attributes(&mut self) -> Vec<TokenStream> {
        let mut attributes = vec![];
        loop {
            let start = self.at;
            let inside = self.punct('#').then(|| self.group(Delimiter::Bracket));
            match inside.flatten() {
                Some(inside) => attributes.push(inside),
                None => {
                    self.at = start;
                    return attributes;
                }
            }
        }
    }

    /// Takes tokens up to one for which `end` holds, outside of angle brackets.
    pub(crate) fn until(&mut self, end: impl Fn(&TokenTree) -> bool) -> TokenStream {
        let start = self.at;
        let (mut depth, mut arrow) = (0_usize, false);
        while let Some(token) = self.peek() {
            if depth == 0 && end(token) {
                break;
            }
            let was_arrow = std::mem::take(&mut arrow);
            if let TokenTree::Punct(punct) = token {
                match punct.as_char() {
                    '<' => depth += 1,
                    // That of `->` closes nothing.
                    '>' if !was_arrow => depth = depth.saturating_sub(1),
                    '-' => arrow = punct.spacing() == Spacing::Joint,
                    _ => {}
                }
            }
            self.at += 1;
        }
        self.all[start..self.at].iter().cloned().collect()
    }

    /// The rest.
    pub(crate) fn rest(self) -> TokenStream {
        self.all.into_iter().skip(self.at).collect()
    }

    /// Its place: the next token, or the attribute as a whole.
    pub(crate) fn span(&self) -> Span {
        self.peek().map_or_else(Span::call_site, TokenTree::span)
    }
}

/// True if a token is this character.
pub(crate) fn is(token: &TokenTree, c: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == c)
}

/// The tokens, without the invisible brackets in which `macro_rules!` hands a type on.
pub(crate) fn visible(stream: TokenStream) -> TokenStream {
    let mut tokens = stream.clone().into_iter();
    match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Group(group)), None) if group.delimiter() == Delimiter::None => {
            visible(group.stream())
        }
        _ => stream,
    }
}

/// The name without `r#`.
pub(crate) fn plain(name: &str) -> String {
    name.strip_prefix("r#").unwrap_or(name).to_owned()
}
