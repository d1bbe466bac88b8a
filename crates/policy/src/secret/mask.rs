//! The mask of secrets in responses: a secret's value that comes back is not passed on.
//!
//! A service may send back a token that it received: in an error page that quotes the request, in the `Location` of a
//! redirect, in a header. The response is therefore searched for the values of the function's secrets and each
//! occurrence becomes `***`, which has one length whatever it replaces. The search covers the text as it came and the
//! text with one and with two levels of escapes decoded (a URL inside the query of a URL has two), for the value and
//! for its base64, by itself or inside something longer, in any case. One automaton does all of it (Aho and Corasick),
//! so the time is linear in the text whatever a server or a value looks like; occurrences may overlap, and are then
//! replaced together. Rejected: regular expressions, and one search for each value: they take more time with every
//! secret, and leave pieces of overlapping values.
//!
//! The mask protects against honest services, not against a service that works for the function: a reversed or
//! encrypted value passes. The protection against that is the rule of the attachment.
//!
//! More than 400 lines: what is masked and the tests that attack it stand together.

use std::collections::{BTreeSet, HashMap};

use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, BuildError, MatchError, MatchKind};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use http::HeaderMap;
use http::header::HeaderValue;

use super::unescape::{Unescape, Unit, has_escapes, unescaped, units};

/// The text that replaces a secret in a response.
const MASK: &[u8] = b"***";

/// Fewer characters of base64 occur in too many unrelated texts.
const SHORTEST_PART: usize = 8;

/// The patterns of all secrets of a function.
pub struct Mask {
    automaton: NFA,
    start: StateID,
    /// The length of the longest pattern.
    longest: usize,
    /// The length of the part of a pattern that each state has read: the most that the latest units may begin.
    depths: HashMap<StateID, usize>,
}

/// The occurrences in a text, and the position before which the rest of the text changes nothing.
pub(super) struct Search {
    /// Ranges of the text, sorted.
    pub(super) found: Vec<(usize, usize)>,
    pub(super) decided: usize,
}

impl Mask {
    /// Searches for `values` in each of their spellings, and for the base64 of the values with the
    /// text `around` them.
    pub(super) fn new<'a>(
        values: impl Iterator<Item = &'a str>,
        around: impl Iterator<Item = &'a str>,
    ) -> Result<Mask, String> {
        let mut patterns = BTreeSet::new();
        for value in values {
            spellings(value, &mut patterns);
            base64s(value, &mut patterns);
        }
        around.for_each(|text| base64s(text, &mut patterns));
        let longest = patterns.iter().map(Vec::len).max().unwrap_or_default();
        let automaton = NFA::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .prefilter(false)
            .build(&patterns)
            .map_err(|e: BuildError| e.to_string())?;
        let start = automaton
            .start_state(Anchored::No)
            .map_err(|e: MatchError| e.to_string())?;
        let mut depths = HashMap::new();
        for pattern in &patterns {
            let mut state = start;
            for (i, byte) in pattern.iter().enumerate() {
                state = automaton.next_state(Anchored::No, state, *byte);
                depths.insert(state, i + 1);
            }
        }
        Ok(Mask {
            automaton,
            start,
            longest,
            depths,
        })
    }

    /// `text` with every occurrence replaced, or `None` if there is none.
    pub fn bytes(&self, text: &[u8]) -> Option<Vec<u8>> {
        let Search { found, .. } = self.occurrences(text, false);
        if found.is_empty() {
            return None;
        }
        let mut masked = Vec::with_capacity(text.len());
        replace(text, &found, &mut None, &mut masked);
        Some(masked)
    }

    /// The same for text.
    pub fn text(&self, text: &str) -> Option<String> {
        let masked = self.bytes(text.as_bytes())?;
        Some(String::from_utf8_lossy(&masked).into_owned())
    }

    /// Masks values, and drops the lines whose names contain a secret: a name of stars is not a valid header.
    pub fn headers(&self, headers: &mut HeaderMap) {
        let mut dropped = Vec::new();
        for (name, value) in headers.iter_mut() {
            if self.bytes(name.as_str().as_bytes()).is_some() {
                dropped.push(name.clone());
            } else if let Some(masked) = self.bytes(value.as_bytes()) {
                match HeaderValue::from_bytes(&masked) {
                    Ok(masked) => *value = masked,
                    Err(_) => dropped.push(name.clone()),
                }
            }
        }
        for name in dropped {
            headers.remove(name);
        }
    }

    /// Searches a text in each of its readings; with `more`, the text goes on.
    pub(super) fn occurrences(&self, text: &[u8], more: bool) -> Search {
        let mut found = Vec::new();
        let mut decided = self.search(units(text), &mut found).unwrap_or(text.len());
        if has_escapes(text) {
            let read = |units| match more {
                true => Unescape::beginning(units),
                false => Unescape::new(units),
            };
            let mut once = read(units(text));
            let begun = self.search(&mut once, &mut found);
            let begun = begun.into_iter().chain(once.cut()).min();
            decided = decided.min(begun.unwrap_or(text.len()));
            let read_twice = || match more {
                true => Unescape::beginning(read(units(text))),
                false => Unescape::new(read(units(text))),
            };
            let mut twice = read_twice();
            let begun = self.search(&mut twice, &mut found);
            let cut = twice.cut().into_iter().chain(twice.inner().cut()).min();
            decided = decided.min(begun.into_iter().chain(cut).min().unwrap_or(text.len()));
            if more && decided < cut.unwrap_or(text.len()) {
                // The rest is read anew, so it begins where no escape is cut.
                let starts = read_twice().map(|unit| unit.start);
                decided = starts
                    .take_while(|start| *start <= decided)
                    .last()
                    .unwrap_or(0);
            }
        }
        found.sort_unstable();
        Search { found, decided }
    }

    /// Adds the positions of all occurrences, overlapping ones too, as ranges of the original. Returns the start of an
    /// occurrence that the end of the text may cut.
    fn search(
        &self,
        text: impl Iterator<Item = Unit>,
        found: &mut Vec<(usize, usize)>,
    ) -> Option<usize> {
        // The starts of the latest units: an occurrence is known only at its end.
        let mut starts = vec![0; self.longest.max(1)];
        let first = found.len();
        let mut state = self.start;
        let mut count = 0;
        for (i, unit) in text.enumerate() {
            count = i + 1;
            starts[i % self.longest.max(1)] = unit.start;
            state = self.automaton.next_state(Anchored::No, state, unit.byte);
            if !self.automaton.is_special(state) || !self.automaton.is_match(state) {
                continue;
            }
            let lengths = (0..self.automaton.match_len(state))
                .map(|n| self.automaton.match_pattern(state, n))
                .map(|pattern| self.automaton.pattern_len(pattern));
            let Some(length) = lengths.max() else {
                continue;
            };
            let mut start = starts[(i + 1 - length) % self.longest.max(1)];
            // Ends only grow, so an occurrence that begins later than this one lies inside it. A body full of
            // occurrences keeps a short list this way.
            while found.len() > first
                && let Some(&(before, end)) = found.last()
                && end >= start
            {
                start = start.min(before);
                found.pop();
            }
            found.push((start, unit.end));
        }
        let depth = self.depths.get(&state)?;
        Some(starts[(count - depth) % self.longest.max(1)])
    }
}

/// Appends `text` to `masked`, with the sorted ranges replaced. `covered` is the part of the text that the last mask
/// replaces already, if nothing came after that mask.
///
/// Ranges that overlap or touch become one: their number may reveal something, too.
pub(super) fn replace(
    text: &[u8],
    found: &[(usize, usize)],
    covered: &mut Option<usize>,
    masked: &mut Vec<u8>,
) {
    for &(start, end) in found {
        match covered {
            Some(at) if start <= *at => *at = end.max(*at),
            _ => {
                masked.extend_from_slice(&text[covered.unwrap_or(0).min(start)..start]);
                masked.extend_from_slice(MASK);
                *covered = Some(end);
            }
        }
    }
    let at = covered.unwrap_or(0);
    if at < text.len() {
        masked.extend_from_slice(&text[at..]);
        *covered = None;
    } else {
        *covered = covered.map(|at| at - text.len());
    }
}

/// The spellings of a value beside its escaped forms.
fn spellings(text: &str, patterns: &mut BTreeSet<Vec<u8>>) {
    // Forms write a space as `+`; some servers read the bytes of a header as Latin-1.
    let latin: String = text.bytes().map(char::from).collect();
    for text in [text.to_owned(), text.replace(' ', "+"), latin] {
        // A value that has escapes itself is found in its decoded form in the decoded text.
        let once = unescaped(text.as_bytes());
        patterns.insert(unescaped(&once));
        patterns.insert(once);
        patterns.insert(text.into_bytes());
    }
}

fn base64s(text: &str, patterns: &mut BTreeSet<Vec<u8>>) {
    for whole in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        patterns.insert(whole.encode(text).into_bytes());
    }
    // Inside something longer, base64 writes the text in one of three ways, depending on the number of bytes before it.
    // The characters at the edges belong to the neighbours as well and are not part of the pattern; no more than four
    // bits of the text stay in each.
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend_from_slice(text.as_bytes());
        let own = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
        for alphabet in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let encoded = alphabet.encode(&bytes).into_bytes();
            match encoded.get(own.clone()) {
                Some(part) if part.len() >= SHORTEST_PART => patterns.insert(part.to_vec()),
                _ => continue,
            };
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
