//! `iof jobs`: calls that run later, listed, shown, cancelled and retried.

use crate::args::{Jobs, JobsCommand, Remote};
use crate::client::{Client, segment};
use crate::output::{json, table, text, time};
use crate::print;
use http::Method;
use humantime_serde::re::humantime::format_rfc3339_millis;
use serde_json::{Value as Json, json as object};
use std::process::ExitCode;
use std::time::SystemTime;

pub(crate) async fn run(jobs: Jobs) -> Result<ExitCode, String> {
    match jobs.what {
        JobsCommand::List {
            function,
            state,
            outcome,
            priority,
            since,
            limit,
            before,
            remote,
        } => {
            let since = since.map(|since| {
                let since = SystemTime::now().checked_sub(since);
                format_rfc3339_millis(since.unwrap_or(SystemTime::UNIX_EPOCH)).to_string()
            });
            let priority = priority.map(|priority| priority.to_string());
            let filters = [
                ("state", state),
                ("outcome", outcome),
                ("priority", priority),
                ("since", since),
                ("before", before),
            ];
            list(function, &filters, limit, &remote).await
        }
        JobsCommand::Show { job, remote } => show(&job, &remote).await,
        JobsCommand::Cancel { job, remote } => change(&job, "cancel", &remote).await,
        JobsCommand::Retry { job, remote } => change(&job, "retry", &remote).await,
    }
}

async fn list(
    function: Option<String>,
    filters: &[(&str, Option<String>)],
    limit: u32,
    remote: &Remote,
) -> Result<ExitCode, String> {
    let mut client = Client::new(remote)?;
    let mut path = format!("/v1/jobs?limit={limit}");
    if let Some(function) = &function {
        client = client.of(function);
        path += &format!("&function={}", segment(function));
    }
    for (name, value) in filters {
        if let Some(value) = value {
            path += &format!("&{name}={}", segment(value));
        }
    }
    let answer = client.ask(Method::GET, &path, "").await?;
    if remote.json {
        return Ok(json(&answer));
    }
    let jobs = answer["jobs"]
        .as_array()
        .ok_or("the server's answer has no jobs")?;
    let rows: Vec<_> = jobs.iter().map(row).collect();
    let names = [
        "JOB",
        "FUNCTION",
        "EXPORT",
        "STATE",
        ">ATTEMPTS",
        "ACCEPTED",
        "FAULT",
    ];
    let mut out = table(&names, &rows, "no jobs");
    if let Some(next) = answer["next"].as_str() {
        out += &format!("more: --before {next}\n");
    }
    Ok(print(&out))
}

fn row(job: &Json) -> Vec<String> {
    let state = match job["outcome"].as_str() {
        Some(_) => text(job, "outcome"),
        None => text(job, "state"),
    };
    vec![
        text(job, "job"),
        text(job, "function"),
        text(job, "export"),
        state,
        text(job, "attempts"),
        time(job, "accepted_at"),
        text(job, "fault"),
    ]
}

async fn show(job: &str, remote: &Remote) -> Result<ExitCode, String> {
    let shown = find(job, remote).await?;
    if remote.json {
        return Ok(json(&shown));
    }
    let mut out = String::new();
    for field in [
        "job",
        "function",
        "version",
        "export",
        "kind",
        "of",
        "state",
        "position",
        "outcome",
        "attempts",
        "priority",
        "accepted_at",
        "not_before",
        "expires_at",
        "finished_at",
        "schedule",
        "due_at",
        "callback_job",
        "last_fault",
        "fault",
        "error",
    ] {
        if !shown[field].is_null() {
            out += &format!("{field}: {}\n", text(&shown, field));
        }
    }
    Ok(print(&out))
}

async fn change(job: &str, verb: &str, remote: &Remote) -> Result<ExitCode, String> {
    // Its function is in the path, and only the job says which that is.
    let shown = find(job, remote).await?;
    let function = text(&shown, "function");
    let client = Client::new(remote)?.of_any();
    let path = format!("/v1/functions/{function}/jobs/{}/{verb}", segment(job));
    let answer = client.ask(Method::POST, &path, "").await?;
    if verb == "retry" {
        return Ok(match remote.json {
            true => json(&answer),
            false => print(&format!("{}\n", text(&answer, "job"))),
        });
    }
    Ok(match remote.json {
        true => json(&object!({ "job": job, "cancelled": true })),
        false => print("cancelled\n"),
    })
}

async fn find(job: &str, remote: &Remote) -> Result<Json, String> {
    let client = Client::new(remote)?.of_any();
    let path = format!("/v1/jobs/{}", segment(job));
    client.ask(Method::GET, &path, "").await
}
