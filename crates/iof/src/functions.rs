//! `iof list`, `show`, `rollback`, `promote`, `rm`: existing functions.

use crate::args::{List, Promote, Rm, Rollback, Show};
use crate::client::{Client, segment};
use crate::escape::line;
use crate::output::{json, table, text, texts, time};
use crate::{grants, print};
use http::Method;
use serde_json::{Value as Json, json as object};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;

/// The path of a function. The function of a crate named `send_mail` is `send-mail`.
pub(crate) fn path(function: &str) -> String {
    let name = function.to_ascii_lowercase().replace('_', "-");
    format!("/v1/functions/{}", segment(&name))
}

pub(crate) async fn list(list: List) -> Result<ExitCode, String> {
    let client = Client::new(&list.remote)?;
    let (mut functions, mut after) = (vec![], 0);
    loop {
        let path = format!("/v1/functions?after={after}&limit=1000");
        let mut page = client.ask(Method::GET, &path, "").await?;
        if let Json::Array(rows) = page["functions"].take() {
            after = rows
                .last()
                .and_then(|row| row["function"].as_i64())
                .unwrap_or(after);
            functions.extend(rows);
        }
        if page["more"] != true {
            break;
        }
    }
    if list.remote.json {
        return Ok(json(&object!({ "functions": functions })));
    }
    let rows: Vec<_> = functions
        .iter()
        .map(|row| {
            let canary = match row["canary"].as_object() {
                None => String::new(),
                Some(canary) => format!(" ({} % on {})", canary["percent"], canary["version"]),
            };
            let private = if row["private"] == true {
                "private"
            } else {
                ""
            };
            vec![
                text(row, "function"),
                text(row, "name"),
                text(row, "version") + &canary,
                text(row, "invocations"),
                time(row, "created_at"),
                private.to_owned(),
            ]
        })
        .collect();
    let names = ["FUNCTION", "NAME", "VERSION", "CALLS", "CREATED", ""];
    Ok(print(&table(
        &names,
        &rows,
        "no functions; `iof deploy` makes one",
    )))
}

pub(crate) async fn show(show: Show) -> Result<ExitCode, String> {
    let client = Client::new(&show.remote)?.of(&show.function);
    let shown = client.ask(Method::GET, &path(&show.function), "").await?;
    if show.remote.json {
        return Ok(json(&shown));
    }
    let mut out = format!("function {}", shown["function"]);
    if shown["name"].is_string() {
        let _ = write!(out, "  {}", text(&shown, "name"));
    }
    let _ = writeln!(
        out,
        "  {}",
        if shown["private"] == true {
            "private"
        } else {
            "public"
        }
    );
    if shown["description"]
        .as_str()
        .is_some_and(|text| !text.is_empty())
    {
        let _ = writeln!(out, "{}", text(&shown, "description"));
    }
    for secret in texts(&shown, "secrets_not_set") {
        let _ = writeln!(
            out,
            "{secret} is not set: iof secret set {} {secret}",
            show.function
        );
    }
    for warning in texts(&shown, "warnings") {
        let _ = writeln!(out, "warning: {warning}");
    }
    let versions = shown["versions"].as_array().cloned().unwrap_or_default();
    if let Some(active) = active(&shown) {
        let _ = writeln!(out, "version {} may use:", shown["version"]);
        out += &grants::describe(active);
        out += &world(&active["world"]);
        out += &notes(active);
        if answers_http(active) {
            out += "  its calls are not recorded: it answers HTTP requests, whose bodies are not kept\n";
        }
    }
    let _ = writeln!(out);
    let rows: Vec<_> = versions
        .iter()
        .map(|row| {
            let runs = if row["version"] == shown["version"] {
                "active".to_owned()
            } else if row["version"] == shown["canary"]["version"] {
                format!("canary {} %", shown["canary"]["percent"])
            } else {
                String::new()
            };
            vec![
                text(row, "version"),
                time(row, "created_at"),
                text(row, "size"),
                text(row, "sha256").chars().take(12).collect(),
                runs,
                texts(row, "exports").join(", "),
            ]
        })
        .collect();
    let names = ["VERSION", "DEPLOYED", "BYTES", "SHA-256", "RUNS", "EXPORTS"];
    Ok(print(&(out + &table(&names, &rows, "no versions"))))
}

/// The world of a component: its exports with their types, and its imports.
fn world(world: &Json) -> String {
    let mut out = String::new();
    let exports = world["exports"].as_array().into_iter().flatten();
    for export in exports {
        let (name, types) = (text(export, "name"), text(export, "types"));
        let _ = write!(out, "  exports {}: {}", line(&name), line(&types));
        if let Some(why) = export["refused"].as_str() {
            let _ = write!(out, " (cannot be called: {})", line(why));
        }
        out.push('\n');
        if let Some(first) = text(export, "doc").lines().next() {
            let _ = writeln!(out, "    {}", line(first));
        }
    }
    for import in texts(world, "imports") {
        let note = match import.split('/').next() {
            Some("wasi:filesystem") => " (the scratch directory of the call)",
            Some("wasi:sockets") => " (denied)",
            Some("wasi:http") if import.contains("outgoing") || import.contains("client") => {
                " (under its outbound rules)"
            }
            _ => "",
        };
        let _ = writeln!(out, "  imports {}{note}", line(&import));
    }
    out
}

/// Notes on the declaration of a component: missing grants that its imports need, and rules that match nothing.
fn notes(version: &Json) -> String {
    // Without a declaration, it has the server's default grants.
    let (Some(_), Some(_)) = (
        version["declaration"].as_object(),
        version["world"].as_object(),
    ) else {
        return String::new();
    };
    let declaration = version["declaration"].to_string();
    let imports: Vec<_> = version["world"]["imports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|import| import.as_str().map(str::to_owned))
        .collect();
    let notes = iof_server::declaration_notes(&declaration, &[], &imports);
    let lines = notes.iter().map(|note| format!("  note: {}\n", line(note)));
    lines.collect()
}

/// The calls in the document of a function: the operations of its addresses below /v1. A function that takes whole
/// requests has others below /fn.
pub(crate) fn call_operations(document: &Json) -> impl Iterator<Item = &Json> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let calls = paths.filter(|(path, _)| path.starts_with("/v1/"));
    calls.map(|(_, operations)| &operations["post"])
}

/// Returns whether a version answers HTTP requests itself, at /fn/NAME/.
pub(crate) fn answers_http(version: &Json) -> bool {
    let exports = version["world"]["exports"].as_array();
    exports.into_iter().flatten().any(|export| {
        let name = export["name"].as_str().unwrap_or_default();
        // The handlers of WASI 0.2 and 0.3.
        let is_handler = name.contains("incoming-handler") || name.ends_with("handler/handle");
        is_handler && !export["refused"].is_null()
    })
}

/// The active version of a function.
pub(crate) fn active(shown: &Json) -> Option<&Json> {
    let mut versions = shown["versions"].as_array()?.iter();
    versions.find(|row| row["version"] == shown["version"])
}

pub(crate) async fn rollback(rollback: Rollback) -> Result<ExitCode, String> {
    let Rollback {
        function,
        version,
        remote,
    } = rollback;
    let client = Client::new(&remote)?.of(&function);
    let version = match version {
        Some(version) => version,
        None => {
            let shown = client.ask(Method::GET, &path(&function), "").await?;
            let active = shown["version"].as_i64().unwrap_or_default();
            let versions = shown["versions"].as_array().into_iter().flatten();
            let earlier = versions.filter_map(|row| row["version"].as_i64());
            earlier.filter(|version| *version < active).max().ok_or_else(|| {
                format!("version {active} of {function} is active, and there is no earlier one; --version names a later one")
            })?
        }
    };
    activate(&client, &function, version, remote.json).await
}

pub(crate) async fn promote(promote: Promote) -> Result<ExitCode, String> {
    let Promote { function, remote } = promote;
    let client = Client::new(&remote)?.of(&function);
    let shown = client.ask(Method::GET, &path(&function), "").await?;
    let version = shown["canary"]["version"].as_i64().ok_or_else(|| {
        format!("{function} has no canary; `iof deploy --canary 10%` makes one, `iof rollback --version` moves to any version")
    })?;
    activate(&client, &function, version, remote.json).await
}

async fn activate(
    client: &Client,
    function: &str,
    version: i64,
    as_json: bool,
) -> Result<ExitCode, String> {
    let path = format!("{}/active", path(function));
    let moved = client
        .tell(Method::PUT, &path, &object!({ "version": version }))
        .await?;
    Ok(match as_json {
        true => json(&moved),
        false => print(&format!("{function} runs version {version} now\n")),
    })
}

pub(crate) async fn rm(rm: Rm) -> Result<ExitCode, String> {
    let Rm {
        function,
        yes,
        remote,
    } = rm;
    let client = Client::new(&remote)?.of(&function);
    // A key may delete a function that it may not read.
    let shown = match client.ask(Method::GET, &path(&function), "").await {
        Err(message) if !yes => return Err(message),
        shown => shown.unwrap_or_default(),
    };
    if !yes {
        confirm(&function, &shown)?;
    }
    client.ask(Method::DELETE, &path(&function), "").await?;
    let names = [
        Some(shown["function"].to_string()),
        shown["name"].as_str().map(str::to_owned),
    ];
    client
        .forget(&names.into_iter().flatten().collect::<Vec<_>>())
        .await?;
    Ok(match remote.json {
        true => json(&object!({ "function": shown["function"], "done": "deleted" })),
        false => print(&format!("{function} is deleted\n")),
    })
}

/// Asks for confirmation to delete a function, if there is a terminal.
fn confirm(function: &str, shown: &Json) -> Result<(), String> {
    if !std::io::stdin().is_terminal() {
        return Err(format!(
            "this deletes {function} permanently; confirm with --yes"
        ));
    }
    let versions = shown["versions"].as_array().map_or(0, Vec::len);
    let question = format!(
        "Delete {function}, its {versions} version(s), secrets, values and log permanently? [y/N] "
    );
    ask(&question, "nothing was deleted")
}

/// Asks a yes-or-no question on the terminal; `no` is the error after a no.
pub(crate) fn ask(question: &str, no: &str) -> Result<(), String> {
    let mut stdout = std::io::stdout();
    let asked = stdout
        .write_all(question.as_bytes())
        .and_then(|()| stdout.flush());
    asked.map_err(|error| error.to_string())?;
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| error.to_string())?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(no.into()),
    }
}
