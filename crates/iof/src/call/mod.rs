//! `iof call` and `iof job`.

mod plan;

pub(crate) use plan::{JSON, TEXT};

use crate::args::{Call, Job};
use crate::client::{Client, segment};
use crate::escape::line;
use crate::functions::path;
use crate::output::{json, result, text, word};
use crate::print;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method};
use plan::Plan;
use serde_json::{Value as Json, json as object};
use std::process::ExitCode;

pub(crate) async fn run(call: Call) -> Result<ExitCode, String> {
    let client = Client::new(&call.remote)?.of(&call.function);
    let plan = Plan::of(&call, &client).await?;
    let (export, content_type, body) = (plan.export, plan.content_type, plan.body);
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
    // Without a fault, the function chose the status.
    if header("iof-fault").is_some() || (call.detach && !answer.status().is_success()) {
        let (code, call_id) = (
            header("iof-fault").unwrap_or("-"),
            header("iof-call").unwrap_or("-"),
        );
        let body: Json = serde_json::from_slice(answer.body()).unwrap_or_default();
        let next = client.which(&answer).await;
        let said = body["error"].as_str();
        let said = said.map(|said| call.remote.lead(said) + &next);
        let said = said.map(|said| match (code, &call.export, &call.text) {
            // Both texts may be arguments of the only export.
            ("no-such-export", Some(one), Some(two)) => format!(
                "{said} If both are arguments, put them after `--`: iof call {} -- {} {}",
                word(&call.function),
                word(one),
                word(two)
            ),
            _ => said,
        });
        if call.remote.json {
            json(&object!({ "fault": code, "error": said, "call": call_id }));
            return Ok(ExitCode::FAILURE);
        }
        let status = answer.status();
        let said = said.as_deref().map(line);
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
    let status = answer.status();
    if call.remote.json {
        let result = result_of(header("content-type").unwrap_or_default(), answer.body());
        let mut shown = object!({ "call": header("iof-call") });
        let name = if result.1 { "result" } else { "result_base64" };
        shown[name] = result.0;
        if !status.is_success() {
            shown["status"] = status.as_u16().into();
            shown["location"] = header("location").into();
            json(&shown);
            return Ok(ExitCode::FAILURE);
        }
        return Ok(json(&shown));
    }
    let is_text =
        header("content-type").is_some_and(|of| !of.starts_with("application/octet-stream"));
    let printed = result(answer.body(), is_text);
    if status.is_success() {
        return Ok(printed);
    }
    // stdout has the answer, as for any call; stderr states that it is an error or a redirect.
    let to = header("location").map_or(String::new(), |to| format!(", to {}", line(to)));
    let call_id = header("iof-call").unwrap_or("-");
    Ok(crate::fail(
        1,
        format!("the function answered {status}{to} [call {call_id}]"),
    ))
}

/// A result as JSON with `true`, or bytes in base64 with `false`.
pub(crate) fn result_of(content_type: &str, body: &[u8]) -> (Json, bool) {
    let text = String::from_utf8_lossy(body);
    match content_type.split(';').next().unwrap_or_default() {
        "" => (Json::Null, true),
        "application/json" => (
            serde_json::from_slice(body).unwrap_or_else(|_| text.into()),
            true,
        ),
        "text/plain" => (text.into(), true),
        _ => (STANDARD.encode(body).into(), false),
    }
}

pub(crate) async fn job(job: Job) -> Result<ExitCode, String> {
    // Only the server knows the function of the job.
    let client = Client::new(&job.remote)?.of_any();
    let shown = client
        .ask(Method::GET, &format!("/v1/jobs/{}", segment(&job.job)), "")
        .await?;
    let done = shown["state"] == "done";
    if job.remote.json {
        let printed = json(&shown);
        return Ok(match (shown["fault"].is_string(), done) {
            (true, _) => ExitCode::FAILURE,
            (false, false) => ExitCode::from(3),
            (false, true) => printed,
        });
    }
    Ok(match shown["fault"].as_str().map(line) {
        Some(fault) => crate::fail(
            1,
            format!("{} [{fault}]", job.remote.lead(&text(&shown, "error"))),
        ),
        None if done => match &shown["result"] {
            Json::Null => ExitCode::SUCCESS,
            Json::String(text) => result(format!("{text}\n").as_bytes(), false),
            other => print(&format!("{other}\n")),
        },
        None => crate::fail(
            3,
            format!("the job is {}; try again later", text(&shown, "state")),
        ),
    })
}
