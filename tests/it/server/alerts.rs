//! The alert rules and the dashboard in `deploy/`, and the exemplars, read by a real Prometheus that scrapes a real server.

use super::metrics::server;
use iof_tests::collector::{Collector, hex};
use iof_tests::guests::{guest, root, wat};
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A Prometheus of Debian's package, with its data in a folder that is removed at the end.
struct Prometheus {
    child: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// Starts a Prometheus that scrapes `metrics` and evaluates `rules` four times a second.
    fn start(metrics: &str, rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = metrics.trim_start_matches("http://");
        let config = format!(
            "global: {{scrape_interval: 250ms, evaluation_interval: 250ms}}\n\
             rule_files: [rules.yml]\n\
             scrape_configs: [{{job_name: iof, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        fs::write(folder.path().join("rules.yml"), rules).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let child = Command::new("prometheus")
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg("--enable-feature=exemplar-storage")
            .arg(format!("--web.listen-address={address}"))
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).unwrap())
            .spawn()
            .expect("prometheus of Debian's package");
        Self {
            child,
            url: format!("http://{address}"),
            folder,
        }
    }

    /// The data of an answer of its API; `None` while it starts.
    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<Value> {
        let url = format!("{}/api/v1/{path}", self.url);
        let url = reqwest::Url::parse_with_params(&url, query).unwrap();
        let answer = reqwest::get(url).await.ok()?.bytes().await.ok()?;
        let answer: Value = serde_json::from_slice(&answer).ok()?;
        assert_eq!(answer["status"], "success", "{query:?}: {answer}");
        Some(answer["data"].clone())
    }

    /// Waits until an alert fires, and returns its labels and annotations.
    async fn alert(&self, name: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let data = self.get("alerts", &[]).await.unwrap_or_default();
            let fires =
                |alert: &&Value| alert["labels"]["alertname"] == name && alert["state"] == "firing";
            if let Some(alert) = data["alerts"]
                .as_array()
                .and_then(|all| all.iter().find(fires))
            {
                return alert.clone();
            }
            assert!(
                Instant::now() < deadline,
                "{name} does not fire: {data}\n{}",
                fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// The rules with shorter times, for a test that cannot wait for minutes.
fn quick() -> String {
    let rules = read("deploy/prometheus/iof.rules.yml");
    let rules = Regex::new(r"for: \d+m")
        .unwrap()
        .replace_all(&rules, "for: 1s");
    let range = Regex::new(r"\[\d+m\]").unwrap();
    range.replace_all(&rules, "[20s]").into_owned()
}

/// The expressions of a dashboard, with its variables filled in.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let expressions = targets.flatten().map(|target| &target["expr"]);
    expressions
        .chain(std::iter::once(
            &dashboard["annotations"]["list"][0]["expr"],
        ))
        .map(|expression| {
            let expression = expression.as_str().unwrap();
            let filled = expression.replace("$__rate_interval", "1m");
            filled.replace("$instance", ".*")
        })
        .collect()
}

/// The names of metrics in a text, without the endings of a histogram's series.
fn names(text: &str) -> BTreeSet<String> {
    let name = Regex::new(r"\b(?:iof|process)_[a-z_]+[a-z]").unwrap();
    let ending = Regex::new("_seconds_(bucket|sum|count)$").unwrap();
    name.find_iter(text)
        .map(|name| ending.replace(name.as_str(), "_seconds").into_owned())
        .collect()
}

#[test]
fn promtool_accepts_the_rules_and_their_tests_pass() {
    let folder = root().join("deploy/prometheus");
    for args in [
        ["check", "rules", "iof.rules.yml"],
        ["test", "rules", "iof.rules.test.yml"],
        ["check", "rules", "iof.scaling.yml"],
        ["test", "rules", "iof.scaling.test.yml"],
    ] {
        let ran = Command::new("promtool")
            .args(args)
            .current_dir(Path::new(&folder))
            .output()
            .expect("promtool of Debian's prometheus");
        let printed = String::from_utf8_lossy(&ran.stdout);
        let errors = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{printed}{errors}");
    }
    // Each alert has a test in which it fires.
    let alert = Regex::new(r"(?m)^ +- alert: (\w+)$").unwrap();
    let tests = read("deploy/prometheus/iof.rules.test.yml");
    for (_, [alert]) in alert
        .captures_iter(&read("deploy/prometheus/iof.rules.yml"))
        .map(|found| found.extract())
    {
        let fires = format!("alertname: {alert}\n        exp_alerts:\n          - exp_labels");
        assert!(tests.contains(&fires), "{alert} has no test");
    }
}

#[test]
fn rules_and_dashboard_read_metrics_that_are_documented() {
    let documented = names(&read("docs/metrics.md"));
    for file in [
        "deploy/prometheus/iof.rules.yml",
        "deploy/prometheus/iof.scaling.yml",
        "deploy/grafana/iof.json",
    ] {
        let unknown: Vec<_> = names(&read(file))
            .difference(&documented)
            .cloned()
            .collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[tokio::test]
async fn alerts_fire_on_planted_faults() {
    let (mut server, metrics) = server("").await;
    let prometheus = Prometheus::start(&metrics, &quick());
    let hello = server.upload(guest("hello")).await.id;
    let traps = server
        .upload(wat(r#"(module (func (export "go") unreachable))"#))
        .await
        .id;
    // Calls continue until the alert fires, because a rate needs two different scrapes.
    let load = async {
        loop {
            server.run(hello, "say", "x").await;
            server.run(traps, "go", "").await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let alert = tokio::select! {
        alert = prometheus.alert("IofFunctionFailing") => alert,
        () = load => unreachable!(),
    };
    assert_eq!(alert["labels"]["function"], traps.to_string(), "{alert}");
    let summary = alert["annotations"]["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("100% of the calls of function "),
        "{alert}"
    );
    let all = prometheus.get("alerts", &[]).await.unwrap();
    let healthy = hello.to_string();
    for alert in all["alerts"].as_array().unwrap() {
        assert_ne!(alert["labels"]["function"], healthy, "{alert}");
    }

    let dashboard: Value = serde_json::from_str(&read("deploy/grafana/iof.json")).unwrap();
    let mut nonempty = 0;
    for expression in expressions(&dashboard) {
        let data = prometheus.get("query", &[("query", &expression)]).await;
        let rows = data.unwrap()["result"].as_array().unwrap().len();
        nonempty += usize::from(rows > 0);
    }
    assert!(
        nonempty >= 20,
        "{nonempty} expressions of the dashboard have an answer"
    );

    server.stop().await;
    let down = prometheus.alert("IofDown").await;
    assert_eq!(down["labels"]["job"], "iof", "{down}");
}

/// A chart of durations leads to a trace: Prometheus keeps the exemplar of a bucket, whose trace the collector has.
#[tokio::test]
async fn prometheus_keeps_exemplars_of_traces_that_the_collector_has() {
    let collector = Collector::start().await;
    let settings = format!("{}sampling = 0.0\n", collector.settings());
    let (server, metrics) = server(&settings).await;
    let prometheus = Prometheus::start(&metrics, "groups: []\n");
    let hello = server.upload(guest("hello")).await.id;
    let traps = server
        .upload(wat(r#"(module (func (export "go") unreachable))"#))
        .await
        .id;
    // The calls that return are not sampled, and have none.
    server.run(hello, "say", "x").await;
    server.run(traps, "go", "").await;
    let spans = collector.until("the trap", |spans| !spans.is_empty()).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let query = [
        ("query", "iof_call_duration_seconds_bucket"),
        ("start", "0"),
        ("end", "9999999999"),
    ];
    let series = loop {
        let data = prometheus.get("query_exemplars", &query).await;
        match data.as_ref().and_then(Value::as_array) {
            Some(series) if !series.is_empty() => break series.clone(),
            _ => assert!(Instant::now() < deadline, "no exemplar: {data:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(series.len(), 1, "{series:?}");
    assert_eq!(
        series[0]["seriesLabels"]["function"],
        traps.to_string(),
        "{series:?}"
    );
    let exemplars = series[0]["exemplars"].as_array().unwrap();
    assert_eq!(exemplars.len(), 1, "{series:?}");
    assert_eq!(
        exemplars[0]["labels"]["trace_id"],
        hex(&spans[0].trace_id),
        "{series:?}"
    );
}
