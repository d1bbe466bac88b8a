//! Replays: a recorded call runs again with only its recorded responses.

use iof_tests::{
    call::Uploaded,
    guests::guest,
    server::{Server, program},
    upstream::Upstream,
};
use serde_json::{Value, json};

const DECLARED: &str =
    "commands = [\"http_proxy\"]\noutbound = [\"* http://api.example.com\"]\nstorage = true\n";

fn declared(record: &str) -> String {
    format!("{DECLARED}record = {record:?}\n")
}

/// The version in which the fault is fixed.
fn mended() -> Vec<u8> {
    replaced(guest("command"), b"judge mode:strict", b"judge mode:gentle")
}

/// A module in which some words are replaced by others of the same length.
fn replaced(mut module: Vec<u8>, was: &[u8], is: &[u8]) -> Vec<u8> {
    let at = module.windows(was.len()).position(|window| window == was);
    let at = at.expect("the words are in the module");
    module[at..at + is.len()].copy_from_slice(is);
    module
}

async fn replay(server: &Server, function: &Uploaded, call: &str, query: &str) -> Value {
    let request = server.request("POST", &format!("/v1/calls/{call}/replay{query}"));
    let answer = server
        .answer(request.bearer_auth(&function.admin_key))
        .await;
    assert_eq!(answer.http, 200, "{}", answer.text());
    answer.json()
}

async fn judge(server: &Server, function: &Uploaded, url: &str) -> iof_tests::call::Answer {
    server.run(function.id, "judge", url).await
}

#[tokio::test]
async fn a_replay_fails_like_the_call_and_passes_on_a_fixed_version() {
    let upstream = Upstream::start().await;
    let mut server = Server::start(upstream.pin("api.example.com", 80)).await;
    let function = server.deploy(guest("command"), &declared("errors")).await;
    let failed = judge(&server, &function, "http://api.example.com/status/200").await;
    assert_eq!(failed.fault(), "trap", "{}", failed.text());
    let call = failed.header("iof-call").to_owned();
    let listed = server
        .read_as(&function, &format!("/v1/functions/{}/calls", function.id))
        .await;
    assert_eq!(
        (&listed["calls"][0]["call"], &listed["calls"][0]["outcome"]),
        (&json!(call), &json!("trap")),
        "{listed}"
    );
    // Offline: neither the upstream nor the server of the original call exists any more.
    drop(upstream);
    server.kill().await;
    let server = server.restart_with("").await;

    let again = replay(&server, &function, &call, "").await;
    assert_eq!(
        (&again["same"], &again["differences"]),
        (&json!(true), &json!([])),
        "{again}"
    );
    let output = again["replayed"]["ended"]["stdout"].as_str().unwrap();
    assert!(output.contains("drew"), "{again}");
    assert_eq!(again["replayed"]["ended"], again["recorded"]["ended"]);

    assert_eq!(
        server
            .try_deploy_version(&function, mended(), &declared("errors"))
            .await
            .http,
        201
    );
    let passes = replay(&server, &function, &call, "?version=2").await;
    assert_eq!(passes["same"], false, "{passes}");
    assert_eq!(
        passes["replayed"]["ended"]["fault"],
        Value::Null,
        "{passes}"
    );
    assert!(
        passes["replayed"]["ended"]["result"]
            .as_str()
            .unwrap()
            .starts_with("none "),
        "{passes}"
    );
    let differences: Vec<_> = passes["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["what"].as_str().unwrap())
        .collect();
    assert_eq!(
        differences,
        ["result", "fault", "stderr"],
        "the same request, the same clocks, the same randomness"
    );
    let record = server.get("/v1/egress").await.json();
    assert_eq!(
        record["sent"].as_array().unwrap().len(),
        2,
        "a replay sends no requests: {record}"
    );
}

#[tokio::test]
async fn calls_are_recorded_by_the_declaration() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    for (record, good, bad) in [
        ("always", true, true),
        ("errors", false, true),
        ("off", false, false),
    ] {
        let function = server.deploy(mended(), &declared(record)).await;
        let fine = judge(&server, &function, "http://api.example.com/status/200").await;
        assert_eq!(fine.fault(), "", "{}", fine.text());
        let failed = server.run(function.id, "nothing", "x").await;
        assert_eq!(failed.fault(), "no-such-export");
        for (answer, recorded) in [(fine, good), (failed, bad)] {
            let path = format!("/v1/calls/{}", answer.header("iof-call"));
            let request = server
                .request("GET", &path)
                .bearer_auth(&function.admin_key);
            let read = server.answer(request).await;
            assert_eq!(
                read.http.as_u16(),
                if recorded { 200 } else { 404 },
                "{record}: {}",
                read.text()
            );
        }
    }
}

#[tokio::test]
async fn a_request_that_was_not_recorded_is_a_fault_of_the_replay() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let function = server.deploy(mended(), &declared("always")).await;
    let answer = judge(&server, &function, "http://api.example.com/status/200").await;
    let call = answer.header("iof-call").to_owned();
    let read = server
        .read_as(&function, &format!("/v1/calls/{call}"))
        .await;
    let recorded = &read["recorded"]["heard"]["commands"][0];
    assert_eq!(
        (&recorded["name"], &recorded["stdout"]),
        (&json!("http_proxy"), &json!("status 200")),
        "{read}"
    );
    assert_eq!(replay(&server, &function, &call, "").await["same"], true);

    // The same module with the name of another command.
    let other = replaced(mended(), b"http_proxy", b"http_prozy");
    assert_eq!(
        server
            .try_deploy_version(&function, other, &declared("always"))
            .await
            .http,
        201
    );
    let differs = replay(&server, &function, &call, "?version=2").await;
    let fault = &differs["replayed"]["ended"]["fault"];
    assert_eq!(fault["code"], "not-recorded", "{differs}");
    assert!(
        fault["message"]
            .as_str()
            .unwrap()
            .contains("http_prozy get http://api.example.com"),
        "{differs}"
    );
}

#[tokio::test]
async fn stored_values_are_replayed_and_not_changed() {
    let server = Server::start("").await;
    let function = server
        .deploy(guest("cumulative-storage"), &declared("always"))
        .await;
    let begun = server.run(function.id, "init", "5").await;
    assert_eq!(begun.fault(), "", "{}", begun.text());
    let key = begun.text();
    let again = replay(&server, &function, begun.header("iof-call"), "").await;
    assert_eq!(again["same"], true, "the same random key: {again}");
    let _ = key;
}

#[tokio::test]
async fn a_call_that_is_too_large_is_not_recorded() {
    let server = Server::start("[records]\ncall_size = \"1KiB\"\n").await;
    let function = server.deploy(guest("hello"), &declared("always")).await;
    for (length, recorded) in [(10, true), (10_000, false)] {
        let answer = server.run(function.id, "say", "x".repeat(length)).await;
        let path = format!("/v1/calls/{}", answer.header("iof-call"));
        let read = server
            .answer(
                server
                    .request("GET", &path)
                    .bearer_auth(&function.admin_key),
            )
            .await;
        assert_eq!(
            read.http.as_u16() == 200,
            recorded,
            "{length}: {}",
            read.text()
        );
    }
}

#[tokio::test]
async fn recordings_belong_to_their_function() {
    let server = Server::start("").await;
    let (one, two) = (
        server.deploy(guest("hello"), &declared("always")).await,
        server.deploy(guest("hello"), &declared("always")).await,
    );
    let call = server
        .run(one.id, "say", "private words")
        .await
        .header("iof-call")
        .to_owned();
    for (method, path) in [
        ("GET", format!("/v1/calls/{call}")),
        ("POST", format!("/v1/calls/{call}/replay")),
    ] {
        let answer = server
            .answer(server.request(method, &path).bearer_auth(&two.admin_key))
            .await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (401, "key"),
            "{}",
            answer.text()
        );
        assert!(!answer.text().contains("private"));
    }
    let delete = server
        .request("DELETE", &format!("/api/executables/{}", one.id))
        .header("SSVM_Admin_Key", &one.admin_key);
    server.answer(delete).await;
    let missing = server
        .answer(
            server
                .request("GET", &format!("/v1/calls/{call}"))
                .bearer_auth(&one.admin_key),
        )
        .await;
    assert_eq!(missing.http.as_u16(), 404, "{}", missing.text());
}

#[tokio::test]
async fn iof_replay_prints_the_difference_and_exits_like_diff() {
    let upstream = Upstream::start().await;
    let server = Server::start(upstream.pin("api.example.com", 80)).await;
    let function = server.deploy(guest("command"), &declared("errors")).await;
    let failed = judge(&server, &function, "http://api.example.com/status/200").await;
    server
        .try_deploy_version(&function, mended(), &declared("errors"))
        .await;
    let call = failed.header("iof-call");
    let iof = async |args: &[&str]| {
        let mut command = tokio::process::Command::new(program());
        command
            .arg("replay")
            .args(args)
            .env("IOF_SERVER", &server.url)
            .env("IOF_KEY", &function.admin_key);
        let output = command.output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, out, err) = iof(&[call]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    assert!(
        out.contains("replayed on version 1: fault trap") && out.ends_with("no difference\n"),
        "{out}"
    );
    let (code, out, _) = iof(&[call, "--version", "2"]).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(
        out.contains("different: fault") && out.contains("replayed on version 2: returned"),
        "{out}"
    );
    let (code, out, _) = iof(&[call, "--json"]).await;
    assert_eq!(
        (
            code,
            serde_json::from_str::<Value>(&out).unwrap()["same"].clone()
        ),
        (Some(0), json!(true))
    );
    for (args, named) in [
        (vec![call, "--version", "9"], "no version 9"),
        (
            vec!["00000000-0000-7000-8000-000000000000"],
            "There is no recording",
        ),
        (vec!["x"], "iof-call"),
    ] {
        let (code, _, err) = iof(&args).await;
        assert!(code == Some(2) && err.contains(named), "{err}");
    }
}
