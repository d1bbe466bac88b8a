//! The plan of a call: its export, and the body with its arguments.

use crate::args::Call;
use crate::client::Client;
use crate::escape::line;
use crate::functions::{call_operations, path};
use bytes::Bytes;
use http::{HeaderValue, Method};
use serde_json::{Map, Value as Json, json as object};
use std::io::Read;

pub(crate) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// An export, and the body that is sent to it.
pub(super) struct Plan {
    pub(super) export: String,
    pub(super) content_type: HeaderValue,
    pub(super) body: Bytes,
}

impl Plan {
    /// Plans a call from the arguments of the command.
    ///
    /// # Errors
    /// A message that names the argument.
    pub(super) async fn of(call: &Call, client: &Client) -> Result<Self, String> {
        let has_args = !call.args.is_empty();
        let rest: Vec<&String> = call.export.iter().chain(&call.text).collect();
        let (export, argument) = match rest.as_slice() {
            [] if has_args || call.stdin.is_some() => {
                let document = document(client, &call.function).await?;
                let program = exports(&document).contains(&PROGRAM);
                let export = match program {
                    true => PROGRAM.to_owned(),
                    false => only(&document, &call.function, None)?,
                };
                (export, None)
            }
            [_, _] if has_args || call.stdin.is_some() => {
                return Err("arguments can be given in one way only: leave out TEXT, or --stdin and the arguments after --".into());
            }
            [export, text] => ((*export).clone(), Some((*text).clone())),
            [] => {
                let document = document(client, &call.function).await?;
                (only(&document, &call.function, None)?, None)
            }
            // With --data, --stdin or arguments after `--`, the one word can only be the export.
            [export] if call.data.is_some() || has_args || call.stdin.is_some() => {
                ((*export).clone(), None)
            }
            [one] => {
                let document = document(client, &call.function).await?;
                match only(&document, &call.function, Some(one))? {
                    export if export == **one => (export, None),
                    export => (export, Some((*one).clone())),
                }
            }
            // At most two words are possible.
            _ => return Err("a call takes at most an EXPORT and a TEXT".into()),
        };
        let is_program = export == PROGRAM;
        let (content_type, body) = match (&call.data, argument) {
            (Some(_), Some(_)) => {
                return Err("--data is the argument; leave out TEXT".into());
            }
            (Some(data), None) => body(data)?,
            (None, Some(text)) => (TEXT, Bytes::from(text)),
            (None, None) if is_program && (has_args || call.stdin.is_some()) => {
                run_of(call.stdin.as_deref(), &call.args)?
            }
            (None, None) => match (&call.stdin, has_args) {
                (Some(_), true) => {
                    return Err(format!(
                        "{export} is not a program: give its arguments with --stdin or after --, not with both"
                    ));
                }
                (Some(file), false) => of_stdin(file)?,
                (None, true) => {
                    let document = document(client, &call.function).await?;
                    let body = by_name(&document, &call.function, &export, &call.args)?;
                    (JSON, body.to_string().into())
                }
                (None, false) => (TEXT, Bytes::new()),
            },
        };
        Ok(Self {
            export,
            content_type,
            body,
        })
    }
}

/// The OpenAPI document of a function.
async fn document(client: &Client, function: &str) -> Result<Json, String> {
    let place = format!("{}/openapi.json", path(function));
    client.ask(Method::GET, &place, "").await
}

fn exports(document: &Json) -> Vec<&str> {
    call_operations(document)
        .filter_map(|operation| operation["operationId"].as_str())
        .collect()
}

/// The most names of exports in a message.
const SHOWN: usize = 20;

/// The export of a call that names none: the only export, or `wanted` if the function exports it.
fn only(document: &Json, function: &str, wanted: Option<&str>) -> Result<String, String> {
    let exports = exports(document);
    match (exports.as_slice(), wanted) {
        (exports, Some(wanted)) if exports.contains(&wanted) => Ok(wanted.to_owned()),
        ([only], _) => Ok((*only).to_owned()),
        ([], _) => Err(format!("{function} exports no function")),
        (several, Some(wanted)) => {
            let more = several.len().saturating_sub(SHOWN);
            let shown = several.get(..SHOWN).unwrap_or(several).join(", ");
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            Err(format!(
                "{function} has no export {}; it exports {}{more}. Name one: iof call {function} EXPORT …",
                line(wanted),
                line(&shown)
            ))
        }
        (several, _) => Err(format!(
            "{function} has several exports: {}. Name one: iof call {function} {} …",
            line(&several.join(", ")),
            line(several.first().unwrap_or(&"EXPORT"))
        )),
    }
}

/// Positional arguments as the JSON object that the export takes, each with the type of its schema.
fn by_name(document: &Json, function: &str, export: &str, args: &[String]) -> Result<Json, String> {
    let operation = call_operations(document)
        .find(|operation| operation["operationId"] == export)
        .ok_or_else(|| {
            let known = exports(document).join(", ");
            format!(
                "{function} has no export {export}; it exports {}",
                line(&known)
            )
        })?;
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let Some(parameters) = schema["properties"].as_object() else {
        return Err(format!(
            "{function} does not declare the types of {export}: send them with --data and --signature"
        ));
    };
    if args.len() > parameters.len() {
        let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
        return Err(format!(
            "{export} takes {} arguments ({}): got {}",
            parameters.len(),
            line(&names.join(", ")),
            args.len()
        ));
    }
    let mut object = Map::new();
    for ((name, schema), text) in parameters.iter().zip(args) {
        object.insert(name.clone(), typed(document, name, schema, text)?);
    }
    Ok(Json::Object(object))
}

/// One argument: a text if its schema is that of a text, else JSON.
fn typed(document: &Json, name: &str, schema: &Json, text: &str) -> Result<Json, String> {
    let schema = schema["$ref"]
        .as_str()
        .and_then(|place| document.pointer(place.strip_prefix('#')?))
        .unwrap_or(schema);
    let is_text = match &schema["type"] {
        Json::String(of) => of == "string",
        Json::Array(of) => of.iter().any(|of| of == "string"),
        _ => schema["enum"]
            .as_array()
            .is_some_and(|all| all.iter().all(Json::is_string)),
    };
    if is_text {
        return Ok(text.into());
    }
    serde_json::from_str(text).map_err(|error| {
        let at = error.column();
        format!("argument {} must be JSON: got {}, which stops being JSON at character {at}. Write it as JSON, such as 3, true or '{{\"a\": 1}}'.", line(name), line(text))
    })
}

/// The bytes of a file or of this program's stdin, as the argument of a function.
fn of_stdin(file: &str) -> Result<(HeaderValue, Bytes), String> {
    let bytes = read(file).map_err(|error| format!("--stdin {file}: {error}"))?;
    let content_type = match std::str::from_utf8(&bytes) {
        Ok(_) => TEXT,
        Err(_) => OCTETS,
    };
    Ok((content_type, bytes.into()))
}

/// The export of a program.
const PROGRAM: &str = "main";

/// The body for a program: only stdin or only arguments unchanged, both as a form.
fn run_of(stdin: Option<&str>, args: &[String]) -> Result<(HeaderValue, Bytes), String> {
    let words = object!({ "args": args }).to_string();
    let Some(file) = stdin else {
        return Ok((JSON, words.into()));
    };
    let bytes = read(file).map_err(|error| format!("--stdin {file}: {error}"))?;
    if args.is_empty() {
        return Ok((OCTETS, bytes.into()));
    }
    // A random boundary, so that no file contains it.
    let boundary = format!("iof-{}", uuid::Uuid::new_v4().simple());
    let words = object!(args);
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"args\"\r\n\r\n{words}\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"stdin\"; filename=\"stdin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let tail = format!("\r\n--{boundary}--\r\n");
    let body = [head.as_bytes(), &bytes, tail.as_bytes()].concat();
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let content_type = HeaderValue::from_str(&content_type).map_err(|error| error.to_string())?;
    Ok((content_type, body.into()))
}

/// The bytes of a file, or of this program's stdin.
fn read(file: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![];
    match file {
        "-" => std::io::stdin().read_to_end(&mut bytes),
        file => std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes)),
    }?;
    Ok(bytes)
}

/// The body that `--data` describes.
fn body(data: &str) -> Result<(HeaderValue, Bytes), String> {
    let Some(file) = data.strip_prefix('@') else {
        let valid = serde_json::from_str::<serde::de::IgnoredAny>(data);
        valid.map_err(|error| format!("--data must be JSON: got a text that stops being JSON at line {}, character {}; a text goes after the export: iof call FUNCTION EXPORT TEXT", error.line(), error.column()))?;
        return Ok((JSON, data.to_owned().into()));
    };
    let bytes = read(file).map_err(|error| format!("--data {data}: {error}"))?;
    let content_type = match file {
        file if file.ends_with(".json") => JSON,
        "-" if std::str::from_utf8(&bytes).is_ok() => TEXT,
        _ => OCTETS,
    };
    Ok((content_type, bytes.into()))
}
