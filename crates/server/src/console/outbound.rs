//! `/console/outbound`: the outbound log, which is the record of outbound requests and commands; of all functions, or of one.

use super::frame::{self, Page, Place};
use super::viewer::{Viewer, query};
use super::{Console, words};
use crate::metrics::address_class;
use axum::body::Body;
use axum::extract::State;
use http::{Response, Uri};
use iof_fault::Fault;
use iof_store::{OutboundKind, OutboundQuery, OutboundRow, Scope};
use maud::{Markup, html};
use serde::Deserialize;
use std::net::SocketAddr;
use std::sync::Arc;

/// Rows on one page.
const ROWS: u32 = 100;

/// The query of the page.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wanted {
    before: Option<i64>,
}

/// Shows what left because of all functions.
pub(super) async fn show(
    State(console): State<Arc<Console>>,
    uri: Uri,
    viewer: Viewer,
) -> Response<Body> {
    let body = async {
        viewer.server(&console, &[Scope::Read]).await?;
        let wanted: Wanted = query(&uri)?;
        let empty = html! {
            p { "No function has sent a request or run a command." }
            p class="note" { "A function may send only what its function.toml declares, within the ceiling of this server." }
        };
        list(&console, None, wanted.before, "/console/outbound", &empty).await
    };
    match body.await {
        Ok(body) => frame::page(
            Some(&viewer),
            &Page {
                title: "Outbound".to_owned(),
                place: Place::Outbound,
                events: None,
                body: html! { header class="title" { h1 { "Outbound" } span class="note" { "The outbound log: requests sent and commands run" } } (body) },
            },
        ),
        Err(fault) => frame::failure(Some(&viewer), &fault),
    }
}

/// The record, of one function or of all, in rows before a number.
///
/// # Errors
/// `store`
pub(super) async fn list(
    console: &Console,
    function_id: Option<i64>,
    before: Option<i64>,
    href: &str,
    empty: &Markup,
) -> Result<Markup, Fault> {
    let app = &console.app;
    app.outbound_log.flush().await;
    let query = OutboundQuery {
        function_id,
        before,
        limit: ROWS + 1,
        ..OutboundQuery::default()
    };
    let mut rows = app.store.outbound(&query).await?;
    let more = rows.len() > ROWS as usize;
    rows.truncate(ROWS as usize);
    let next = rows.last().filter(|_| more).map(|row| row.id);
    let cells: Vec<_> = rows
        .iter()
        .map(|of| row(of, function_id.is_none()))
        .collect();
    let mut heads = vec![
        "Time",
        "What",
        "To",
        "Rule",
        ">Status",
        ">Sent",
        ">Received",
        ">Time taken",
        "Outcome",
    ];
    if function_id.is_none() {
        heads.insert(1, "Function");
    }
    Ok(html! {
        section class="sheet" aria-label="Outbound requests and commands" {
            (words::table("outbound", "Outbound requests and commands, the newest first", &heads, &cells, empty))
            @if before.is_some() || next.is_some() {
                nav class="pager" aria-label="Pages" {
                    @if before.is_some() { a href=(href) { "Newest" } } @else { span {} }
                    @if let Some(next) = next { a rel="next" href=(format!("{href}?before={next}")) { "Older" } }
                }
            }
        }
    })
}

fn row(row: &OutboundRow, all: bool) -> Markup {
    let of = &row.record;
    let address: Option<SocketAddr> = of.address.as_deref().and_then(|text| text.parse().ok());
    let fault = (of.outcome != "ok").then_some(of.outcome.as_str());
    let call = format!("/console/functions/{}/log#call-{}", of.function_id, of.call);
    html! {
        tr {
            td class="time" { a href=(call) title="The call in the log" { (words::time(of.at)) } }
            @if all { td class="n" { a href=(words::function_href(of.function_id)) { (of.function_id) } " " small { "v" (of.version) } } }
            @match of.kind {
                OutboundKind::Command => {
                    td { "command" }
                    td { code { (of.subject.as_deref().unwrap_or_default()) } }
                    td { span class="note" { "–" } }
                }
                OutboundKind::Request => {
                    td { (of.method.as_deref().unwrap_or_default()) }
                    td {
                        (of.host.as_deref().unwrap_or_default())
                        div class="sub" {
                            (of.address.as_deref().unwrap_or("no address"))
                            @if let Some(address) = address { " · " (address_class(address.ip())) }
                        }
                    }
                    td class="wide" {
                        @match &of.subject { Some(rule) => code { (rule) }, None => span class="note" { "none" } }
                        @if let Some(secrets) = &of.secrets { div class="sub" { "with " (secrets) } }
                    }
                }
            }
            td class="n" { @if let Some(status) = of.status { (status) } }
            td class="n" { (words::bytes(of.bytes_out)) }
            td class="n" { (words::bytes(of.bytes_in)) }
            td class="n" {
                (words::seconds(of.ms as f64 / 1000.0))
                @if let Some(waited) = &of.waited { div class="sub" title=(format!("egress.{}", waited.limit)) { "waited " (words::seconds(waited.ms as f64 / 1000.0)) } }
            }
            td { (words::outcome(fault)) }
        }
    }
}
