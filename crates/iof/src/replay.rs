//! `iof calls` and `iof replay`: recorded calls.

use crate::args::{Calls, Replay};
use crate::client::Client;
use crate::escape::line;
use crate::functions::path;
use crate::output::{json, table, text as field, time};
use crate::print;
use http::Method;
use serde_json::Value as Json;
use std::fmt::Write;
use std::process::ExitCode;

/// The most characters of a text that are shown.
const SHOWN: usize = 2_000;

pub(crate) async fn run(replay: Replay) -> Result<ExitCode, String> {
    let client = Client::new(&replay.remote)?;
    let client = match &replay.function {
        Some(function) => client.of(function),
        None => client.of_any(),
    };
    let call = uuid::Uuid::try_parse(&replay.call)
        .map_err(|_| "CALL must be the id in the header iof-call of the call's answer")?;
    let version = replay
        .version
        .map_or(String::new(), |version| format!("?version={version}"));
    let path = format!("/v1/calls/{call}/replay{version}");
    let answer = client.ask(Method::POST, &path, "").await?;
    let text = match replay.remote.json {
        true => format!("{answer}\n"),
        false => describe(&answer),
    };
    match print(&text) {
        ExitCode::SUCCESS if answer["same"] == Json::Bool(true) => Ok(ExitCode::SUCCESS),
        _ => Ok(ExitCode::FAILURE),
    }
}

/// `iof calls`: the recorded calls of a function.
pub(crate) async fn list(calls: Calls) -> Result<ExitCode, String> {
    let client = Client::new(&calls.remote)?.of(&calls.function);
    let place = format!("{}/calls", path(&calls.function));
    let mut list = client.ask(Method::GET, &place, "").await?;
    let mut rows = match list["calls"].take() {
        Json::Array(rows) => rows,
        _ => vec![],
    };
    rows.truncate(calls.limit);
    if calls.remote.json {
        return Ok(json(&serde_json::json!({ "calls": rows })));
    }
    let rows: Vec<_> = rows
        .iter()
        .map(|row| {
            vec![
                field(row, "call"),
                time(row, "at"),
                field(row, "version"),
                field(row, "outcome"),
                field(row, "size"),
            ]
        })
        .collect();
    let none = "no recorded calls; record = \"errors\" in function.toml keeps those that fail";
    Ok(print(&table(
        &["CALL", "AT", "VERSION", "OUTCOME", "BYTES"],
        &rows,
        none,
    )))
}

fn describe(answer: &Json) -> String {
    let mut text = format!(
        "call {}, function {}, {}\n",
        field(answer, "call"),
        answer["function"],
        field(answer, "export"),
    );
    for run in ["recorded", "replayed"] {
        let ended = &answer[run]["ended"];
        let ending = match ended["fault"]["code"].as_str() {
            Some(code) => format!(
                "fault {}: {}",
                line(code),
                field(&ended["fault"], "message")
            ),
            None => format!("returned {}", show(&ended["result"])),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{run} on version {}: {ending}",
            answer[run]["version"]
        );
    }
    let differences = answer["differences"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if differences.is_empty() {
        text += "no difference\n";
    }
    for difference in differences {
        let _ = writeln!(
            text,
            "different: {}\n  recorded  {}\n  replayed  {}",
            field(&difference, "what"),
            show(&difference["recorded"]),
            show(&difference["replayed"]),
        );
    }
    text
}

fn show(value: &Json) -> String {
    let text = match value {
        Json::Null => "nothing".to_owned(),
        value => value.to_string(),
    };
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((end, _)) => format!(
            "{}… ({} bytes)",
            text.get(..end).unwrap_or_default(),
            text.len()
        ),
    }
}
