//! Leases of jobs, seen from outside: a server that is killed or stopped, another owner, and callbacks.

use crate::v1::job_terms::{ask, id, job, module, state};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use iof_tests::guests::{root, wat};
use iof_tests::server::Server;
use serde_json::{Value, json};
use sqlx::Connection as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

const LEASE: Duration = Duration::from_secs(3);

async fn change(server: &Server, sql: &'static str) {
    let database = server.data().join("iof.db");
    let url = format!("sqlite://{}", database.display());
    let mut outside = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut outside).await.unwrap();
}

#[tokio::test]
async fn jobs_of_a_killed_server_begin_again_within_lease_and_heartbeat() {
    let server = Server::start(
        "[server]\njobs_running = 2\n[jobs]\nlease = \"3s\"\n[limits]\nguest_cpu = \"2s\"\nwall_time = \"60s\"\n",
    )
    .await;
    let function = server.deploy(module(), "jobs = true").await;
    let mut jobs = vec![];
    for export in ["spin", "spin", "fine"] {
        jobs.push(id(&ask(&server, &function, export, &[]).await));
    }
    for running in &jobs[..2] {
        state(&server, &function, running, "running").await;
    }
    let mut server = server;
    server.kill().await;
    let server = server.restart().await;
    let began = Instant::now();
    for interrupted in &jobs[..2] {
        loop {
            if job(&server, &function, interrupted).await["attempts"] == 2 {
                break;
            }
            assert!(began.elapsed() < LEASE + LEASE / 3, "{}", server.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    for (at, of) in jobs.iter().enumerate() {
        let done = state(&server, &function, of, "done").await;
        let expected = [json!("guest-cpu"), json!("guest-cpu"), Value::Null];
        assert_eq!(done["fault"], expected[at], "{done}");
    }
}

/// An owner whose lease another one has: its attempt ends, and what it would have stored is dropped.
#[tokio::test]
async fn a_server_that_lost_its_lease_changes_nothing() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = port.local_addr().unwrap();
    drop(port);
    let server = Server::start(format!(
        "[jobs]\nlease = \"1s\"\n[limits]\nguest_cpu = \"20s\"\nwall_time = \"60s\"\n[metrics]\nlisten = \"{metrics}\"\n"
    ))
    .await;
    let function = server.deploy(module(), "jobs = true").await;
    let spins = id(&ask(&server, &function, "spin", &[]).await);
    state(&server, &function, &spins, "running").await;
    // As another node does, which takes it and ends it.
    change(
        &server,
        "UPDATE jobs SET token = token + 1, lease_until = lease_until + 600000 WHERE state = 'running'",
    )
    .await;
    let scrape = async || {
        let answer = reqwest::get(format!("http://{metrics}/metrics")).await;
        answer.unwrap().text().await.unwrap()
    };
    let began = Instant::now();
    while !scrape().await.contains("iof_jobs_fenced_total 1.0\n") {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{}",
            server.log()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(job(&server, &function, &spins).await["state"], "running");
    // Its place is free for others, and ends are counted.
    let fine = id(&ask(&server, &function, "fine", &[]).await);
    state(&server, &function, &fine, "done").await;
    let failed = id(&ask(&server, &function, "fail", &[]).await);
    state(&server, &function, &failed, "done").await;
    let text = scrape().await;
    for line in [
        format!(
            "iof_job_ends_total{{function=\"{}\",outcome=\"ok\"}} 1.0\n",
            function.id
        ),
        format!(
            "iof_job_ends_total{{function=\"{}\",outcome=\"failed\"}} 1.0\n",
            function.id
        ),
        "iof_jobs{state=\"running\"} 1.0\n".to_owned(),
        "iof_jobs{state=\"delayed\"} 0.0\n".to_owned(),
    ] {
        assert!(text.contains(&line), "{line}{text}");
    }
}

#[tokio::test]
async fn a_job_that_is_interrupted_too_often_is_lost() {
    let server =
        Server::start("[jobs]\nattempts = 1\n[limits]\nguest_cpu = \"20s\"\nwall_time = \"60s\"\n")
            .await;
    let function = server.deploy(module(), "jobs = true").await;
    let spins = id(&ask(&server, &function, "spin", &[]).await);
    state(&server, &function, &spins, "running").await;
    let mut server = server;
    server.kill().await;
    let server = server.restart().await;
    let lost = state(&server, &function, &spins, "done").await;
    assert_eq!(
        (&lost["outcome"], &lost["fault"]),
        (&json!("lost"), &json!("job-lost"))
    );
}

#[tokio::test]
async fn a_stop_hands_back_what_has_not_begun_and_finishes_the_rest() {
    let server = Server::start(
        "[server]\njobs_running = 4\nstop_wait = \"20s\"\nqueue_wait = \"20s\"\n[limits]\nguest_cpu = \"2s\"\nwall_time = \"60s\"\n",
    )
    .await;
    // One call at a time: of the jobs that are taken, one begins.
    let function = server
        .deploy(module(), "jobs = true\nconcurrency = 1")
        .await;
    let mut jobs = vec![];
    for _ in 0..3 {
        jobs.push(id(&ask(&server, &function, "spin", &[]).await));
    }
    for taken in &jobs {
        state(&server, &function, taken, "running").await;
    }
    let mut server = server;
    let began = Instant::now();
    let status = server.stop().await;
    assert!(status.success(), "{}", server.log());
    assert!(
        began.elapsed() < Duration::from_secs(18),
        "{:?}",
        began.elapsed()
    );
    let log = server.log();
    assert!(
        log.contains("jobs that had not begun are handed back"),
        "{log}"
    );
    let server = server.restart().await;
    let mut attempts = vec![];
    for of in &jobs {
        let done = state(&server, &function, of, "done").await;
        assert_eq!(done["fault"], "guest-cpu", "{done}");
        attempts.push(done["attempts"].clone());
    }
    assert_eq!(attempts, [1, 1, 1], "none was begun twice");
}

#[tokio::test]
async fn a_stop_hands_back_what_does_not_end_in_time() {
    let server = Server::start(
        "[server]\nstop_wait = \"500ms\"\n[limits]\nguest_cpu = \"30s\"\nwall_time = \"60s\"\n",
    )
    .await;
    let function = server.deploy(module(), "jobs = true").await;
    let spins = id(&ask(&server, &function, "spin", &[]).await);
    state(&server, &function, &spins, "running").await;
    let mut server = server;
    let began = Instant::now();
    server.stop().await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert!(server.log().contains("did not end within server.stop_wait"));
    let server = server.restart().await;
    let again = state(&server, &function, &spins, "running").await;
    assert_eq!(again["attempts"], 2, "{again}");
}

type Seen = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that fails the first request, and its address.
async fn receiver() -> (Seen, std::net::SocketAddr) {
    let seen = Seen::default();
    let record = async |State(seen): State<Seen>, headers: HeaderMap, body: Bytes| {
        let mut seen = seen.lock().unwrap();
        seen.push((headers, body));
        match seen.len() {
            1 => StatusCode::BAD_GATEWAY,
            _ => StatusCode::NO_CONTENT,
        }
    };
    let router = Router::new()
        .route("/done", post(record))
        .with_state(Arc::clone(&seen));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (seen, address)
}

/// The lines of the guide with which a receiver verifies a callback.
fn verification() -> String {
    let page = std::fs::read_to_string(Path::new(&root()).join("docs/guide/jobs.md")).unwrap();
    let (_, rest) = page.split_once("```python\n").unwrap();
    let (code, _) = rest.split_once("```").unwrap();
    assert_eq!(code.trim().lines().count(), 6, "{code}");
    code.to_owned()
}

/// Returns whether the code of the guide takes a callback for genuine.
fn verifies(secret: &str, headers: &HeaderMap, body: &[u8]) -> bool {
    let headers: serde_json::Map<_, _> = headers
        .iter()
        .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
        .collect();
    let code = format!(
        "{}\nimport json, sys\nprint(verify(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3].encode()))\n",
        verification()
    );
    let output = Command::new("python3")
        .args(["-c", &code, secret])
        .arg(Value::Object(headers).to_string())
        .arg(std::str::from_utf8(body).unwrap())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    match String::from_utf8(output.stdout).unwrap().trim() {
        "True" => true,
        "False" => false,
        other => panic!("{other} {errors}"),
    }
}

#[tokio::test]
async fn an_outcome_is_sent_signed_and_sent_again_until_it_is_taken() {
    const SECRET: &str = "a secret that both sides share";
    let (seen, address) = receiver().await;
    let server = Server::start(format!(
        "[jobs]\nbackoff = \"50ms\"\ncallback_attempts = 3\n[[egress.pin]]\nhost = \"hook.example.com\"\nport = 80\nto = \"{address}\"\n"
    ))
    .await;
    let declared = "callers_may = [\"callback\"]
        outbound = [\"POST http://hook.example.com\", \"POST http://10.1.2.3\"]
        jobs = { public = true, callback_secret = \"CALLBACK_SECRET\" }";
    let function = server.deploy(module(), declared).await;
    let set = server
        .set_secret(&function, "CALLBACK_SECRET", SECRET)
        .await;
    assert!(set.http.is_success(), "{}", set.text());
    let hook = [("iof-job-callback", "http://hook.example.com/done")];
    let called = id(&ask(&server, &function, "fine", &hook).await);
    let done = state(&server, &function, &called, "done").await;
    let callback = done["callback_job"].as_str().unwrap().to_owned();
    let sent = state(&server, &function, &callback, "done").await;
    assert_eq!(
        (&sent["outcome"], &sent["attempts"]),
        (&json!("ok"), &json!(2)),
        "{sent}"
    );
    assert_eq!(
        (&sent["kind"], &sent["of"]),
        (&json!("callback"), &json!(called))
    );
    let (headers, body) = seen.lock().unwrap()[1].clone();
    let told: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&told["job"], &told["outcome"]),
        (&json!(called), &json!("ok"))
    );
    assert_eq!(headers["webhook-id"], *called);
    assert!(verifies(SECRET, &headers, &body));
    assert!(!verifies("another secret", &headers, &body));
    assert!(!verifies(SECRET, &headers, b"{}"));
    let mut late = headers.clone();
    late.insert("webhook-timestamp", "1000000000".parse().unwrap());
    assert!(!verifies(SECRET, &late, &body));

    // One that fails is called back, too; what the rules or addresses do not allow is a dead letter.
    let failed = id(&ask(&server, &function, "fail", &hook).await);
    let failed = state(&server, &function, &failed, "done").await;
    let callback = failed["callback_job"].as_str().unwrap();
    assert_eq!(
        state(&server, &function, callback, "done").await["outcome"],
        "ok"
    );
    let denied = [("iof-job-callback", "http://other.example.com/")];
    let denied = ask(&server, &function, "fine", &denied).await;
    assert_eq!(denied.fault(), "egress-denied", "{}", denied.text());
    let private = [("iof-job-callback", "http://10.1.2.3/")];
    let private = id(&ask(&server, &function, "fine", &private).await);
    let private = state(&server, &function, &private, "done").await;
    assert_eq!(private["outcome"], "ok", "the job itself");
    let callback = private["callback_job"].as_str().unwrap();
    let dead = state(&server, &function, callback, "done").await;
    assert_eq!(
        (&dead["outcome"], &dead["fault"]),
        (&json!("failed"), &json!("egress-address"))
    );
    assert_eq!(seen.lock().unwrap().len(), 3);
    // An answer that is not a success is a fault of its own.
    let missing = [("iof-job-callback", "http://hook.example.com/nowhere")];
    let missing = id(&ask(&server, &function, "fine", &missing).await);
    let missing = state(&server, &function, &missing, "done").await;
    let callback = missing["callback_job"].as_str().unwrap();
    let dead = state(&server, &function, callback, "done").await;
    assert_eq!(
        (&dead["fault"], &dead["attempts"]),
        (&json!("callback-status"), &json!(3))
    );
}

/// A flood of one function's jobs, of which each takes a while, does not hold up another's.
#[tokio::test]
async fn one_functions_jobs_leave_room_for_anothers() {
    let server = Server::start(
        "[server]\njobs_running = 5\n[limits]\nguest_cpu = \"1s\"\nwall_time = \"60s\"\n",
    )
    .await;
    let flood = server.deploy(module(), "jobs = true").await;
    let other = server
        .deploy(wat("(module (func (export \"fine\")))"), "jobs = true")
        .await;
    for _ in 0..60 {
        id(&ask(&server, &flood, "spin", &[]).await);
    }
    let began = Instant::now();
    let first = id(&ask(&server, &other, "fine", &[]).await);
    state(&server, &other, &first, "done").await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}
