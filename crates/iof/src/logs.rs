//! `iof logs`: the output and outcomes of calls.

use crate::args::{Logs, Remote};
use crate::client::Client;
use crate::escape::{block, line as escaped};
use crate::functions::path;
use crate::output::{text, time};
use crate::print;
use http::Method;
use humantime_serde::re::humantime::format_rfc3339_millis;
use serde_json::Value as Json;
use std::fmt::Write;
use std::process::ExitCode;
use std::time::SystemTime;

/// The most rows of one answer.
const MOST: u32 = 1_000;
/// The seconds for which the server holds a poll open until there is news.
const WAIT: u32 = 30;

pub(crate) async fn run(logs: Logs) -> Result<ExitCode, String> {
    let client = Client::new(&logs.remote)?.of(&logs.function);
    let path = format!("{}/logs", path(&logs.function));
    let only = RowFilter::of(&logs);
    // A filter needs the rows, so more are requested than are shown.
    let most = if only.is_all() { logs.limit } else { MOST };
    let mut rows = of(client
        .ask(Method::GET, &format!("{path}?limit={most}"), "")
        .await?);
    let mut last = 0;
    if let Some(newest) = rows.iter().filter_map(|row| row["id"].as_i64()).max() {
        last = newest;
    }
    rows.retain(|row| only.takes(row));
    rows.drain(..rows.len().saturating_sub(logs.limit as usize));
    loop {
        for row in &rows {
            let line = match logs.remote.json {
                true => format!("{row}\n"),
                false => line(row, &logs.remote),
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
        if let Some(newest) = rows.iter().filter_map(|row| row["id"].as_i64()).max() {
            last = newest;
        }
        rows.retain(|row| only.takes(row));
    }
}

/// The filter of rows.
struct RowFilter {
    /// The earliest time, in the format of the rows.
    since: Option<String>,
    fault: Option<String>,
    call: Option<String>,
}

impl RowFilter {
    fn of(logs: &Logs) -> Self {
        let since = logs
            .since
            .and_then(|since| SystemTime::now().checked_sub(since));
        Self {
            since: since.map(|at| format_rfc3339_millis(at).to_string()),
            fault: logs.fault.clone(),
            call: logs.call.map(|call| call.to_string()),
        }
    }

    fn is_all(&self) -> bool {
        self.since.is_none() && self.fault.is_none() && self.call.is_none()
    }

    fn takes(&self, row: &Json) -> bool {
        let text = |field: &str| row[field].as_str().unwrap_or_default();
        // Times in this format sort like their texts.
        self.since
            .as_deref()
            .is_none_or(|since| text("at") >= since)
            && self.call.as_deref().is_none_or(|call| text("call") == call)
            && match self.fault.as_deref() {
                None => true,
                Some("any") => row["fault"].is_string(),
                Some(code) => text("fault") == code,
            }
    }
}

/// The rows of an answer.
pub(crate) fn of(mut answer: Json) -> Vec<Json> {
    match answer["logs"].take() {
        Json::Array(rows) => rows,
        _ => vec![],
    }
}

/// One call for people: its time, export, outcome and, on further lines, output.
///
/// Command lines in it are completed for the server of `remote`.
pub(crate) fn line(row: &Json, remote: &Remote) -> String {
    let ms = row["guest_us"].as_f64().unwrap_or(0.0) / 1000.0;
    let (at, export, call) = (time(row, "at"), text(row, "export"), text(row, "call"));
    let outcome = escaped(row["fault"].as_str().unwrap_or("ok"));
    let mut line = match row["refused"] == true {
        true => format!("{at}  {export}  refused: {outcome}  call {call}\n"),
        false => format!(
            "{at}  {export} v{}  {outcome}  {ms:.2} ms  call {call}\n",
            text(row, "version")
        ),
    };
    if let Some(message) = row["message"].as_str() {
        let _ = writeln!(line, "    {}", escaped(&remote.lead(message)));
    }
    for frame in row["trace"].as_array().into_iter().flatten() {
        let frame = frame.as_str().unwrap_or_default();
        let _ = writeln!(line, "      at {}", escaped(frame));
    }
    for stream in ["stdout", "stderr"] {
        for printed in row[stream].as_str().unwrap_or_default().lines() {
            let _ = writeln!(line, "  | {}", block(printed));
        }
    }
    line
}
