//! The parts of a body of `multipart/form-data` (RFC 7578), each read as its head states.

use crate::charset;
use crate::parsing::Budget;
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use iof_fault::{Fault, FaultKind};
use multer::Multipart;
use std::convert::Infallible;

/// The longest head of a part (its name and type), in bytes.
const HEAD: usize = 16 << 10;

/// One part.
pub(crate) struct Part {
    pub(crate) name: Option<String>,
    /// True if the part has a file name.
    pub(crate) is_file: bool,
    /// The charset of its content type.
    charset: Option<String>,
    pub(crate) body: Bytes,
}

/// The most parts that a body may have, and the setting that limits them.
#[derive(Clone, Copy)]
pub(crate) struct PartLimit {
    pub(crate) number: u32,
    pub(crate) setting: &'static str,
}

/// The boundary that a content type names.
///
/// # Errors
/// `multipart`
pub(crate) fn boundary(content_type: &str) -> Result<String, Fault> {
    let boundary = multer::parse_boundary(content_type).ok();
    boundary
        .filter(|boundary| !boundary.is_empty())
        .ok_or_else(|| broken("Content-Type must be multipart/form-data with a boundary"))
}

/// Splits a body into its parts.
///
/// # Errors
/// `multipart`, naming what is wrong; `multipart-parts`; `content-transfer-encoding`; the errors of the budget.
pub(crate) fn split(
    boundary: String,
    body: Bytes,
    most: PartLimit,
    budget: &mut Budget,
) -> Result<Vec<Part>, Fault> {
    // The parser copies the body.
    budget.take(body.len())?;
    let whole = futures::stream::iter([Ok::<_, Infallible>(body)]);
    let mut reader = Multipart::new(whole, boundary);
    let mut parts = vec![];
    loop {
        // The whole body is in memory, so the parser never waits.
        let field = reader.next_field().now_or_never();
        let field = field.ok_or_else(|| broken("it ends within a part"))?;
        let Some(mut field) = field.map_err(|error| broken(&error.to_string()))? else {
            return Ok(parts);
        };
        let PartLimit { number, setting } = most;
        if parts.len() as u64 >= u64::from(number) {
            return Err(Fault::new(
                FaultKind::MultipartParts,
                format!("The body has more parts than {setting} = {number}."),
            ));
        }
        let headers = field.headers();
        let head = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            name.as_str().len() + value.len()
        };
        if headers.iter().map(head).sum::<usize>() > HEAD {
            return Err(broken(&format!(
                "the head of a part is longer than {HEAD} bytes"
            )));
        }
        let said = |name: &str| {
            let value = headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        let (coding, content_type) = (said("content-transfer-encoding"), said("content-type"));
        let name = field.name().map(str::to_owned);
        let is_file = field.file_name().is_some();
        let mut body = BytesMut::new();
        let mut first = Bytes::new();
        loop {
            let chunk = field.chunk().now_or_never();
            let chunk = chunk.ok_or_else(|| broken("it ends within a part"))?;
            let Some(chunk) = chunk.map_err(|error| broken(&error.to_string()))? else {
                break;
            };
            budget.spend(chunk.len())?;
            // A part of one piece, the common case, is not copied again.
            if first.is_empty() && body.is_empty() {
                first = chunk;
                continue;
            }
            budget.take(first.len() + chunk.len())?;
            body.extend_from_slice(&std::mem::take(&mut first));
            body.extend_from_slice(&chunk);
        }
        let body = match body.is_empty() {
            true => first,
            false => body.freeze(),
        };
        parts.push(Part {
            name,
            is_file,
            charset: content_type.as_deref().and_then(charset::of),
            body: decoded(body, coding.as_deref(), budget)?,
        });
    }
}

impl Part {
    /// Refuses a charset that is not UTF-8, of this part or, if it is the part `_charset_` (RFC 7578, 4.6), of all
    /// parts.
    ///
    /// # Errors
    /// `charset`
    pub(crate) fn utf8_only(&self) -> Result<(), Fault> {
        let said = match &self.name {
            Some(name) if name == "_charset_" => Some(
                String::from_utf8_lossy(&self.body)
                    .trim()
                    .to_ascii_lowercase(),
            ),
            _ => self.charset.clone(),
        };
        match said.as_deref() {
            None | Some("" | "utf-8" | "utf8" | "us-ascii") => Ok(()),
            Some(other) => Err(charset::unknown(other)),
        }
    }
}

/// The body of a part, decoded from its transfer encoding.
fn decoded(body: Bytes, coding: Option<&str>, budget: &mut Budget) -> Result<Bytes, Fault> {
    let coding = coding.unwrap_or("binary").trim().to_ascii_lowercase();
    match coding.as_str() {
        "binary" | "8bit" | "7bit" => Ok(body),
        "base64" => {
            budget.take(2 * body.len())?;
            let lenient = GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let is_digit = |byte: &u8| !byte.is_ascii_whitespace();
            let digits: Vec<u8> = body.iter().copied().filter(is_digit).collect();
            let decoded = GeneralPurpose::new(&STANDARD, lenient).decode(digits);
            let decoded = decoded.map_err(|error| broken(&format!("a part in base64: {error}")))?;
            Ok(decoded.into())
        }
        other => Err(Fault::new(
            FaultKind::ContentTransferEncoding,
            format!(
                "Content-Transfer-Encoding of a part is not known: got {:?}. Send the part as it is, or in base64.",
                short(other)
            ),
        )),
    }
}

/// The fault of a body that cannot be split.
pub(crate) fn broken(problem: &str) -> Fault {
    let problem = problem.trim_end_matches('.');
    Fault::new(
        FaultKind::Multipart,
        format!("Invalid multipart/form-data body: {problem}."),
    )
}

/// The beginning of a name, for messages.
pub(crate) fn short(name: &str) -> String {
    name.chars().take(40).collect()
}
