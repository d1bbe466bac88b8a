//! `iof egress`: the record of outbound requests and commands.

use crate::args::Egress;
use crate::client::{Client, segment};
use crate::escape::line as escaped;
use crate::output::{text as field, texts, time};
use crate::print;
use http::Method;
use serde_json::Value as Json;
use std::process::ExitCode;

/// The seconds for which the server holds a poll open until there is news.
const WAIT: u32 = 30;

pub(crate) async fn run(egress: Egress) -> Result<ExitCode, String> {
    let mut client = Client::new(&egress.remote)?;
    let mut filter = String::new();
    if let Some(function) = &egress.function {
        client = client.of(function);
        filter += &format!("&function={}", segment(function));
    }
    if let Some(call) = &egress.call {
        let call = uuid::Uuid::try_parse(call)
            .map_err(|_| "--call must be the id in the header iof-call of an answer")?;
        filter += &format!("&call={call}");
    }
    let first = format!("/v1/egress?limit={}{filter}", egress.limit);
    let mut rows = sent(client.ask(Method::GET, &first, "").await?)?;
    // The newest row comes last, where people look.
    rows.reverse();
    let mut last = 0;
    loop {
        for row in &rows {
            last = row["id"].as_i64().unwrap_or(last).max(last);
            let line = match egress.remote.json {
                true => format!("{row}\n"),
                false => line(row),
            };
            if print(&line) != ExitCode::SUCCESS {
                return Ok(ExitCode::FAILURE);
            }
        }
        if !egress.follow {
            return Ok(ExitCode::SUCCESS);
        }
        let next = format!("/v1/egress?after={last}&wait={WAIT}&limit=1000{filter}");
        rows = sent(client.ask(Method::GET, &next, "").await?)?;
    }
}

pub(crate) fn sent(answer: Json) -> Result<Vec<Json>, String> {
    match answer {
        Json::Object(mut fields) => match fields.remove("sent") {
            Some(Json::Array(rows)) => Ok(rows),
            _ => Err("the server's answer has no rows".into()),
        },
        _ => Err("the server's answer has no rows".into()),
    }
}

/// One row for people: the time, the call, the request or command, and the outcome.
pub(crate) fn line(row: &Json) -> String {
    let text = |name: &str| field(row, name);
    let what = match row["command"].as_str() {
        Some(command) => format!("ran {}", escaped(command)),
        None => format!("{} {}", text("method"), text("host")),
    };
    // A command that ran and failed, such as `http_proxy` with a request that a rule denies.
    let failed = row["command"].is_string() && row["status"].as_i64().is_some_and(|code| code != 0);
    let outcome = match text("outcome") {
        ok if ok == "ok" && failed => "failed".to_owned(),
        outcome => outcome,
    };
    let status = row["status"]
        .as_i64()
        .map_or("-".into(), |status| status.to_string());
    let secrets = texts(row, "secrets");
    let secrets = match secrets.as_slice() {
        [] => String::new(),
        names => format!("  with {}", names.join(", ")),
    };
    let waited = match row["waited"]["ms"].as_u64() {
        None => String::new(),
        Some(ms) => format!(
            "  {ms} ms of it waiting for {}",
            field(&row["waited"], "limit")
        ),
    };
    format!(
        "{}  {}  function {} v{}  {what}  {status} {}  {} B out, {} B in, {} ms{secrets}{waited}\n",
        time(row, "at"),
        text("call"),
        row["function"],
        row["version"],
        outcome,
        row["bytes_out"],
        row["bytes_in"],
        row["ms"],
    )
}
