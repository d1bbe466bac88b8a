//! docs/guide/finding-out.md: each of its commands leads to a cause that is planted here.

use crate::server::traces::{LIBRARY, compiled};
use iof_tests::{
    guests::{guest, root, wat},
    server::Server,
    upstream::Upstream,
    user::User,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Computes for some tens of milliseconds.
const PRIMES: &str = r#"(module (memory (export "memory") 40) (func (export "go") (result i32) (local $n i32)
    (loop $on (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $on (i32.lt_u (local.get $n) (i32.const 10000000)))) (local.get $n)))"#;

const KEY: &str = "a key of the server";

/// The commands of a section of the page, as words.
fn commands(section: &str) -> Vec<Vec<String>> {
    let page = std::fs::read_to_string(root().join("docs/guide/finding-out.md")).unwrap();
    let begin = format!("## {section}\n");
    let section = page
        .split(&begin)
        .nth(1)
        .unwrap_or_else(|| panic!("{section}"));
    let section = section.split("\n## ").next().unwrap();
    let lines = section
        .lines()
        .filter_map(|line| line.strip_prefix("$ iof "));
    lines
        .map(|line| line.split(' ').map(str::to_owned).collect())
        .collect()
}

/// Runs the commands of a section, and returns what they print, each as JSON lines where it can.
fn followed(user: &User, section: &str) -> Vec<Vec<Value>> {
    let run = |mut words: Vec<String>| {
        words.extend(["--key", KEY].map(str::to_owned));
        // The page's own form has to work; that for programs is read here.
        let line: Vec<_> = words.iter().map(String::as_str).collect();
        let output = user.run(&line, "");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {complaint}");
        assert!(!output.stdout.is_empty(), "{words:?}");
        if !words.iter().any(|word| word == "--json") {
            words.push("--json".to_owned());
        }
        let line: Vec<_> = words.iter().map(String::as_str).collect();
        let output = user.run(&line, "");
        let text = String::from_utf8(output.stdout).unwrap();
        let whole = serde_json::from_str(&text).map(|value| vec![value]);
        whole.unwrap_or_else(|_| {
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            lines.collect()
        })
    };
    let commands = commands(section);
    assert!(!commands.is_empty(), "{section}");
    commands.into_iter().map(run).collect()
}

fn of<'a>(top: &'a Value, function: &str) -> &'a Value {
    let rows = top["functions"].as_array().unwrap();
    let row = rows.iter().find(|row| row["function"] == function);
    row.unwrap_or_else(|| panic!("{function}: {top}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_question_leads_to_its_cause() {
    let upstream = Upstream::start().await;
    let pin = upstream.pin("api.example.com", 80);
    let server = Server::start(format!("{pin}[auth]\nkeys = [\"{KEY}\"]\n")).await;
    let deploy = async |name: &str, module: Vec<u8>, declaration: &str| {
        let deployed = server
            .try_deploy_named(name, KEY, module, declaration)
            .await;
        assert_eq!(deployed.http, 201, "{}", deployed.text());
        deployed.json()["function"].as_u64().unwrap()
    };
    let asks = "commands = [\"http_proxy\"]\noutbound = [\"* http://api.example.com\"]\n";
    let prices = deploy("prices", guest("command"), asks).await;
    let orders = deploy(
        "orders",
        guest("command"),
        &format!("concurrency = 1\n{asks}"),
    )
    .await;
    let primes = deploy("primes", wat(PRIMES), "").await;
    let library = compiled(LIBRARY, "wasm32-unknown-unknown", "cdylib", 1);
    let divide = deploy("divide", library, "").await;
    let slow = |ms: u32| {
        let url = format!("http://api.example.com/slow/{ms}");
        json!({ "program": "http_proxy", "args": ["get", url] }).to_string()
    };
    let load = async {
        loop {
            tokio::join!(
                server.run(prices, "run_ssvm", slow(300)),
                server.run(orders, "run_ssvm", slow(150)),
                server.run(orders, "run_ssvm", slow(150)),
                server.run(orders, "run_ssvm", slow(150)),
                server.run(primes, "go", ""),
            );
        }
    };
    server.run(divide, "go", "").await;
    // On a thread of its own, so that calls go on meanwhile.
    let url = server.url.clone();
    let reads = tokio::task::spawn_blocking(move || {
        let user = User::new(&url);
        // A call is there once it ended.
        for name in ["prices", "orders", "primes"] {
            while user
                .run(&["logs", name, "--key", KEY], "")
                .stdout
                .is_empty()
            {}
        }
        let slow = followed(&user, "Why is it slow?");
        let failed = followed(&user, "Why did it fail?");
        (slow, failed, followed(&user, "Who used what?"))
    });
    let (slow, failed, used) = tokio::select! {
        () = load => unreachable!("it does not end"),
        read = reads => read.unwrap(),
    };

    let [top, sent, row] = slow.as_slice() else {
        panic!("{slow:?}");
    };
    let number = |row: &Value, field: &str| row[field].as_f64().unwrap_or_default();
    let (waits, computes, queues) = (
        of(&top[0], "prices"),
        of(&top[0], "primes"),
        of(&top[0], "orders"),
    );
    assert!(number(waits, "p99") >= 0.25, "{waits}");
    assert!(
        number(waits, "cores") < number(computes, "cores"),
        "{waits} {computes}"
    );
    assert!(
        number(waits, "wait_p99") < number(queues, "wait_p99"),
        "{waits} {queues}"
    );
    assert!(number(queues, "wait_p99") > 0.1, "{queues}");
    assert!(
        sent.iter().any(|row| number(row, "ms") >= 300.0),
        "{sent:?}"
    );
    assert!(number(&row[0], "guest_us") > 5_000.0, "{row:?}");
    assert!(
        number(&row[0], "memory_peak_bytes") >= 40.0 * 65_536.0,
        "{row:?}"
    );

    let [failures, sent] = failed.as_slice() else {
        panic!("{failed:?}");
    };
    let failure = &failures[0];
    assert_eq!(failure["fault"], "trap", "{failure}");
    let trace = failure["trace"].to_string();
    assert!(trace.contains("code.rs:4:"), "{trace}");
    let requests: Vec<_> = sent
        .iter()
        .filter(|row| row["method"].is_string())
        .collect();
    let has_rule = |row: &&Value| row["rule"].is_string();
    assert!(
        !requests.is_empty() && requests.iter().all(has_rule),
        "{sent:?}"
    );

    let [top, memory, list] = used.as_slice() else {
        panic!("{used:?}");
    };
    let most = &top[0]["functions"][0];
    assert_eq!(most["function"], "primes", "{top:?}");
    let peaks = memory[0]["functions"].as_array().unwrap();
    let peaks: Vec<_> = peaks.iter().map(|row| row["memory_p99"].as_f64()).collect();
    assert!(
        peaks[0] > Some(0.0) && peaks.is_sorted_by(|a, b| a >= b),
        "{memory:?}"
    );
    let list = serde_json::to_string(list).unwrap();
    for name in ["prices", "orders", "primes", "divide"] {
        assert!(list.contains(name), "{list}");
    }
}

/// The queries of the page name metrics that there are.
#[tokio::test]
async fn queries_name_metrics_that_exist() {
    let (server, metrics) = crate::server::metrics::server("").await;
    let hello = server.upload(guest("command")).await.id;
    server.run(hello, "post", "http://127.0.0.1:9/").await;
    let request = reqwest::Client::new().get(format!("{metrics}/metrics"));
    let text = server.answer(request).await.text();
    let page = std::fs::read_to_string(root().join("docs/guide/finding-out.md")).unwrap();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let names: BTreeSet<_> = page
        .split(|c: char| !is_name(c))
        .filter(|word| word.starts_with("iof_"))
        .collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        let is_there = |line: &str| {
            line.starts_with(&format!("{name}{{")) || line.starts_with(&format!("{name} "))
        };
        assert!(text.lines().any(is_there), "{name}\n{text}");
    }
}
