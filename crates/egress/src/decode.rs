//! Decoding of content codings, for a function that requests it (RFC 9110 section 8.4).
//!
//! A few bytes decode to gigabytes, and others to nothing at all after much computing: a decoder has a limit of size
//! and of time. A coding that is not understood, or a partial response, is left unchanged. Several codings on top of
//! each other are refused: honest servers do not send them, and they multiply the cost of one byte (a kilobyte becomes
//! megabytes of the most expensive input there is).

use std::io::{self, BufRead, BufReader, Read};
use std::time::Instant;

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use bytes::{Buf, Bytes};
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, RANGE};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::headers;

/// Bytes that a decoder reads at a time.
const BUFFER: usize = 8 * 1024;

/// The most members of a body of gzip (RFC 1952 section 2.2). Each needs a new decoder and takes only 20 bytes; files
/// that are made of members have one for each 64 KiB.
const MOST_MEMBERS: usize = 1024;

/// A content coding that this module decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
}

/// The reason why there is no decoded body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("more than the limit")]
    TooLarge,
    #[error("{0}")]
    Broken(#[from] io::Error),
}

/// Requests the codings of this module, unless the function set the header itself, or requests a range: a part of a
/// compressed body cannot be decoded.
pub(crate) fn ask(headers: &mut HeaderMap) {
    if !headers.contains_key(RANGE) {
        headers
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("gzip, deflate, br"));
    }
}

/// The coding of a response, if this module decodes it.
///
/// # Errors
/// The number of codings, if there are several.
pub(crate) fn coding(head: &Parts) -> Result<Option<Coding>, usize> {
    if head.status == StatusCode::PARTIAL_CONTENT {
        return Ok(None);
    }
    let names = headers::codings(&head.headers, CONTENT_ENCODING);
    let known: Option<Vec<_>> = names.map(Coding::of).collect();
    match known.as_deref() {
        None | Some([]) => Ok(None),
        Some([one]) => Ok(Some(*one)),
        Some(several) => Err(several.len()),
    }
}

/// Decodes a body. It computes for a while.
///
/// # Errors
/// The body is malformed, or more than `limit` bytes, or not decoded by `deadline`.
pub(crate) fn decode(
    body: Bytes,
    coding: Coding,
    limit: u64,
    deadline: Instant,
) -> Result<Vec<u8>, DecodeError> {
    let encoded = DeadlineBody { body, deadline };
    let mut decoded = Vec::new();
    let mut reader = coding.reader(encoded).take(limit.saturating_add(1));
    reader.read_to_end(&mut decoded)?;
    match decoded.len() as u64 > limit {
        true => Err(DecodeError::TooLarge),
        false => Ok(decoded),
    }
}

impl Coding {
    fn of(name: &[u8]) -> Option<Coding> {
        let known = [
            (&b"gzip"[..], Coding::Gzip),
            (b"x-gzip", Coding::Gzip),
            (b"deflate", Coding::Deflate),
            (b"br", Coding::Brotli),
        ];
        let found = known.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, coding)| *coding)
    }

    fn reader(self, encoded: DeadlineBody) -> Box<dyn Read> {
        match self {
            Coding::Gzip => Box::new(Members {
                current: Some(GzDecoder::new(BufReader::with_capacity(BUFFER, encoded))),
                left: MOST_MEMBERS - 1,
            }),
            // `deflate` means the zlib format, and some servers send only the data inside of it (RFC 9110 section
            // 8.4.1.2).
            Coding::Deflate => match is_zlib(&encoded.body) {
                true => Box::new(ZlibDecoder::new(BufReader::with_capacity(BUFFER, encoded))),
                false => Box::new(DeflateDecoder::new(BufReader::with_capacity(
                    BUFFER, encoded,
                ))),
            },
            Coding::Brotli => {
                let mut reader = Decompressor::new(encoded, BUFFER);
                // An extension that is not a coding of HTTP, with windows of up to a gigabyte.
                let large = BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW;
                reader.set_parameter(large, 0);
                Box::new(reader)
            }
        }
    }
}

/// RFC 1950 section 2.2: method 8, and a check of both bytes.
fn is_zlib(body: &[u8]) -> bool {
    match body {
        [method, flags, ..] => {
            method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31)
        }
        _ => false,
    }
}

/// The members of a body of gzip, one after another.
struct Members {
    /// `None` at the end.
    current: Option<GzDecoder<BufReader<DeadlineBody>>>,
    left: usize,
}

impl Read for Members {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(mut member) = self.current.take() {
            let read = member.read(buffer)?;
            if read > 0 {
                self.current = Some(member);
                return Ok(read);
            }
            let mut rest = member.into_inner();
            if rest.fill_buf()?.is_empty() {
                break;
            }
            let left = self.left.checked_sub(1);
            self.left = left.ok_or_else(|| io::Error::other("too many members"))?;
            self.current = Some(GzDecoder::new(rest));
        }
        Ok(0)
    }
}

/// A body that ends with an error at the deadline.
struct DeadlineBody {
    body: Bytes,
    deadline: Instant,
}

impl Read for DeadlineBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let length = buffer.len().min(self.body.len()).min(BUFFER);
        self.body.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A decoder stops at the deadline even if its input goes on.
    #[test]
    fn computing_ends_at_the_deadline() {
        // An empty block of deflate, a thousand times, and the last.
        let body = Bytes::from([&[0, 0, 0, 0xff, 0xff].repeat(1000)[..], &[3, 0]].concat());
        let later = Instant::now() + Duration::from_secs(60);
        for coding in [Coding::Deflate, Coding::Gzip, Coding::Brotli] {
            let over = decode(body.clone(), coding, 9, Instant::now());
            match over {
                Err(DecodeError::Broken(e)) => assert_eq!(e.kind(), io::ErrorKind::TimedOut),
                other => panic!("{coding:?}: {other:?}"),
            }
        }
        let nothing = decode(body, Coding::Deflate, 9, later).unwrap();
        assert_eq!(nothing, b"");
    }
}
