//! `iof secret`.

use crate::args::{Secret, SecretCommand};
use crate::client::Client;
use crate::functions;
use crate::output::{self, text, texts, time};
use crate::print;
use http::Method;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use std::io::{IsTerminal, Read};
use std::process::ExitCode;
use zeroize::Zeroizing;

pub(crate) async fn run(secret: Secret) -> Result<ExitCode, String> {
    match secret.what {
        SecretCommand::Set {
            function,
            name,
            remote,
        } => {
            let client = Client::new(&remote)?.of(&function);
            let value = value(&name)?;
            let path = path(&function, &name)?;
            client
                .ask(Method::PUT, &path, value.as_bytes().to_vec())
                .await?;
            let shown = client
                .ask(Method::GET, &functions::path(&function), "")
                .await;
            let note = shown
                .ok()
                .and_then(|shown| undeclared(&shown, &function, &name));
            match (note, remote.json) {
                (Some(note), false) => Ok(print(&format!("{name} is set; {note}\n"))),
                (Some(note), true) => Ok(output::json(
                    &json!({ "name": name, "done": "set", "note": note }),
                )),
                (None, as_json) => Ok(said(as_json, &name, "set")),
            }
        }
        SecretCommand::Rm {
            function,
            name,
            remote,
        } => {
            let client = Client::new(&remote)?.of(&function);
            client
                .ask(Method::DELETE, &path(&function, &name)?, "")
                .await?;
            Ok(said(remote.json, &name, "deleted"))
        }
        SecretCommand::List { function, remote } => {
            let client = Client::new(&remote)?.of(&function);
            let path = format!("{}/secrets", functions::path(&function));
            let list = client.ask(Method::GET, &path, "").await?;
            if remote.json {
                return Ok(print(&format!("{list}\n")));
            }
            Ok(print(&table(&list)))
        }
    }
}

/// The path of a secret. The name must need no escaping; the server checks the rest.
fn path(function: &str, name: &str) -> Result<String, String> {
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        // The message does not quote the name, because people confuse name and value.
        return Err(
            "the name of a secret has capital letters, digits and underscores, such as API_TOKEN"
                .into(),
        );
    }
    Ok(format!("{}/secrets/{name}", functions::path(function)))
}

/// The note on a secret that no version declares: it is added to no request, and its name may be misspelt.
fn undeclared(shown: &Json, function: &str, name: &str) -> Option<String> {
    // The message uses the function's name, even if its number was given.
    let function = shown["name"].as_str().unwrap_or(function);
    let versions = shown["versions"].as_array()?;
    let secrets = versions
        .iter()
        .flat_map(|version| version["declaration"]["secrets"].as_array());
    let attached = secrets
        .flatten()
        .flat_map(|secret| [&secret["value"], &secret["sigv4"]["access_key_id"]])
        .filter_map(|text| text.as_str()?.split(['{', '}']).nth(1));
    let signing = versions
        .iter()
        .flat_map(|version| version["declaration"]["signing"].as_array());
    let signing = signing.flatten().filter_map(|key| key["secret"].as_str());
    let declared: BTreeSet<&str> = attached.chain(signing).collect();
    if declared.contains(name) {
        return None;
    }
    let missing = texts(shown, "secrets_not_set");
    let declared: Vec<String> = declared
        .iter()
        .map(
            |known| match missing.iter().any(|missing| missing == known) {
                true => format!("{known}, not set"),
                false => (*known).to_owned(),
            },
        )
        .collect();
    let declares = match declared.as_slice() {
        [] => "none declares a secret".to_owned(),
        declared => format!("declared are {}", declared.join("; ")),
    };
    Some(format!(
        "no version of {function} declares it, and {declares}"
    ))
}

fn said(json: bool, name: &str, what: &str) -> ExitCode {
    match json {
        true => print(&format!("{}\n", json!({ "name": name, "done": what }))),
        false => print(&format!("{name} is {what}\n")),
    }
}

/// The text on stdin, without the line break that `echo` and editors add.
fn value(name: &str) -> Result<Zeroizing<String>, String> {
    if std::io::stdin().is_terminal() {
        let value = rpassword::prompt_password(format!("Value of {name} (it is not shown): "));
        return value.map(Zeroizing::new).map_err(|error| error.to_string());
    }
    let mut value = Zeroizing::new(String::new());
    std::io::stdin()
        .read_to_string(&mut value)
        .map_err(|error| format!("stdin: {error}"))?;
    let line = value.strip_suffix('\n').unwrap_or(&value);
    let line = line.strip_suffix('\r').unwrap_or(line);
    Ok(Zeroizing::new(line.to_owned()))
}

fn table(list: &Json) -> String {
    let rows = list["secrets"].as_array().cloned().unwrap_or_default();
    let rows: Vec<_> = rows
        .iter()
        .map(|row| vec![text(row, "name"), time(row, "set_at"), text(row, "key")])
        .collect();
    output::table(&["NAME", "SET", "ENCRYPTED UNDER"], &rows, "no secrets")
}
