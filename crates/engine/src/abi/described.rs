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
//! whole HTTP messages: a request is the only argument, and a response is the result.
//!
//! The description is read once, at upload. If a module exports a description that cannot be read, the manifest states
//! why, and the upload is refused (docs/decisions/0058-what-a-function-promises-is-checked.md).

use crate::manifest::{BodyUse, Described, Param, Signature, Type};
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
/// The most characters of a name that a message quotes.
const SHOWN: usize = 100;

/// The name of the export that describes the export `name`.
pub(crate) fn export_of(name: &str) -> String {
    format!("__iof_describe_{name}")
}

/// Reads the description of the export `name`.
///
/// # Errors
/// A clause that states which part cannot be read.
pub(crate) fn read(name: &str, text: &[u8]) -> Result<(Signature, Described), String> {
    let said: Json = serde_json::from_slice(text).map_err(|error| not_json(&error))?;
    if said["iof"] != 1 {
        return Err("`iof` must be 1, the version of descriptions that this server reads".into());
    }
    if said["name"] != name {
        return Err("`name` must be the name of the export".into());
    }
    let listed = said["params"].as_array().ok_or("`params` must be a list")?;
    if listed.len() > PARAMS {
        return Err(format!("it has more than {PARAMS} arguments"));
    }
    let (mut types, mut params) = (vec![], vec![]);
    for param in listed {
        let (ty, param) = read_param(param)?;
        types.push(ty);
        params.push(param);
    }
    let result = match type_of(&said["result"], "the result")? {
        Type::Request => return Err("the result cannot be a `request`".into()),
        ty => ty,
    };
    let body = body_use(flag(&said, "raw")?, &types).ok_or(
        "`raw` takes one argument, of the type string, bytes or json, and a request is the only argument",
    )?;
    let described = Described {
        doc: text_of(&said, "doc")?.chars().take(DOC).collect(),
        params,
        result: said["result"].get("schema").cloned(),
        fallible: flag(&said, "fallible")?,
        body,
        methods: methods(&said)?,
    };
    // The types that a call passes; the flag of a `Result` exists only in functions that wasm-bindgen generates.
    let signature = Signature {
        params: types,
        result,
        fallible: false,
        patch: None,
    };
    Ok((signature, described))
}

/// The message for a text that is not JSON, in words other than the parser's.
fn not_json(error: &serde_json::Error) -> String {
    if error.to_string().starts_with("recursion limit") {
        return "it is nested more than 127 levels deep".into();
    }
    let end = if error.is_eof() {
        ", which ends early"
    } else {
        ""
    };
    format!(
        "it is not JSON (line {}, character {}{end})",
        error.line(),
        error.column()
    )
}

fn read_param(said: &Json) -> Result<(Type, Param), String> {
    let name = said["name"].as_str().ok_or("an argument has no `name`")?;
    let subject = format!(
        "the argument `{}`",
        name.chars().take(SHOWN).collect::<String>()
    );
    let ty = match type_of(said, &subject)? {
        Type::Unit | Type::Response => {
            return Err(format!("{subject} cannot be a `unit` or a `response`"));
        }
        ty => ty,
    };
    let schema = said.get("schema").cloned();
    if ty != Type::Json && schema.is_some() {
        return Err(format!(
            "{subject} has a schema, which only the type `json` takes"
        ));
    }
    let name = name.to_owned();
    Ok((ty, Param { name, schema }))
}

/// The type that a part of the description names.
fn type_of(said: &Json, subject: &str) -> Result<Type, String> {
    let name = said["type"].as_str();
    let name = name.ok_or_else(|| format!("{subject} has no `type`"))?;
    let ty = match name {
        "unit" => Some(Type::Unit),
        // The guest crate cannot describe the types that the filter removes.
        name => {
            Type::of_name(name).filter(|ty| !matches!(ty, Type::I128 | Type::U128 | Type::Char))
        }
    };
    ty.ok_or_else(|| {
        let name: String = name.chars().take(SHOWN).collect();
        format!("{subject} has an unknown type: got `{name}`")
    })
}

/// A text that may be left out.
fn text_of<'a>(said: &'a Json, name: &str) -> Result<&'a str, String> {
    match &said[name] {
        Json::Null => Ok(""),
        Json::String(text) => Ok(text),
        _ => Err(format!("`{name}` must be a text")),
    }
}

/// A flag that may be left out.
fn flag(said: &Json, name: &str) -> Result<bool, String> {
    match &said[name] {
        Json::Null => Ok(false),
        Json::Bool(is) => Ok(*is),
        _ => Err(format!("`{name}` must be true or false")),
    }
}

/// The methods that call the function, which may be left out.
fn methods(said: &Json) -> Result<Vec<String>, String> {
    let listed = match &said["methods"] {
        Json::Null => return Ok(vec![]),
        methods => methods.as_array().filter(|listed| listed.len() <= METHODS),
    };
    let names = listed.and_then(|listed| {
        let names = listed
            .iter()
            .map(|name| name.as_str().filter(|name| is_method(name)));
        names.map(|name| name.map(str::to_owned)).collect()
    });
    names.ok_or_else(|| {
        format!("`methods` must be at most {METHODS} names in upper case, such as `GET`")
    })
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

    fn said(change: impl FnOnce(&mut Json)) -> Result<(Signature, Described), String> {
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
        assert!(one("u8", true).is_err() && one("response", false).is_err());
        assert!(
            said(|said| said["raw"] = true.into()).is_err(),
            "two arguments"
        );
        assert!(said(|said| said["params"][1]["type"] = "request".into()).is_err());
        assert!(said(|said| said["result"]["type"] = "request".into()).is_err());
        for methods in [
            json!(["get"]),
            json!([""]),
            json!(vec!["GET"; 9]),
            json!(["A".repeat(17)]),
        ] {
            assert!(
                said(|said| said["methods"] = methods.clone()).is_err(),
                "{methods}"
            );
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        let refused = |change: &dyn Fn(&mut Json)| said(change).unwrap_err();
        for (why, change) in [
            (
                "`iof` must be 1",
                &(|said: &mut Json| said["iof"] = 2.into()) as &dyn Fn(&mut Json),
            ),
            ("`name` must be", &|said| said["name"] = "other".into()),
            ("`mail` cannot be a `unit`", &|said| {
                said["params"][0]["type"] = "unit".into();
            }),
            ("got `jsonx`", &|said| {
                said["params"][0]["type"] = "jsonx".into();
            }),
            ("which only the type `json`", &|said| {
                said["params"][1]["schema"] = true.into();
            }),
            ("the result has no `type`", &|said| {
                said["result"] = Json::Null;
            }),
            ("no `name`", &|said| said["params"][0]["name"] = 1.into()),
            ("`doc` must be a text", &|said| said["doc"] = 1.into()),
            ("`fallible` must be", &|said| {
                said["fallible"] = "yes".into();
            }),
            ("more than 100", &|said| {
                said["params"] = json!(vec![said["params"][1].clone(); 101]);
            }),
        ] {
            let got = refused(change);
            assert!(got.contains(why), "{why}: {got}");
        }
        let read = |text: &str| read("send", text.as_bytes()).unwrap_err();
        assert!(read("").contains("which ends early"));
        assert!(read("[1,]").contains("not JSON"));
        assert!(read(&"[".repeat(1000)).contains("127 levels"));
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_safe(text in ".{0,200}") {
            let _ = read("send", text.as_bytes());
        }
    }
}
