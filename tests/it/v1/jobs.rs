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

/// A job that waits is cancelled, one that runs is not, and one that failed is retried.
#[tokio::test]
async fn jobs_are_listed_cancelled_and_retried_by_those_who_manage_the_function() {
    let server = Server::start(
        "[server]\njobs_running = 1\n[limits]\nguest_cpu = \"3s\"\nwall_time = \"60s\"\n",
    )
    .await;
    let module = wat(
        "(module (func (export \"spin\") (loop (br 0))) (func (export \"fail\") unreachable) (func (export \"fine\")))",
    );
    let function = server.deploy(module, "jobs = true").await;
    let submit = async |export: &str| {
        let path = format!("/v1/functions/{}/call/{export}", function.id);
        let request = server.request("POST", &path);
        let answer = server
            .answer(request.header("prefer", "respond-async"))
            .await;
        assert_eq!(answer.http, 202, "{}", answer.text());
        answer.json()["job"].as_str().unwrap().to_owned()
    };
    let manage = async |job: &str, verb: &str, key: &str| {
        let path = format!("/v1/functions/{}/jobs/{job}/{verb}", function.id);
        server
            .answer(server.request("POST", &path).bearer_auth(key))
            .await
    };
    let state = async |job: &str, wanted: &str| {
        for _ in 0..400 {
            let answer = server.get(&format!("/v1/jobs/{job}")).await.json();
            if answer["state"] == wanted {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("job {job} is not {wanted}");
    };
    let own = function.admin_key.as_str();
    let running = submit("spin").await;
    let waiting = submit("fine").await;
    state(&running, "running").await;

    // Only whoever manages the function: a job's id alone does not do.
    for key in ["", "iof_nobody"] {
        for verb in ["cancel", "retry"] {
            assert_eq!(manage(&waiting, verb, key).await.fault(), "key", "{verb}");
        }
    }
    let refused = manage(&running, "cancel", own).await;
    assert_eq!((refused.http.as_u16(), refused.fault()), (409, "job-state"));
    assert!(
        refused.text().contains("it is running"),
        "{}",
        refused.text()
    );
    for job in [&running, &waiting] {
        assert_eq!(manage(job, "retry", own).await.fault(), "job-state");
    }
    assert_eq!(manage(&waiting, "cancel", own).await.http, 204);
    let cancelled = state(&waiting, "done").await;
    assert_eq!(cancelled["fault"], "job-cancelled");
    assert_eq!(manage(&waiting, "cancel", own).await.fault(), "job-state");

    // What was cancelled and what failed can be made once more, as a job of its own; what succeeded cannot.
    let spun = state(&running, "done").await;
    assert_eq!(spun["fault"], "guest-cpu");
    let failed = submit("fail").await;
    state(&failed, "done").await;
    for (job, fault) in [(&waiting, None), (&failed, Some("trap"))] {
        let retried = manage(job, "retry", own).await;
        assert_eq!(retried.http, 201, "{}", retried.text());
        let again = retried.json()["job"].as_str().unwrap().to_owned();
        assert_ne!(&again, job);
        let done = state(&again, "done").await;
        assert_eq!(done["fault"].as_str(), fault, "{done}");
        if fault.is_none() {
            let refused = manage(&again, "retry", own).await;
            assert_eq!((refused.http.as_u16(), refused.fault()), (409, "job-state"));
            assert!(refused.text().contains("not kept"), "{}", refused.text());
        }
    }
    for job in ["x", "0190a0a0-0000-7000-8000-000000000000"] {
        for verb in ["cancel", "retry"] {
            assert_eq!(manage(job, verb, own).await.fault(), "no-such-job", "{job}");
        }
    }
    let list = server
        .read_as(
            &function,
            &format!("/v1/functions/{}/jobs?limit=4", function.id),
        )
        .await;
    let list = list["jobs"].as_array().unwrap();
    assert_eq!(list.len(), 4);
    assert!(list.iter().all(|job| job["state"] == "done"), "{list:?}");
    let retriable: Vec<_> = list
        .iter()
        .map(|job| job["retriable"].as_bool().unwrap())
        .collect();
    assert_eq!(retriable, [true, false, true, true]);
    let audit = server
        .read_as(&function, &format!("/v1/audit?function={}", function.id))
        .await;
    let actions: Vec<_> = audit["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| change["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        ["job.retry", "job.retry", "job.cancel", "function.create"]
    );
}
