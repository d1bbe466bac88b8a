//! `iof key` and `iof login`.

use crate::args::{Key, KeyCommand, Login, Remote};
use crate::client::Client;
use crate::output::{json, table, text, texts, time};
use crate::print;
use crate::profile::{Profile, Profiles};
use http::Method;
use serde_json::{Value as Json, json as object};
use std::io::{IsTerminal, Read};
use std::process::ExitCode;

pub(crate) async fn run(key: Key) -> Result<ExitCode, String> {
    match key.what {
        KeyCommand::Create {
            label,
            scope,
            function,
            expires,
            remote,
        } => {
            let client = Client::new(&remote)?;
            let mut wish = object!({ "label": label, "scopes": scope });
            if let Some(function) = function {
                wish["function"] = function.into();
            }
            if let Some(expires) = expires {
                wish["expires_at"] = expires.into();
            }
            let made = client.tell(Method::POST, "/v1/keys", &wish).await?;
            Ok(match remote.json {
                true => json(&made),
                false => print(&format!("{}\n", text(&made, "key"))),
            })
        }
        KeyCommand::List { remote } => {
            let client = Client::new(&remote)?;
            let list = client.ask(Method::GET, "/v1/keys", "").await?;
            if remote.json {
                return Ok(json(&list));
            }
            let keys = list["keys"].as_array().cloned().unwrap_or_default();
            let rows: Vec<_> = keys
                .iter()
                .map(|row| {
                    let function = match &row["function"] {
                        Json::Null => "all".to_owned(),
                        function => function.to_string(),
                    };
                    let scopes = texts(row, "scopes").join(", ");
                    vec![
                        text(row, "id"),
                        text(row, "label"),
                        scopes,
                        function,
                        time(row, "created_at"),
                        time(row, "expires_at"),
                    ]
                })
                .collect();
            let names = ["KEY", "LABEL", "SCOPES", "FUNCTION", "MADE", "EXPIRES"];
            Ok(print(&table(
                &names,
                &rows,
                "no keys; `iof key create` makes one",
            )))
        }
        KeyCommand::Rm {
            number: key,
            remote,
        } => {
            let client = Client::new(&remote)?;
            client
                .ask(Method::DELETE, &format!("/v1/keys/{key}"), "")
                .await?;
            Ok(match remote.json {
                true => json(&object!({ "key": key, "done": "deleted" })),
                false => print(&format!("key {key} is deleted\n")),
            })
        }
    }
}

pub(crate) async fn login(login: Login) -> Result<ExitCode, String> {
    let key = match login.no_key {
        true => None,
        false => Some(secret(&login.server)?),
    };
    let cacert = login.cacert.as_ref();
    let cacert = cacert.map(std::path::absolute).transpose();
    let cacert = cacert.map_err(|error| format!("--cacert: {error}"))?;
    // Tried before it is kept.
    let remote = Remote {
        server: Some(login.server.clone()),
        key: key.clone(),
        cacert: cacert.clone(),
        ..Remote::default()
    };
    let client = Client::new(&remote)?;
    let answer = client
        .send(Method::GET, "/v1/functions?limit=1", &[], "")
        .await?;
    // A key for one function, or for calls alone, may not list, and is a key all the same.
    if answer.status() != http::StatusCode::FORBIDDEN {
        client.json(answer)?;
    }
    let mut profiles = Profiles::load()?;
    let server = client.url("");
    let profile = Profile {
        server: server.clone(),
        key,
        cacert,
    };
    profiles.profiles.insert(login.profile.clone(), profile);
    profiles.current = Some(login.profile.clone());
    let path = profiles.save()?;
    Ok(match login.json {
        true => json(&object!({ "profile": login.profile, "server": server })),
        false => print(&format!(
            "{server} is the profile {} now, kept in {}\n",
            login.profile,
            path.display()
        )),
    })
}

/// The key, from a terminal or from stdin.
fn secret(server: &str) -> Result<String, String> {
    let key = if std::io::stdin().is_terminal() {
        rpassword::prompt_password(format!("Key for {server} (it is not shown): "))
            .map_err(|error| error.to_string())?
    } else {
        let mut text = String::new();
        let read = std::io::stdin().take(4096).read_to_string(&mut text);
        read.map_err(|error| format!("stdin: {error}"))?;
        text
    };
    match key.trim() {
        "" => Err("no key came; --no-key says that the server takes none".into()),
        key => Ok(key.to_owned()),
    }
}
