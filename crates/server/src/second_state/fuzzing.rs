//! The targets of `crate::fuzzing` that read only input of this API.

#![allow(clippy::unwrap_used, reason = "a target reports a finding by a panic")]

use super::arguments::of_body;
use super::form::{self, FormLimits};
use crate::callback::RequestTarget;
use crate::fuzzing::blame;
use crate::parsing::Budget;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use iof_engine::Arg;
use serde_json::{Map, Value as Json};

const LIMITS: FormLimits = FormLimits {
    fields: 1000,
    depth: 100,
};

/// A call: its content type in the first line, then its body.
pub(crate) fn body(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n');
    let (content_type, body) = data.split_at(end.unwrap_or(0));
    let Ok(content_type) = std::str::from_utf8(content_type) else {
        return;
    };
    let body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());
    let asked = match of_body(content_type, body, LIMITS, &mut Budget::default()) {
        Ok(asked) => asked,
        Err(fault) => return blame(&fault),
    };
    assert!(asked.args.len() <= 1);
    for target in asked.fetch.iter().chain(asked.callback.iter().flatten()) {
        check_target(target);
    }
    // Removing a field may have left another field of the same meaning.
    if asked.fetch.is_some() || asked.callback.is_some() {
        return;
    }
    if let ("application/json", [Arg::Text(text)]) = (content_type, &asked.args[..]) {
        let again = of_body(content_type, text.clone(), LIMITS, &mut Budget::default());
        assert_eq!(again.unwrap().args, asked.args, "it is rewritten once more");
    }
}

/// A form.
pub(crate) fn form(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let json = match form::read(text, LIMITS, &mut Budget::default()) {
        Ok(json) => json,
        Err(fault) => return blame(&fault),
    };
    let said: Json = serde_json::from_str(&json).unwrap();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b'&');
    if !text.bytes().all(is_plain) {
        return;
    }
    let mut fields: Map<String, Json> = Map::new();
    for (name, value) in url::form_urlencoded::parse(data) {
        if name.is_empty() {
            continue;
        }
        let value = Json::from(&*value);
        match fields.get_mut(&*name) {
            Some(Json::Array(values)) => values.push(value),
            Some(first) => *first = Json::from(vec![first.take(), value]),
            None => drop(fields.insert(name.into_owned(), value)),
        }
    }
    assert_eq!(said, Json::Object(fields), "{text}");
}

/// The target of a fetch or a callback.
pub(crate) fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match RequestTarget::fetch(text) {
        Ok(target) => check_target(&target),
        Err(fault) => blame(&fault),
    }
    match RequestTarget::callback(text) {
        Ok(target) => target.iter().for_each(check_target),
        Err(fault) => blame(&fault),
    }
}

fn check_target(target: &RequestTarget) {
    let url = target.url.as_str();
    assert_eq!(
        iof_egress::parse_outbound_url(url).ok().as_ref(),
        Some(&target.url)
    );
    for name in [HOST, CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING] {
        assert!(!target.headers.contains_key(&name), "{name}");
    }
}
