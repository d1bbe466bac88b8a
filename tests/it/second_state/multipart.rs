//! Several arguments in one body: `multipart/form-data`, as curl's `--form` sends it.

use crate::second_state::modules::{self, form};
use iof_tests::{
    call::{Answer, Uploaded},
    guests::guest,
    joey::{Joey, Manner},
    server::Server,
    upstream::{IMAGE, Upstream, binary},
};
use serde_json::json;
use tempfile::TempDir;

pub(super) type Part<'a> = (&'a str, Option<&'a str>, &'a [u8]);

pub(super) async fn post(joey: &Joey, id: u64, path: &str, parts: &[Part<'_>]) -> Answer {
    let (kind, body) = form(parts);
    send(joey, id, path, &kind, &body).await
}

pub(super) async fn send(joey: &Joey, id: u64, path: &str, kind: &str, body: &[u8]) -> Answer {
    joey.call("POST", format!("/api/multipart/run/{id}/{path}"))
        .header("Content-Type", kind)
        .body(body)
        .send()
        .await
}

pub(super) async fn hello(config: &str) -> (Server, Uploaded) {
    let server = Server::start(config).await;
    let function = server.upload(modules::hello()).await;
    (server, function)
}

pub(super) fn assert_refused(answer: &Answer, status: u16, fault: &str) {
    let truth = (answer.http.as_u16(), answer.status(), answer.fault());
    assert_eq!(
        truth,
        (status, status, fault),
        "{answer:?} {}",
        answer.text()
    );
    assert_eq!(answer.json()["fault"], fault);
}

/// The result that a test of the original expects, from a compiled module.
#[tokio::test]
async fn three_texts_become_three_arguments() {
    let server = Server::start("").await;
    let id = server.upload(guest("second-state")).await.id;
    let parts: [Part; 3] = [
        ("input_1", None, b"one"),
        ("input_2", None, b"{\"asdf\": 10}"),
        ("input_3", None, b"2"),
    ];
    for manner in [Manner::Curl, Manner::Node] {
        let joey = Joey::http(&server).like(manner);
        let answer = post(&joey, id, "multipart", &parts).await;
        assert_eq!(
            answer.text(),
            r#"{"input_a":"one","input_b":"{\"asdf\": 10}","input_c":"2"}"#,
            "{answer:?}"
        );
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    }
}

#[tokio::test]
async fn the_number_after_the_name_is_the_index() {
    let (server, function) = hello("").await;
    let joey = Joey::http(&server);
    let cases: [(&[&str], &str); 12] = [
        (&["input_1", "input_2", "input_3"], "a|b|c"),
        (&["input_3", "input_1", "input_2"], "b|c|a"),
        (&["x_2", "yy_y_3", "_1"], "c|a|b"),
        // There are no gaps, and missing arguments at the end are empty.
        (&["input_1", "input_3"], "a|b|"),
        (&["input_3"], "a||"),
        (&["input_1", "input_2"], "a|b|"),
        // Names without a number come after those, in the order of texts.
        (&["x", "y", "z"], "a|b|c"),
        (&["input_c", "input_a", "input_b"], "b|c|a"),
        (&["x", "input_1", "y"], "b|a|c"),
        (&["input_2", "x", "y_z"], "a|b|c"),
        // Of two parts for one argument, the later one applies.
        (&["input_1", "other_1", "input_2"], "b|c|"),
        (&["input_1", "other_1", "input_1"], "b||"),
    ];
    for (names, expected) in cases {
        let parts: Vec<Part> = names
            .iter()
            .zip([&b"a"[..], b"b", b"c"])
            .map(|(name, bytes)| (*name, None, bytes))
            .collect();
        let answer = post(&joey, function.id, "three", &parts).await;
        assert_eq!(
            (answer.text().as_str(), answer.fault()),
            (expected, ""),
            "{names:?}"
        );
    }
    let one: [Part; 1] = [("only", None, b"Tim")];
    assert_eq!(
        post(&joey, function.id, "say", &one).await.text(),
        "hello Tim"
    );
}

/// Parts: a header, a body, and the argument or the refusal.
type Head<'a> = (&'a str, &'a str, Result<&'a str, (u16, &'a str)>);

/// The headers of a part decide how it is read, or are refused by name.
#[tokio::test]
async fn the_headers_of_a_part_are_respected() {
    let (server, function) = hello("").await;
    let joey = Joey::http(&server);
    let cases: [Head; 9] = [
        ("Content-Transfer-Encoding: base64", "QWR\r\nh", Ok("Ada")),
        ("Content-Transfer-Encoding: BINARY", "Ada", Ok("Ada")),
        (
            "Content-Transfer-Encoding: base64",
            "!",
            Err((400, "multipart")),
        ),
        (
            "Content-Transfer-Encoding: quoted-printable",
            "=41",
            Err((415, "content-transfer-encoding")),
        ),
        (
            "Content-Type: text/plain; charset=utf-8",
            "\u{e9}",
            Ok("\u{e9}"),
        ),
        (
            "Content-Type: text/plain; charset=iso-8859-1",
            "Ada",
            Err((415, "charset")),
        ),
        ("Content-Type: application/json", "[1.0]", Ok("[1.0]")),
        ("X-Other: x", "\u{feff}Ada", Ok("\u{feff}Ada")),
        (
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit",
            "Ada",
            Ok("Ada"),
        ),
    ];
    let body = |name: &str, head: &str, value: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n{head}\r\n\r\n{value}\r\n--b--\r\n"
        )
    };
    let kind = "multipart/form-data; boundary=b";
    for (head, value, expected) in cases {
        let body = body("input_1", head, value);
        let answer = send(&joey, function.id, "echo", kind, body.as_bytes()).await;
        match expected {
            Ok(text) => assert_eq!(answer.text(), text, "{head}"),
            Err((status, fault)) => assert_refused(&answer, status, fault),
        }
    }
    let whole = body("_charset_", "X: y", "iso-8859-1");
    let answer = send(&joey, function.id, "echo", kind, whole.as_bytes()).await;
    assert_refused(&answer, 415, "charset");
}

#[tokio::test]
async fn texts_are_unchanged() {
    let (server, function) = hello("").await;
    let joey = Joey::http(&server);
    for text in [
        "25.0",
        " {\"a\": 1.0} ",
        "",
        "é 漢字 😀",
        "--\r\n--",
        "a\r\nb\n",
        "null",
    ] {
        let answer = post(
            &joey,
            function.id,
            "echo",
            &[("input_1", None, text.as_bytes())],
        )
        .await;
        assert_eq!(answer.text(), text);
    }
}

/// Any file other than an image crashed the original.
#[tokio::test]
async fn files_are_passed_as_bytes() {
    let (server, function) = hello("").await;
    let joey = Joey::http(&server);
    let text = b"just text".to_vec();
    for (file, bytes) in [
        ("a.txt", text),
        ("a.png", IMAGE.to_vec()),
        ("a.bin", binary()),
        ("none", vec![]),
    ] {
        for name in ["input_1", "file"] {
            let answer = post(
                &joey,
                function.id,
                "echo/bytes",
                &[(name, Some(file), &bytes)],
            )
            .await;
            assert!(answer.body == bytes, "{file} {answer:?}");
            assert_eq!(answer.header("content-type"), "application/octet-stream");
        }
    }
    let parts: [Part; 3] = [
        ("image_2", Some("a.png"), &IMAGE),
        ("input_1", None, b"before"),
        ("input_3", None, b"after"),
    ];
    let answer = post(&joey, function.id, "three/bytes", &parts).await;
    assert!(
        answer.body == [&b"before|"[..], &IMAGE, b"|after"].concat(),
        "{answer:?}"
    );
    // Large files are common.
    let large = vec![0xfe; 5 << 20];
    let answer = post(
        &joey,
        function.id,
        "echo/bytes",
        &[("input_1", Some("l"), &large)],
    )
    .await;
    assert!(answer.body == large, "{} bytes", answer.body.len());
}

/// A server that may call `data.example.com`.
async fn outbound() -> (Upstream, Server, Uploaded, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let data = Upstream::start_tls(&["data.example.com"]).await;
    data.write_ca(&ca);
    let pin = data.pin("data.example.com", 443);
    let rules = "[defaults]\noutbound = [\"* https://data.example.com\"]\n";
    let (server, function) = hello(&format!("{rules}[egress]\nca_files = [{ca:?}]\n{pin}")).await;
    (data, server, function, folder)
}

#[tokio::test]
async fn a_part_can_be_fetched() {
    let (_data, server, function, _folder) = outbound().await;
    let joey = Joey::http(&server);
    let object = json!({
        "method": "POST", "hostname": "data.example.com", "port": 443, "path": "/mirror",
        "headers": { "Content-Type": "text/plain" }, "body": { "a": 1 },
    })
    .to_string();
    let parts: [Part; 3] = [
        ("fetch_input_3", None, object.as_bytes()),
        ("input_1", None, b"one"),
        ("fetch_2", None, b"https://data.example.com/status/404"),
    ];
    let answer = post(&joey, function.id, "three", &parts).await;
    // The response of a request object is quoted once more than that of a URL.
    assert_eq!(answer.text(), r#"one|status 404|"{\"a\":1}""#, "{answer:?}");
    let image: [Part; 1] = [("fetch_1", None, b"https://data.example.com/image")];
    let answer = post(&joey, function.id, "echo/bytes", &image).await;
    assert!(answer.body == IMAGE, "{answer:?}");

    let denied: [Part; 1] = [("fetch_1", None, b"https://other.example.com/")];
    assert_refused(
        &post(&joey, function.id, "echo", &denied).await,
        502,
        "egress-denied",
    );
    let inside: [Part; 1] = [("fetch_1", None, b"https://127.0.0.1/")];
    let answer = post(&joey, function.id, "echo", &inside).await;
    assert!(answer.fault().starts_with("egress-"), "{answer:?}");
    for nonsense in [&b"nonsense"[..], b"{}", b""] {
        let answer = post(&joey, function.id, "echo", &[("fetch_1", None, nonsense)]).await;
        assert_refused(&answer, 400, "fetch");
    }
}

/// A small request must not make the server hold more than large ones may.
#[tokio::test]
async fn fetches_of_parts_are_limited_like_a_body() {
    let (_data, server, function, _folder) = outbound().await;
    let joey = Joey::http(&server);
    let url = b"https://data.example.com/size/15000000".to_vec();
    let names: Vec<_> = (1..=8).map(|n| format!("fetch_{n}")).collect();
    let parts: Vec<Part> = names.iter().map(|name| (&**name, None, &url[..])).collect();
    assert_refused(
        &post(&joey, function.id, "three", &parts).await,
        413,
        "request-body",
    );
}

#[tokio::test]
async fn a_part_can_be_the_callback() {
    let (data, server, function, _folder) = outbound().await;
    let joey = Joey::http(&server);
    let callback = json!({
        "method": "POST", "hostname": "data.example.com", "port": 443, "path": "/echo",
        "headers": { "Content-Type": "text/plain" },
    });
    let text = callback.to_string();
    for name in [
        "SSVM_Callback",
        "SSVM_Callback_2",
        "ssvm_callback_1",
        "SSVM_Callback_99",
    ] {
        let parts: [Part; 3] = [
            ("input_1", None, b"one"),
            (name, None, text.as_bytes()),
            ("input_3", None, b"three"),
        ];
        let answer = post(&joey, function.id, "three", &parts).await;
        assert_eq!(answer.json()["body"], "one|three|", "{name} {answer:?}");
    }
    // It takes precedence over the stored callback, and an empty one cancels that.
    let mut stored = callback.clone();
    stored["path"] = "/status/201".into();
    let put = joey
        .call("PUT", format!("/api/callback/{}", function.id))
        .header("Content-Type", "application/json")
        .header("SSVM_Admin_Key", &*function.admin_key);
    assert_eq!(put.body(stored.to_string()).send().await.status(), 200);
    let parts: [Part; 1] = [("input_1", None, b"Tim")];
    assert_eq!(
        post(&joey, function.id, "say", &parts).await.text(),
        "status 201"
    );
    let parts: [Part; 2] = [parts[0], ("SSVM_Callback", None, text.as_bytes())];
    assert_eq!(
        post(&joey, function.id, "say", &parts).await.json()["body"],
        "hello Tim"
    );
    let parts: [Part; 2] = [parts[0], ("SSVM_Callback", None, b"{}")];
    assert_eq!(
        post(&joey, function.id, "say", &parts).await.text(),
        "hello Tim"
    );
    let before = data.seen().len();
    let parts: [Part; 2] = [parts[0], ("SSVM_Callback", None, b"nonsense")];
    assert_refused(
        &post(&joey, function.id, "say", &parts).await,
        400,
        "callback",
    );
    assert_eq!(data.seen().len(), before);
}
