//! Trace context as it travels in HTTP headers: [W3C Trace Context](https://www.w3.org/TR/trace-context/).

use crate::{SpanId, TraceId};
use std::fmt;

/// The most bytes of a `tracestate` that is kept. Section 3.3.1.5 asks to pass on at least 512.
pub const STATE: usize = 512;

/// A span that led to another one: the headers `traceparent` and `tracestate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// True if the caller keeps its part of the trace.
    pub sampled: bool,
    /// The entries of tracers on the way, which are their own affair.
    pub state: Option<Box<str>>,
}

impl TraceParent {
    /// Reads the headers of a request. `None` if there is no valid context: then a trace begins (section 4.3).
    ///
    /// `states` are the lines of `tracestate`, which are one list (section 3.3). One that is too long or has other bytes than
    /// those of its grammar is left out.
    pub fn parse<'a>(parent: &str, states: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let (version, rest) = parent.split_once('-')?;
        let (trace, rest) = rest.split_once('-')?;
        let (span, rest) = rest.split_once('-')?;
        let is_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let (flags, more) = rest.split_at_checked(2)?;
        if version.len() != 2 || !is_hex(version) || version == "ff" || !is_hex(flags) {
            return None;
        }
        // Section 3.2.4: a later version may have more, behind a dash.
        if !more.is_empty() && (version == "00" || !more.starts_with('-')) {
            return None;
        }
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self {
            trace: TraceId::parse(trace)?,
            span: SpanId::parse(span)?,
            sampled: flags & 1 == 1,
            state: state(states),
        })
    }
}

fn state<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Box<str>> {
    let mut state = String::new();
    for line in lines {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if state.len() + line.len() + 1 > STATE {
            return None;
        }
        if !state.is_empty() {
            state.push(',');
        }
        state.push_str(line);
    }
    let is_plain = state
        .bytes()
        .all(|b| (b' '..=b'~').contains(&b) || b == b'\t');
    (is_plain && !state.is_empty()).then(|| state.into())
}

/// The header `traceparent`.
impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{}-{}-{flags:02x}", self.trace, self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_context_is_read_and_written_as_it_was() {
        let context = TraceParent::parse(VALID, ["a=1", " b=2 "]).unwrap();
        assert_eq!(context.to_string(), VALID);
        assert!(context.sampled);
        assert_eq!(context.state.as_deref(), Some("a=1,b=2"));
        let unsampled = VALID.replace("-01", "-00");
        assert!(!TraceParent::parse(&unsampled, []).unwrap().sampled);
        // Section 3.2.4: a version of the future, with more fields.
        let later = format!("cc{}-more", &VALID[2..]);
        assert!(TraceParent::parse(&later, []).is_some());
    }

    #[test]
    fn what_is_no_context_begins_a_trace() {
        for bad in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
            "00-é",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-é1",
        ] {
            assert_eq!(TraceParent::parse(bad, []), None, "{bad}");
        }
    }

    #[test]
    fn a_state_is_bounded_and_plain() {
        let of = |lines: &[&str]| {
            let context = TraceParent::parse(VALID, lines.iter().copied()).unwrap();
            context.state
        };
        assert_eq!(of(&[""]), None);
        assert_eq!(of(&["a=\u{7}"]), None);
        let long = format!("a={}", "x".repeat(STATE));
        assert_eq!(of(&[&long]), None);
    }
}
