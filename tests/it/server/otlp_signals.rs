//! Metrics and log records by OTLP, as a collector gets them.
//!
//! More than 400 lines: three signals, to one collector.

use iof_tests::{
    collector::{Collector, attribute_of, hex},
    guests::{guest, wat},
    kinds::{Kind, Subject},
    server::Server,
};
use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    logs::v1::LogRecord,
    metrics::v1::{Metric, exemplar, metric::Data, number_data_point},
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// The values of all series by their names and labels, as the page of Prometheus writes them: of a histogram, its count.
type Series = BTreeMap<String, f64>;

fn series(metrics: &[Metric]) -> Series {
    let mut series = Series::new();
    for metric in metrics {
        let numbers = match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
                assert!(sum.data_points[0].start_time_unix_nano > 0);
                &sum.data_points
            }
            Data::Gauge(gauge) => &gauge.data_points,
            Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality, 2);
                for point in &histogram.data_points {
                    let (counts, bounds) = (&point.bucket_counts, &point.explicit_bounds);
                    assert_eq!(counts.len(), bounds.len() + 1, "{metric:#?}");
                    assert_eq!(counts.iter().sum::<u64>(), point.count, "{metric:#?}");
                    let name = format!("{}_count", metric.name);
                    series.insert(name + &labels(&point.attributes), point.count as f64);
                }
                continue;
            }
            other => panic!("{other:?}"),
        };
        for point in numbers {
            let Some(number_data_point::Value::AsDouble(value)) = point.value else {
                panic!("{metric:#?}");
            };
            series.insert(metric.name.clone() + &labels(&point.attributes), value);
        }
    }
    series
}

fn labels(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue]) -> String {
    let labels = attributes.iter().map(|attribute| {
        let value = attribute_of(attributes, &attribute.key);
        format!("{}=\"{value}\"", attribute.key)
    });
    let labels: Vec<_> = labels.collect();
    match labels.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", labels.join(",")),
    }
}

/// The same of the page.
fn page(text: &str) -> Series {
    let lines = text.lines().filter(|line| {
        let name = line.split(['{', ' ']).next().unwrap();
        !line.starts_with('#') && !name.ends_with("_bucket") && !name.ends_with("_sum")
    });
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        })
        .collect()
}

async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found().await {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The collector gets the metrics of the page, by the same names, with the same values; and no other signal.
#[tokio::test]
async fn exported_metrics_are_those_of_the_page() {
    let collector = Collector::start().await;
    let settings = format!(
        "{}signals = [\"metrics\"]\nmetrics_interval = \"200ms\"\n",
        collector.settings()
    );
    let (server, metrics) = super::metrics::server(&settings).await;
    let hello = server.upload(guest("hello")).await.id;
    let command = server.upload(guest("command")).await.id;
    let traps = server
        .upload(wat(r#"(module (func (export "go") unreachable))"#))
        .await
        .id;
    for _ in 0..3 {
        server.run(hello, "say", "x").await;
    }
    server.run(traps, "go", "").await;
    server.run(command, "post", "http://127.0.0.1:9/").await;
    let calls = format!("iof_calls_total{{function=\"{hello}\",version=\"1\",outcome=\"ok\"}}");
    let fault =
        format!("iof_call_faults_total{{function=\"{traps}\",version=\"1\",fault=\"trap\"}}");
    let (exported, sent) = until("the calls", async || {
        let all = collector.metrics();
        let newest = all.last()?;
        let exported = series(newest);
        (exported.get(&calls) == Some(&3.0) && exported.contains_key(&fault))
            .then(|| (exported, newest.clone()))
    })
    .await;
    let request = reqwest::Client::new().get(format!("{metrics}/metrics"));
    let page = page(&server.answer(request).await.text());
    let names = |of: &Series| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&exported), names(&page));
    for (name, value) in &exported {
        // The rest moves between a snapshot and a scrape.
        if ["iof_call", "iof_function", "iof_command", "iof_outbound"]
            .iter()
            .any(|moved| name.starts_with(moved))
            && !name.contains("calls_running")
        {
            assert_eq!(value, &page[name], "{name}");
        }
    }
    let of = |name: &str| sent.iter().find(|metric| metric.name == name).unwrap();
    assert_eq!(of("iof_call_duration_seconds").unit, "s");
    assert_eq!(of("iof_call_memory_peak_bytes").unit, "By");
    assert!(sent.iter().all(|metric| !metric.description.is_empty()));
    assert!(collector.spans().is_empty() && collector.logs().is_empty());
}

/// A bucket of the exported durations names a call whose trace the collector has; a call that is not exported is in none.
#[tokio::test]
async fn exported_durations_have_exemplars_of_exported_traces() {
    let collector = Collector::start().await;
    let settings = format!(
        "{}sampling = 0.0\nsignals = [\"traces\", \"metrics\"]\nmetrics_interval = \"200ms\"\n",
        collector.settings()
    );
    let server = Server::start(settings).await;
    let hello = server.upload(guest("hello")).await.id;
    let traps = server
        .upload(wat(r#"(module (func (export "go") unreachable))"#))
        .await
        .id;
    server.run(hello, "say", "x").await;
    server.run(traps, "go", "").await;
    let spans = collector.until("the trap", |spans| !spans.is_empty()).await;
    let root = spans
        .iter()
        .find(|span| span.parent_span_id.is_empty())
        .unwrap();
    let calls = format!("iof_calls_total{{function=\"{hello}\",version=\"1\",outcome=\"ok\"}}");
    let fault =
        format!("iof_call_faults_total{{function=\"{traps}\",version=\"1\",fault=\"trap\"}}");
    let snapshot = until("both calls", async || {
        let newest = collector.metrics().pop()?;
        let series = series(&newest);
        (series.contains_key(&calls) && series.contains_key(&fault)).then_some(newest)
    })
    .await;
    let mut found = vec![];
    for metric in &snapshot {
        let Some(Data::Histogram(histogram)) = &metric.data else {
            continue;
        };
        for point in &histogram.data_points {
            let function = attribute_of(&point.attributes, "function");
            for exemplar in &point.exemplars {
                let Some(exemplar::Value::AsDouble(seconds)) = exemplar.value else {
                    panic!("{exemplar:?}");
                };
                // Its bucket has counted it.
                let bucket = point
                    .explicit_bounds
                    .partition_point(|bound| *bound < seconds);
                assert!(point.bucket_counts[bucket] > 0, "{point:?}");
                assert!(exemplar.time_unix_nano >= root.start_time_unix_nano);
                assert!(exemplar.filtered_attributes.is_empty());
                let ids = (hex(&exemplar.trace_id), hex(&exemplar.span_id));
                found.push((metric.name.clone(), function.clone(), ids));
            }
        }
    }
    let expected = (
        "iof_call_duration_seconds".to_owned(),
        traps.to_string(),
        (hex(&root.trace_id), hex(&root.span_id)),
    );
    assert_eq!(found, [expected]);
}

/// The last calls before a stop are in the last snapshot.
#[tokio::test]
async fn a_stop_exports_a_last_snapshot() {
    let collector = Collector::start().await;
    let settings = format!(
        "{}signals = [\"metrics\", \"logs\"]\nmetrics_interval = \"1h\"\n",
        collector.settings()
    );
    let mut server = Server::start(settings).await;
    let hello = server.upload(guest("hello")).await.id;
    server.run(hello, "say", "x").await;
    assert!(collector.metrics().is_empty());
    server.stop().await;
    let snapshots = collector.metrics();
    assert_eq!(snapshots.len(), 1);
    let calls = format!("iof_calls_total{{function=\"{hello}\",version=\"1\",outcome=\"ok\"}}");
    assert_eq!(series(&snapshots[0]).get(&calls), Some(&1.0));
    assert_eq!(collector.logs().len(), 1);
}

fn text(record: &LogRecord) -> String {
    match record.body.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

fn of(record: &LogRecord, key: &str) -> String {
    attribute_of(&record.attributes, key)
}

/// Each kind of module: one record for each call, of its trace.
#[tokio::test]
async fn every_kind_of_call_is_one_log_record() {
    let collector = Collector::start().await;
    let settings = format!(
        "{}sampling = 1.0\nsignals = [\"traces\", \"logs\"]\n",
        collector.settings()
    );
    let server = Server::start(settings).await;
    for kind in [
        Kind::CoreFunction,
        Kind::CoreProgram,
        Kind::TypedComponent,
        Kind::ProgramComponent,
        Kind::HttpComponent,
    ] {
        let subject = Subject::deploy(&server, kind, "").await;
        let call = subject.run("print", &["quiet"]).await;
        let call = call.header("iof-call").to_owned();
        let record = until("the record", async || {
            let records = collector.logs().into_iter();
            let mut records = records.filter(|record| of(record, "iof.call") == call);
            let record = records.next();
            assert!(records.next().is_none(), "{kind:?}");
            record
        })
        .await;
        assert_eq!(text(&record), "call returned", "{kind:?}");
        assert_eq!(record.event_name, "iof.call");
        assert_eq!(of(&record, "iof.outcome"), "ok");
        assert_eq!(
            of(&record, "iof.function_id"),
            subject.function.id.to_string()
        );
        assert_eq!(of(&record, "iof.version"), "1");
        for number in [
            "iof.duration_us",
            "iof.queue_us",
            "iof.guest_cpu_us",
            "iof.memory_peak_bytes",
        ] {
            assert!(
                of(&record, number).parse::<u64>().is_ok(),
                "{number} {record:#?}"
            );
        }
        assert!(record.time_unix_nano > 0 && record.severity_number == 9);
        let spans = collector
            .until("the span", |spans| {
                spans.iter().any(|span| span.span_id == record.span_id)
            })
            .await;
        let span = spans.iter().find(|span| span.span_id == record.span_id);
        let span = span.unwrap();
        assert_eq!(span.trace_id, record.trace_id);
        assert_eq!(iof_tests::collector::attribute(span, "iof.call"), call);
        assert_eq!(record.flags, 1, "{}", hex(&record.trace_id));
    }
    for (_, body) in collector.requests() {
        assert!(!String::from_utf8_lossy(&body).contains("out: quiet"));
    }
}

#[tokio::test]
async fn calls_that_fail_or_are_refused_are_log_records_with_their_fault() {
    let collector = Collector::start().await;
    let settings = format!("{}signals = [\"logs\"]\n", collector.settings());
    let server = Server::start(settings).await;
    let hello = server.deploy(guest("hello"), "rate = 1").await;
    let traps = server
        .upload(wat(r#"(module (func (export "go") unreachable))"#))
        .await
        .id;
    let mut calls = vec![
        server
            .run(traps, "go", "")
            .await
            .header("iof-call")
            .to_owned(),
    ];
    for export in ["say", "say", "say"] {
        let answer = server.run(hello.id, export, "x").await;
        calls.push(answer.header("iof-call").to_owned());
    }
    let gone = server.run(traps, "MARKexport", "").await;
    calls.push(gone.header("iof-call").to_owned());
    // No function has the log of a call of none.
    server.run(999, "say", "x").await;
    let records = until("the records", async || {
        let records = collector.logs();
        (records.len() >= calls.len()).then_some(records)
    })
    .await;
    assert_eq!(records.len(), calls.len(), "{records:#?}");
    let record = |call: &str| {
        let found = records.iter().find(|record| of(record, "iof.call") == call);
        found.unwrap_or_else(|| panic!("{call}: {records:#?}"))
    };
    let trap = record(&calls[0]);
    assert_eq!(text(trap), "call failed: trap");
    assert_eq!(
        (of(trap, "error.type"), of(trap, "iof.outcome")),
        ("trap".into(), "guest".into())
    );
    // Without traces there is no trace to lead to.
    assert!(trap.trace_id.is_empty() && trap.flags == 0);
    let refused: Vec<_> = calls[1..4]
        .iter()
        .map(|call| record(call))
        .filter(|record| record.event_name == "iof.refused_call")
        .collect();
    assert!(!refused.is_empty(), "{records:#?}");
    for record in refused {
        assert_eq!(text(record), "call refused: rate");
        assert_eq!(of(record, "iof.function_id"), hello.id.to_string());
        assert_eq!(of(record, "iof.outcome"), "limit");
    }
    let gone = record(&calls[4]);
    assert_eq!(text(gone), "call refused: no-such-export");
    assert_eq!(of(gone, "iof.export"), "");
    for (_, body) in collector.requests() {
        assert!(!String::from_utf8_lossy(&body).contains("MARK"));
    }
    assert!(collector.spans().is_empty() && collector.metrics().is_empty());
}

/// The output of a function goes out only where the operator says so, and only its beginning.
#[tokio::test]
async fn output_is_exported_only_by_the_setting() {
    for output in [false, true] {
        let collector = Collector::start().await;
        let settings = format!(
            "{}signals = [\"logs\"]\noutput = {output}\n",
            collector.settings()
        );
        let server = Server::start(settings).await;
        let subject = Subject::deploy(&server, Kind::CoreFunction, "").await;
        let forged = "MARK\u{1b}[2J\n{\"level\":\"ERROR\"}\u{0}";
        subject.run("print", &[forged]).await;
        let long = "y".repeat(20_000);
        subject.run("print", &[&long]).await;
        let records = until("two records", async || {
            let records = collector.logs();
            (records.len() == 2).then_some(records)
        })
        .await;
        let printed = of(&records[0], "iof.stdout");
        match output {
            false => {
                assert_eq!(printed, "");
                for (_, body) in collector.requests() {
                    assert!(!String::from_utf8_lossy(&body).contains("MARK"));
                }
            }
            true => {
                assert_eq!(printed, format!("out: {forged}\n"));
                assert_eq!(of(&records[1], "iof.stdout").len(), 4096);
            }
        }
    }
}

/// Clients that have calls refused take half of the room at most.
#[tokio::test]
async fn refused_calls_leave_room_for_the_records_of_others() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = format!(
        "[otlp]\nendpoint = \"http://{}\"\nsignals = [\"logs\"]\nmemory = \"32KiB\"\ntimeout = \"30s\"\n",
        silent.local_addr().unwrap()
    );
    let (server, metrics) = super::metrics::server(&settings).await;
    let hello = server.upload(guest("hello")).await.id;
    let url = format!("{metrics}/metrics");
    let value = async |series: &str| {
        let text = server.answer(reqwest::Client::new().get(&url)).await.text();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value
            .unwrap_or_else(|| panic!("{series}: {text}"))
            .parse::<f64>()
            .unwrap()
    };
    for _ in 0..100 {
        server.run(hello, "gone", "x").await;
    }
    let (dropped, waiting) = (
        "iof_exports_total{signal=\"logs\",outcome=\"dropped\"}",
        "iof_exports_waiting_bytes{signal=\"logs\"}",
    );
    let before = (value(dropped).await, value(waiting).await);
    assert!(before.0 > 0.0 && before.1 < 20_000.0, "{before:?}");
    server.run(hello, "say", "x").await;
    let after = (value(dropped).await, value(waiting).await);
    assert!(after.0 == before.0 && after.1 > before.1, "{after:?}");
}
