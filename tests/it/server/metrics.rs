//! The exposition for Prometheus: its format, the metrics of calls, and its limits.

use iof_tests::call::Answer;
use iof_tests::guests::{guest, wat};
use iof_tests::server::Server;
use iof_tests::upstream::Upstream;
use iof_tests::user::User;
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A server with metrics, and their URL.
pub(crate) async fn server(settings: &str) -> (Server, String) {
    let port = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let server = Server::start(format!(
        "{settings}\n[metrics]\nlisten = \"{port}\"\nfunctions = 3\n"
    ))
    .await;
    (server, format!("http://127.0.0.1:{port}"))
}

async fn get(server: &Server, url: &str) -> Answer {
    server.answer(reqwest::Client::new().get(url)).await
}

async fn scrape(server: &Server, metrics: &str) -> String {
    let answer = get(server, &format!("{metrics}/metrics")).await;
    assert_eq!(answer.http.as_u16(), 200);
    answer.text()
}

/// The value of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value?.parse().ok()
}

/// The verdict of Prometheus itself on a text.
pub(super) fn check(text: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool of Debian's prometheus");
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    assert!(
        output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
        "{}{}\n{text}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn calls_are_counted_by_function_version_and_fault() {
    let (server, metrics) = server("").await;
    let hello = server.upload(guest("hello")).await.id;
    let traps = server
        .upload(wat(r#"(module (func (export "go") unreachable))"#))
        .await
        .id;
    for _ in 0..3 {
        server.run(hello, "say", "x").await;
    }
    server.run(traps, "go", "").await;
    // A request that is refused before anything ran is not a call.
    server.run(hello, "gone", "x").await;
    server.run(999, "say", "x").await;

    let text = scrape(&server, &metrics).await;
    let of = |id: u64, more: &str| format!("{{function=\"{id}\",version=\"1\"{more}}}");
    for (series, expected) in [
        (of(hello, ",outcome=\"ok\""), 3.0),
        (of(traps, ",outcome=\"guest\""), 1.0),
    ] {
        let series = format!("iof_calls_total{series}");
        assert_eq!(value(&text, &series), Some(expected), "{series}\n{text}");
    }
    let trap = format!("iof_call_faults_total{}", of(traps, ",fault=\"trap\""));
    assert_eq!(value(&text, &trap), Some(1.0), "{text}");
    for name in ["duration", "cpu", "queue"] {
        let count = format!("iof_call_{name}_seconds_count{}", of(hello, ""));
        assert_eq!(value(&text, &count), Some(3.0), "{text}");
    }
    let peaks = |what: &str, more: &str| {
        let series = format!("iof_call_memory_peak_bytes_{what}{}", of(hello, more));
        value(&text, &series).unwrap_or_else(|| panic!("{series}\n{text}"))
    };
    assert_eq!(peaks("count", ""), 3.0);
    assert!(peaks("sum", "") >= 3.0 * 65_536.0, "{text}");
    assert_eq!(peaks("bucket", ",le=\"+Inf\""), 3.0);
    let loads = format!("iof_function_loads_total{}", of(hello, ""));
    assert_eq!(value(&text, &loads), Some(1.0), "{text}");
    assert_eq!(value(&text, "iof_calls_running"), Some(0.0), "{text}");
    assert_eq!(value(&text, "iof_functions_loaded"), Some(2.0), "{text}");
    for process in [
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_cpu_seconds_total",
    ] {
        assert!(value(&text, process).unwrap() > 0.0, "{process}");
    }
    check(&text);
}

#[tokio::test]
async fn outbound_requests_are_counted_by_outcome() {
    let (server, metrics) = server("").await;
    let command = server.upload(guest("command")).await.id;
    // The address of this machine is refused.
    server.run(command, "post", "http://127.0.0.1:9/").await;
    let text = scrape(&server, &metrics).await;
    let denied = text
        .lines()
        .find(|line| line.starts_with("iof_outbound_duration_seconds_count{address=\"none\""));
    assert!(denied.is_some_and(|line| line.ends_with(" 1")), "{text}");
    let series = "iof_command_duration_seconds_count{command=\"http_proxy\",outcome=\"ok\"}";
    assert_eq!(value(&text, series), Some(1.0), "{text}");
    check(&text);
}

/// A wait for a turn is counted and recorded with its setting, also that of a request that is cancelled meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn waits_for_a_turn_are_counted_and_recorded() {
    let upstream = Upstream::start().await;
    let pin = upstream.pin("api.example.com", 80);
    let (server, metrics) =
        server(&format!("[egress]\nmax_concurrent_per_function = 1\n{pin}")).await;
    let function = server.upload(guest("command")).await;
    let get = |path: &str, timeout: u32| {
        let url = format!("http://api.example.com{path}");
        let run = json!({ "program": "http_proxy", "args": ["get", url], "timeout": timeout });
        run.to_string()
    };
    let run = |body: String| server.run(function.id, "run_ssvm", body);
    let first = run(get("/slow/900", 9_000));
    let rest = async {
        while upstream.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::join!(run(get("/nothing", 9_000)), run(get("/nothing", 200)))
    };
    let (_, (waited, cancelled)) = tokio::join!(first, rest);
    assert_eq!(waited.json()["status"], 0, "{}", waited.text());
    let cancelled = cancelled.json();
    assert!(
        cancelled["stderr"]
            .as_str()
            .unwrap()
            .contains("max_concurrent_per_function"),
        "{cancelled}"
    );
    let user = User::new(&server.url);
    let output = tokio::task::block_in_place(|| user.run(&["egress", "--json"], ""));
    let rows = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Value> = rows
        .lines()
        .map(|row| serde_json::from_str(row).unwrap())
        .collect();
    let requests: Vec<&Value> = rows.iter().filter(|row| row["method"] == "GET").collect();
    assert_eq!(requests.len(), 3, "{rows:?}");
    for row in requests {
        let ms = row["waited"]["ms"].as_u64();
        let expected = match (
            row["outcome"].as_str().unwrap(),
            row["ms"].as_u64().unwrap(),
        ) {
            ("ok", 900..) if ms.is_none() => continue,
            ("ok", _) => 300..9_000,
            _ => 150..900,
        };
        assert!(ms.is_some_and(|ms| expected.contains(&ms)), "{row}");
        assert_eq!(
            row["waited"]["limit"], "egress.max_concurrent_per_function",
            "{row}"
        );
    }
    let printed = user.types(&["egress"]).await;
    assert_eq!(
        printed
            .matches(" ms of it waiting for egress.max_concurrent_per_function")
            .count(),
        2,
        "{printed}"
    );
    assert_eq!(
        server
            .log()
            .matches("\"waited_for\":\"max_concurrent_per_function\"")
            .count(),
        2
    );
    let text = scrape(&server, &metrics).await;
    let waits = "iof_outbound_wait_seconds_count{limit=\"max_concurrent_per_function\"}";
    assert_eq!(value(&text, waits), Some(2.0), "{text}");
    check(&text);
}

#[tokio::test]
async fn series_are_limited() {
    let (server, metrics) = server("").await;
    for number in 0..6 {
        let module = wat(&format!(
            r#"(module (func (export "go") (result i32) i32.const {number}))"#
        ));
        let id = server.upload(module).await.id;
        for _ in 0..=number {
            server.run(id, "go", "").await;
        }
    }
    let text = scrape(&server, &metrics).await;
    let calls: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("iof_calls_total{"))
        .collect();
    // Three series of their own, and one for all others: 4 + 5 + 6 calls.
    assert_eq!(calls.len(), 4, "{text}");
    let other = "iof_calls_total{function=\"(other)\",version=\"0\",outcome=\"ok\"}";
    assert_eq!(value(&text, other), Some(15.0), "{text}");
    check(&text);
}

#[tokio::test]
async fn the_listener_serves_only_metrics() {
    let (server, metrics) = server("").await;
    for path in [
        "/",
        "/v1/functions",
        "/api/executables",
        "/healthz",
        "/metrics/x",
    ] {
        let answer = get(&server, &format!("{metrics}{path}")).await;
        assert_eq!(answer.http.as_u16(), 404, "{path}");
    }
    // The other listeners have no metrics.
    assert_ne!(
        server.get("/metrics").await.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let request = reqwest::Client::new()
        .get(format!("{metrics}/metrics"))
        .header("accept", "application/openmetrics-text; version=1.0.0");
    let open = server.answer(request).await;
    assert!(
        open.header("content-type")
            .starts_with("application/openmetrics-text")
    );
    assert!(open.text().ends_with("# EOF\n"));
    // A page whose name resolves here reads nothing.
    let rebound = reqwest::Client::new()
        .get(format!("{metrics}/metrics"))
        .header("host", "attacker.example");
    assert_eq!(server.answer(rebound).await.http.as_u16(), 421);
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_refused_by_its_setting() {
    let refused = Server::builder()
        .config("[metrics]\nlisten = \"everywhere\"\n")
        .refused()
        .await;
    assert!(
        refused
            .log
            .contains("metrics.listen: not an address and port: got \"everywhere\""),
        "{}",
        refused.log
    );
}

/// Connections, the compiler, the store, the logs and jobs, each after something that moved it.
#[tokio::test]
async fn what_works_behind_calls_has_figures() {
    let (server, metrics) = server("").await;
    server.upload(guest("hello")).await;
    let refused = server.try_upload(wat("(module (import \"env\" \"nowhere\" (func)))"));
    assert_eq!(refused.await.fault(), "unknown-import");
    let text = scrape(&server, &metrics).await;
    for (series, wanted) in [
        ("iof_compiles_total{outcome=\"ok\"}", 1.0),
        ("iof_compiles_total{outcome=\"refused\"}", 1.0),
        ("iof_compiles_total{outcome=\"failed\"}", 0.0),
        ("iof_compiles_running", 0.0),
        ("iof_compiles_waiting", 0.0),
        ("iof_store_changes_waiting", 0.0),
        ("iof_store_commits_total{outcome=\"failed\"}", 0.0),
        ("iof_log_dropped_total{log=\"calls\"}", 0.0),
        ("iof_log_dropped_total{log=\"outbound\"}", 0.0),
        ("iof_jobs{state=\"queued\"}", 0.0),
        ("iof_jobs{state=\"running\"}", 0.0),
        ("iof_jobs{state=\"delayed\"}", 0.0),
        ("iof_jobs_oldest_seconds{state=\"queued\"}", 0.0),
        ("iof_jobs_oldest_seconds{state=\"running\"}", 0.0),
        ("iof_jobs_fenced_total", 0.0),
        ("iof_connections_limit", 10_000.0),
    ] {
        assert_eq!(value(&text, series), Some(wanted), "{series}\n{text}");
    }
    let of = |text: &str, series: &str| {
        value(text, series).unwrap_or_else(|| panic!("{series} is not there:\n{text}"))
    };
    for series in [
        "iof_compile_time_seconds_total",
        "iof_store_commits_total{outcome=\"ok\"}",
        "iof_store_commit_time_seconds_total",
        "iof_compiles_limit",
    ] {
        assert!(of(&text, series) > 0.0, "{series}\n{text}");
    }
    // One connection is the scrape's own. A client that is silent has one, too.
    let before = of(&text, "iof_connections_open");
    let address = server.url.strip_prefix("http://").unwrap();
    let silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut open = before;
    for _ in 0..100 {
        open = of(&scrape(&server, &metrics).await, "iof_connections_open");
        if open > before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(open > before, "{open} connections, {before} before");
    drop(silent);

    let commits = of(&text, "iof_store_commits_total{outcome=\"ok\"}");
    let typed = server.deploy(guest("typed"), "jobs = true").await;
    let path = format!("/v1/functions/{}/call/nothing", typed.id);
    let job = server.request("POST", &path);
    let answer = server.answer(job.header("prefer", "respond-async")).await;
    assert_eq!(answer.http.as_u16(), 202, "{}", answer.text());
    let text = scrape(&server, &metrics).await;
    assert!(of(&text, "iof_jobs_kept_bytes") > 0.0, "{text}");
    let more = of(&text, "iof_store_commits_total{outcome=\"ok\"}");
    assert!(more > commits, "{text}");
    check(&text);
}
