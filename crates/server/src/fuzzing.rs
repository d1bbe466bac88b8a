//! Fuzz targets of this crate, and the properties that hold for any input: a panic is a finding.
//!
//! `fuzz/` runs these functions with generated inputs; the tests below run them with the inputs that it found.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target reports a finding by a panic"
)]

use crate::envelope;
use crate::grants::Ceiling;
use crate::json::{Failure, RewriteOptions, Style};
use crate::multipart::{PartLimit, boundary, split};
use crate::parsing::Budget;
use crate::second_state::fuzzing;
use bytes::Bytes;
use iof_command::Grants;
use iof_engine::Limits;
use iof_fault::{Fault, FaultKind, Source};
use serde_json::Value as Json;

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

/// A `function.toml`, or its fields in JSON.
pub fn declaration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let ceiling = Ceiling {
        grants: Grants::as_shipped(),
        limits: Limits::default().into(),
        concurrency: 500,
        schedules: crate::settings::Settings::default().schedule_limits(),
        jobs: crate::settings::Settings::default()
            .job_ceiling(&crate::settings::JobSettings::default()),
    };
    let declared = match ceiling.read(text) {
        Ok(declared) => declared,
        Err(fault) => {
            let kind = fault.kind;
            assert!(
                matches!(kind, FaultKind::Declaration | FaultKind::Ceiling),
                "{fault:?}"
            );
            return;
        }
    };
    for rule in &declared.outbound.0 {
        assert!(
            ceiling.grants.outbound.covers(rule).is_some(),
            "{rule} is above the ceiling"
        );
    }
    assert!(declared.commands.is_subset(&ceiling.grants.commands));
    let json = serde_json::to_string(&declared).unwrap();
    let again = ceiling.read(&json).unwrap();
    assert_eq!(again, declared, "the JSON form differs: {json}");
}

/// A content type and the body of a call of `/api`.
pub fn api_body(data: &[u8]) {
    fuzzing::body(data);
}

/// A form of `/api`.
pub fn api_form(data: &[u8]) {
    fuzzing::form(data);
}

/// The target of a fetch or a callback that a caller of `/api` names.
pub fn api_target(data: &[u8]) {
    fuzzing::target(data);
}

/// A response that a function wrote: only this server sets the framing of the answer.
pub fn response(data: &[u8]) {
    match envelope::response::read(&Bytes::copy_from_slice(data)) {
        Ok(response) => {
            assert!((200..=599).contains(&response.status().as_u16()));
            for name in ["set-cookie", "content-length", "transfer-encoding"] {
                assert!(!response.headers().contains_key(name), "{name}");
            }
        }
        Err(fault) => assert!(
            matches!(fault.kind, FaultKind::BadResponse | FaultKind::ResponseHead),
            "{fault:?}"
        ),
    }
}

/// The depth of JSON, less than the limit of the reference parser.
const DEPTH: u32 = 100;

/// JSON of a client, rewritten in either style.
pub fn json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let reference: Option<Json> = serde_json::from_str(text).ok();
    for style in [Style::JavaScript, Style::AsWritten] {
        let rewriting = RewriteOptions::new(style, DEPTH);
        let rewritten = match rewriting.run(text, &mut Budget::default()) {
            Ok(rewritten) => rewritten.text,
            Err(Failure::NotJson) => {
                assert_eq!(reference, None, "{text} is JSON");
                continue;
            }
            Err(Failure::TooDeep(_)) => continue,
            Err(Failure::Fault(fault)) => {
                blame(&fault);
                continue;
            }
        };
        let again = rewriting.run(&rewritten, &mut Budget::default());
        assert_eq!(again.unwrap().text, rewritten, "{style:?} of {text}");
        let read: Option<Json> = serde_json::from_str(&rewritten).ok();
        match (&reference, &read) {
            (Some(reference), Some(read)) => assert!(
                same(reference, read, style),
                "{style:?}: {text} became {rewritten}"
            ),
            (Some(_), None) => panic!("{style:?}: {text} became {rewritten}, which is not JSON"),
            // Texts that only JavaScript accepts: unpaired surrogates, and numbers out of range.
            (None, _) => assert!(
                text.contains("\\u") || text.contains(|c: char| c.is_ascii_digit()),
                "{style:?}: {text} is not JSON"
            ),
        }
    }
}

/// Returns whether two values are equal: as in JavaScript, whose numbers are doubles, or exactly.
fn same(one: &Json, other: &Json, style: Style) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) if style == Style::JavaScript => {
            one.as_f64() == other.as_f64()
        }
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b, style))
        }
        (Json::Object(one), Json::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, a)| other.get(name).is_some_and(|b| same(a, b, style)))
        }
        (one, other) => one == other,
    }
}

const PARTS: PartLimit = PartLimit {
    number: 20,
    setting: "server.multipart_parts",
};

/// A body of `multipart/form-data`: raw, or built of the parts between bytes of 0xfe.
pub fn multipart(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else {
        return;
    };
    match mode % 3 {
        0 => {
            let body = Bytes::copy_from_slice(rest);
            if let Err(fault) = split("b".into(), body, PARTS, &mut Budget::default()) {
                blame(&fault);
            }
        }
        1 => {
            let content_type = String::from_utf8_lossy(rest);
            if let Err(fault) = boundary(&content_type) {
                blame(&fault);
            }
        }
        _ => {
            let parts: Vec<_> = rest.split(|byte| *byte == 0xfe).collect();
            let is_apart = |part: &&[u8]| !part.windows(3).any(|window| window == b"--b");
            if parts.len() > PARTS.number as usize || !parts.iter().all(is_apart) {
                return;
            }
            let mut body = vec![];
            for (at, part) in parts.iter().enumerate() {
                let head = format!("--b\r\nContent-Disposition: form-data; name=\"p{at}\"\r\n\r\n");
                body.extend_from_slice(head.as_bytes());
                body.extend_from_slice(part);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"--b--\r\n");
            let read = split("b".into(), body.into(), PARTS, &mut Budget::default()).unwrap();
            let bodies: Vec<_> = read.iter().map(|part| &*part.body).collect();
            assert_eq!(bodies, parts);
        }
    }
}

/// Panics on a fault of the host.
pub(crate) fn blame(fault: &Fault) {
    assert!(fault.kind.source() != Source::Host, "{fault:?}");
}

#[cfg(test)]
mod tests {
    use super::replay::corpus;

    #[test]
    fn corpus_of_declarations() {
        corpus("server_declaration", super::declaration);
    }

    #[test]
    fn corpus_of_bodies() {
        corpus("server_body", super::api_body);
    }

    #[test]
    fn corpus_of_forms() {
        corpus("server_form", super::api_form);
    }

    #[test]
    fn corpus_of_targets() {
        corpus("server_target", super::api_target);
    }

    #[test]
    fn corpus_of_json() {
        corpus("server_json", super::json);
    }

    #[test]
    fn corpus_of_multipart() {
        corpus("server_multipart", super::multipart);
    }

    #[test]
    fn corpus_of_responses() {
        corpus("server_response", super::response);
    }
}
