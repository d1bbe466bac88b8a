//! The console as a person sees it: in Chromium, with each page and each action.

use super::{KEY, KEYS};
use crate::server::browser::browse;
use iof_tests::guests::{guest, root, wat};
use iof_tests::server::Server;
use serde_json::json;

#[tokio::test]
async fn the_console_shows_and_changes_what_a_server_does() {
    let settings =
        "[console]\nstep = \"500ms\"\n[server]\njobs_running = 1\n[limits]\nguest_cpu = \"4s\"\n";
    let server = Server::start(format!("{KEYS}{settings}")).await;
    let recorded = "record = \"always\"\nstorage = true\nschedule = [{ cron = \"0 0 1 1 *\", export = \"nothing\", name = \"new/year <1>\" }]\n";
    let made = server.try_deploy_named(
        "greeter&description=Greets+whoever+asks",
        KEY,
        guest("typed"),
        recorded,
    );
    assert_eq!(made.await.http, 201);
    let call = async |export: &str, body: serde_json::Value, prefer: &str| {
        let request = server.request("POST", &format!("/v1/functions/greeter/call/{export}"));
        let request = request
            .bearer_auth(KEY)
            .header("prefer", prefer)
            .json(&body);
        server.answer(request).await
    };
    for n in 0..40 {
        call("add", json!({ "a": n, "b": 1 }), "wait=1").await;
    }
    let job = call("shout", json!({ "text": "later" }), "respond-async").await;
    assert_eq!(job.http, 202, "{}", job.text());

    let job = call("panics", json!({ "message": "later" }), "respond-async").await;
    assert_eq!(job.http, 202, "{}", job.text());
    for (key, value) in [
        (
            "users/<b>1</b>",
            json!({ "mail": "<i>ada@example.com</i>" }),
        ),
        ("users/2", json!(2)),
        ("other", json!("x")),
    ] {
        let stored = call("store", json!({ "key": key, "value": value }), "wait=1").await;
        assert!(stored.http.is_success(), "{}", stored.text());
    }

    let spinner = wat("(module (func (export \"spin\") (loop (br 0))))");
    let made = server.try_deploy_named("spinner", KEY, spinner, "");
    assert_eq!(made.await.http, 201);

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let module = |n: u8| {
        wat(&format!(
            "(module (func (export \"f{n}\") (result i32) (i32.const {n})))"
        ))
    };
    std::fs::write(file("first.wasm"), module(1)).unwrap();
    std::fs::write(file("next.wasm"), module(2)).unwrap();
    std::fs::write(
        file("function.toml"),
        "outbound = [\"GET https://api.example.com/\"]\n",
    )
    .unwrap();
    let arguments = [
        server.url.clone(),
        KEY.to_owned(),
        "greeter".to_owned(),
        file("first.wasm"),
        file("next.wasm"),
        file("function.toml"),
    ];
    browse(&server, "console.mjs", &arguments).await;
}

/// Every page, in light and dark and in two widths, by axe-core; and the pictures of `docs/console.md`, if `IOF_WRITE_DOCS` is set.
#[tokio::test]
async fn every_page_of_the_console_can_be_read() {
    let writes = std::env::var_os("IOF_WRITE_DOCS").is_some();
    let config = format!("{KEYS}[console]\nstep = \"500ms\"\n[server]\nlog_rows = 40\n");
    let server = Server::start(config).await;
    let names = [
        "resize-image",
        "send-email",
        "stripe-webhook",
        "thumbnail",
        "translate",
        "invoice-pdf",
    ];
    let modest = "outbound = [\"GET https://api.example.com/v1/rates\"]\nstorage = true\n[limits]\nmemory = \"64MiB\"\n";
    for name in names {
        let made = server
            .try_deploy_named(name, KEY, guest("typed"), modest)
            .await;
        assert_eq!(made.http, 201, "{}", made.text());
    }
    let wider = "outbound = [\"GET https://api.example.com/v1/rates\", \"POST https://api.example.com/v1/mails\"]\nstorage = true\njobs = true\nschedule = [{ cron = \"30 2 * * *\", timezone = \"Europe/Berlin\", export = \"nothing\", name = \"nightly\" }]\n[limits]\nmemory = \"128MiB\"\n";
    let function = server
        .request("GET", "/v1/functions/send-email")
        .bearer_auth(KEY);
    let number = server.answer(function).await.json()["function"]
        .as_u64()
        .unwrap();
    let own = iof_tests::call::Uploaded {
        id: number,
        admin_key: KEY.to_owned(),
        json: json!({}),
    };
    for n in 1..=3 {
        let kept = json!({ "key": format!("users/{n}"), "value": { "name": "Ada", "opened": n } });
        let path = "/v1/functions/send-email/call/store";
        server
            .answer(server.request("POST", path).json(&kept))
            .await;
    }
    for (export, body) in [
        ("shout", json!({ "text": "later" })),
        ("panics", json!({ "message": "no such template" })),
    ] {
        let path = format!("/v1/functions/send-email/call/{export}");
        let request = server.request("POST", &path).bearer_auth(KEY);
        let job = server
            .answer(request.header("prefer", "respond-async").json(&body))
            .await;
        assert_eq!(job.http, 202, "{}", job.text());
    }
    let load = async |seconds: u64| {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
        let mut n: u64 = 0;
        while std::time::Instant::now() < until {
            n += 1;
            let name = names[(n * n % 13) as usize % names.len()];
            let (export, body) = match n % 37 {
                0 => (
                    "fail_text",
                    json!({ "message": "The mail server is not reachable." }),
                ),
                5 => ("panics", json!({ "message": "no such template: welcome" })),
                n if n % 2 == 0 => ("shout", json!({ "text": "x".repeat(1 << (n % 16)) })),
                _ => ("add", json!({ "a": n, "b": 1 })),
            };
            let path = format!("/v1/functions/{name}/call/{export}");
            server
                .answer(server.request("POST", &path).json(&body))
                .await;
            let pause = 4 + (n / 150 % 5) * 4;
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        }
    };
    load(if writes { 70 } else { 2 }).await;
    let next = server.try_deploy_version(&own, guest("typed"), wider).await;
    assert_eq!(next.http, 201, "{}", next.text());
    for (method, path, body) in [
        ("PUT", "active", json!({ "version": 1 })),
        ("PUT", "canary", json!({ "version": 2, "percent": 25 })),
    ] {
        let path = format!("/v1/functions/send-email/{path}");
        let request = server.request(method, &path).bearer_auth(KEY).json(&body);
        let answer = server.answer(request).await;
        assert_eq!(answer.http, 200, "{}", answer.text());
    }
    load(if writes { 50 } else { 2 }).await;

    let mut arguments = vec![server.url.clone(), KEY.to_owned(), "send-email".to_owned()];
    if writes {
        let folder = root().join("docs/console");
        std::fs::create_dir_all(&folder).unwrap();
        arguments.push(folder.display().to_string());
    }
    browse(&server, "console-pages.mjs", &arguments).await;
}
