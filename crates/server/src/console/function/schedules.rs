//! The schedules of a function, with their next times, their pause and their resumption.

use super::Seen;
use crate::console::words;
use crate::schedules::{ScheduleView, schedules_of};
use iof_fault::Fault;
use iof_store::Scope;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

pub(super) async fn page(seen: &Seen<'_>) -> Result<Markup, Fault> {
    let schedules = schedules_of(&seen.console.app, seen.function).await?;
    let rows: Vec<_> = schedules.iter().map(|of| row(seen, of)).collect();
    let mut heads = vec![
        "Name",
        "Pattern",
        "Zone",
        "Export",
        "If missed",
        "Next times",
        "Last job",
    ];
    if seen.may(Scope::Admin) {
        heads.push("");
    }
    let empty = html! {
        p { "The active version declares no schedule." }
        p class="note" { "A " code { "schedule" } " in " code { "function.toml" } " names an export and when it is called: " code { "[{ cron = \"30 2 * * *\", export = \"report\" }]" } "." }
    };
    Ok(html! {
        section class="sheet" aria-label="Schedules" {
            (words::table("schedules", "Schedules", &heads, &rows, &empty))
            @if !schedules.is_empty() {
                p class="note" {
                    "Each time is a job of the active version (" code { "iof schedules" } " shows times in your zone and in that of the schedule). Times of a pause are left out, and a schedule stays paused through deploys."
                }
            }
        }
    })
}

fn row(seen: &Seen<'_>, of: &ScheduleView) -> Markup {
    html! {
        tr {
            td { (of.name) }
            td { code { (of.declared.cron) } }
            td { (of.declared.timezone) }
            td { (of.declared.export) }
            td { (of.declared.missed.as_str()) }
            td class="time" {
                @if of.paused { span class="state warn" { "paused" } }
                @for next in &of.next { div { (words::time(*next)) } }
            }
            td class="time" {
                @if let Some(last) = &of.last { (words::time(last.due_at)) " " (last.state.as_str()) }
            }
            @if seen.may(Scope::Admin) {
                td class="buttons" { (action(seen, of)) }
            }
        }
    }
}

fn action(seen: &Seen<'_>, of: &ScheduleView) -> Markup {
    let (verb, label) = match of.paused {
        true => ("resume", "Resume"),
        false => ("pause", "Pause"),
    };
    let name = utf8_percent_encode(&of.name, NON_ALPHANUMERIC);
    let path = seen.api(&format!("/schedules/{name}/{verb}"));
    html! {
        form data-action="POST" data-path=(path) {
            button class="quiet" type="submit" aria-label=(format!("{label} schedule {}", of.name)) { (label) }
            div class="outcome" role="status" {}
        }
    }
}
