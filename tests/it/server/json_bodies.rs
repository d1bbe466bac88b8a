//! JSON is read in limited and counted memory, to a limited depth.

use crate::second_state::modules;
use iof_tests::{
    call::{Answer, Uploaded},
    guests::guest,
    server::Server,
};

/// The peak memory of the server's process, in bytes.
pub(crate) fn peak(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() << 10
}

async fn start(config: &str) -> (Server, Uploaded, Uploaded) {
    let server = Server::start(config).await;
    let era = server.upload(modules::hello()).await;
    let typed = server.deploy(guest("typed"), "").await;
    (server, era, typed)
}

async fn post(server: &Server, path: String, json: impl Into<reqwest::Body>) -> Answer {
    let request = server
        .request("POST", &path)
        .header("Content-Type", "application/json")
        .body(json);
    server.answer(request).await
}

/// Many small values, which took fifty to two hundred times their bytes as a tree.
#[tokio::test]
async fn a_body_takes_memory_of_about_its_size() {
    let (server, era, typed) = start("[server]\njson_values = 1000\n").await;
    let many = |value: &str| format!("[{}]", vec![value; 2_000_000 / (value.len() + 1)].join(","));
    let bodies = [
        many("1"),
        many("{}"),
        many("{\"a\":0}"),
        many("\"\""),
        many("[[]]"),
    ];
    let before = peak(&server);
    for body in bodies {
        let answer = post(&server, format!("/api/run/{}/echo", era.id), body.clone()).await;
        assert!(answer.body == body.as_bytes(), "{:?}", answer.fault());
        // Not an argument of the function, but it is still read to its end.
        for id in [era.id, typed.id] {
            for export in ["echo", "echo_json", "echo_point"] {
                let path = format!("/v1/functions/{id}/call/{export}");
                let answer = post(&server, path, body.clone()).await;
                assert!(
                    answer.http == 200 || answer.http.as_u16() / 100 == 4,
                    "{answer:?}"
                );
            }
        }
        let fields = format!("{{\"value\":{body}}}");
        let path = format!("/v1/functions/{}/call/echo_json", typed.id);
        let answer = post(&server, path, fields).await;
        assert!(
            answer.http == 200 || answer.http == 413,
            "{:?}",
            answer.fault()
        );
    }
    let took = peak(&server) - before;
    assert!(took < 60 << 20, "{} MiB", took >> 20);
}

#[tokio::test]
async fn the_memory_of_reading_is_counted() {
    let (server, era, typed) = start("[server]\nbody_memory = \"4MiB\"\n").await;
    let body = format!("[{}]", vec!["1"; 1_250_000].join(","));
    for (path, body) in [
        (format!("/api/run/{}/echo", era.id), body.clone()),
        (
            format!("/v1/functions/{}/call/echo_json", typed.id),
            format!("{{\"value\":{body}}}"),
        ),
    ] {
        let answer = post(&server, path, body).await;
        assert_eq!(
            (answer.status(), answer.fault()),
            (503, "body-memory"),
            "{answer:?}"
        );
        assert_eq!(answer.header("retry-after"), "1");
    }
    // The shares were released.
    let small = format!("[{}]", vec!["1"; 400_000].join(","));
    for _ in 0..8 {
        let answer = post(&server, format!("/api/run/{}/echo", era.id), small.clone()).await;
        assert_eq!((answer.status(), answer.fault()), (200, ""));
    }
}

#[tokio::test]
async fn depth_is_limited() {
    let (server, era, typed) = start("").await;
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let run = format!("/api/run/{}/echo", era.id);
    for depth in [200, 1000] {
        assert_eq!(
            post(&server, run.clone(), deep(depth)).await.text(),
            deep(depth)
        );
    }
    let field = |depth: usize| format!("{{\"value\":{}}}", deep(depth));
    let path = format!("/v1/functions/{}/call/echo_json", typed.id);
    let fine = post(&server, path.clone(), field(100)).await;
    assert_eq!(fine.http, 200, "{}", fine.text());
    for (path, body) in [
        (run.clone(), deep(1001)),
        (run.clone(), "[".repeat(1_000_000)),
        (run, deep(1_000_000)),
        (path.clone(), field(1001)),
        (path, "[".repeat(1_000_000)),
    ] {
        let answer = post(&server, path, body).await;
        let truth = (answer.http.as_u16(), answer.fault());
        assert_eq!(truth, (413, "json-depth"), "{}", answer.text());
    }
}

#[tokio::test]
async fn values_checked_by_a_schema_are_limited() {
    let (server, _, typed) = start("[server]\njson_values = 4\n").await;
    let path = format!("/v1/functions/{}/call/echo_point", typed.id);
    let point = r#"{"north":1,"east":2,"label":"x"}"#;
    let answer = post(&server, path.clone(), format!("{{\"value\":{point}}}")).await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    let more = r#"{"value":{"north":1,"east":2,"label":"x","more":1}}"#;
    let answer = post(&server, path, more).await;
    assert_eq!(
        (answer.http.as_u16(), answer.fault()),
        (413, "json-values"),
        "{}",
        answer.text()
    );
}

/// A schema and a function must read the same meaning in a text.
#[tokio::test]
async fn the_last_of_two_fields_of_a_name_applies() {
    let (server, _, typed) = start("").await;
    let path = format!("/v1/functions/{}/call/echo_point", typed.id);
    let twice = r#"{"value":1, "value":{"north":"no","east":2,"label":"x", "nort\u0068":1.5}}"#;
    let answer = post(&server, path.clone(), twice).await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    assert_eq!(
        answer.json(),
        serde_json::json!({"north": 1.5, "east": 2.0, "label": "x"})
    );
    let last_is_wrong = r#"{"value":{"north":1,"east":2,"label":"x","north":"no"}}"#;
    let answer = post(&server, path.clone(), last_is_wrong).await;
    assert_eq!((answer.http.as_u16(), answer.fault()), (400, "arguments"));
    for (number, fault) in [
        ("1e400", "json"),
        ("1e", "json"),
        ("01", "json"),
        ("\"\\ud800\"", "json"),
    ] {
        let body = format!("{{\"value\":{{\"north\":{number},\"east\":2,\"label\":\"x\"}}}}");
        let answer = post(&server, path.clone(), body).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (400, fault),
            "{number}"
        );
    }
}
