//! The JSON log: every line is an object, every key occurs once, and a number is a number.

use crate::egress::secrets::echoing;
use iof_tests::{guests::guest, server::Server, upstream::Upstream};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A line, read without losing a repeated key.
struct Line(Map<String, Value>);

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Map<String, Value>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Map::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    assert!(
                        members.insert(key.clone(), value).is_none(),
                        "{key} is repeated"
                    );
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Members).map(Line)
    }
}

#[tokio::test]
async fn every_line_has_every_key_once_and_numbers_as_numbers() {
    let upstream = Upstream::start().await;
    let config = format!(
        "log = \"trace,h2=debug\"\n[auth]\nkeys = [\"a key of the server's\"]\n{}",
        upstream.pin("api.example.com", 80)
    );
    let server = Server::start(config).await;
    let declaration = echoing("header = \"x\"")
        .split("[[secrets]]")
        .next()
        .unwrap()
        .to_owned();
    let deploy = async |name: &str, module: &str| {
        let answer = server
            .try_deploy_named(name, "a key of the server's", guest(module), &declaration)
            .await;
        assert_eq!(answer.http, 201, "{}", answer.text());
        answer.json()["function"].as_u64().unwrap()
    };
    let command = deploy("asker", "command").await;
    let wasi = deploy("printer", "wasi").await;
    for args in [
        ["get", "http://api.example.com/echo"],
        ["get", "http://denied.example.com/"],
    ] {
        let run = json!({ "program": "http_proxy", "args": args }).to_string();
        assert_eq!(server.run(command, "run_ssvm", run).await.fault(), "");
    }
    let run = json!({ "program": "sh", "args": [] }).to_string();
    server.run(command, "run_ssvm", run).await;
    assert_eq!(server.run(wasi, "print_lines", "3").await.fault(), "");
    server.run(wasi, "panics", "x").await;
    server.run(wasi, "nothing_of_that_name", "x").await;
    server.run(9, "f", "x").await;
    server.try_upload(b"no module".to_vec()).await;
    server.get("/api/executables").await;
    server.get("/v1/functions").await;
    server.get("/v1/jobs/x").await;
    server.get("/per%cent").await;
    tokio::time::sleep(Duration::from_millis(300)).await;

    let log = server.log();
    let mut targets = std::collections::BTreeSet::new();
    for line in log.lines() {
        let Line(line) = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}"));
        for key in ["timestamp", "level", "target"] {
            assert!(line[key].is_string(), "{line:?}");
        }
        assert!(line.get("message").is_none_or(Value::is_string), "{line:?}");
        for key in [
            "function",
            "version",
            "guest_us",
            "bytes",
            "bytes_in",
            "bytes_out",
            "ms",
            "status",
        ] {
            if let Some(value) = line.get(key) {
                let ours = line["target"]
                    .as_str()
                    .is_some_and(|target| target.starts_with("iof"));
                assert!(value.is_number() || !ours, "{key} of {line:?}");
            }
        }
        let target = line["target"].as_str().unwrap();
        // The line of a call has the number of its function, its name and its version.
        if matches!(target, "iof::call" | "iof::guest") && line.contains_key("export") {
            let name = match line["function"].as_u64() {
                Some(id) if id == command => "asker",
                _ => "printer",
            };
            assert_eq!(line["name"], name, "{line:?}");
            assert_eq!(line["version"], 1, "{line:?}");
        }
        targets.insert(target.to_owned());
    }
    for target in ["iof::call", "iof::guest", "iof::egress", "iof::command"] {
        assert!(targets.contains(target), "{target} is not in {targets:?}");
    }
    assert!(log.contains("\"function\":"), "{log}");
}
