//! Regression tests of a stranger's findings about the server: the data that it reveals, and its state.

use iof_tests::Identity;
use iof_tests::call::{Answer, Uploaded};
use iof_tests::guests::{guest, wat};
use iof_tests::server::{Server, program};
use iof_tests::user::User;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant, SystemTime};

async fn call(server: &Server, function: &Uploaded, export: &str, key: &str) -> Answer {
    let path = format!("/v1/functions/{}/call/{export}", function.id);
    let request = server.request("POST", &path);
    let request = match key {
        "" => request,
        key => request.bearer_auth(key),
    };
    server
        .answer(request.json(&json!({ "message": "the secret place" })))
        .await
}

/// A client may send the key of another function, in any form, to a function that shows its request.
#[tokio::test]
async fn a_function_sees_no_key_of_another() {
    let server = Server::start("").await;
    let shows = server.deploy(guest("typed"), "").await;
    let key = server.deploy(guest("typed"), "").await.admin_key;
    for authorization in [
        vec![format!("Bearer {key}")],
        vec![format!("bearer  {key}")],
        vec![format!("Bearer {}", key.to_uppercase())],
        vec![key.clone()],
        vec![format!("Token {key}")],
        vec!["Bearer harmless".to_owned(), format!("Bearer {key}")],
        vec![format!("Bearer iof_{}", "0".repeat(32))],
    ] {
        for path in [
            format!("/fn/{}/show", shows.id),
            format!("/v1/functions/{}/call/show", shows.id),
        ] {
            let mut request = server.request("POST", &path);
            for value in &authorization {
                request = request.header("authorization", value);
            }
            let answer = server.answer(request).await;
            assert_eq!(answer.http, 200, "{}", answer.text());
            let text = answer.text().to_lowercase();
            assert!(!text.contains("authorization"), "{authorization:?}: {text}");
            assert!(!text.contains(&key), "{authorization:?}: {text}");
        }
    }
}

/// A cache must not give a page the answer to another page, so every answer has `Vary`, even one without an origin.
#[tokio::test]
async fn every_answer_to_a_call_varies_with_the_page() {
    let server = Server::start("").await;
    let open = "cors = [\"https://app.example.com\"]\n";
    let function = server.deploy(guest("typed"), open).await;
    let id = function.id;
    for (method, path) in [
        ("GET", format!("/fn/{id}/show")),
        ("POST", format!("/fn/{id}/show")),
        ("POST", format!("/v1/functions/{id}/call/show")),
        ("POST", format!("/v1/functions/{id}/call/nowhere")),
        ("GET", format!("/v1/functions/{id}/call/show")),
        ("GET", format!("/fn/{id}/nowhere")),
    ] {
        for origin in [None, Some("https://app.example.com")] {
            let mut request = server.request(method, &path);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let answer = server.answer(request).await;
            // A page of another origin can only call.
            if answer.fault() != "origin" {
                assert_eq!(
                    answer.header("vary"),
                    "origin",
                    "{method} {path} {origin:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_missing_export_is_not_found_by_any_method() {
    let server = Server::start("").await;
    let function = server.deploy(guest("typed"), "").await;
    for export in ["nowhere", "show"] {
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            for path in [
                format!("/fn/{}/{export}", function.id),
                format!("/v1/functions/{}/call/{export}", function.id),
            ] {
                let answer = server.answer(server.request(method, &path)).await;
                let expected = match export {
                    "nowhere" => (404, "no-such-export"),
                    _ if answer.http == 200 => continue,
                    _ => (405, "method"),
                };
                let case = format!("{method} {path}");
                assert_eq!((answer.http.as_u16(), answer.fault()), expected, "{case}");
            }
        }
    }
    for path in ["/fn/nobody/x", "/v1/functions/nobody/call/x"] {
        let answer = server.get(path).await;
        let found = (answer.http.as_u16(), answer.fault());
        assert_eq!(found, (404, "no-such-function"), "{path}");
    }
    // A client that may not call a private function learns nothing about its exports.
    let private = server
        .try_deploy_named("hooks&private=true", "", guest("typed"), "")
        .await;
    assert_eq!(private.http, 201, "{}", private.text());
    for path in [
        "/v1/functions/hooks/call/nowhere",
        "/v1/functions/hooks/call/show",
        "/fn/hooks/nowhere",
        "/fn/hooks/show",
    ] {
        assert_eq!(server.get(path).await.fault(), "no-such-function", "{path}");
    }
}

/// The message of a panic names source files: it is only for those who may read the log.
#[tokio::test]
async fn output_before_a_trap_is_only_in_the_log() {
    let server = Server::start("").await;
    let function = server.deploy(guest("typed"), "").await;
    let anonymous = call(&server, &function, "panics", "").await;
    assert_eq!((anonymous.http.as_u16(), anonymous.fault()), (502, "trap"));
    let message = format!("{} {}", anonymous.text(), anonymous.header("iof-message"));
    for text in ["the secret place", "fail.rs", "panicked"] {
        assert!(!message.contains(text), "{message}");
    }
    assert!(
        message.contains("The function trapped (") && message.contains("in its log"),
        "{message}"
    );
    let of_fn = server
        .request("POST", &format!("/fn/{}/panics", function.id))
        .json(&json!({ "message": "the secret place" }));
    let of_fn = server.answer(of_fn).await.text();
    assert!(!of_fn.contains("the secret place"), "{of_fn}");

    let owner = call(&server, &function, "panics", &function.admin_key).await;
    let message = owner.json()["error"].to_string();
    assert!(
        message.contains("fail.rs") && message.contains("the secret place"),
        "{message}"
    );
    let other = server.deploy(guest("typed"), "").await;
    let stranger = call(&server, &function, "panics", &other.admin_key).await;
    assert!(
        !stranger.text().contains("the secret place"),
        "{}",
        stranger.text()
    );

    // The log contains all of it, and the API of 2020 answers as before.
    let path = format!("/v1/functions/{}/logs", function.id);
    let log = server.read_as(&function, &path).await;
    let row = log["logs"].as_array().unwrap().last().unwrap();
    assert!(
        row["message"].as_str().unwrap().contains("It printed: "),
        "{row}"
    );
    let api = server.run(function.id, "panics", "the secret place").await;
    assert!(api.header("iof-message").contains("the secret place"));

    // A job can be read by every caller.
    let submit = server
        .request(
            "POST",
            &format!("/v1/functions/{}/call/panics", function.id),
        )
        .header("prefer", "respond-async")
        .bearer_auth(&function.admin_key)
        .json(&json!({ "message": "the secret place" }));
    let job = server.answer(submit).await.json()["job"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/jobs/{job}");
    let done = async |key: &str| -> Value {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let request = server.request("GET", &path);
            let request = if key.is_empty() {
                request
            } else {
                request.bearer_auth(key)
            };
            let answer = server.answer(request).await.json();
            if answer["state"] == "done" {
                return answer;
            }
            assert!(Instant::now() < until, "{answer}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let answer = done("").await["error"].to_string();
    assert!(!answer.contains("the secret place"), "{answer}");
    let answer = done(&function.admin_key).await["error"].to_string();
    assert!(
        answer.contains("It printed: ") && answer.contains("the secret place"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_missing_grant_is_named_with_the_line_that_grants_it() {
    let server = Server::start("").await;
    let function = server.deploy(guest("command"), "").await;
    for name in ["sign", "verify"] {
        let request = json!({"program": name, "args": ["KEY", "00"], "stdin": "data"});
        let answer = server
            .run(function.id, "run_ssvm", request.to_string())
            .await;
        let message = answer.text();
        assert!(
            message.contains("[[signing]]") && message.contains("function.toml"),
            "{message}"
        );
        assert!(!message.contains("allow-command"), "{message}");
    }
    // For a command that only some servers have, the exact text of 2020.
    let request = json!({"program": "c++", "args": [], "stdin": ""});
    let message = server
        .run(function.id, "run_ssvm", request.to_string())
        .await
        .text();
    assert!(message.contains("--allow-command=c++"), "{message}");
}

/// A module of so many incompressible bytes on the disk.
fn module(bytes: usize, seed: usize) -> Vec<u8> {
    let data: String = (0..bytes / 8)
        .map(|at| {
            format!(
                "{:08x}",
                (at + seed).wrapping_mul(0x9e37_79b9) & 0xffff_ffff
            )
        })
        .collect();
    let text = format!(
        "(module (memory (export \"memory\") {}) (data (i32.const 0) \"{data}\") (func (export \"f\")))",
        bytes / (64 << 10) + 2
    );
    wat(&text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_not_ready_and_one_with_room_is_again() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("iof");
    // `$5` is the folder of `--data`.
    let text = format!(
        "#!/bin/sh\nmkdir -p \"$5\"\nexec unshare --map-root-user --mount sh -c \
         'mount -t tmpfs -o size=8m none \"$5\" && exec \"$0\" \"$@\"' {:?} \"$@\"\n",
        program()
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let server = Server::builder().program(&script).start().await;
    assert_eq!(server.get("/readyz").await.text(), "ready\n");
    let mut deployed = vec![];
    loop {
        let answer = server
            .try_deploy(module(600 << 10, deployed.len() << 20), "")
            .await;
        if answer.http != 201 {
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (507, "store"),
                "{}",
                answer.text()
            );
            break;
        }
        let answer = answer.json();
        let key = answer["admin_key"].as_str().unwrap().to_owned();
        deployed.push((answer["function"].as_u64().unwrap(), key));
        assert!(deployed.len() < 20);
    }
    for _ in 0..5 {
        let ready = server.get("/readyz").await;
        assert_eq!((ready.http.as_u16(), ready.fault()), (507, "store"));
        assert!(ready.text().contains("disk"), "{}", ready.text());
    }
    // The process is alive, and calls that store nothing are answered.
    assert_eq!(server.get("/healthz").await.http, 200);
    // Small changes fill what the upload left.
    let (first, key) = &deployed[0];
    let path = format!("/v1/functions/{first}/secrets/S");
    let secret = async || {
        let put = server.request("PUT", &path).bearer_auth(key);
        server.answer(put.body("x".repeat(3000))).await
    };
    let mut kept = 0;
    let refused = loop {
        let answer = secret().await;
        if answer.http != 204 {
            break answer;
        }
        kept += 1;
        assert!(kept < 1000);
    };
    assert_eq!(
        (refused.http.as_u16(), refused.fault()),
        (507, "store"),
        "{}",
        refused.text()
    );
    // Deletes have room of their own, which nothing else gets.
    let deleted = server
        .answer(server.request("DELETE", &path).bearer_auth(key))
        .await;
    assert_eq!(deleted.http, 204, "{}", deleted.text());
    assert_eq!(secret().await.http, 507);
    for (function, key) in &deployed {
        let path = format!("/v1/functions/{function}");
        let deleted = server
            .answer(server.request("DELETE", &path).bearer_auth(key))
            .await;
        assert_eq!(deleted.http, 204, "{}", deleted.text());
    }
    let until = Instant::now() + Duration::from_secs(20);
    while server.get("/readyz").await.http != 200 {
        assert!(Instant::now() < until, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(server.log().contains("has room again"), "{}", server.log());
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes a certificate that ends at a time into the folder of a user, with its settings.
fn certificate(user: &User, end: SystemTime) -> String {
    let identity = Identity::until(&["localhost"], end);
    let file = |name: &str, text: &str| {
        let path = user.folder().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    format!(
        "[tls]\nlisten = \"127.0.0.1:0\"\ncertificate = {:?}\nkey = {:?}\n",
        file("certificate.pem", &identity.certificate_pem),
        file("key.pem", &identity.key_pem)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiring_certificate_causes_a_warning() {
    let user = User::new("");
    let now = SystemTime::now();
    let lines = |server: &Server, part: &str| {
        let log = server.log();
        log.lines().filter(|line| line.contains(part)).count()
    };
    let settings = certificate(&user, now - DAY);
    let server = Server::start(settings.clone()).await;
    assert_eq!(
        lines(&server, "The certificate expired at"),
        1,
        "{}",
        server.log()
    );
    // It is replaced by one that expires soon, which is loaded.
    certificate(&user, now + 5 * DAY + DAY / 2);
    server.signal(rustix::process::Signal::HUP);
    let until = Instant::now() + Duration::from_secs(10);
    while lines(&server, "The certificate expires in 5 days") == 0 {
        assert!(Instant::now() < until, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // `iof doctor` checks the same files.
    fs::write(user.folder().join("iof.toml"), &settings).unwrap();
    let output = user.types(&["doctor", "--config", "iof.toml"]).await;
    assert!(
        output.contains("certificate") && output.contains("The certificate expires in 5 days"),
        "{output}"
    );
    // A valid certificate is not mentioned.
    let settings = certificate(&user, now + 60 * DAY);
    let server = Server::start(settings).await;
    assert_eq!(lines(&server, "The certificate"), 0, "{}", server.log());
    let output = user.types(&["doctor", "--config", "iof.toml"]).await;
    assert!(output.contains("certificate.pem, until "), "{output}");
}
