//! The versions of a function: what each of them is, which run, and the deploy of the next one.

use super::difference::{self, Facts};
use super::summary::{action, canary_form};
use super::{Seen, Wanted};
use crate::console::functions::deploy_form;
use crate::console::words;
use iof_fault::Fault;
use iof_store::{Scope, Version};
use maud::{Markup, html};

/// Versions that are listed.
const ROWS: usize = 100;

pub(super) async fn page(seen: &Seen<'_>, wanted: &Wanted) -> Result<Markup, Fault> {
    let id = seen.function.function_id;
    let versions = seen.console.app.store.versions(id).await?;
    let deploys = seen.may(Scope::Deploy);
    let rows: Vec<_> = versions
        .iter()
        .take(ROWS)
        .map(|version| row(seen, version, deploys))
        .collect();
    let compared = match (wanted.from, wanted.to) {
        (Some(from), Some(to)) => Some(compare(seen, from, to).await?),
        _ => None,
    };
    let heads = [
        "Version", "", "Deployed", ">Size", ">Exports", "SHA-256", "Compare", "",
    ];
    Ok(html! {
        @if let Some(compared) = compared { (compared) }
        section class="sheet" aria-label="Versions" {
            (words::table("versions", "Versions, the newest first", &heads, &rows, &html! {}))
            @if versions.len() > ROWS { p class="note" { "The newest " (ROWS) " of " (versions.len()) "." } }
        }
        @if deploys {
            h2 { "Deploy the next version" }
            (deploy_form(&seen.api("/versions"), &rollout_field()))
        }
    })
}

fn row(seen: &Seen<'_>, version: &Version, deploys: bool) -> Markup {
    let function = seen.function;
    let number = version.number;
    let active = function.version.number == number;
    let canary = function
        .canary
        .as_ref()
        .filter(|canary| canary.version.number == number);
    let digest = hex::encode(version.sha256);
    let facts = Facts::of(version);
    let against = match active {
        true => function
            .canary
            .as_ref()
            .map(|canary| canary.version.number)
            .or((number > 1).then(|| number - 1)),
        false => Some(function.version.number),
    };
    html! {
        tr {
            td { (number) }
            td {
                @if active { span class="state good" { "active" } }
                @if let Some(canary) = canary { span class="state warn" { "canary " (canary.percent.get()) " %" } }
            }
            td class="time" { (words::time(version.created_at)) }
            td class="n" { (words::bytes(version.size)) }
            td class="n" title=(facts.exports()) { (facts.count()) }
            td { code title=(digest) { (digest.get(..12).unwrap_or_default()) } }
            td { @if let Some(other) = against { a href=(format!("{}?from={other}&to={number}", seen.href("versions"))) { "with " (other) } } }
            td class="buttons" {
                @if deploys && !active {
                    div class="row-of-buttons" {
                        (action(&seen.api("/active"), "PUT", &format!("{{\"version\":{number}}}"), if number < function.version.number { "Roll back" } else { "Activate" }, "quiet"))
                        @if canary.is_none() && function.canary.is_none() {
                            (action(&seen.api("/canary"), "PUT", &format!("{{\"version\":{number},\"percent\":10}}"), "Canary 10 %", "quiet"))
                        }
                    }
                }
            }
        }
    }
}

/// The choice of what a new version runs.
fn rollout_field() -> Markup {
    html! {
        div class="fields" {
            div class="field" {
                label for="rollout" { "It runs" }
                select id="rollout" data-rollout="" {
                    option value="" { "all calls" }
                    option value="canary=10" { "10 % of the calls, as a canary" }
                    option value="canary=50" { "50 % of the calls, as a canary" }
                    option value="idle=true" { "no calls yet" }
                }
            }
        }
    }
}

async fn compare(seen: &Seen<'_>, from: i64, to: i64) -> Result<Markup, Fault> {
    let id = seen.function.function_id;
    let store = &seen.console.app.store;
    let [from, to] = [
        store.version(id, from).await?.ok_or(from),
        store.version(id, to).await?.ok_or(to),
    ];
    let (from, to) = match (from, to) {
        (Ok(from), Ok(to)) => (from, to),
        (Err(number), _) | (_, Err(number)) => return Err(Fault::no_such_version(id, number)),
    };
    let rows: Vec<_> = difference::between(&Facts::of(&from), &Facts::of(&to))
        .into_iter()
        .map(|of| {
            html! {
                tr {
                    td { code { (of.name) } }
                    td class="before" { @match &of.before { Some(text) => code { (text) }, None => span class="note" { "–" } } }
                    td class="after" { @match &of.after { Some(text) => code { (text) }, None => span class="note" { "–" } } }
                }
            }
        })
        .collect();
    let heads = ["Grant, limit or export", "Before", "After"];
    let empty = html! { p { "Grants, limits and exports are the same." } };
    let canary = seen
        .function
        .canary
        .as_ref()
        .filter(|canary| canary.version.number == to.number);
    Ok(html! {
        section class="sheet" aria-labelledby="difference-title" {
            h2 id="difference-title" { "Version " (from.number) " and version " (to.number) }
            (words::table("difference", "Differences between the versions", &heads, &rows, &empty))
            @if let (Some(canary), true) = (canary, seen.may(Scope::Deploy)) { (canary_form(seen, to.number, canary.percent.get())) }
        }
    })
}
