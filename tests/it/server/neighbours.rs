//! Functions that use all resources they can get, beside those that answer quickly. `cargo xtask bench neighbours` is
//! the long form.

use super::limits::small;
use futures::StreamExt as _;
use futures::future::{BoxFuture, FutureExt as _};
use iof_tests::{
    call::Answer,
    guests::{guest, wat},
    server::Server,
};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_spinning_call_does_not_starve_others() {
    let server = Server::start("[limits]\nguest_cpu = \"3s\"\n").await;
    let wasi = server.upload(guest("wasi")).await.id;
    let hello = server.upload(guest("hello")).await.id;
    server.run(hello, "say", "x").await;
    let spinners = futures::future::join_all((0..4).map(|_| server.run(wasi, "spin", "x")));
    let neighbour = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let start = Instant::now();
            assert_eq!(
                server.run(hello, "say", "world").await.text(),
                "hello world"
            );
            slowest = slowest.max(start.elapsed());
        }
        slowest
    };
    let (spun, slowest): (Vec<Answer>, Duration) = tokio::join!(spinners, neighbour);
    assert!(spun.iter().all(|answer| answer.fault() == "guest-cpu"));
    assert!(
        slowest < Duration::from_millis(500),
        "a neighbour waited {slowest:?}"
    );
}

/// A connection stays with a thread, but calls that compute do not: eight of them on one thread would delay each step
/// of a short call by eight ticks of 5 ms.
#[tokio::test]
async fn computing_calls_leave_the_thread_to_short_ones() {
    let server = Server::start("[limits]\nguest_cpu = \"1s\"\n").await;
    let wasi = server.upload(guest("wasi")).await.id;
    let hello = server.upload(guest("hello")).await.id;
    server.run(hello, "say", "x").await;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let spinners =
        futures::future::join_all((0..8 * threads).map(|_| server.run(wasi, "spin", "x")));
    let neighbour = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        // The fastest of many, because other processes use the cores as well; within two of the spinners' eight
        // seconds.
        let (mut fastest, began) = (Duration::MAX, Instant::now());
        while began.elapsed() < Duration::from_secs(2) {
            let start = Instant::now();
            server.run(hello, "say", "world").await;
            fastest = fastest.min(start.elapsed());
        }
        fastest
    };
    let (_, fastest) = tokio::join!(spinners, neighbour);
    assert!(
        fastest < Duration::from_millis(20),
        "the fastest took {fastest:?}"
    );
}

/// The same for a call that was moved to another thread because it computes.
#[tokio::test]
async fn a_call_ends_with_its_connection() {
    let server = Server::start(
        "[limits]\nguest_cpu = \"60s\"\nwall_time = \"60s\"\n[server]\nconcurrency = 1\n",
    )
    .await;
    let wasi = server.upload(guest("wasi")).await.id;
    let hello = server.upload(guest("hello")).await.id;
    let spun =
        tokio::time::timeout(Duration::from_millis(500), server.run(wasi, "spin", "x")).await;
    assert!(spun.is_err(), "{spun:?}");
    // The only permit is free again, long before a minute is over.
    assert_eq!(
        server.run(hello, "say", "world").await.text(),
        "hello world"
    );
}

#[tokio::test]
async fn a_failing_call_does_not_affect_others() {
    let (server, wasi) = small().await;
    let bad = [
        "eat_memory",
        "recurse",
        "panics",
        "huge_answer",
        "spin",
        "print_lines",
        "fill_disk",
        "exit_with",
    ];
    let calls = (0..64).map(|n| {
        let server = &server;
        async move {
            if n % 2 == 0 {
                let argument = if bad[n / 2 % bad.len()] == "print_lines" {
                    "99999"
                } else {
                    "50"
                };
                assert_ne!(
                    server
                        .run(wasi, bad[n / 2 % bad.len()], argument)
                        .await
                        .fault(),
                    ""
                );
            } else {
                let answer = server.run(wasi, "write_file", format!("/mine\n{n}")).await;
                assert_eq!(answer.text(), "written", "{answer:?}");
            }
        }
    });
    // Eight at a time, so that the good calls get a core within their wall time.

    futures::stream::iter(calls)
        .buffer_unordered(8)
        .collect::<Vec<_>>()
        .await;
    assert_eq!(
        server.run(wasi, "list_dir", "/").await.text(),
        "",
        "nothing of another call is left"
    );
}

/// A function whose calls wait leaves room for others, with or without a declared concurrency.
#[tokio::test]
async fn no_function_takes_all_calls_of_a_server() {
    for (settings, declared, most) in [
        ("concurrency = 5", "", 4),
        ("concurrency = 5", "concurrency = 5", 4),
        ("concurrency = 5\nconcurrency_per_function = 2", "", 2),
        ("concurrency = 5\nconcurrency_per_function = 5", "", 5),
    ] {
        let server = Server::start(format!("[server]\n{settings}\nqueue_wait = \"200ms\"\n")).await;
        let slow = match declared {
            "" => server.upload(guest("wasi")).await.id,
            declared => server.deploy(guest("wasi"), declared).await.id,
        };
        let hello = server.upload(guest("hello")).await.id;
        let calls = futures::future::join_all((0..7).map(|_| server.run(slow, "sleep_ms", "2000")));
        let beside = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            server.run(hello, "say", "x").await
        };
        let (answers, beside) = tokio::join!(calls, beside);
        let successes = answers.iter().filter(|answer| answer.fault() == "");
        assert_eq!(
            successes.count(),
            most,
            "{settings} {declared}: {answers:?}"
        );
        if most == 5 {
            continue;
        }
        assert_eq!(beside.text(), "hello x", "{settings} {declared}");
        for answer in answers.iter().filter(|answer| answer.fault() != "") {
            assert_eq!((answer.http.as_u16(), answer.fault()), (429, "concurrency"));
            assert!(
                answer.text().contains("(server.concurrency_per_function)"),
                "{}",
                answer.text()
            );
        }
    }
}

/// Core time, in ticks of 10 ms, and priority of the threads of a server, by their names.
fn threads(server: &Server) -> BTreeMap<String, (u64, i32)> {
    let mut found = BTreeMap::new();
    for thread in std::fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap() {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
        let (before, after) = stat.rsplit_once(") ").unwrap();
        let name = before
            .split_once('(')
            .unwrap()
            .1
            .trim_end_matches(char::is_numeric);
        let after: Vec<&str> = after.split(' ').collect();
        let (user, system): (u64, u64) = (after[11].parse().unwrap(), after[12].parse().unwrap());
        let entry = found.entry(name.to_owned()).or_insert((0, 0));
        *entry = (entry.0 + user + system, after[16].parse().unwrap());
    }
    found
}

/// The same for every kind of caller: a surface, a stream of HTTP/2, a job.
#[tokio::test]
async fn computing_calls_run_at_a_lower_priority() {
    let server = Server::start("[limits]\nguest_cpu = \"60s\"\nwall_time = \"60s\"\n").await;
    let spin = wat("(module (func (export \"spin\") (loop (br 0))))");
    let function = server.deploy(spin, "jobs = true").await;
    let path = format!("/v1/functions/{}/call/spin", function.id);
    let old = format!("/api/run/{}/spin", function.id);
    let job = server
        .request("POST", &path)
        .header("prefer", "respond-async")
        .json(&[(); 0]);
    let http2 = async {
        let mut curl = tokio::process::Command::new("curl");
        curl.args(["-s", "--http2-prior-knowledge", "-d", "[]"]);
        curl.args(["-H", "content-type: application/json"]);
        let url = format!("{}{path}", server.url);
        drop(curl.arg(url).kill_on_drop(true).output().await);
    };
    let sent = |request: reqwest::RequestBuilder| async { drop(request.send().await) };
    let calls: [(&str, BoxFuture<'_, ()>); 4] = [
        (
            "/v1",
            sent(server.request("POST", &path).json(&[(); 0])).boxed(),
        ),
        ("/api", sent(server.request("POST", &old)).boxed()),
        ("HTTP/2", http2.boxed()),
        // The job is last, because it does not end with its connection.
        ("a job", sent(job).boxed()),
    ];
    for (who, call) in calls {
        let observed = observe(&server, who);
        tokio::select! {
            biased;
            () = observed => {}
            // A job is accepted, and continues.
            () = call.then(|()| std::future::pending()) => {}
        }
    }
}

/// Checks, while a call computes, that it does so at a lower priority than everything else.
async fn observe(server: &Server, who: &str) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = threads(server);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = threads(server);
    let used = |name: &str| {
        let time = |at: &BTreeMap<String, (u64, i32)>| at.get(name).map_or(0, |thread| thread.0);
        time(&after) - time(&before)
    };
    let others = used("iof-core-") + used("tokio-rt-worker") + used("tokio-runtime-w");
    let computed = used("iof-compute");
    assert!(computed > 5 * (others + 1), "{who}: {before:?} {after:?}");
    let priority = |name: &str| after[name].1;
    assert!(
        priority("iof-compute") > priority("iof-core-"),
        "{who}: {after:?}"
    );
}
