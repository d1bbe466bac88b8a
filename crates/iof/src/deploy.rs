//! `iof deploy`: a module, or what is built of a folder, becomes a function or its next version.

use crate::args::Deploy;
use crate::build;
use crate::client::{Client, segment};
use crate::functions::path;
use crate::output::{json, texts};
use crate::print;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use iof_build::Options;
use serde_json::Value as Json;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A module, what it declares, and what to call it.
pub(crate) struct Package {
    pub(crate) module: Vec<u8>,
    pub(crate) declaration: Option<String>,
    pub(crate) name: String,
}

/// What becomes of it.
#[derive(Default)]
pub(crate) struct Wishes {
    pub(crate) private: bool,
    pub(crate) canary: Option<u8>,
    pub(crate) idle: bool,
}

pub(crate) async fn run(deploy: Deploy) -> Result<ExitCode, String> {
    // Before anything is built: a wrong option costs no minute then.
    let mut client = Client::new(&deploy.remote)?;
    let (module, beside, name) = source(&deploy.path)?;
    let declaration = match (&deploy.function, beside) {
        (Some(file), _) => Some(read(file)?),
        (None, Some(file)) => Some(read(&file)?),
        (None, None) => None,
    };
    let bytes = tokio::fs::read(&module).await;
    let package = Package {
        module: bytes.map_err(|error| format!("{}: {error}", module.display()))?,
        declaration,
        name: deploy.name.clone().unwrap_or(name),
    };
    let wishes = Wishes {
        private: deploy.private,
        canary: deploy.canary,
        idle: deploy.idle,
    };
    let deployed = put(&mut client, package, &wishes).await?;
    if deploy.remote.json {
        return Ok(json(&deployed));
    }
    let function = name_of(&deployed);
    let client = client.of(&function);
    let document = client
        .ask(
            Method::GET,
            &format!("{}/openapi.json", path(&function)),
            "",
        )
        .await;
    Ok(print(&told(
        &client,
        &deployed,
        document.ok().as_ref(),
        &wishes,
    )))
}

/// The module of a path, the function.toml beside it, and the name that it suggests.
fn source(place: &Path) -> Result<(PathBuf, Option<PathBuf>, String), String> {
    if place.is_dir() {
        let built = build::once(place, &Options::default())?;
        return Ok((built.module, built.declaration, built.package));
    }
    if !place.is_file() {
        return Err(format!(
            "{} is not there: name a module (.wasm), or the folder of a crate",
            place.display()
        ));
    }
    let name = place
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let beside = place.with_file_name("function.toml");
    Ok((place.to_owned(), beside.is_file().then_some(beside), name))
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Deploys: the next version of the function of that name, or a new one.
///
/// # Errors
/// What the server says is wrong.
pub(crate) async fn put(
    client: &mut Client,
    package: Package,
    wishes: &Wishes,
) -> Result<Json, String> {
    let name = package.name.to_ascii_lowercase().replace('_', "-");
    let (content_type, body) = form(&package);
    let headers = [(CONTENT_TYPE, content_type)];
    let rollout = match wishes {
        Wishes {
            canary: Some(percent),
            ..
        } => format!("?canary={percent}"),
        Wishes { idle: true, .. } => "?idle=true".to_owned(),
        _ => String::new(),
    };
    let known = Client::new_like(client, &name);
    // Asked first: a module may be large.
    let shown = known.send(Method::GET, &path(&name), &[], "").await?;
    let numbered = name.bytes().all(|byte| byte.is_ascii_digit());
    if shown.status() != StatusCode::NOT_FOUND || numbered {
        let next = format!("{}/versions{rollout}", path(&name));
        let answer = known
            .send(Method::POST, &next, &headers, body.clone())
            .await?;
        // To whoever has no key for it, the server does not say whether there is such a function.
        let hidden = matches!(
            answer.status(),
            StatusCode::NOT_FOUND | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        );
        if numbered || !hidden {
            return known.json(answer);
        }
    }
    let create = format!("/v1/functions?name={name}&private={}", wishes.private);
    let answer = client.send(Method::POST, &create, &headers, body).await?;
    if answer.status() == StatusCode::CONFLICT {
        return Err(format!(
            "there is a function {name} already, and no key for it here: --key (IOF_KEY) takes its admin key or one of scope deploy, --name another name"
        ));
    }
    let made = client.json(answer)?;
    if let Some(key) = made["admin_key"].as_str() {
        client.remember(&[made["function"].to_string(), name], key)?;
    }
    Ok(made)
}

/// A module and its declaration, as a form.
fn form(package: &Package) -> (HeaderValue, Vec<u8>) {
    let boundary = uuid::Uuid::new_v4().simple().to_string();
    let mut body = vec![];
    let mut part = |name: &str, content: &[u8]| {
        body.extend(
            format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n")
                .into_bytes(),
        );
        body.extend(content);
        body.extend(b"\r\n");
    };
    if let Some(declaration) = &package.declaration {
        part("function", declaration.as_bytes());
    }
    part("module", &package.module);
    body.extend(format!("--{boundary}--\r\n").into_bytes());
    let content_type = HeaderValue::from_str(&format!("multipart/form-data; boundary={boundary}"));
    // Hexadecimal digits always are a header value.
    (
        content_type.unwrap_or(HeaderValue::from_static("multipart/form-data")),
        body,
    )
}

/// The name of a function that was deployed, or its number.
pub(crate) fn name_of(deployed: &Json) -> String {
    let name = deployed["name"].as_str().map(str::to_owned);
    name.unwrap_or_else(|| deployed["function"].to_string())
}

/// What to do with it now.
fn told(client: &Client, deployed: &Json, document: Option<&Json>, wishes: &Wishes) -> String {
    let name = name_of(deployed);
    let exports = texts(deployed, "exports");
    let runs = match wishes {
        // The first version runs, whatever was wished.
        _ if !deployed["admin_key"].is_null() => String::new(),
        Wishes {
            canary: Some(percent),
            ..
        } => format!(", for {percent} of a hundred calls"),
        Wishes { idle: true, .. } => ", which does not run yet".to_owned(),
        _ => String::new(),
    };
    let mut text = format!(
        "{name} version {}{runs}: {}\n",
        deployed["version"],
        exports.join(", ")
    );
    if let Some(export) = exports.first() {
        let call = format!("{}/call/{}", path(&name), segment(export));
        let _ = writeln!(text, "  url   {}", client.url(&call));
        let _ = writeln!(
            text,
            "  curl  curl {}{}",
            body(document, &format!("{}/call/{export}", path(&name))),
            word(&client.url(&call))
        );
        let _ = writeln!(text, "  iof   iof call {name} {} …", word(export));
    }
    for secret in texts(deployed, "secrets_not_set") {
        let _ = writeln!(
            text,
            "  {secret} is not set: iof secret set {name} {secret}"
        );
    }
    if wishes.canary.is_some() && deployed["admin_key"].is_null() {
        let _ = writeln!(
            text,
            "  iof promote {name} runs it for all calls, iof rollback {name} --version N for none"
        );
    }
    text
}

/// The most values of a sample.
const SAMPLE: u32 = 200;

/// A body that the function takes, as curl sends it.
fn body(document: Option<&Json>, call: &str) -> String {
    let operation = document.map(|document| &document["paths"][call]["post"]);
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

/// A text as one word of a shell, which means nothing else there.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// A value that a schema takes, as far as it is plain, and small: of what is nested deeper or comes after `left` values,
/// there is `null`.
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
    fn a_word_is_one_word_of_a_shell() {
        assert_eq!(word("say-hello"), "say-hello");
        assert_eq!(word(""), "''");
        assert_eq!(word("a b;$(id)#"), "'a b;$(id)#'");
        assert_eq!(word("it's"), "'it'\\''s'");
    }

    #[test]
    fn a_sample_of_a_schema_that_repeats_itself_is_small() {
        let names = (0..100).map(|n| (n.to_string(), json!({"$ref": "#"})));
        let schema =
            json!({"type": "object", "properties": names.collect::<serde_json::Map<_, _>>()});
        let sample = sample(&schema, &schema, 0, &mut SAMPLE.clone());
        assert!(sample.to_string().len() < 10_000, "{sample}");
    }
}
