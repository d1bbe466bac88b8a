//! Calls whose outcome is fetched later.

use iof_tests::{
    guests::{guest, wat},
    server::Server,
};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn the_outcome_of_a_call_can_be_fetched_later_even_after_a_kill() {
    let server = Server::start("").await;
    let function = server.deploy(guest("typed"), "jobs = true").await;
    let submit = async |server: &Server, export: &str, arguments: Value| {
        let path = format!("/v1/functions/{}/call/{export}", function.id);
        let request = server
            .request("POST", &path)
            .header("prefer", "wait=5, respond-async; x=y")
            .json(&arguments);
        let answer = server.answer(request).await;
        assert_eq!(answer.http, 202, "{}", answer.text());
        let job = answer.json()["job"].as_str().unwrap().to_owned();
        assert_eq!(answer.header("location"), format!("/v1/jobs/{job}"));
        job
    };
    let outcome = async |server: &Server, job: &str| {
        for _ in 0..200 {
            let answer = server.get(&format!("/v1/jobs/{job}")).await;
            assert_eq!(answer.http, 200, "{}", answer.text());
            if answer.json()["state"] == "done" {
                return answer.json();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the job does not end\n{}", server.log());
    };
    let point = json!({"north": 1.0, "east": 2.0, "label": "x"});
    let job = submit(&server, "echo_point", json!({ "value": point })).await;
    let done = outcome(&server, &job).await;
    assert_eq!(
        (&done["result"], &done["export"]),
        (&point, &json!("echo_point"))
    );
    let text = submit(&server, "shout", json!({"text": "hi"})).await;
    assert_eq!(outcome(&server, &text).await["result"], "HI");
    let bytes = submit(&server, "reversed", json!({"bytes": "AP8="})).await;
    assert_eq!(
        outcome(&server, &bytes).await["result"],
        json!({"base64": "/wA="})
    );
    let failed = submit(
        &server,
        "fail_code",
        json!({"code": "gone", "message": "why"}),
    )
    .await;
    let failed = outcome(&server, &failed).await;
    assert_eq!(
        (&failed["fault"], &failed["error"]),
        (&json!("function:gone"), &json!("why"))
    );
    // Arguments are checked before a job is accepted.
    let path = format!("/v1/functions/{}/call/echo_u8", function.id);
    let wrong = server
        .request("POST", &path)
        .header("prefer", "respond-async")
        .json(&json!({"value": 256}));
    let wrong = server.answer(wrong).await;
    assert!(wrong.http == 202 || wrong.http == 400, "{}", wrong.text());
    let unknown = server
        .get("/v1/jobs/0190a0a0-0000-7000-8000-000000000000")
        .await;
    assert_eq!(
        (unknown.http.as_u16(), unknown.fault()),
        (404, "no-such-job")
    );
    // An acknowledged job survives.
    let mut jobs = vec![];
    for number in 0..20 {
        jobs.push((
            number,
            submit(&server, "echo_u32", json!({ "value": number })).await,
        ));
    }
    let mut server = server;
    server.kill().await;
    let server = server.restart().await;
    for (number, job) in jobs {
        assert_eq!(outcome(&server, &job).await["result"], number);
    }
}

#[tokio::test]
async fn too_many_jobs_are_refused() {
    let server =
        Server::start("[server]\njobs = 2\njobs_running = 1\n[limits]\nguest_cpu = \"2s\"\n").await;
    let spin = wat("(module (func (export \"spin\") (loop (br 0))))");
    let function = server.deploy(spin, "jobs = true").await;
    let path = format!("/v1/functions/{}/call/spin", function.id);
    let mut faults = vec![];
    for _ in 0..3 {
        let request = server
            .request("POST", &path)
            .header("prefer", "respond-async");
        let answer = server.answer(request).await;
        faults.push((answer.http.as_u16(), answer.fault().to_owned()));
    }
    assert_eq!(
        faults,
        [
            (202, String::new()),
            (202, String::new()),
            (503, "jobs".into())
        ]
    );
}

/// RFC 7240, section 2: parameters, quoted values, several headers, any case; a name in quotes is only a value.
#[tokio::test]
async fn a_preference_is_parsed_by_its_grammar() {
    let server = Server::start("").await;
    let function = server.deploy(guest("typed"), "jobs = true").await;
    let path = format!("/v1/functions/{}/call/nothing", function.id);
    for (lines, status) in [
        (&["respond-async;x=y"][..], 202),
        (&["Respond-Async; x=\"a, b\""], 202),
        (&["wait=10", "respond-async"], 202),
        (&["foo=\"a, \\\" b\", RESPOND-ASYNC"], 202),
        (&["foo=\"bar, respond-async, baz\""], 204),
        (&["foo; respond-async"], 204),
        (&["respond-async-not"], 204),
        (&["\"respond-async\""], 204),
        (&[], 204),
    ] {
        let mut request = server.request("POST", &path);
        for line in lines {
            request = request.header("Prefer", *line);
        }
        let answer = server.answer(request).await;
        assert_eq!(answer.http, status, "{lines:?} {}", answer.text());
        let applied = if status == 202 { "respond-async" } else { "" };
        assert_eq!(answer.header("preference-applied"), applied);
    }
}
