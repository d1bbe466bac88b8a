//! The messages of a server and of `iof login` about keys: right, wrong, expired, missing, and sent to another service.

use super::keys_kept::{is_logged, operated, types};
use super::module;
use crate::v1::functions::{KEY, ask, create, numbered};
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_distinguished_in_the_log_and_clients_learn_the_header() {
    let server = Server::start(operated()).await;
    create(&server, "?name=hello&private=true", numbered(1), KEY).await;
    let body = json!({"label": "eyes", "scopes": ["read"]});
    let read_key = ask(&server, "POST", "/v1/keys", KEY, Some(body))
        .await
        .json();
    let soon = std::process::Command::new("date")
        .args(["-u", "-d", "+2 seconds", "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    let soon = String::from_utf8(soon.stdout).unwrap();
    let soon = soon.trim();
    let body = json!({"label": "past", "scopes": ["admin"], "expires_at": soon});
    let expired_key = ask(&server, "POST", "/v1/keys", KEY, Some(body)).await;
    assert_eq!(expired_key.http, 201, "{}", expired_key.text());
    let expired_key = expired_key.json();
    tokio::time::sleep(std::time::Duration::from_millis(2_500)).await;
    let (read_key, expired_key) = (
        read_key["key"].as_str().unwrap(),
        expired_key["key"].as_str().unwrap(),
    );
    let header = "Authorization: Bearer KEY";
    for (key, status, expected, logged) in [
        ("", 401, header, "no key was sent"),
        (
            "nobody's",
            401,
            "does not give access: it is wrong or has expired",
            "the key is unknown to this server",
        ),
        (
            expired_key,
            401,
            "does not give access: it is wrong or has expired",
            "(`past`) expired at 20",
        ),
        (
            read_key,
            403,
            "lacks the scope `admin`",
            "(`eyes`) has read for all functions",
        ),
    ] {
        let request = server.request("GET", "/v1/functions/hello/secrets");
        let request = match key {
            "" => request,
            key => request.bearer_auth(key),
        };
        let answer = server.answer(request).await;
        assert_eq!(answer.http, status, "{key}: {}", answer.text());
        assert!(answer.text().contains(expected), "{key}: {}", answer.text());
        is_logged(&server, logged).await;
    }
    let basic = server
        .request("GET", "/v1/keys")
        .basic_auth("ada", Some("secret"));
    let basic = server.answer(basic).await.text();
    assert!(basic.contains("but not as `Bearer KEY`"), "{basic}");
    // The same for a call of a private function.
    let path = "/v1/functions/hello/call/which";
    let wrong = ask(&server, "POST", path, "nobody's", None).await;
    assert!(
        wrong.http == 404 && wrong.text().contains("does not give access"),
        "{}",
        wrong.text()
    );
    let none = server.answer(server.request("POST", path)).await.text();
    assert!(
        none.contains(header) && !none.contains("does not give access"),
        "{none}"
    );
    for key in [read_key, expired_key] {
        assert!(!server.log().contains(key));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn login_reports_whether_a_server_takes_keys() {
    let open = Server::start("").await;
    let user = User::new("");
    for (line, key, words) in [
        (
            &["login", &open.url][..],
            "some key\n",
            "takes no key: it was started without auth.keys",
        ),
        (
            &["login", "127.0.0.1:9"],
            "some key\n",
            "Write http://127.0.0.1:9 or https://127.0.0.1:9",
        ),
        (
            &["login", "http://127.0.0.1:9", "--no-key"],
            "",
            "Is the server running there?",
        ),
    ] {
        let output = user.types_with(line, key).await;
        assert!(
            output.contains(words) && output.contains("exit status 2"),
            "{output}"
        );
    }
    let closed = Server::start(operated()).await;
    let wrong = user.types_with(&["login", &closed.url], "some key\n").await;
    assert!(wrong.contains("does not give access at"), "{wrong}");
    let output = user.types(&["login", &closed.url, "--no-key"]).await;
    assert!(output.contains("takes a key (auth.keys)"), "{output}");

    // A working key is not overwritten.
    let key = format!("{KEY}\n");
    let output = user.types_with(&["login", &closed.url], &key).await;
    assert!(output.contains("is the profile default now"), "{output}");
    let output = user.types(&["login", &open.url, "--no-key"]).await;
    let host = open.url.trim_start_matches("http://");
    assert!(
        output.contains(&format!("is the profile {host} now")),
        "{output}"
    );
    let taken = ["login", &open.url, "--no-key", "--profile", "default"];
    types(
        &user,
        &taken,
        &["belongs to another server", "iof logout --profile default"],
    )
    .await;
    let created = user.run(
        &[
            "key",
            "create",
            "ci",
            "--scope",
            "read",
            "--profile",
            "default",
        ],
        "",
    );
    let created = String::from_utf8(created.stdout).unwrap();
    let output = user.types_with(&["login", &closed.url], &created).await;
    assert!(output.contains("another key of this server"), "{output}");
    let output = user
        .types_with(&["login", &closed.url, "--profile", "ci"], &created)
        .await;
    assert!(output.contains("is the profile ci now"), "{output}");
    types(
        &user,
        &["whoami"],
        &["key ci: read for all functions", "profile     ci"],
    )
    .await;
    types(
        &user,
        &["whoami", "--profile", "default"],
        &["a key of the server: everything"],
    )
    .await;
    // An expired key may be overwritten.
    types(
        &user,
        &["key", "rm", "1", "--profile", "default"],
        &["deleted"],
    )
    .await;
    types(&user, &["list"], &["does not give access"]).await;
    let output = user
        .types_with(&["login", &closed.url, "--profile", "ci"], &key)
        .await;
    assert!(output.contains("is the profile ci now"), "{output}");
    types(
        &user,
        &["logout"],
        &["profile ci is removed together with its key"],
    )
    .await;
    types(
        &user,
        &["logout", "--profile", "ci"],
        &["there is no profile ci"],
    )
    .await;
    types(&user, &["list", "--profile", "default"], &["no functions"]).await;
}

/// A server that answers JSON but is not iof is not taken for an empty iof.
#[tokio::test(flavor = "multi_thread")]
async fn another_service_is_not_taken_for_iof() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let user = User::new(&url);
    module(&user, 1);
    for line in [
        &["list"][..],
        &["deploy", "hello.wasm"],
        &["login", &url, "--no-key"],
        &["whoami"],
    ] {
        types(&user, line, &["not like a server of iof", "exit status 2"]).await;
    }
    // Each problem of TLS has its remedy.
    let plain = Server::start("").await;
    let user = User::new(&plain.url.replace("http://", "https://"));
    types(
        &user,
        &["list"],
        &["does not speak TLS on this port. Try http://"],
    )
    .await;
    let tls = Server::builder().tls().start().await;
    let user = User::new(tls.tls_url.as_deref().unwrap());
    types(&user, &["list"], &["--cacert FILE"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_are_listed_with_the_current_one() {
    let (one, two) = tokio::join!(
        Server::start(format!("[auth]\nkeys = [\"{KEY}\"]\n")),
        Server::start("")
    );
    let user = User::new("");
    let expected = user.types(&["profile", "list"]).await;
    assert!(
        expected.contains("no profiles; `iof login` makes one"),
        "{expected}"
    );
    user.types_with(&["login", &one.url], &format!("{KEY}\n"))
        .await;
    user.types(&["login", &two.url, "--profile", "staging", "--no-key"])
        .await;
    let row = |name: &str, server: &str, key: &str| format!("\n{name}  {server}  {key}");
    for line in [&["profile", "list"][..], &["profiles", "ls"]] {
        let expected = user.types(line).await;
        assert!(
            expected.contains(&(row("default", &one.url, "yes") + "\n"))
                && expected.contains(&(row("staging", &two.url, "no") + "   current\n")),
            "{expected}"
        );
        assert!(!expected.contains(KEY), "{expected}");
    }
    let output = tokio::task::block_in_place(|| user.run(&["profile", "list", "--json"], ""));
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = listed["profiles"].as_array().unwrap();
    assert_eq!(rows.len(), 2, "{listed}");
    let (default, staging) = (&rows[0], &rows[1]);
    assert!(
        default["profile"] == "default"
            && default["has_key"] == true
            && default["current"] == false,
        "{listed}"
    );
    assert!(
        staging["server"] == two.url && staging["has_key"] == false && staging["current"] == true,
        "{listed}"
    );
    assert!(!listed.to_string().contains(KEY), "{listed}");
}
