//! The records of a function: the log of its calls, its outbound log, and recorded calls.

use super::{Seen, Wanted};
use crate::call_log::CallResult;
use crate::console::outbound;
use crate::console::words;
use crate::http::truncate;
use iof_fault::Fault;
use iof_store::LoggedCall;
use maud::{Markup, html};

/// Rows of the log that are searched, and rows of the other lists.
const ROWS: u32 = 200;

pub(super) async fn log(seen: &Seen<'_>, wanted: &Wanted) -> Result<Markup, Fault> {
    let app = &seen.console.app;
    let id = seen.function.function_id;
    let rows = app.call_log.rows(&app.store, id, None, ROWS).await?;
    let faults = wanted.faults.is_some();
    let rows: Vec<_> = rows
        .iter()
        .rev()
        .filter_map(|row| Some((row, CallResult::of(row)?)))
        .filter(|(_, result)| !faults || result.fault.is_some())
        .filter(|(_, result)| has(result, wanted.find.trim()))
        .map(|(row, result)| log_row(row, &result))
        .collect();
    let dropped = app.call_log.dropped(id);
    let empty = html! {
        @if faults || !wanted.find.trim().is_empty() {
            p { "No call in the log matches." }
            p class="note" { a href=(seen.href("log")) { "Show all calls" } }
        } @else {
            p { "The log is empty." }
            p class="note" { "Call the function: " a href=(seen.href("call")) { "with the form" } ", or: " code { "iof call " (seen.counted()) " EXPORT" } }
        }
    };
    let heads = [
        "Time",
        "Outcome",
        "Export",
        ">Version",
        ">CPU time",
        "Message and output",
    ];
    Ok(html! {
        form class="search" method="get" role="search" {
            input type="search" name="find" value=(truncate(&wanted.find)) aria-label="Part of a row" placeholder="Part of a row" autocomplete="off" spellcheck="false";
            label class="check" { input type="checkbox" name="faults" value="only" checked[faults]; "Faults only" }
            button class="quiet" type="submit" { "Search" }
            span class="note live-note" { "New calls appear automatically." }
        }
        section class="sheet" aria-label="Log" {
            @if dropped > 0 { p class="alert warn" { (words::count(dropped)) " rows were dropped since the start of the server: server.call_log_memory was full." } }
            div class="live" id="log" data-live { (words::table("log-table", "Calls, the newest first", &heads, &rows, &empty)) }
        }
    })
}

/// Returns whether a row has a text in what people read of it.
fn has(result: &CallResult, part: &str) -> bool {
    let texts = [
        &result.call,
        &result.export,
        &result.fault,
        &result.message,
        &result.stdout,
        &result.stderr,
    ];
    let frames = || result.trace.iter().any(|frame| frame.contains(part));
    part.is_empty() || frames() || texts.into_iter().flatten().any(|text| text.contains(part))
}

fn log_row(row: &LoggedCall, result: &CallResult) -> Markup {
    let call = result.call.as_deref().unwrap_or_default();
    let printed = [("stdout", &result.stdout), ("stderr", &result.stderr)];
    html! {
        tr id=(format!("call-{call}")) {
            td class="time" { (words::time(row.called_at)) }
            td { (words::outcome(result.fault.as_deref())) @if result.refused { div class="sub" { "refused" } } }
            td { (result.export.as_deref().unwrap_or_default()) }
            td class="n" { @if let Some(version) = result.version { (version) } }
            td class="n" { @if !result.refused { (words::seconds(row.guest_ns as f64 / 1e9)) } }
            td class="wide said" {
                @if let Some(message) = &result.message { div { (message) } }
                @if !result.trace.is_empty() {
                    details { summary { "trace" } pre tabindex="0" { @for frame in &result.trace { "at " (frame) "\n" } } }
                }
                @for (stream, text) in printed {
                    @if let Some(text) = text {
                        details open[text.len() < 120 && !text.trim_end().contains('\n')] { summary { (stream) } pre tabindex="0" { (text) } }
                    }
                }
                div class="sub" { "call " code { (call) } }
            }
        }
    }
}

pub(super) async fn outbound(seen: &Seen<'_>, wanted: &Wanted) -> Result<Markup, Fault> {
    let id = seen.function.function_id;
    let grants = html! {
        p { "The function has sent no request and run no command." }
        p class="note" { "It may send only what its function.toml declares: " code { "outbound = [\"GET https://api.example.com/\"]" } }
    };
    outbound::list(
        seen.console,
        Some(id),
        wanted.before,
        &seen.href("outbound"),
        &grants,
    )
    .await
}

pub(super) async fn recordings(seen: &Seen<'_>) -> Result<Markup, Fault> {
    let app = &seen.console.app;
    app.outbound_log.flush().await;
    let calls = app
        .store
        .recordings(seen.function.function_id, ROWS)
        .await?;
    let active = seen.function.version.number;
    let rows: Vec<_> = calls
        .iter()
        .map(|of| {
            let fault = (of.outcome != "ok").then_some(of.outcome.as_str());
            let path = format!("/v1/calls/{}/replay", of.call);
            html! {
                tr {
                    td class="time" { (words::time(of.at)) }
                    td { (words::outcome(fault)) }
                    td class="n" { (of.version) }
                    td class="n" { (words::bytes(of.size)) }
                    td { code { (of.call) } }
                    td class="buttons" {
                        div class="row-of-buttons" {
                            (replay(&format!("{path}?version={}", of.version), &format!("Replay on {}", of.version)))
                            @if of.version != active { (replay(&format!("{path}?version={active}"), &format!("on {active}"))) }
                        }
                    }
                }
            }
        })
        .collect();
    let heads = ["Time", "Outcome", ">Version", ">Size", "Call", ""];
    let empty = html! {
        p { "No calls are recorded." }
        p class="note" { "Turn recording on in function.toml: " code { "record = \"errors\"" } " records failed calls, " code { "\"always\"" } " all calls." }
    };
    Ok(html! {
        section class="sheet" aria-label="Recordings" {
            (words::table("recordings", "Recorded calls, the newest first", &heads, &rows, &empty))
        }
        section class="sheet" id="replayed" aria-live="polite" hidden {}
    })
}

fn replay(path: &str, label: &str) -> Markup {
    html! {
        form data-action="POST" data-path=(path) data-done="replay" {
            button class="quiet" type="submit" { (label) }
            div class="outcome" role="status" {}
        }
    }
}
