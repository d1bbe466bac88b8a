//! The ids of traces and spans: random, and never all zero.

use std::fmt;

macro_rules! id {
    ($(#[doc = $doc:literal])+ $name:ident, $bytes:literal) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name(pub [u8; $bytes]);

        impl $name {
            /// A new id. It says nothing of the call, nor of when it was.
            #[must_use]
            pub fn random() -> Self {
                let mut id: [u8; $bytes] = rand::random();
                if id == [0; $bytes] {
                    id[0] = 1;
                }
                Self(id)
            }

            /// Reads lower-case hexadecimal digits. `None` for anything else, and for the id that is all zero.
            pub(crate) fn parse(text: &str) -> Option<Self> {
                let digit = |byte: u8| match byte {
                    b'0'..=b'9' => Some(byte - b'0'),
                    b'a'..=b'f' => Some(byte - b'a' + 10),
                    _ => None,
                };
                let digits = text.as_bytes();
                let mut id = [0; $bytes];
                if digits.len() != 2 * $bytes {
                    return None;
                }
                for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
                    let [high, low] = *pair else { return None };
                    *byte = digit(high)? << 4 | digit(low)?;
                }
                (id != [0; $bytes]).then_some(Self(id))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id! {
    /// The id of a trace: of all work that one request led to, on all servers.
    TraceId, 16
}
id! {
    /// The id of a span: of one piece of that work.
    SpanId, 8
}
