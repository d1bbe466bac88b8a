//! The text that `iof deploy` prints for people.

use super::{DeployOptions, Deployment, name_of};
use crate::client::{Client, segment};
use crate::escape::line;
use crate::functions::{active, answers_http, path};
use crate::grants;
use crate::output::{texts, word};
use serde_json::Value as Json;
use std::fmt::Write;

/// The parts of the text that a deploy prints.
pub(super) struct Summary<'a> {
    pub(super) client: &'a Client,
    pub(super) deployment: &'a Deployment,
    /// The OpenAPI document of the function.
    pub(super) document: Option<&'a Json>,
    /// The function after the deploy.
    pub(super) after: Option<&'a Json>,
    pub(super) wishes: &'a DeployOptions,
    /// The option with which another command reaches the same server.
    pub(super) server: &'a str,
}

/// Describes a deploy: the version, the admin key of a new function, its grants, and how to call it.
pub(super) fn of(summary: &Summary<'_>) -> String {
    let Summary {
        client,
        deployment,
        document,
        after,
        wishes,
        server,
    } = *summary;
    let deployed = &deployment.answer;
    let name = name_of(deployed);
    let exports = texts(deployed, "exports");
    let runs = match wishes {
        // The first version is active, whatever the options were.
        _ if !deployed["admin_key"].is_null() => match wishes.canary.is_some() || wishes.idle {
            true => ", the first one, which runs for all calls".to_owned(),
            false => String::new(),
        },
        DeployOptions {
            canary: Some(percent),
            ..
        } => format!(", for {percent} percent of the calls"),
        DeployOptions { idle: true, .. } => ", which does not run yet".to_owned(),
        _ => String::new(),
    };
    let exported = match exports.is_empty() {
        true => String::new(),
        false => format!(": {}", exports.join(", ")),
    };
    let mut text = format!("{name} version {}{runs}{exported}\n", deployed["version"]);
    if let Some(export) = exports.first() {
        let own = format!("/fn/{}/", segment(&name));
        let call = format!("{}/call/", path(&name));
        let operations = |at: &str| {
            let at = format!("{at}{}", export.replace('/', "%2F"));
            document.and_then(|document| document["paths"][at].as_object())
        };
        // A function that takes whole requests is called at its own address.
        let (at, operations) = match operations(&own) {
            Some(operations) => (own, Some(operations)),
            None => {
                let operations = operations(&call);
                (call, operations)
            }
        };
        let url = client.url(&format!("{at}{}", segment(export)));
        // Lines to be copied contain a placeholder for the key.
        let key = match wishes.private {
            true => "-H 'authorization: Bearer KEY' ",
            false => "",
        };
        let request = request(document, operations);
        let _ = writeln!(
            text,
            "  url   {url}\n  curl  curl {key}{request}{}",
            word(&url)
        );
        let _ = writeln!(text, "  iof   iof call {name} {} …{server}", word(export));
    } else if after.and_then(active).is_some_and(answers_http) {
        let url = client.url(&format!("/fn/{}/", segment(&name)));
        let key = match wishes.private {
            true => "-H 'authorization: Bearer KEY' ",
            false => "",
        };
        let _ = writeln!(text, "  url   {url}\n  curl  curl {key}{}", word(&url));
    } else {
        text += "  it exports nothing that can be called; `iof build` shows what a module has\n";
    }
    text += &key_of(deployment, &name, server);
    text += &grants_of(deployment, after);
    for warning in texts(deployed, "warnings") {
        let _ = writeln!(text, "  warning: {}", line(&warning));
    }
    for secret in texts(deployed, "secrets_not_set") {
        let _ = writeln!(
            text,
            "  {secret} is not set: iof secret set {name} {secret}{server}"
        );
    }
    if wishes.canary.is_some() && deployed["admin_key"].is_null() {
        let _ = writeln!(
            text,
            "  iof promote {name}{server} runs it for all calls, iof rollback {name} --version N{server} for none"
        );
    }
    text
}

/// Describes the grants of a first version, or the difference of a later version from the previously active one.
fn grants_of(deployment: &Deployment, after: Option<&Json>) -> String {
    let versions = after.and_then(|after| after["versions"].as_array());
    let number = &deployment.answer["version"];
    let new = versions.and_then(|all| all.iter().find(|row| row["version"] == *number));
    let Some(new) = new else {
        return String::new();
    };
    let before = deployment.before.as_ref();
    let (title, lines) = match before.and_then(|before| Some((before, active(before)?))) {
        Some((before, active)) => (
            format!("different from version {}, it may use", before["version"]),
            grants::difference(active, new),
        ),
        None => ("it may use".to_owned(), grants::describe(new)),
    };
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines
        .lines()
        .map(|line| format!("      {line}\n"))
        .collect();
    format!("  {title}\n{lines}")
}

/// The admin key, which the server shows once.
fn key_of(deployment: &Deployment, name: &str, server: &str) -> String {
    let Some(key) = deployment.answer["admin_key"].as_str() else {
        return String::new();
    };
    let kept = match &deployment.kept {
        Some(Ok(())) => "it is kept for commands from here".to_owned(),
        Some(Err(why)) => format!("NOT KEPT: {why}. Keep it yourself"),
        None => "keep it".to_owned(),
    };
    format!(
        "  key   {}\n        its admin key, shown once: {kept}; a server's key makes another (iof key rotate {name}{server})\n",
        line(key)
    )
}

/// The most values in a sample.
const SAMPLE: u32 = 200;

/// A sample request of the function, as arguments of curl; `operations` contains the operations of its address, by
/// method.
fn request(document: Option<&Json>, operations: Option<&serde_json::Map<String, Json>>) -> String {
    let posted = operations.map(|all| (all.get("post"), all.keys().next()));
    let operation = match posted {
        Some((None, Some(method))) => {
            return match method.as_str() {
                "get" => String::new(),
                other => format!("-X {} ", word(&other.to_ascii_uppercase())),
            };
        }
        Some((operation, _)) => operation,
        None => None,
    };
    let schema = operation.map(|of| &of["requestBody"]["content"]["application/json"]["schema"]);
    let properties = schema.and_then(|schema| schema["properties"].as_object());
    let Some(properties) = properties else {
        let takes_nothing =
            operation.is_some_and(|of| of["requestBody"].is_null() && !of["responses"].is_null());
        return match takes_nothing {
            true => "-X POST ".into(),
            false => "-H 'content-type: text/plain' -d 'text' ".into(),
        };
    };
    if let [(_, only)] = properties.iter().collect::<Vec<_>>().as_slice()
        && only["type"] == "string"
    {
        return "-H 'content-type: text/plain' -d 'text' ".into();
    }
    let mut left = SAMPLE;
    let sample: serde_json::Map<_, _> = properties
        .iter()
        .map(|(name, schema)| {
            let value = sample(schema, document.unwrap_or(schema), 0, &mut left);
            (name.clone(), value)
        })
        .collect();
    let text = word(&Json::Object(sample).to_string());
    format!("-H 'content-type: application/json' -d {text} ")
}

/// A small sample value for a simple schema: deeper parts, and those after `left` values, are `null`.
fn sample(schema: &Json, root: &Json, depth: u32, left: &mut u32) -> Json {
    if *left == 0 {
        return Json::Null;
    }
    *left -= 1;
    if depth > 8 {
        return Json::Null;
    }
    if let Some(place) = schema["$ref"]
        .as_str()
        .and_then(|place| place.strip_prefix('#'))
    {
        return root
            .pointer(place)
            .map_or(Json::Null, |to| sample(to, root, depth + 1, left));
    }
    if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
        return first.clone();
    }
    if let Some(first) = schema["anyOf"].as_array().and_then(|all| all.first()) {
        return sample(first, root, depth + 1, left);
    }
    let of = match &schema["type"] {
        Json::Array(types) => types.first().and_then(Json::as_str),
        ty => ty.as_str(),
    };
    match of {
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties
                .map_while(|(name, of)| {
                    (*left > 0).then(|| (name.clone(), sample(of, root, depth + 1, left)))
                })
                .collect()
        }
        Some("array") => Json::Array(vec![]),
        Some("integer" | "number") => schema["minimum"].as_i64().unwrap_or(0).max(0).into(),
        Some("boolean") => true.into(),
        Some("string") => "text".into(),
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sample_of_a_schema_that_repeats_itself_is_small() {
        let names = (0..100).map(|n| (n.to_string(), json!({"$ref": "#"})));
        let schema =
            json!({"type": "object", "properties": names.collect::<serde_json::Map<_, _>>()});
        let sample = sample(&schema, &schema, 0, &mut SAMPLE.clone());
        assert!(sample.to_string().len() < 10_000, "{sample}");
    }
}
