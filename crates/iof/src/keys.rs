//! `iof key`, `private` and `public`.

use crate::args::{Key, KeyCommand, Private, Public};
use crate::client::Client;
use crate::functions::path;
use crate::output::{json, table, text, texts, time};
use crate::{fail, print};
use http::Method;
use serde_json::{Value as Json, json as object};
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
        KeyCommand::Rotate { function, remote } => {
            let client = Client::new(&remote)?.of(&function);
            let place = format!("{}/admin-key", path(&function));
            let made = client.ask(Method::POST, &place, "").await?;
            let key = made["admin_key"].as_str().unwrap_or_default();
            let names = [
                Some(made["function"].to_string()),
                made["name"].as_str().map(str::to_owned),
            ];
            let names: Vec<_> = names.into_iter().flatten().collect();
            let kept = client.remember(&names, key).await;
            let printed = match remote.json {
                true => json(&made),
                false => print(&format!("{}\n", text(&made, "admin_key"))),
            };
            Ok(match kept {
                Ok(()) => printed,
                Err(why) => fail(1, format!("the key is not kept: {why}. Keep it yourself")),
            })
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

pub(crate) async fn private(private: Private) -> Result<ExitCode, String> {
    let Private { function, remote } = private;
    let client = Client::new(&remote)?.of(&function);
    let place = format!("{}/usage-key", path(&function));
    let made = client.ask(Method::PUT, &place, "").await?;
    Ok(match remote.json {
        true => json(&made),
        false => print(&format!("{}\n", text(&made, "usage_key"))),
    })
}

pub(crate) async fn public(public: Public) -> Result<ExitCode, String> {
    let Public { function, remote } = public;
    let client = Client::new(&remote)?.of(&function);
    let place = format!("{}/usage-key", path(&function));
    client.ask(Method::DELETE, &place, "").await?;
    Ok(match remote.json {
        true => json(&object!({ "function": function, "done": "public" })),
        false => print(&format!("{function} is public\n")),
    })
}
