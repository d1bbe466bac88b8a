//! Self-descriptions of functions: names, types and JSON Schemas of arguments and result.
//!
//! A module built with the guest crate (or with our stand-in for wasm-bindgen of 2020) exports, for each function,
//! `__iof_describe_<function>`, which returns a text like any other function of this ABI:
//!
//! ```text
//! {"iof":1, "name":"send", "doc":"…", "fallible":true, "result":{"type":"json","schema":{…}},
//!  "params":[{"name":"mail","type":"json","schema":{…}}]}
//! ```
//!
//! Besides these, `"raw":true` means that the one argument is the body unchanged, whatever its type, and
//! `"methods":["GET","POST"]` lists the HTTP methods that call the function. The types `request` and `response` are
//! whole ones: a request is the only argument, and a response is the result.
//!
//! The description is read once, at upload. One that cannot be read is ignored, and the core type decides as it does
//! for every module without descriptions: an author's tool may be newer than this server.

use crate::manifest::{BodyUse, Described, Param, Signature, Type};
use serde::Deserialize;
use serde_json::Value as Json;

/// The longest description that is read, in bytes.
pub(crate) const MAX: u32 = 64 << 10;
/// The most bytes of all descriptions of a module: they are kept with every version, and shown in lists.
pub(crate) const MAX_ALL: usize = 128 << 10;
/// The most parameters of one description.
const PARAMS: usize = 100;
/// The longest comment that is kept.
const DOC: usize = 4096;
/// The most methods of one function, and the longest name of one.
const METHODS: usize = 8;
const METHOD: usize = 16;

/// The name of the export that describes the export `name`.
pub(crate) fn export_of(name: &str) -> String {
    format!("__iof_describe_{name}")
}

#[derive(Deserialize)]
struct Said {
    iof: u32,
    name: String,
    #[serde(default)]
    doc: String,
    params: Vec<SaidParam>,
    result: SaidType,
    #[serde(default)]
    fallible: bool,
    #[serde(default)]
    raw: bool,
    #[serde(default)]
    methods: Vec<String>,
}

#[derive(Deserialize)]
struct SaidParam {
    name: String,
    #[serde(flatten)]
    of: SaidType,
}

#[derive(Deserialize)]
struct SaidType {
    #[serde(rename = "type")]
    name: String,
    #[serde(default)]
    schema: Option<Json>,
}

impl SaidType {
    fn read(&self) -> Option<Type> {
        match self.name.as_str() {
            "unit" => Some(Type::Unit),
            // Types that the guest crate cannot describe cannot be in its description.
            name => {
                Type::of_name(name).filter(|ty| !matches!(ty, Type::I128 | Type::U128 | Type::Char))
            }
        }
    }
}

/// Reads the description of the export `name`.
pub(crate) fn read(name: &str, text: &[u8]) -> Option<(Signature, Described)> {
    let said: Said = serde_json::from_slice(text).ok()?;
    if said.iof != 1 || said.name != name || said.params.len() > PARAMS {
        return None;
    }
    let types = said.params.iter().map(|param| match param.of.read()? {
        Type::Unit | Type::Response => None,
        ty => Some(ty),
    });
    // The types that a call really passes; the flag of a `Result` exists only in wasm-bindgen's own functions.
    let signature = Signature {
        params: types.collect::<Option<_>>()?,
        result: said.result.read().filter(|ty| *ty != Type::Request)?,
        fallible: false,
        patch: None,
    };
    let body = body_use(said.raw, &signature.params)?;
    if said.methods.len() > METHODS || !said.methods.iter().all(|method| is_method(method)) {
        return None;
    }
    let params = said.params.into_iter().map(|param| Param {
        name: param.name,
        schema: param.of.schema,
    });
    let described = Described {
        doc: said.doc.chars().take(DOC).collect(),
        params: params.collect(),
        result: said.result.schema,
        fallible: said.fallible,
        body,
        methods: said.methods,
    };
    Some((signature, described))
}

/// The part of a request that these arguments use; `None` if no function has such arguments.
fn body_use(raw: bool, params: &[Type]) -> Option<BodyUse> {
    match (raw, params) {
        (_, [Type::Request]) => Some(BodyUse::Request),
        (_, params) if params.contains(&Type::Request) => None,
        (true, [Type::String | Type::Bytes | Type::Json]) => Some(BodyUse::Raw),
        (true, _) => None,
        (false, _) => Some(BodyUse::Arguments),
    }
}

/// Returns whether this is the name of a method that a function may answer.
fn is_method(word: &str) -> bool {
    (1..=METHOD).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(change: impl FnOnce(&mut Json)) -> Option<(Signature, Described)> {
        let mut said = json!({
            "iof": 1, "name": "send", "doc": "Sends.", "fallible": true,
            "params": [{"name": "mail", "type": "json", "schema": {"type": "object"}}, {"name": "n", "type": "u32"}],
            "result": {"type": "string"}, "of a newer tool": 7,
        });
        change(&mut said);
        read("send", said.to_string().as_bytes())
    }

    #[test]
    fn a_description_is_types_and_words() {
        let (signature, described) = said(|_| ()).unwrap();
        assert_eq!(signature.params, [Type::Json, Type::U32]);
        assert_eq!(signature.result, Type::String);
        assert!(described.fallible && !signature.fallible);
        assert_eq!(described.doc, "Sends.");
        assert_eq!(described.params[0].name, "mail");
        assert_eq!(described.params[0].schema, Some(json!({"type": "object"})));
        assert_eq!(described.params[1].schema, None);
    }

    #[test]
    fn a_function_may_take_what_was_sent_as_it_is() {
        let (_, named) = said(|_| ()).unwrap();
        assert_eq!((named.body, named.methods), (BodyUse::Arguments, vec![]));
        let one = |ty: &str, raw: bool| {
            said(|said| {
                said["params"] = json!([{"name": "it", "type": ty}]);
                said["raw"] = raw.into();
                said["methods"] = json!(["GET", "POST"]);
                said["result"]["type"] = "response".into();
            })
        };
        for (ty, raw, body) in [
            ("request", false, BodyUse::Request),
            ("request", true, BodyUse::Request),
            ("string", true, BodyUse::Raw),
            ("bytes", true, BodyUse::Raw),
            ("json", true, BodyUse::Raw),
            ("json", false, BodyUse::Arguments),
        ] {
            let (signature, described) = one(ty, raw).unwrap();
            assert_eq!(described.body, body, "{ty}");
            assert_eq!(described.methods, ["GET", "POST"]);
            assert_eq!(signature.result, Type::Response);
        }
        assert!(one("u8", true).is_none() && one("response", false).is_none());
        assert!(
            said(|said| said["raw"] = true.into()).is_none(),
            "two arguments"
        );
        assert!(said(|said| said["params"][1]["type"] = "request".into()).is_none());
        assert!(said(|said| said["result"]["type"] = "request".into()).is_none());
        for methods in [
            json!(["get"]),
            json!([""]),
            json!(vec!["GET"; 9]),
            json!(["A".repeat(17)]),
        ] {
            assert!(
                said(|said| said["methods"] = methods.clone()).is_none(),
                "{methods}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_none() {
        assert!(said(|said| said["iof"] = 2.into()).is_none());
        assert!(said(|said| said["name"] = "other".into()).is_none());
        assert!(said(|said| said["params"][0]["type"] = "unit".into()).is_none());
        assert!(said(|said| said["params"][0]["type"] = "jsonx".into()).is_none());
        assert!(said(|said| said["result"] = Json::Null).is_none());
        assert!(
            said(|said| said["params"] = json!(vec![said["params"][1].clone(); 101])).is_none()
        );
        assert!(read("send", b"").is_none());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_safe(text in ".{0,200}") {
            let _ = read("send", text.as_bytes());
        }
    }
}
