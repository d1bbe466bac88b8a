//! Descriptions that functions give of themselves: names, types and JSON Schemas of arguments and result.
//!
//! A module built with the guest crate (or with our stand-in for wasm-bindgen of 2020) exports, for each function,
//! `__iof_describe_<function>`, which returns a text like any other function of this ABI:
//!
//! ```text
//! {"iof":1, "name":"send", "doc":"…", "fallible":true, "result":{"type":"json","schema":{…}},
//!  "params":[{"name":"mail","type":"json","schema":{…}}]}
//! ```
//!
//! It is asked once, at upload. A description that cannot be read is ignored, and the core type decides as it does for
//! every module that says nothing: an author's tool may be newer than this server.

use crate::manifest::{Described, Param, Signature, Type};
use serde::Deserialize;
use serde_json::Value as Json;

/// The longest description that is read, in bytes.
pub(crate) const MAX: u32 = 64 << 10;
/// All descriptions of a module together: they are kept with every version, and shown in lists.
pub(crate) const MAX_ALL: usize = 128 << 10;
/// The most parameters that one has.
const PARAMS: usize = 100;
/// The longest comment that is kept.
const DOC: usize = 4096;

/// The export that describes another.
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
            // Types that the guest crate has no form for cannot be in its description.
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
        Type::Unit => None,
        ty => Some(ty),
    });
    // The types that a call really passes; the flag of a `Result` crosses only in wasm-bindgen's own functions.
    let signature = Signature {
        params: types.collect::<Option<_>>()?,
        result: said.result.read()?,
        fallible: false,
        patch: None,
    };
    let params = said.params.into_iter().map(|param| Param {
        name: param.name,
        schema: param.of.schema,
    });
    let described = Described {
        doc: said.doc.chars().take(DOC).collect(),
        params: params.collect(),
        result: said.result.schema,
        fallible: said.fallible,
    };
    Some((signature, described))
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
