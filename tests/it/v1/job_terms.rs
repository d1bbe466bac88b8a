//! Jobs as their callers ask for them: idempotency keys, priorities, times, queues, attempts and lists.
//!
//! More than 400 lines: the terms of jobs, a test for each.

use iof_tests::call::{Answer, Uploaded};
use iof_tests::guests::{guest, wat};
use iof_tests::server::Server;
use iof_tests::user::User;
use serde_json::{Value, json};
use std::time::Duration;

/// A module that spins, fails, and does nothing.
pub(crate) fn module() -> Vec<u8> {
    wat(
        "(module (func (export \"spin\") (loop (br 0))) (func (export \"fail\") unreachable) (func (export \"fine\")))",
    )
}

/// Asks for a job, with these headers.
pub(crate) async fn ask(
    server: &Server,
    function: &Uploaded,
    export: &str,
    headers: &[(&str, &str)],
) -> Answer {
    let path = format!("/v1/functions/{}/call/{export}", function.id);
    let mut request = server
        .request("POST", &path)
        .header("prefer", "respond-async");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.answer(request).await
}

pub(crate) fn id(answer: &Answer) -> String {
    assert_eq!(answer.http, 202, "{}", answer.text());
    answer.json()["job"].as_str().unwrap().to_owned()
}

pub(crate) async fn job(server: &Server, function: &Uploaded, id: &str) -> Value {
    server.read_as(function, &format!("/v1/jobs/{id}")).await
}

/// The job, once it is in this state.
pub(crate) async fn state(server: &Server, function: &Uploaded, id: &str, wanted: &str) -> Value {
    for _ in 0..800 {
        let job = job(server, function, id).await;
        if job["state"] == wanted {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("job {id} is not {wanted}\n{}", server.log());
}

#[tokio::test]
async fn the_same_request_under_an_idempotency_key_is_one_job_even_after_a_kill() {
    let server = Server::start("").await;
    let function = server.deploy(guest("typed"), "jobs = true").await;
    let other = server.deploy(guest("typed"), "jobs = true").await;
    let send = async |server: &Server, of: &Uploaded, key: &str, value: u32| {
        let path = format!("/v1/functions/{}/call/echo_u32", of.id);
        let request = server
            .request("POST", &path)
            .header("prefer", "respond-async")
            .header("idempotency-key", key);
        server
            .answer(request.json(&json!({ "value": value })))
            .await
    };
    let first = send(&server, &function, "order 17", 1).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let first = id(&first);
    for _ in 0..3 {
        let again = send(&server, &function, "order 17", 1).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(id(&again), first);
    }
    let refused = send(&server, &function, "order 17", 2).await;
    assert_eq!(
        (refused.http.as_u16(), refused.fault()),
        (409, "idempotency-key"),
        "{}",
        refused.text()
    );
    // Another key, and another function.
    assert_ne!(id(&send(&server, &function, "order 18", 1).await), first);
    assert_ne!(id(&send(&server, &other, "order 17", 2).await), first);
    // Another export is another request.
    let export = ask(
        &server,
        &function,
        "nothing",
        &[("idempotency-key", "order 17")],
    )
    .await;
    assert_eq!(export.fault(), "idempotency-key");
    assert_eq!(state(&server, &function, &first, "done").await["result"], 1);

    let mut server = server;
    server.kill().await;
    let server = server.restart().await;
    assert_eq!(id(&send(&server, &function, "order 17", 1).await), first);
    assert_eq!(
        send(&server, &function, "order 17", 3).await.fault(),
        "idempotency-key"
    );
}

/// Keys are columns of jobs: a caller with very many of them meets the limits of jobs.
#[tokio::test]
async fn keys_take_the_room_of_their_jobs() {
    let server = Server::start("[server]\njobs_function_size = \"16KiB\"\n").await;
    let function = server.deploy(module(), "jobs = true").await;
    let mut faults = vec![];
    for number in 0..20 {
        let key = format!("key {number}");
        let answer = ask(&server, &function, "fine", &[("idempotency-key", &key)]).await;
        faults.push(answer.fault().to_owned());
    }
    assert_eq!(faults.last().unwrap(), "jobs-function-size", "{faults:?}");
    assert_eq!(faults[0], "");
}

#[tokio::test]
async fn options_that_cannot_be_used_are_refused_by_name() {
    let server = Server::start("[jobs]\ndelay = \"1h\"\n").await;
    let function = server.deploy(module(), "jobs = true").await;
    let long = "k".repeat(256);
    let url = format!("https://example.com/{}", "x".repeat(1100));
    for (name, value) in [
        ("idempotency-key", ""),
        ("idempotency-key", long.as_str()),
        ("iof-job-priority", "11"),
        ("iof-job-priority", "-11"),
        ("iof-job-priority", "99999999999999999999"),
        ("iof-job-priority", "high"),
        ("iof-job-not-before", "tomorrow"),
        ("iof-job-not-before", "9999-12-31T23:59:59Z"),
        ("iof-job-not-before", "1900-01-01T00:00:00Z"),
        ("iof-job-callback", "example.com"),
        ("iof-job-callback", url.as_str()),
        ("iof-job-ttl", "1h"),
    ] {
        let answer = ask(&server, &function, "fine", &[(name, value)]).await;
        let got = (answer.http.as_u16(), answer.fault());
        assert_eq!(
            got,
            (400, "job-option"),
            "{name}: {value}: {}",
            answer.text()
        );
        assert!(answer.text().contains(name), "{}", answer.text());
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    let answer = ask(&server, &function, "fine", &twice).await;
    assert_eq!(answer.fault(), "job-option", "{}", answer.text());
    // A call that is answered at once has no such options; an idempotency key is then its function's.
    let path = format!("/v1/functions/{}/call/fine", function.id);
    let call = |name: &str| server.request("POST", &path).header(name, "1");
    let refused = server.answer(call("iof-job-priority")).await;
    assert_eq!(refused.fault(), "job-option");
    assert_eq!(server.answer(call("idempotency-key")).await.http, 204);
    // A time that has passed is now; a function must permit callbacks.
    let past = [("iof-job-not-before", "1971-01-01T00:00:00Z")];
    let past = id(&ask(&server, &function, "fine", &past).await);
    assert_eq!(
        state(&server, &function, &past, "done").await["outcome"],
        "ok"
    );
    let callback = [("iof-job-callback", "https://example.com/")];
    let refused = ask(&server, &function, "fine", &callback).await;
    assert_eq!(refused.fault(), "caller-request", "{}", refused.text());
}

#[tokio::test]
async fn a_queue_has_an_order_a_length_and_a_place_for_each_job() {
    let server = Server::start(
        "[server]\njobs_running = 1\n[limits]\nguest_cpu = \"3s\"\nwall_time = \"60s\"\n",
    )
    .await;
    let declared = "jobs = { public = true, length = 3 }";
    let function = server.deploy(module(), declared).await;
    let spins = id(&ask(&server, &function, "spin", &[]).await);
    state(&server, &function, &spins, "running").await;
    let low = id(&ask(&server, &function, "fine", &[("iof-job-priority", "-3")]).await);
    let high = id(&ask(&server, &function, "fine", &[("iof-job-priority", "3")]).await);
    let soon = humantime(Duration::from_secs(2));
    let later = id(&ask(&server, &function, "fine", &[("iof-job-not-before", &soon)]).await);
    let full = ask(&server, &function, "fine", &[]).await;
    let got = (full.http.as_u16(), full.fault());
    assert_eq!(got, (429, "jobs-queue"), "{}", full.text());

    let place = |of: &Value| (of["position"].as_u64(), of["priority"].as_i64());
    let shown = job(&server, &function, &low).await;
    assert_eq!(place(&shown), (Some(1), Some(-3)), "{shown}");
    let shown = job(&server, &function, &high).await;
    assert_eq!(place(&shown), (Some(0), Some(3)), "{shown}");
    let shown = job(&server, &function, &later).await;
    assert_eq!(place(&shown), (None, Some(0)), "{shown}");
    assert!(
        shown["not_before"].as_str().unwrap()[..19] == soon[..19],
        "{shown}"
    );

    let list = async |query: &str| -> Vec<String> {
        let path = format!("/v1/jobs?function={}&{query}", function.id);
        let list = server.read_as(&function, &path).await;
        let jobs = list["jobs"].as_array().unwrap();
        jobs.iter()
            .map(|job| job["job"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(list("state=queued").await, [&*later, &high, &low]);
    assert_eq!(list("state=running").await, [&*spins]);
    assert_eq!(list("priority=3").await, [&*high]);
    assert_eq!(list("since=2100-01-01T00:00:00Z").await, [""; 0]);
    assert_eq!(list("until=2100-01-01T00:00:00Z").await.len(), 4);
    let path = format!("/v1/jobs?function={}&limit=3", function.id);
    let first = server.read_as(&function, &path).await;
    let next = first["next"].as_str().unwrap();
    assert_eq!(list(&format!("before={next}")).await, [&*spins]);
    for wrong in ["state=x", "outcome=x", "before=x", "since=x", "priority=x"] {
        let path = format!("/v1/jobs?function={}&{wrong}", function.id);
        let request = server
            .request("GET", &path)
            .bearer_auth(&function.admin_key);
        assert_eq!(server.answer(request).await.fault(), "query", "{wrong}");
    }
    // All jobs are for a key of the server, and a server without keys shows them to nobody from outside.
    for job in [&low, &high, &later] {
        assert_eq!(
            state(&server, &function, job, "done").await["outcome"],
            "ok"
        );
    }
    let ends = [&high, &low].map(async |id| job(&server, &function, id).await);
    let [high, low] = ends;
    let (high, low) = (high.await, low.await);
    assert!(high["finished_at"].as_str() <= low["finished_at"].as_str());
    let failed = list("outcome=failed").await;
    assert_eq!(failed, [&*spins], "it spun");
}

/// The time that is this far away, as a header has it.
fn humantime(away: Duration) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d"])
        .arg(format!("+{} seconds", away.as_secs()))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_job_that_fails_is_attempted_again_as_often_as_it_declares() {
    let server = Server::start(
        "[server]\njobs_running = 2\n[jobs]\nbackoff = \"400ms\"\nttl = \"30s\"\n[limits]\nguest_cpu = \"10s\"\nwall_time = \"60s\"\n",
    )
    .await;
    let thrice = server
        .deploy(module(), "jobs = { public = true, attempts = 3 }")
        .await;
    let once = server.deploy(module(), "jobs = true").await;
    let (failing, final_) = (
        id(&ask(&server, &thrice, "fail", &[]).await),
        id(&ask(&server, &once, "fail", &[]).await),
    );
    let mut seen = false;
    let done = loop {
        let shown = job(&server, &thrice, &failing).await;
        if shown["state"] == "done" {
            break shown;
        }
        if shown["state"] == "queued" && shown["attempts"] == 1 {
            assert_eq!(shown["last_fault"], "trap", "{shown}");
            assert!(shown["not_before"].is_string() && shown["fault"].is_null());
            seen = true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(seen, "{done}");
    assert_eq!(
        (&done["attempts"], &done["fault"]),
        (&json!(3), &json!("trap"))
    );
    let done = state(&server, &once, &final_, "done").await;
    assert_eq!(
        (&done["attempts"], &done["outcome"]),
        (&json!(1), &json!("failed"))
    );

    // What does not begin in time is a dead letter, too, and says so.
    let brief = server
        .deploy(
            module(),
            "jobs = { public = true, ttl = \"300ms\", concurrency = 1 }",
        )
        .await;
    let running = id(&ask(&server, &brief, "spin", &[]).await);
    state(&server, &brief, &running, "running").await;
    let expired = id(&ask(&server, &brief, "fine", &[]).await);
    let expired = state(&server, &brief, &expired, "done").await;
    assert_eq!(
        (&expired["outcome"], &expired["fault"], &expired["attempts"]),
        (&json!("expired"), &json!("job-expired"), &json!(0))
    );
    // The timeout of an attempt is that of its table.
    let timed = server
        .deploy(module(), "jobs = { public = true, timeout = \"300ms\" }")
        .await;
    let timed = (id(&ask(&server, &timed, "spin", &[]).await), timed);
    let timed = state(&server, &timed.1, &timed.0, "done").await;
    assert_eq!(timed["fault"], "wall-time", "{timed}");
}

#[tokio::test]
async fn declarations_of_jobs_are_checked_by_field() {
    let server = Server::start("").await;
    for (jobs, status, says) in [
        ("{ concurrency = 0 }", 422, "jobs.concurrency: 0"),
        ("{ attempts = 21 }", 403, "jobs.attempts_limit = 20"),
        ("{ concurrency = 9 }", 403, "server.jobs_running = 8"),
        ("{ length = 10001 }", 403, "server.jobs = 10000"),
        ("{ weight = 11 }", 403, "jobs.weight = 10"),
        ("{ ttl = \"8days\" }", 403, "jobs.ttl = 7days"),
        ("{ timeout = \"1day\" }", 403, "limits.wall_time"),
        ("{ timeout = \"0s\" }", 422, "jobs.timeout"),
        ("{ rate = 99999999 }", 422, "jobs.rate"),
        (
            "{ callback_secret = \"sk-live\" }",
            422,
            "jobs.callback_secret",
        ),
        ("{ retries = 3 }", 422, "retries"),
        ("3", 422, "jobs"),
    ] {
        let answer = server.try_deploy(module(), &format!("jobs = {jobs}")).await;
        let text = answer.text();
        assert_eq!(answer.http, status, "{jobs}: {text}");
        assert!(
            text.contains(says) && !text.contains("sk-live"),
            "{jobs}: {text}"
        );
    }
}

/// A version that is rolled back, and a function that is deleted, while a job of it waits.
#[tokio::test]
async fn a_job_stays_with_its_version_and_goes_with_its_function() {
    let server = Server::start("").await;
    let function = server.deploy(module(), "jobs = true").await;
    let next = wat("(module (func (export \"only_here\")))");
    let answer = server
        .try_deploy_version(&function, next, "jobs = true")
        .await;
    assert_eq!(answer.http, 201, "{}", answer.text());
    let soon = humantime(Duration::from_secs(2));
    let waits = id(&ask(
        &server,
        &function,
        "only_here",
        &[("iof-job-not-before", &soon)],
    )
    .await);
    let path = format!("/v1/functions/{}/active", function.id);
    let back = server
        .request("PUT", &path)
        .bearer_auth(&function.admin_key)
        .json(&json!({ "version": 1 }));
    assert_eq!(server.answer(back).await.http, 200);
    let done = state(&server, &function, &waits, "done").await;
    assert_eq!(
        (&done["outcome"], &done["version"]),
        (&json!("ok"), &json!(2)),
        "{done}"
    );

    let far = humantime(Duration::from_secs(600));
    let gone = id(&ask(&server, &function, "fine", &[("iof-job-not-before", &far)]).await);
    let path = format!("/v1/functions/{}", function.id);
    let delete = server
        .request("DELETE", &path)
        .bearer_auth(&function.admin_key);
    assert_eq!(server.answer(delete).await.http, 204);
    assert_eq!(
        server.get(&format!("/v1/jobs/{gone}")).await.fault(),
        "no-such-job"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_lists_shows_cancels_and_retries_jobs() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    std::fs::write(user.folder().join("work.wasm"), module()).unwrap();
    std::fs::write(user.folder().join("function.toml"), "jobs = true\n").unwrap();
    let says = |line: &[&str]| {
        let output = tokio::task::block_in_place(|| user.run(line, ""));
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), text + &errors)
    };
    assert_eq!(says(&["deploy", "work.wasm"]).0, 0);
    let (status, failed) = says(&["call", "work", "fail", "--detach"]);
    assert_eq!(status, 0, "{failed}");
    let failed = failed.trim();
    for _ in 0..200 {
        if says(&["job", failed]).0 == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let (status, list) = says(&["jobs", "list", "work", "--outcome", "failed"]);
    assert_eq!(status, 0, "{list}");
    assert!(list.contains(failed) && list.contains("trap"), "{list}");
    let (_, empty) = says(&["jobs", "list", "work", "--state", "queued"]);
    assert_eq!(empty.trim(), "no jobs");
    let (_, json) = says(&["jobs", "list", "work", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["jobs"][0]["job"], failed);
    let (_, shown) = says(&["jobs", "show", failed]);
    assert!(
        shown.contains("outcome: failed\n") && shown.contains("attempts: 1\n"),
        "{shown}"
    );
    let (status, refused) = says(&["jobs", "cancel", failed]);
    assert!(status != 0 && refused.contains("it is done"), "{refused}");
    let (status, retried) = says(&["jobs", "retry", failed]);
    assert_eq!(status, 0, "{retried}");
    let retried = retried.trim();
    assert_ne!(retried, failed);
    let (status, shown) = says(&["jobs", "show", retried, "--json"]);
    assert_eq!(status, 0, "{shown}");
    let (status, unknown) = says(&["jobs", "show", "x"]);
    assert!(status != 0 && unknown.contains("no job x"), "{unknown}");
}
