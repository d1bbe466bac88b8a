//! `iof audit`: who changed what.

use crate::args::Audit;
use crate::client::{Client, segment};
use crate::escape::line as escaped;
use crate::output::{text, time};
use crate::print;
use http::Method;
use humantime_serde::re::humantime::format_rfc3339_millis;
use serde_json::Value as Json;
use std::process::ExitCode;
use std::time::SystemTime;

pub(crate) async fn run(audit: Audit) -> Result<ExitCode, String> {
    let mut client = Client::new(&audit.remote)?;
    let mut path = format!("/v1/audit?limit={}", audit.limit);
    if let Some(function) = &audit.function {
        client = client.of(function);
        path += &format!("&function={}", segment(function));
    }
    if let Some(since) = audit.since {
        let since = SystemTime::now()
            .checked_sub(since)
            .unwrap_or(SystemTime::UNIX_EPOCH);
        path += &format!("&since={}", format_rfc3339_millis(since));
    }
    let answer = client.ask(Method::GET, &path, "").await?;
    let changes = answer["changes"]
        .as_array()
        .ok_or("the server's answer has no changes")?;
    // The newest last, where people look.
    let lines: String = changes
        .iter()
        .rev()
        .map(|change| match audit.remote.json {
            true => format!("{change}\n"),
            false => line(change),
        })
        .collect();
    if lines.is_empty() && !audit.remote.json {
        return Ok(print("no changes\n"));
    }
    Ok(print(&lines))
}

/// One change for people: the time, the surface, the key, the action, the function, and what changed.
fn line(change: &Json) -> String {
    let key = &change["key"];
    let who = match key["kind"].as_str() {
        Some("server") => format!("server key {}", text(key, "id")),
        Some("made") => format!("key {} ({})", text(key, "id"), text(key, "label")),
        Some("function") => format!("admin key of {}", text(key, "id")),
        _ => "no key".to_owned(),
    };
    let function = match (change["name"].as_str(), &change["function"]) {
        (Some(name), _) => format!("  {}", escaped(name)),
        (None, Json::Null) => String::new(),
        (None, number) => format!("  function {number}"),
    };
    let details = change["details"].as_object().into_iter().flatten();
    let details: String = details
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| {
            let value = match value {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            format!("  {}={}", escaped(name), escaped(&value))
        })
        .collect();
    format!(
        "{}  {}  {who}  {}{function}{details}\n",
        time(change, "at"),
        text(change, "surface"),
        text(change, "action"),
    )
}
