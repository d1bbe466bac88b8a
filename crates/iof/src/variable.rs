//! `iof variable`.

use crate::args::{Remote, Variable, VariableCommand};
use crate::client::Client;
use crate::functions::{active, path};
use crate::output::{json, table, text};
use crate::print;
use http::Method;
use serde_json::{Map, Value as Json, json as object};
use std::process::ExitCode;

pub(crate) async fn run(variable: Variable) -> Result<ExitCode, String> {
    match variable.what {
        VariableCommand::Set {
            function,
            pairs,
            remote,
        } => {
            let mut changes = vec![];
            for pair in pairs {
                let (name, value) = pair
                    .split_once('=')
                    .ok_or_else(|| format!("not NAME=VALUE: got {pair}."))?;
                changes.push(object!({ "name": name, "value": value }));
            }
            change(&function, changes, &remote).await
        }
        VariableCommand::Rm {
            function,
            names,
            remote,
        } => {
            let client = Client::new(&remote)?.of(&function);
            let shown = client.ask(Method::GET, &path(&function), "").await?;
            let set = variables(&shown);
            if let Some(unknown) = names.iter().find(|name| !set.contains_key(*name)) {
                let known: Vec<_> = set.keys().map(String::as_str).collect();
                let known = match known.as_slice() {
                    [] => "no variables".to_owned(),
                    known => format!("these: {}", known.join(", ")),
                };
                return Err(format!(
                    "Variable {unknown} is not set. {function} has {known}."
                ));
            }
            let gone = |name| object!({ "name": name, "value": null });
            let changes = names.into_iter().map(gone);
            change(&function, changes.collect(), &remote).await
        }
        VariableCommand::List { function, remote } => {
            let client = Client::new(&remote)?.of(&function);
            let shown = client.ask(Method::GET, &path(&function), "").await?;
            let variables = variables(&shown);
            if remote.json {
                return Ok(json(
                    &object!({ "version": shown["version"], "variables": variables }),
                ));
            }
            let variables = Json::Object(variables);
            let names = variables.as_object().into_iter().flatten();
            let rows: Vec<_> = names
                .map(|(name, _)| vec![name.clone(), text(&variables, name)])
                .collect();
            Ok(print(&table(&["NAME", "VALUE"], &rows, "no variables")))
        }
    }
}

/// The variables of the active version.
fn variables(shown: &Json) -> Map<String, Json> {
    let variables = active(shown).map(|active| &active["declaration"]["variables"]);
    let variables = variables.and_then(Json::as_object);
    variables.cloned().unwrap_or_default()
}

async fn change(function: &str, changes: Vec<Json>, remote: &Remote) -> Result<ExitCode, String> {
    let client = Client::new(remote)?.of(function);
    let place = format!("{}/variables", path(function));
    let made = client
        .tell(Method::PATCH, &place, &object!({ "variables": changes }))
        .await?;
    Ok(match remote.json {
        true => json(&made),
        false => print(&format!(
            "{function} runs version {} now\n",
            made["version"]
        )),
    })
}
