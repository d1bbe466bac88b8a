//! Headers that state the encoding of a body. A coding that they name is decoded, or refused by name: a body is never
//! misread.
//!
//! `gzip` and `deflate` are decoded, as by the original, and the size limit applies to the decoded bytes. Another
//! coding is 415 (RFC 9110, section 15.5.16), a transfer coding besides `chunked` 501 (RFC 9112, section 6.1), and a
//! partial body 400 (RFC 9110, section 14.5).

use crate::http::truncate;
use crate::parsing::Budget;
use bytes::Bytes;
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_RANGE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName};
use iof_fault::{Fault, FaultKind};
use std::io::Read;

/// The bytes that are decoded between two checks of the deadline.
const CHUNK: usize = 64 << 10;

/// A content coding other than `identity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    /// The zlib format (RFC 1950), as RFC 9110 defines it.
    Deflate,
}

impl Coding {
    /// The coding of a request's body; `None` if it has none.
    ///
    /// # Errors
    /// `content-encoding`, `transfer-encoding`, `content-range`, naming the unsupported value.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, Fault> {
        let says = [CONTENT_RANGE, TRANSFER_ENCODING, CONTENT_ENCODING];
        if !headers.keys().any(|name| says.contains(name)) {
            return Ok(None);
        }
        if headers.contains_key(CONTENT_RANGE) {
            return Err(Fault::new(
                FaultKind::ContentRange,
                "Content-Range marks the body as a part, and only whole bodies are accepted. Send it whole, without Content-Range.",
            ));
        }
        if let Some(coding) = other_than(headers, TRANSFER_ENCODING, "chunked") {
            return Err(Fault::new(
                FaultKind::TransferEncoding,
                format!(
                    "Transfer-Encoding is not known: got {coding:?}. Send the body with chunked or with a Content-Length."
                ),
            ));
        }
        match other_than(headers, CONTENT_ENCODING, "identity").as_deref() {
            None => Ok(None),
            Some("gzip") => Ok(Some(Self::Gzip)),
            Some("deflate") => Ok(Some(Self::Deflate)),
            Some(other) => Err(Fault::new(
                FaultKind::ContentEncoding,
                format!(
                    "Content-Encoding is not known: got {other:?}. Send the body as it is, or with gzip or deflate."
                ),
            )),
        }
    }

    /// Decodes a whole body; `None` if that is more than `limit` bytes.
    ///
    /// # Errors
    /// `content-encoding` for bytes that are not in this coding, or incomplete; the errors of the budget.
    pub(crate) fn decode(
        self,
        encoded: &[u8],
        limit: u64,
        budget: &mut Budget,
    ) -> Result<Option<Bytes>, Fault> {
        // No bytes at all are an empty body, as for the original.
        if encoded.is_empty() {
            return Ok(Some(Bytes::new()));
        }
        match self {
            Self::Gzip => self.inflate(MultiGzDecoder::new(encoded), limit, budget),
            Self::Deflate => {
                let mut decoder = ZlibDecoder::new(encoded);
                let decoded = self.inflate(&mut decoder, limit, budget)?;
                match decoder.into_inner().is_empty() {
                    true => Ok(decoded),
                    false => Err(self.broken("bytes follow its end")),
                }
            }
        }
    }

    fn inflate(
        self,
        mut decoder: impl Read,
        limit: u64,
        budget: &mut Budget,
    ) -> Result<Option<Bytes>, Fault> {
        let (mut decoded, mut chunk) = (Vec::new(), vec![0; CHUNK]);
        loop {
            let count = decoder
                .read(&mut chunk)
                .map_err(|error| self.broken(&error.to_string()))?;
            let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else {
                decoded.shrink_to_fit();
                return Ok(Some(decoded.into()));
            };
            if (decoded.len() + count) as u64 > limit {
                return Ok(None);
            }
            budget.spend(count)?;
            // A growing vector doubles its capacity.
            budget.take(2 * count)?;
            decoded.extend_from_slice(read);
        }
    }

    fn broken(self, problem: &str) -> Fault {
        let coding = match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate (in the format of zlib)",
        };
        Fault::new(
            FaultKind::BrokenEncoding,
            format!("The body is not {coding}, as Content-Encoding states: {problem}."),
        )
    }
}

/// The values of all lines of a header in lower case; `None` if they are empty or only `usual`.
fn other_than(headers: &HeaderMap, name: HeaderName, usual: &str) -> Option<String> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let lines: Vec<_> = lines
        .map(|line| String::from_utf8_lossy(line.as_bytes()).to_ascii_lowercase())
        .collect();
    let all = lines.join(", ").trim().to_owned();
    (!all.is_empty() && all != usual).then(|| truncate(&all))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status;
    use http::HeaderValue;
    use std::io::Write;

    fn of(name: HeaderName, values: &[&'static str]) -> Result<Option<Coding>, String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        Coding::of(&headers)
            .map_err(|fault| format!("{} {}", status::of(fault.kind).as_u16(), fault.code()))
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        assert_eq!(of(CONTENT_ENCODING, &[]), Ok(None));
        assert_eq!(of(CONTENT_ENCODING, &["Identity"]), Ok(None));
        assert_eq!(of(CONTENT_ENCODING, &["GZIP"]), Ok(Some(Coding::Gzip)));
        assert_eq!(
            of(CONTENT_ENCODING, &["deflate"]),
            Ok(Some(Coding::Deflate))
        );
        let refused = Err("415 content-encoding".to_owned());
        for values in [
            &["br"][..],
            &["gzip, gzip"],
            &["gzip", "gzip"],
            &["identity, br"],
        ] {
            assert_eq!(of(CONTENT_ENCODING, values), refused, "{values:?}");
        }
        assert_eq!(of(TRANSFER_ENCODING, &["Chunked"]), Ok(None));
        let refused = Err("501 transfer-encoding".to_owned());
        for values in [
            &["gzip, chunked"][..],
            &["gzip", "chunked"],
            &["chunked, chunked"],
        ] {
            assert_eq!(of(TRANSFER_ENCODING, values), refused, "{values:?}");
        }
        let refused = Err("400 content-range".to_owned());
        assert_eq!(of(CONTENT_RANGE, &["bytes 0-1/2"]), refused);
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_body_is_decoded_whole_or_not_at_all() {
        let budget = &mut Budget::default();
        let once = gzip(b"Ada");
        let decoded = Coding::Gzip.decode(&once, 3, budget).unwrap();
        assert_eq!(decoded.as_deref(), Some(&b"Ada"[..]));
        let twice = [once.clone(), gzip(b" L.")].concat();
        let decoded = Coding::Gzip.decode(&twice, 99, budget).unwrap();
        assert_eq!(decoded.as_deref(), Some(&b"Ada L."[..]));
        assert_eq!(Coding::Gzip.decode(&once, 2, budget).unwrap(), None);
        for cut in 1..once.len() {
            let cut = once.get(..cut).unwrap();
            let fault = Coding::Gzip.decode(cut, 9, budget).unwrap_err();
            assert_eq!(
                (fault.code(), status::of(fault.kind).as_u16()),
                ("content-encoding", 400)
            );
        }
        assert!(Coding::Deflate.decode(&once, 9, budget).is_err());
        let bomb = gzip(&vec![0; 10 << 20]);
        assert_eq!(Coding::Gzip.decode(&bomb, 1 << 20, budget).unwrap(), None);
    }
}
