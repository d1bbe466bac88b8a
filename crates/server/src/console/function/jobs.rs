//! The jobs of a function: calls whose outcome is fetched, with their cancellation and their retry.

use super::Seen;
use crate::console::words;
use crate::time::unix_ms_now;
use iof_fault::Fault;
use iof_store::{JobEnd, JobHead, JobQuery, JobState, Scope};
use maud::{Markup, html};

/// Jobs of one page, the newest.
const ROWS: u32 = 200;

pub(super) async fn page(seen: &Seen<'_>) -> Result<Markup, Fault> {
    let app = &seen.console.app;
    let id = seen.function.function_id;
    let query = JobQuery {
        function_id: Some(id),
        limit: ROWS,
        ..JobQuery::default()
    };
    let jobs = app.store.jobs(&query).await?;
    let now = unix_ms_now();
    let rows: Vec<_> = jobs.iter().map(|of| row(seen, of, now)).collect();
    let manages = seen.may(Scope::Admin);
    let mut heads = vec![
        "Accepted",
        "State",
        "Export",
        ">Version",
        ">Attempts",
        ">Age",
        ">Total time",
        "Job",
    ];
    if manages {
        heads.push("");
    }
    let empty = html! {
        p { "No jobs yet." }
        p class="note" { "A call with the header " code { "Prefer: respond-async" } " becomes a job; its outcome is kept for " (words::duration(app.settings.job_time)) "." }
    };
    Ok(html! {
        section class="sheet" aria-label="Jobs" {
            div class="live" id="jobs" data-live { (words::table("job-table", "Jobs, the newest first", &heads, &rows, &empty)) }
            @if !jobs.is_empty() {
                p class="note" {
                    "Read an outcome with " code { "iof job ID" } ", or at " code { "/v1/jobs/ID" } ". A waiting job can be cancelled. A running job cannot; it ends at its time limit. A failed job can be retried while its request is kept."
                }
            }
        }
    })
}

fn row(seen: &Seen<'_>, of: &JobHead, now: i64) -> Markup {
    let class = match of.state {
        JobState::Done if of.ended == Some(JobEnd::Ok) => "good",
        JobState::Done => "bad",
        JobState::Running => "warn",
        JobState::Queued => "plain",
    };
    let seconds = |milliseconds: i64| milliseconds.max(0) as f64 / 1000.0;
    let took = of.finished_at.map(|end| seconds(end - of.accepted_at));
    html! {
        tr id=(format!("job-{}", of.id)) {
            td class="time" { (words::time(of.accepted_at)) }
            td { span class=(format!("state {class}")) { (of.state.as_str()) (ended(of)) } }
            td { (of.export) }
            td class="n" { (of.version) }
            td class="n" { (of.attempts) }
            td class="n" { (words::seconds(seconds(now - of.accepted_at))) }
            td class="n" { (words::seconds_or_none(took)) }
            td { code { (of.id) } }
            @if seen.may(Scope::Admin) {
                td class="buttons" {
                    @match of.state {
                        JobState::Queued => (action(seen, of, "cancel", "Cancel")),
                        JobState::Running => span class="note" { "cannot be cancelled" },
                        JobState::Done if of.retriable => (action(seen, of, "retry", "Retry")),
                        JobState::Done => {},
                    }
                }
            }
        }
    }
}

/// The words that follow the state: how the job ended, or why it waits.
fn ended(of: &JobHead) -> String {
    match (of.ended, &of.fault, of.not_before) {
        (None, Some(fault), Some(_)) => format!(", again after {fault}"),
        (None, None, Some(time)) => format!(", not before {}", crate::time::time(time)),
        (Some(JobEnd::Ok), ..) | (None, ..) => String::new(),
        (Some(JobEnd::Failed), Some(fault), _) => format!(", failed: {fault}"),
        (Some(end), ..) => format!(", {}", end.as_str()),
    }
}

fn action(seen: &Seen<'_>, of: &JobHead, verb: &str, label: &str) -> Markup {
    let path = seen.api(&format!("/jobs/{}/{verb}", of.id));
    html! {
        form data-action="POST" data-path=(path) {
            button class="quiet" type="submit" aria-label=(format!("{label} job {}", of.id)) { (label) }
            div class="outcome" role="status" {}
        }
    }
}
