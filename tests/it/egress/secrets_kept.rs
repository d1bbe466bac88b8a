//! Stored secrets: written, listed and deleted by the API and by `iof secret`, never read, and the key they are under.

use iof_tests::{call::Answer, guests::guest, server::Server, upstream::Upstream};
use serde_json::{Value, json};

use crate::egress::secrets::{KEY, echoing, keyed};

const OTHER_KEY: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

#[tokio::test]
async fn they_are_written_listed_deleted_and_never_read() {
    let server = keyed().start().await;
    let function = server.deploy(guest("hello"), "").await;
    let other = server.deploy(guest("hello"), "").await;
    let path = format!("/v1/functions/{}/secrets", function.id);
    assert_eq!(server.set_secret(&function, "A", "one").await.http, 204);
    assert_eq!(server.set_secret(&function, "B_2", "two").await.http, 204);
    let list = server.read_as(&function, &path).await;
    let names: Vec<_> = list["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| &secret["name"])
        .collect();
    assert_eq!(names, ["A", "B_2"]);
    assert!(!list.to_string().contains("one"), "{list}");

    let with = |method: &str, path: &str, key: &str| server.request(method, path).bearer_auth(key);
    let one = format!("{path}/A");
    let long = "x".repeat(4097);
    for (request, status, fault) in [
        (with("GET", &one, &function.admin_key), 405, "method"),
        (with("PUT", &one, &other.admin_key).body("x"), 401, "key"),
        (with("DELETE", &one, "x"), 401, "key"),
        (with("PUT", &one, &function.admin_key), 400, "secret"),
        (
            with("PUT", &one, &function.admin_key).body("a\nb"),
            400,
            "secret",
        ),
        (
            with("PUT", &one, &function.admin_key).body(vec![0xff]),
            400,
            "secret",
        ),
        (
            with("PUT", &one, &function.admin_key).body(long),
            413,
            "secret-value",
        ),
        (
            with("PUT", &format!("{path}/lower"), &function.admin_key).body("x"),
            400,
            "secret",
        ),
        (
            with("DELETE", &format!("{path}/C"), &function.admin_key),
            404,
            "no-such-secret",
        ),
    ] {
        let answer = server.answer(request).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (status, fault),
            "{}",
            answer.text()
        );
    }
    assert_eq!(
        server
            .answer(with("DELETE", &one, &function.admin_key))
            .await
            .http,
        204
    );
    let list = server.read_as(&function, &path).await;
    assert_eq!(list["secrets"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_is_given_no_key_makes_its_own() {
    use std::os::unix::fs::PermissionsExt;
    let upstream = Upstream::start().await;
    let pin = upstream.pin("api.example.com", 80);
    let mut server = Server::start(pin).await;
    let function = server
        .deploy(guest("command"), &echoing("header = \"x-api-key\""))
        .await;
    let answer = server
        .set_secret(&function, "API_TOKEN", "t0ken-value")
        .await;
    assert_eq!(answer.http, 204, "{}", answer.text());
    let file = server.data().join("secrets.key");
    let made = std::fs::read_to_string(&file).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!((made.len(), mode & 0o777), (64, 0o600));
    assert!(!server.log().contains(&made) && !server.log().contains("WARN"));
    // It is the same after a start, by which secrets are read.
    server.kill().await;
    let server = server.restart().await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), made);
    let request =
        json!({ "program": "http_proxy", "args": ["get", "http://api.example.com/echo"] });
    let answer = server
        .run(function.id, "run_ssvm", request.to_string())
        .await;
    assert!(answer.text().contains("***"), "{}", answer.text());
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_by_the_name_of_its_setting() {
    for (config, named) in [
        ("[secrets]\nkeys = [\"short\"]", "line 1"),
        (
            "[secrets]\nkey_file = \"/nonexistent\"",
            "secrets.key_file: /nonexistent",
        ),
    ] {
        let refused = Server::builder().config(config).refused().await;
        assert!(refused.log.contains(named), "{}", refused.log);
        assert!(!refused.log.contains("short"), "{}", refused.log);
    }
}

#[tokio::test]
async fn a_new_first_key_takes_over_and_the_old_one_can_go() {
    let upstream = Upstream::start().await;
    let pin = upstream.pin("api.example.com", 80);
    let config = |keys: &str| format!("[secrets]\nkeys = [{keys}]\n{pin}");
    let mut server = Server::start(config(&format!("{KEY:?}"))).await;
    let function = server
        .deploy(guest("command"), &echoing("header = \"x-api-key\""))
        .await;
    server
        .set_secret(&function, "API_TOKEN", "t0ken-value")
        .await;
    server.kill().await;

    let call = async |server: &Server| -> Answer {
        let request =
            json!({ "program": "http_proxy", "args": ["get", "http://api.example.com/echo"] });
        server
            .run(function.id, "run_ssvm", request.to_string())
            .await
    };
    let mut server = server
        .restart_with(config(&format!("{OTHER_KEY:?}, {KEY:?}")))
        .await;
    assert!(call(&server).await.text().contains("***"));
    server.stop().await;
    let mut server = server.restart_with(config(&format!("{OTHER_KEY:?}"))).await;
    assert!(
        call(&server).await.text().contains("***"),
        "{}",
        server.log()
    );
    server.stop().await;
    // With the wrong key the function says so, and others are served.
    let server = server.restart_with(config(&format!("{KEY:?}"))).await;
    assert_ne!(call(&server).await.fault(), "");
    let bare = server.deploy(guest("hello"), "").await;
    assert_eq!(server.run(bare.id, "say", "x").await.fault(), "");
}

#[tokio::test]
async fn iof_secret_sets_lists_and_deletes() {
    let server = keyed().start().await;
    let function = server.deploy(guest("hello"), "").await;
    let id = function.id.to_string();
    let iof = async |args: &[&str], stdin: &str| {
        use tokio::io::AsyncWriteExt;
        let mut child = tokio::process::Command::new(iof_tests::server::program())
            .arg("secret")
            .args(args)
            .env("IOF_SERVER", &server.url)
            .env("IOF_KEY", &function.admin_key)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(stdin.as_bytes())
            .await
            .unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    // `echo` and editors end a value with a line break, which is not part of it.
    let set = iof(&["set", &id, "API_TOKEN"], "s3cret\n").await;
    let note = "; no version of 1 declares it, and none declares a secret\n";
    assert_eq!(
        set,
        (Some(0), format!("API_TOKEN is set{note}"), String::new())
    );
    let (code, list, _) = iof(&["list", &id], "").await;
    assert_eq!(code, Some(0));
    assert!(
        list.starts_with("NAME       SET") && list.lines().count() == 2 && !list.contains("s3cret"),
        "{list}"
    );
    let (_, json, _) = iof(&["list", &id, "--json"], "").await;
    assert_eq!(
        serde_json::from_str::<Value>(&json).unwrap()["secrets"][0]["name"],
        "API_TOKEN"
    );
    assert_eq!(iof(&["rm", &id, "API_TOKEN"], "").await.0, Some(0));
    assert_eq!(iof(&["list", &id], "").await.1, "no secrets\n");
    for (args, stdin, named) in [
        (["set", &id, "s3cret value"], "x", "such as API_TOKEN"),
        (["set", &id, "lower"], "x", "capital letter"),
        (["set", &id, "A"], "", "1 to"),
        (["set", &id, "A"], "s3\ncret", "line break"),
        (["set", "99", "A"], "x", "admin key"),
        (["rm", &id, "B"], "", "no secret of that name"),
    ] {
        let (code, out, err) = iof(&args, stdin).await;
        assert_eq!((code, out.as_str()), (Some(2), ""), "{args:?}: {err}");
        assert!(
            err.contains(named) && !err.contains("s3cret value"),
            "{args:?}: {err}"
        );
    }
}
