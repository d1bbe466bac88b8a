//! Content codings undone, for a function that asks for it (RFC 9110 section 8.4).
//!
//! A few bytes decode to gigabytes, so every stage of a decoder stops at the limit: also an inner
//! one, whose output nobody keeps but somebody computes. What is not understood, or only a part of
//! something, is left as it came; more than two codings are refused, because nobody honest sends
//! them.

use std::io::{self, Cursor, Read};

use brotli_decompressor::{BrotliDecoderParameter, Decompressor};
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, RANGE};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::headers;

const MOST: usize = 2;

/// What a decoder reads at a time.
const BUFFER: usize = 8 * 1024;

/// A content coding that is undone here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
}

/// Why there is no decoded body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undecodable {
    #[error("more than the limit")]
    TooLarge,
    #[error("{0}")]
    Broken(io::Error),
}

/// Asks for what is understood here, unless the function asked for something itself. A part of a
/// compressed body is of no use to it.
pub(crate) fn ask(headers: &mut HeaderMap) {
    if !headers.contains_key(RANGE) {
        headers
            .entry(ACCEPT_ENCODING)
            .or_insert(HeaderValue::from_static("gzip, deflate, br"));
    }
}

/// The codings of a response in the order in which they were applied; none if it is handed on as it
/// is.
///
/// # Errors
/// How many there are, if too many.
pub(crate) fn codings(head: &Parts) -> Result<Vec<Coding>, usize> {
    if head.status == StatusCode::PARTIAL_CONTENT {
        return Ok(Vec::new());
    }
    let names: Vec<_> = headers::codings(&head.headers, CONTENT_ENCODING).collect();
    let known: Option<Vec<_>> = names.iter().map(|name| Coding::of(name)).collect();
    match known {
        Some(known) if known.len() > MOST => Err(known.len()),
        known => Ok(known.unwrap_or_default()),
    }
}

/// Undoes `codings`, the last first. It computes for a while.
///
/// # Errors
/// Broken, or at some stage more than `limit` bytes.
pub(crate) fn decode(
    body: impl Read + 'static,
    codings: &[Coding],
    limit: u64,
) -> Result<Vec<u8>, Undecodable> {
    let mut reader: Box<dyn Read> = Box::new(body);
    let mut decoded = Vec::new();
    let result = codings
        .iter()
        .rev()
        .try_for_each(|coding| {
            let encoded = std::mem::replace(&mut reader, Box::new(io::empty()));
            let inner = coding.reader(encoded)?;
            reader = Box::new(Capped { inner, left: limit });
            Ok(())
        })
        .and_then(|()| reader.read_to_end(&mut decoded));
    match result {
        Ok(_) => Ok(decoded),
        Err(e) if e.get_ref().is_some_and(|e| e.is::<Beyond>()) => Err(Undecodable::TooLarge),
        Err(e) => Err(Undecodable::Broken(e)),
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

    fn reader(self, mut encoded: Box<dyn Read>) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Coding::Gzip => Box::new(MultiGzDecoder::new(encoded)),
            Coding::Brotli => {
                let mut reader = Decompressor::new(encoded, BUFFER);
                // An extension that no coding of HTTP has (RFC 7932 section 9.1), with windows of
                // up to a gigabyte.
                let large = BrotliDecoderParameter::BROTLI_DECODER_PARAM_LARGE_WINDOW;
                reader.set_parameter(large, 0);
                Box::new(reader)
            }
            Coding::Deflate => {
                // It means the format of zlib, and some servers send what is inside of it alone
                // (RFC 9110 section 8.4.1.2).
                let mut head = Vec::with_capacity(2);
                encoded.by_ref().take(2).read_to_end(&mut head)?;
                let is_zlib = is_zlib(&head);
                let whole = Cursor::new(head).chain(encoded);
                match is_zlib {
                    true => Box::new(ZlibDecoder::new(whole)),
                    false => Box::new(DeflateDecoder::new(whole)),
                }
            }
        })
    }
}

/// RFC 1950 section 2.2: method 8, and a check of both bytes.
fn is_zlib(head: &[u8]) -> bool {
    match head {
        [method, flags] => {
            method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31)
        }
        _ => false,
    }
}

/// A reader that fails where its limit is exceeded.
struct Capped {
    inner: Box<dyn Read>,
    left: u64,
}

/// The error of a [`Capped`] reader.
#[derive(Debug, thiserror::Error)]
#[error("more than the limit")]
struct Beyond;

impl Read for Capped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(|| io::Error::other(Beyond))?;
        Ok(read)
    }
}
