//! `iof logs`: what calls printed and came to.

use crate::args::Logs;
use crate::client::Client;
use crate::escape::{block, line as escaped};
use crate::functions::path;
use crate::output::{text, time};
use crate::print;
use http::Method;
use serde_json::Value as Json;
use std::fmt::Write;
use std::process::ExitCode;

/// Seconds that a question waits at the server for something to tell.
const WAIT: u32 = 30;

pub(crate) async fn run(logs: Logs) -> Result<ExitCode, String> {
    let client = Client::new(&logs.remote)?.of(&logs.function);
    let path = format!("{}/logs", path(&logs.function));
    let mut rows = of(client
        .ask(Method::GET, &format!("{path}?limit={}", logs.limit), "")
        .await?);
    let mut last = 0;
    loop {
        for row in &rows {
            last = row["id"].as_i64().unwrap_or(last).max(last);
            let line = match logs.remote.json {
                true => format!("{row}\n"),
                false => line(row),
            };
            if print(&line) != ExitCode::SUCCESS {
                return Ok(ExitCode::FAILURE);
            }
        }
        if !logs.follow {
            return Ok(ExitCode::SUCCESS);
        }
        let next = format!("{path}?after={last}&wait={WAIT}&limit=1000");
        rows = of(client.ask(Method::GET, &next, "").await?);
    }
}

/// The rows of an answer.
pub(crate) fn of(mut answer: Json) -> Vec<Json> {
    match answer["logs"].take() {
        Json::Array(rows) => rows,
        _ => vec![],
    }
}

/// One call for people: when, what, how it went, and what it printed below.
pub(crate) fn line(row: &Json) -> String {
    let ms = row["guest_us"].as_f64().unwrap_or(0.0) / 1000.0;
    let mut line = format!(
        "{}  {} v{}  {}  {ms:.2} ms  call {}\n",
        time(row, "at"),
        text(row, "export"),
        text(row, "version"),
        escaped(row["fault"].as_str().unwrap_or("ok")),
        text(row, "call"),
    );
    if let Some(message) = row["message"].as_str() {
        let _ = writeln!(line, "    {}", escaped(message));
    }
    for stream in ["stdout", "stderr"] {
        for printed in row[stream].as_str().unwrap_or_default().lines() {
            let _ = writeln!(line, "  | {}", block(printed));
        }
    }
    line
}
