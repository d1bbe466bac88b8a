//! `iof call` and `iof job`.

use crate::args::{Call, Job};
use crate::client::{Client, segment};
use crate::escape::line;
use crate::functions::path;
use crate::output::{json, result, text};
use crate::print;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method};
use serde_json::{Value as Json, json as object};
use std::io::Read;
use std::process::ExitCode;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(crate) async fn run(call: Call) -> Result<ExitCode, String> {
    let client = Client::new(&call.remote)?.of(&call.function);
    let program = call.stdin.is_some() || !call.args.is_empty();
    let (export, argument) = match call.rest.as_slice() {
        [] if program => (PROGRAM.to_owned(), None),
        [_, _] if program => {
            return Err("a program has no TEXT: --stdin is what it reads, and its arguments stand behind --".into());
        }
        [export, text] => (export.clone(), Some(text.clone())),
        [] => (only(&client, &call.function, None).await?, None),
        // With data or the arguments of a program, it can only be the export.
        [export] if call.data.is_some() || program => (export.clone(), None),
        [one] => match only(&client, &call.function, Some(one)).await? {
            export if export == *one => (export, None),
            export => (export, Some(one.clone())),
        },
        _ => return Err("there are at most an EXPORT and a TEXT".into()),
    };
    let (content_type, body) = match (&call.data, argument) {
        (Some(_), Some(_)) => return Err("--data is the argument; leave the TEXT out".into()),
        (Some(data), None) => body(data)?,
        (None, Some(text)) => (TEXT, Bytes::from(text)),
        (None, None) if program => run_of(call.stdin.as_deref(), &call.args)?,
        (None, None) => (TEXT, Bytes::new()),
    };
    let mut headers = vec![(CONTENT_TYPE, content_type)];
    if let Some(signature) = &call.signature {
        let value = HeaderValue::from_str(signature)
            .map_err(|_| "--signature is not a line of text".to_owned())?;
        headers.push((HeaderName::from_static("iof-signature"), value));
    }
    if call.detach {
        headers.push((
            HeaderName::from_static("prefer"),
            HeaderValue::from_static("respond-async"),
        ));
    }
    let path = format!("{}/call/{}", path(&call.function), segment(&export));
    let answer = client.send(Method::POST, &path, &headers, body).await?;
    let header = |name: &str| {
        answer
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    if !answer.status().is_success() {
        let (code, call_id) = (
            header("iof-fault").unwrap_or("-"),
            header("iof-call").unwrap_or("-"),
        );
        let body: Json = serde_json::from_slice(answer.body()).unwrap_or_default();
        if call.remote.json {
            json(&object!({ "fault": code, "error": body["error"], "call": call_id }));
            return Ok(ExitCode::FAILURE);
        }
        let status = answer.status();
        let said = body["error"].as_str().map(line);
        let said = said.unwrap_or_else(|| format!("the server answered {status}").into());
        return Ok(crate::fail(1, format!("{said} [{code}, call {call_id}]")));
    }
    if call.detach {
        let accepted: Json = serde_json::from_slice(answer.body()).unwrap_or_default();
        return Ok(match call.remote.json {
            true => json(&accepted),
            false => print(&format!("{}\n", text(&accepted, "job"))),
        });
    }
    let is_text =
        header("content-type").is_some_and(|of| !of.starts_with("application/octet-stream"));
    Ok(result(answer.body(), is_text))
}

/// The export that is meant when none is named: the only one, or `wanted` if that is one.
async fn only(client: &Client, function: &str, wanted: Option<&str>) -> Result<String, String> {
    let document = client
        .ask(Method::GET, &format!("{}/openapi.json", path(function)), "")
        .await?;
    let paths = document["paths"].as_object().into_iter().flatten();
    let exports: Vec<_> = paths
        .filter_map(|(_, path)| path["post"]["operationId"].as_str())
        .collect();
    match (exports.as_slice(), wanted) {
        (exports, Some(wanted)) if exports.contains(&wanted) => Ok(wanted.to_owned()),
        ([only], _) => Ok((*only).to_owned()),
        ([], _) => Err(format!("{function} exports no function")),
        (several, _) => Err(format!(
            "{function} has several exports: {}. Name one: iof call {function} {} …",
            line(&several.join(", ")),
            line(several.first().unwrap_or(&"EXPORT"))
        )),
    }
}

/// The export of a program.
const PROGRAM: &str = "main";

/// The stdin and the arguments of a program: alone as they are, both as a form.
fn run_of(stdin: Option<&str>, args: &[String]) -> Result<(HeaderValue, Bytes), String> {
    let words = object!({ "args": args }).to_string();
    let Some(file) = stdin else {
        return Ok((JSON, words.into()));
    };
    let bytes = read(file).map_err(|error| format!("--stdin {file}: {error}"))?;
    if args.is_empty() {
        return Ok((OCTETS, bytes.into()));
    }
    // Drawn, so that no file holds it.
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

/// The bytes of a file, or of our own stdin.
fn read(file: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![];
    match file {
        "-" => std::io::stdin().read_to_end(&mut bytes),
        file => std::fs::File::open(file).and_then(|mut file| file.read_to_end(&mut bytes)),
    }?;
    Ok(bytes)
}

/// What `--data` says.
fn body(data: &str) -> Result<(HeaderValue, Bytes), String> {
    let Some(file) = data.strip_prefix('@') else {
        let valid = serde_json::from_str::<serde::de::IgnoredAny>(data);
        valid.map_err(|error| format!("--data is no JSON ({error}); a text goes behind the export: iof call FUNCTION EXPORT TEXT"))?;
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

pub(crate) async fn job(job: Job) -> Result<ExitCode, String> {
    let client = Client::new(&job.remote)?;
    let shown = client
        .ask(Method::GET, &format!("/v1/jobs/{}", segment(&job.job)), "")
        .await?;
    // Whose it is, is known now.
    if job.remote.json {
        return Ok(json(&shown));
    }
    let done = shown["state"] == "done";
    Ok(match shown["fault"].as_str().map(line) {
        Some(fault) => crate::fail(1, format!("{} [{fault}]", text(&shown, "error"))),
        None if done => match &shown["result"] {
            Json::Null => ExitCode::SUCCESS,
            Json::String(text) => result(format!("{text}\n").as_bytes(), false),
            other => print(&format!("{other}\n")),
        },
        None => crate::fail(
            3,
            format!("the job is {}; ask again", text(&shown, "state")),
        ),
    })
}
