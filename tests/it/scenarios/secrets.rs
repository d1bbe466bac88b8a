//! Secrets: attached by the host to requests of their rule, and in nothing that anybody can read afterwards.

use super::scenario;
use crate::egress::secrets::keyed;
use iof_tests::kinds::{Kind, Subject};
use iof_tests::upstream::Upstream;
use serde_json::json;
use std::path::{Path, PathBuf};

const TOKEN: &str = "SG.never-inside-the-sandbox";

const DECLARED: &str = r#"
commands = ["http_proxy"]
outbound = ["* http://api.example.com", "* http://other.example.com"]

[[secrets]]
to = "* http://api.example.com/echo"
header = "authorization"
value = "Bearer {TOKEN}"
"#;

scenario!(a_secret_leaves_and_is_nowhere_else);

/// Not in the function's memory after the request, not in its log, in the record of what left, in a recorded call, in an
/// answer of the API, in the server's own log or in a file.
async fn a_secret_leaves_and_is_nowhere_else(kind: Kind) {
    let upstream = Upstream::start().await;
    let pins = ["api.example.com", "other.example.com"].map(|host| upstream.pin(host, 80));
    let config = format!("log = \"debug\"\n{}", pins.concat());
    let server = keyed().config(config).start().await;
    let record = match kind.takes_http() {
        true => "off",
        false => "always",
    };
    let declaration = format!("record = \"{record}\"\n{DECLARED}");
    let subject = Subject::deploy(&server, kind, &declaration).await;
    let function = &subject.function;
    let early = subject.run("say", &["early"]).await;
    assert_eq!(early.fault(), "secret-not-set", "{}", early.text());
    let set = server.set_secret(function, "TOKEN", TOKEN).await;
    assert_eq!(set.http, 204, "{}", set.text());

    let url = |host: &str| format!("http://{host}.example.com/echo");
    let command =
        |host: &str| json!({ "name": "http_proxy", "args": ["get", url(host)] }).to_string();
    let request = |host: &str| json!({ "url": url(host) }).to_string();
    let ways = ["command", "fetch"];
    let ways = &ways[..if kind.is_component() { 2 } else { 1 }];
    let mut places = vec![];
    for scenario in ways {
        let request = |host: &str| match *scenario {
            "command" => command(host),
            _ => request(host),
        };
        // An echo is masked, and a request that no secret is for has none.
        let echo = subject.text(scenario, &[&request("api")]).await;
        assert!(echo.contains("Bearer ***"), "{scenario}: {echo}");
        let other = subject.text(scenario, &[&request("other")]).await;
        assert!(!other.contains("***"), "{scenario}: {other}");
        let seen = upstream.seen();
        let [.., api, other] = &*seen else {
            panic!("two requests left");
        };
        assert_eq!(api.headers["authorization"], format!("Bearer {TOKEN}"));
        assert!(!other.headers.contains_key("authorization"), "{other:?}");

        let scenario = format!("{scenario}-and-memory");
        let dump = subject.run(&scenario, &[&request("api")]).await;
        assert_eq!(dump.fault(), "", "{scenario}: {}", server.log());
        // The dump is of the memory that ran the request: it holds the answer.
        assert!(
            dump.body.len() > 64 << 10 && dump.text().contains("Bearer ***"),
            "{scenario}: {} bytes",
            dump.body.len()
        );
        let call = dump.header("iof-call").to_owned();
        places.push(("the headers", format!("{:?}", dump.headers).into_bytes()));
        places.push(("the memory", dump.body));
        places.push(("the log", subject.row(&call).await.to_string().into_bytes()));
        if record == "always" {
            let recorded = server.read_as(function, &format!("/v1/calls/{call}")).await;
            places.push(("the recording", recorded.to_string().into_bytes()));
        }
        let sent = format!("/v1/egress?call={call}&function={}", function.id);
        let sent = server.read_as(function, &sent).await;
        let rows = sent["sent"].as_array().unwrap();
        let row = rows.iter().find(|row| row["method"] == "GET");
        let names = row.map(|row| row["secrets"].clone());
        assert_eq!(names, Some(json!(["TOKEN"])), "{sent}");
        places.push(("the record", sent.to_string().into_bytes()));
    }
    for path in ["", "/secrets", "/calls"] {
        let path = format!("/v1/functions/{}{path}", function.id);
        let read = server.read_as(function, &path).await;
        places.push(("an answer", read.to_string().into_bytes()));
    }
    for path in ["/api/log", "/api/executables"] {
        let request = server.request("GET", &format!("{path}/{}", function.id));
        let request = request.header("SSVM_Admin_Key", &function.admin_key);
        places.push(("an answer of 2020", server.answer(request).await.body));
    }
    places.push(("the server's log", server.log().into_bytes()));
    for file in files(&server.data()) {
        places.push(("a file", std::fs::read(file).unwrap()));
    }
    for (place, bytes) in places {
        for spelling in spellings() {
            let found = bytes.windows(spelling.len());
            let found = found
                .filter(|window| *window == spelling.as_bytes())
                .count();
            assert_eq!(found, 0, "the token is in {place}, as {spelling}");
        }
    }
}

/// The token as it is, in hexadecimal, and in base64 at each of three offsets.
fn spellings() -> Vec<String> {
    let hex: String = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect();
    vec![
        TOKEN.into(),
        hex,
        "U0cubmV2ZXItaW5zaWRl".into(),
        "Ny5uZXZlci1pbnNpZG".into(),
        "TRy5uZXZlci1pbnNpZG".into(),
    ]
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
