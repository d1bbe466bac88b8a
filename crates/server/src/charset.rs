//! The charset of a text, from its content type.

use crate::http::truncate;
use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8};
use iof_fault::{Fault, FaultKind};
use std::borrow::Cow;

/// The parameter `charset` of a content type, in lower case and without quotes; the last one if there are several.
pub(crate) fn of(content_type: &str) -> Option<String> {
    let mut parts = content_type.split(';').skip(1);
    let named = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let value = value.trim().trim_matches('"').to_ascii_lowercase();
        let is_charset = name.trim().eq_ignore_ascii_case("charset") && !value.is_empty();
        is_charset.then_some(value)
    };
    parts.by_ref().filter_map(named).last()
}

/// Refuses every charset except UTF-8 and its subset US-ASCII.
///
/// # Errors
/// `charset`, 415
pub(crate) fn utf8_only(content_type: &str) -> Result<(), Fault> {
    match of(content_type).as_deref() {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(()),
        Some(other) => Err(unknown(other)),
    }
}

/// A text decoded from its charset to UTF-8, without a byte order mark. Bytes that the charset does not define are
/// replaced, as in Node.
///
/// # Errors
/// `charset`, 415, if the charset is unknown.
pub(crate) fn decode(bytes: Bytes, charset: Option<&str>) -> Result<Bytes, Fault> {
    let Some(charset) = charset else {
        return Ok(of_utf8(bytes));
    };
    if matches!(charset, "iso-8859-1" | "latin1") {
        // Each byte is the character of the same number. The WHATWG Encoding Standard, which `encoding_rs` implements,
        // defines this charset differently.
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        return Ok(text.into());
    }
    let encoding = Encoding::for_label_no_replacement(charset.as_bytes());
    let encoding = encoding.ok_or_else(|| unknown(charset))?;
    if encoding == UTF_8 {
        return Ok(of_utf8(bytes));
    }
    let (text, _) = encoding.decode_with_bom_removal(&bytes);
    Ok(text.into_owned().into())
}

/// UTF-8 without a byte order mark, with invalid sequences replaced.
fn of_utf8(bytes: Bytes) -> Bytes {
    let bytes = match bytes.strip_prefix(b"\xef\xbb\xbf") {
        Some(text) => bytes.slice_ref(text),
        None => bytes,
    };
    match String::from_utf8_lossy(&bytes) {
        Cow::Borrowed(_) => bytes,
        Cow::Owned(text) => text.into(),
    }
}

/// The refusal of a charset.
pub(crate) fn unknown(charset: &str) -> Fault {
    let charset = truncate(charset);
    Fault::new(
        FaultKind::Charset,
        format!("The charset is not known here: got {charset:?}. Send UTF-8."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status;

    #[test]
    fn a_text_is_read_in_its_charset() {
        for (charset, bytes, text) in [
            (None, &b"\xef\xbb\xbfAda"[..], "Ada"),
            (None, b"\xff", "\u{fffd}"),
            (Some("utf-8"), "k\u{e4}se".as_bytes(), "k\u{e4}se"),
            (Some("iso-8859-1"), b"k\xe4se \x80", "k\u{e4}se \u{80}"),
            (Some("windows-1252"), b"\x80", "\u{20ac}"),
            (Some("utf-16le"), b"\xff\xfea\0\xe4\0", "a\u{e4}"),
            (Some("shift_jis"), b"\x83\x65", "\u{30c6}"),
        ] {
            let decoded = decode(Bytes::from_static(bytes), charset).unwrap();
            assert_eq!(decoded, text, "{charset:?}");
        }
        for unknown in ["utf-7", "x-nothing", "replacement"] {
            let fault = decode(Bytes::from_static(b"a"), Some(unknown)).unwrap_err();
            assert_eq!(
                (fault.code(), status::of(fault.kind).as_u16()),
                ("charset", 415),
                "{unknown}"
            );
        }
    }

    #[test]
    fn the_parameter_is_found() {
        for (content_type, charset) in [
            ("text/plain", None),
            ("text/plain; charset=UTF-8", Some("utf-8")),
            ("text/plain;x=1;Charset=\"Latin1\"", Some("latin1")),
            ("text/plain; charset=", None),
        ] {
            assert_eq!(of(content_type).as_deref(), charset, "{content_type}");
        }
        assert!(utf8_only("text/plain").is_ok() && utf8_only("a/b; charset=UTF-8").is_ok());
        assert_eq!(
            utf8_only("a/b; charset=utf-16").unwrap_err().kind,
            FaultKind::Charset
        );
    }
}
