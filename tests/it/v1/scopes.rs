//! Every route requires the scope in docs/guide/api.md, and the page has every route.

use crate::v1::functions::{KEY, ask, create, numbered, operated};
use iof_tests::guests::root;
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::json;
use std::collections::BTreeSet;

/// A row of the page: the methods, the path without its query, and the required scope.
fn rows() -> Vec<(String, String, String)> {
    let page = std::fs::read_to_string(root().join("docs/guide/api.md")).unwrap();
    let mut rows = vec![];
    for line in page
        .lines()
        .filter(|line| line.starts_with("| `") && line.contains(" /v1/"))
    {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let route = cells[1].replace('`', "");
        let (methods, path) = route.split_once(" /").unwrap();
        let path = format!("/{}", path.split('?').next().unwrap());
        for method in methods.split(", ") {
            rows.push((method.to_owned(), path.clone(), cells[3].to_owned()));
        }
    }
    rows
}

#[tokio::test]
async fn the_page_has_every_route_of_the_document() {
    let server = Server::start("").await;
    let document = server.get("/v1/openapi.json").await.json();
    let mut routes = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            if ["get", "put", "post", "delete", "patch"].contains(&method.as_str()) {
                routes.insert((method.to_uppercase(), path.clone()));
            }
        }
    }
    let page: BTreeSet<_> = rows()
        .into_iter()
        .map(|(method, path, _)| (method, path))
        .collect();
    let missing: Vec<_> = routes.difference(&page).collect();
    assert!(missing.is_empty(), "not in docs/guide/api.md: {missing:?}");
    let more: Vec<_> = page
        .difference(&routes)
        .map(|(_, path)| path.as_str())
        .collect();
    assert_eq!(more, ["/v1/functions/{function}/try"]);
}

#[tokio::test]
async fn each_route_requires_the_scope_of_the_page() {
    let server = operated().await;
    create(&server, "?name=other", numbered(1), KEY).await;
    let make = async |scope: &str, function: Option<&str>| {
        let request = json!({"label": scope, "scopes": [scope], "function": function});
        let created = ask(&server, "POST", "/v1/keys", KEY, Some(request)).await;
        assert_eq!(created.http, 201, "{}", created.text());
        created.json()["key"].as_str().unwrap().to_owned()
    };
    let mut keys = vec![];
    for scope in ["deploy", "call", "read", "admin"] {
        keys.push((scope.to_owned(), make(scope, None).await));
        keys.push((
            format!("{scope} of another"),
            make(scope, Some("other")).await,
        ));
    }
    keys.push(("operator".into(), KEY.into()));
    keys.push(("unknown".into(), "iof_nobody".into()));
    keys.push(("none".into(), String::new()));
    keys.push(("own".into(), String::new()));
    let mut number = 0;
    for (method, path, takes) in rows() {
        // With any key, a missing thing is reported as missing; `records`, `replay` and `jobs` test existing ones.
        if path.contains("{call}") || path.contains("{job}") {
            continue;
        }
        let open = takes.is_empty() || path == "/v1/server";
        let all = takes.contains("for all functions");
        let scopes: Vec<_> = match takes.as_str() {
            "that of a call" => vec!["call"],
            takes => takes.split('`').skip(1).step_by(2).collect(),
        };
        assert!(open || !scopes.is_empty(), "{method} {path}: {takes}");
        for (holder, key) in &keys {
            number += 1;
            let name = format!("f{number}");
            let created = create(
                &server,
                &format!("?name={name}&private=true"),
                numbered(1),
                KEY,
            )
            .await;
            let own = created.json()["admin_key"].as_str().unwrap().to_owned();
            let key = if holder == "own" { &own } else { key };
            let place = path
                .replace("{function}", &name)
                .replace("{export}", "which")
                .replace("{name}", "TOKEN")
                .replace("{key}", "999999");
            let place = match place.as_str() {
                "/v1/egress" | "/v1/audit" | "/v1/jobs" => format!("{place}?function={name}"),
                _ => place,
            };
            let answer = ask(&server, &method, &place, key, None).await;
            let refused = ["key", "scope", "usage-key", "no-such-function"];
            let admitted =
                answer.http.is_success() || !refused.contains(&answer.header("iof-fault"));
            let may = open
                || ["operator", "admin"].contains(&holder.as_str())
                || holder == "own" && !all
                || scopes.contains(&holder.as_str());
            assert_eq!(
                admitted,
                may,
                "{method} {place} with {holder}: {}",
                answer.text()
            );
        }
    }
}

/// The scope `deploy`, by the commands that need it in the table of scopes.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_scope_deploy_rolls_back_and_promotes() {
    let server = operated().await;
    create(&server, "?name=hello", numbered(1), KEY).await;
    let request = json!({"label": "ci", "scopes": ["deploy"]});
    let created = ask(&server, "POST", "/v1/keys", KEY, Some(request))
        .await
        .json();
    let key = created["key"].as_str().unwrap();
    let user = User::new(&server.url);
    std::fs::write(user.folder().join("hello.wasm"), numbered(2)).unwrap();
    for (line, expected) in [
        (vec!["deploy", "hello.wasm", "--canary", "10%"], "version 2"),
        (vec!["promote", "hello"], "runs version 2 now"),
        (vec!["rollback", "hello"], "runs version 1 now"),
        (vec!["show", "hello"], "version 1 may use"),
    ] {
        let line: Vec<_> = line.into_iter().chain(["--key", key]).collect();
        let output = tokio::task::block_in_place(|| user.run(&line, ""));
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && printed.contains(expected),
            "{line:?}: {output:?}"
        );
    }
}
