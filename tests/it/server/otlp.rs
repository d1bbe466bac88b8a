//! Traces by OTLP, as a collector gets them: whole, of the calls that are wanted, and without what they were about.
//!
//! More than 400 lines: its tests share a collector and the functions that it hears of.

use iof_tests::{
    collector::{Collector, attribute, hex},
    guests::{guest, wat},
    kinds::{Kind, Subject},
    server::Server,
    upstream::Upstream,
};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use serde_json::json;
use std::time::{Duration, Instant};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// A name that does not resolve, so that only the server itself can answer.
const PUBLIC: &str = "public_url = \"https://functions.example.invalid\"\n";

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("{name}: {spans:#?}"))
}

fn has(spans: &[Span], name: &str) -> bool {
    spans.iter().any(|span| span.name == name)
}

#[tokio::test]
async fn a_chain_of_calls_is_one_trace() {
    let collector = Collector::start().await;
    let settings = format!("{PUBLIC}{}sampling = 1.0\n", collector.settings());
    let server = Server::start(settings).await;
    let first = server.upload(guest("command")).await.id;
    let second = server.upload(guest("hello")).await.id;
    let url = format!("https://functions.example.invalid/api/run/{second}/say");
    let request = server
        .request("POST", &format!("/api/run/{first}/post"))
        .header("content-type", "text/plain")
        .header("traceparent", PARENT)
        .body(url);
    let answer = server.answer(request).await;
    assert_eq!(answer.text(), "hello world");
    let (outer, inner) = (format!("{first} post"), format!("{second} say"));
    let spans = collector
        .until("both calls", |spans| {
            has(spans, &outer) && has(spans, &inner)
        })
        .await;
    for span in &spans {
        assert_eq!(hex(&span.trace_id), TRACE, "{span:#?}");
        assert!(
            span.end_time_unix_nano >= span.start_time_unix_nano,
            "{span:#?}"
        );
    }
    let ids: std::collections::HashSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), spans.len(), "ids are unique");
    // client → request → call → command and request → the request of the second function → its call
    let root = named(&spans, &outer);
    assert_eq!(hex(&root.parent_span_id), "b7ad6b7169203331");
    assert_eq!(root.kind, SpanKind::Server as i32);
    assert_eq!(attribute(root, "iof.call"), answer.header("iof-call"));
    let child = |of: &Span, name: &str| {
        let found = spans
            .iter()
            .find(|span| span.name == name && span.parent_span_id == of.span_id);
        found
            .unwrap_or_else(|| panic!("{name} of {}: {spans:#?}", of.name))
            .clone()
    };
    let call = child(root, "call");
    child(&call, "instantiate");
    let command = child(&call, "command http_proxy");
    assert_eq!(attribute(&command, "process.exit.code"), "0");
    let sent = child(&call, "POST");
    assert_eq!(sent.kind, SpanKind::Client as i32);
    assert_eq!(attribute(&sent, "iof.rule"), "* https://*");
    assert_eq!(attribute(&sent, "iof.address_class"), "none");
    assert_eq!(attribute(&sent, "http.response.status_code"), "200");
    let inside = child(&sent, &inner);
    child(&child(&inside, "call"), "instantiate");
}

/// Each kind of module, and the storage.
#[tokio::test]
async fn every_kind_of_call_has_its_spans() {
    let collector = Collector::start().await;
    let server = Server::start(format!("{}sampling = 1.0\n", collector.settings())).await;
    for kind in [
        Kind::CoreFunction,
        Kind::CoreProgram,
        Kind::TypedComponent,
        Kind::ProgramComponent,
        Kind::HttpComponent,
    ] {
        let subject = Subject::deploy(&server, kind, "storage = true\n").await;
        let answer = subject.run("set", &["key", "value"]).await;
        assert_eq!(answer.fault(), "", "{kind:?}: {}", answer.text());
        let call = answer.header("iof-call").to_owned();
        let spans = collector
            .until("the call", |spans| {
                spans.iter().any(|span| attribute(span, "iof.call") == call)
            })
            .await;
        let root = spans
            .iter()
            .find(|span| attribute(span, "iof.call") == call);
        let root = root.unwrap();
        let of_it: Vec<_> = spans
            .iter()
            .filter(|span| span.trace_id == root.trace_id)
            .collect();
        for name in ["call", "instantiate", "storage save"] {
            assert!(
                of_it.iter().any(|span| span.name == name),
                "{kind:?}, {name}: {of_it:#?}"
            );
        }
        assert!(
            attribute(root, "iof.memory_peak_bytes")
                .parse::<u64>()
                .unwrap()
                >= 65_536
        );
    }
}

#[tokio::test]
async fn calls_that_fail_are_always_exported() {
    let collector = Collector::start().await;
    let server = Server::start(format!("{}sampling = 0.0\n", collector.settings())).await;
    let hello = server.upload(guest("hello")).await.id;
    let traps = wat(r#"(module (func (export "go") unreachable))"#);
    let traps = server.upload(traps).await.id;
    for _ in 0..20 {
        // A client that says that its trace is sampled decides nothing.
        let request = server
            .request("POST", &format!("/api/run/{hello}/say"))
            .header("content-type", "text/plain")
            .header("traceparent", PARENT)
            .body("x");
        assert_eq!(server.answer(request).await.text(), "hello x");
    }
    server.run(traps, "go", "").await;
    let name = format!("{traps} go");
    let spans = collector.until("the trap", |spans| has(spans, &name)).await;
    assert_eq!(attribute(named(&spans, &name), "error.type"), "trap");
    assert!(
        !spans
            .iter()
            .any(|span| span.name.starts_with(&format!("{hello} "))),
        "{spans:#?}"
    );
    // On a server whose callers are the operator's own, it does.
    let settings = format!(
        "{}sampling = 0.0\nfollow_callers = true\n",
        collector.settings()
    );
    let server = Server::start(settings).await;
    let hello = server.upload(guest("hello")).await.id;
    let call = async |flags: &str| {
        let parent = PARENT.replace("-01", flags);
        let path = format!("/v1/functions/{hello}/call/say");
        let request = server.request("POST", &path).header("traceparent", parent);
        server
            .answer(request.json(&json!(["x"])))
            .await
            .header("iof-call")
            .to_owned()
    };
    let (not, sampled) = (call("-00").await, call("-01").await);
    let of =
        |spans: &[Span], call: &str| spans.iter().any(|span| attribute(span, "iof.call") == call);
    let spans = collector
        .until("the sampled call", |spans| of(spans, &sampled))
        .await;
    assert!(!of(&spans, &not), "{spans:#?}");
}

/// Marks in everything that a call is about, and none of them in what the collector gets.
#[tokio::test]
async fn signals_say_nothing_of_what_calls_are_about() {
    let collector = Collector::start().await;
    let upstream = Upstream::start().await;
    let config = format!(
        "[ceiling]\ncommands = [\"http_proxy\"]\noutbound = [\"* http://api.test\"]\nstorage = true\n{}{}sampling = 1.0\n\
         signals = [\"traces\", \"metrics\", \"logs\"]\nmetrics_interval = \"100ms\"\n",
        upstream.pin("api.test", 80),
        collector.settings(),
    );
    let server = crate::egress::secrets::keyed().config(config).start().await;
    let declaration = "commands = [\"http_proxy\"]\noutbound = [\"* http://api.test\"]\n\
        [[secrets]]\nvalue = \"Bearer {API_TOKEN}\"\nheader = \"authorization\"\nto = \"* http://api.test\"\n";
    let function = server.deploy(guest("command"), declaration).await;
    server
        .set_secret(&function, "API_TOKEN", "MARKsecret-0123456789")
        .await;
    let run = json!({
        "program": "http_proxy",
        "args": ["post", "http://api.test/echo?q=MARKquery#MARKfragment", "{\"x-mark\": \"MARKheader\"}"],
        "env": { "MARKname": "MARKvalue" },
        "stdin": "MARKbody",
    });
    let unknown = json!({ "program": "MARKcommand", "args": ["MARKargument"] });
    let denied = json!({ "program": "http_proxy", "args": ["get", "http://MARKhost.test/"] });
    let mut calls = vec![];
    for (export, body) in [
        ("run_ssvm", run.to_string()),
        ("run_ssvm", unknown.to_string()),
        ("run_ssvm", denied.to_string()),
        ("MARKexport", "MARKinput".to_owned()),
        ("judge", "http://api.test/MARKjudge".to_owned()),
    ] {
        let request = server
            .request(
                "POST",
                &format!("/api/run/{}/{export}?MARKclient=MARKquery", function.id),
            )
            .header("content-type", "text/plain")
            .header("x-mark", "MARKclientheader")
            .header("authorization", "Bearer MARKkey")
            .body(body);
        calls.push(server.answer(request).await.header("iof-call").to_owned());
    }
    collector
        .until("all calls", |spans| {
            calls.iter().all(|call| {
                spans
                    .iter()
                    .any(|span| attribute(span, "iof.call") == *call)
            })
        })
        .await;
    assert!(has(&collector.spans(), "command http_proxy") && has(&collector.spans(), "POST"));
    let began = Instant::now();
    let snapshots = collector.metrics().len();
    while collector.logs().len() < calls.len() || collector.metrics().len() < snapshots + 2 {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "logs and metrics"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for (headers, body) in collector.requests() {
        let text = format!("{headers:?} {}", String::from_utf8_lossy(&body)).to_lowercase();
        assert!(!text.contains("mark"), "{text}");
    }
}

#[tokio::test]
async fn context_leaves_only_where_the_operator_says_so() {
    let collector = Collector::start().await;
    let upstream = Upstream::start().await;
    let pins = upstream.pin("a.test", 80) + &upstream.pin("b.test", 80);
    let settings = format!(
        "{pins}{}sampling = 1.0\npropagate = [\"GET http://a.test/echo\"]\n",
        collector.settings()
    );
    let server = Server::start(settings).await;
    let function = server.upload(guest("command")).await.id;
    let get = async |url: &str, more: &[&str]| {
        let args = [&["get", url], more].concat();
        let body = json!({ "program": "http_proxy", "args": args }).to_string();
        let request = server
            .request("POST", &format!("/api/run/{function}/run_ssvm"))
            .header("traceparent", PARENT)
            .header("tracestate", "vendor=1")
            .header("content-type", "text/plain")
            .body(body);
        let answer = server.answer(request).await;
        assert_eq!(answer.json()["status"], 0, "{}", answer.text());
        let seen = upstream.seen().pop().unwrap().headers;
        let header = |name: &str| {
            seen.get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        (header("traceparent"), header("tracestate"))
    };
    let (parent, state) = get("http://a.test/echo", &[]).await;
    let parent = parent.expect("a context");
    assert_eq!(state.as_deref(), Some("vendor=1"));
    let spans = collector
        .until("the request", |spans| has(spans, "GET"))
        .await;
    let span = hex(&named(&spans, "GET").span_id);
    assert_eq!(parent, format!("00-{TRACE}-{span}-01"));
    // Another path, another host; and what a function sets itself stays.
    assert_eq!(get("http://a.test/mirror", &[]).await, (None, None));
    assert_eq!(get("http://b.test/echo", &[]).await, (None, None));
    let own = "00-11111111111111111111111111111111-2222222222222222-00";
    let header = json!({ "traceparent": own }).to_string();
    let (kept, state) = get("http://a.test/echo", &[&header]).await;
    assert_eq!((kept.as_deref(), state), (Some(own), None));
}

/// A collector that is gone, silent or refuses costs traces, and calls nothing.
#[tokio::test]
async fn without_a_collector_calls_go_on_and_drops_are_counted() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refuses = Collector::start().await;
    refuses.refuse(503);
    let gone = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!(
            "[otlp]\nendpoint = \"http://{}\"\n",
            free.local_addr().unwrap()
        )
    };
    let quiet = format!(
        "[otlp]\nendpoint = \"http://{}\"\ntimeout = \"1s\"\n",
        silent.local_addr().unwrap()
    );
    for settings in [gone, quiet, refuses.settings()] {
        let settings = format!(
            "{settings}sampling = 1.0\nmemory = \"16KiB\"\nsignals = [\"traces\", \"metrics\", \"logs\"]\n\
             metrics_interval = \"100ms\"\n"
        );
        let (mut server, metrics) = super::metrics::server(&settings).await;
        let hello = server.upload(guest("hello")).await.id;
        let began = Instant::now();
        for _ in 0..100 {
            assert_eq!(server.run(hello, "say", "x").await.text(), "hello x");
        }
        assert!(
            began.elapsed() < Duration::from_secs(15),
            "{settings}: {:?}",
            began.elapsed()
        );
        let url = format!("{metrics}/metrics");
        let counted = async |signal: &str, outcome: &str| {
            let text = server.answer(reqwest::Client::new().get(&url)).await.text();
            let series = format!("iof_exports_total{{signal=\"{signal}\",outcome=\"{outcome}\"}} ");
            let value = text.lines().find_map(|line| line.strip_prefix(&series));
            value
                .unwrap_or_else(|| panic!("{text}"))
                .parse::<f64>()
                .unwrap()
        };
        for signal in ["traces", "logs"] {
            assert!(
                counted(signal, "dropped").await > 0.0,
                "{signal} {settings}"
            );
        }
        for signal in ["traces", "logs", "metrics"] {
            let began = Instant::now();
            while counted(signal, "failed").await == 0.0 {
                assert!(
                    began.elapsed() < Duration::from_secs(20),
                    "{signal} {settings}"
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert_eq!(counted(signal, "sent").await, 0.0, "{signal} {settings}");
        }
        let log = server.log();
        assert!(
            log.contains("otlp.memory") && log.contains("otlp.endpoint"),
            "{log}"
        );
        let began = Instant::now();
        server.stop().await;
        assert!(began.elapsed() < Duration::from_secs(5), "{settings}");
    }
}

#[tokio::test]
async fn headers_of_a_file_reach_the_collector_and_nothing_else_shows_them() {
    let collector = Collector::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("headers");
    std::fs::write(
        &file,
        "# for the collector\nAuthorization: Bearer collector-secret\nx-scope: a\n",
    )
    .unwrap();
    let settings = format!(
        "{}sampling = 1.0\nheaders_file = {:?}\n",
        collector.settings(),
        file.display().to_string()
    );
    let server = Server::start(settings).await;
    let hello = server.upload(guest("hello")).await.id;
    server.run(hello, "say", "x").await;
    collector.until("a call", |spans| !spans.is_empty()).await;
    let (headers, _) = collector.requests().remove(0);
    assert_eq!(headers["authorization"], "Bearer collector-secret");
    assert_eq!(headers["x-scope"], "a");
    assert!(!server.log().contains("collector-secret"));
    assert!(
        server
            .log()
            .contains("otlp.headers_file: other users can read")
    );
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        let file = folder.path().join(text.len().to_string());
        std::fs::write(&file, text).unwrap();
        format!(
            "endpoint = \"http://127.0.0.1:1\"\nheaders_file = {:?}\n",
            file.display().to_string()
        )
    };
    for (settings, message) in [
        (
            "endpoint = \"ftp://127.0.0.1\"\n".to_owned(),
            "otlp.endpoint",
        ),
        (
            "endpoint = \"http://127.0.0.1:1/?a=b\"\n".to_owned(),
            "otlp.endpoint",
        ),
        (
            "sampling = 1.5\n".to_owned(),
            "otlp.sampling must be between 0 and 1: got 1.5",
        ),
        (
            "sampling = -0.5\n".to_owned(),
            "otlp.sampling must be between 0 and 1: got -0.5",
        ),
        (
            "timeout = \"0s\"\n".to_owned(),
            "otlp.timeout must be between",
        ),
        (
            "metrics_interval = \"0s\"\n".to_owned(),
            "otlp.metrics_interval must be between",
        ),
        (
            "endpoint = \"http://127.0.0.1:1\"\nsignals = []\n".to_owned(),
            "otlp.signals is empty: got []",
        ),
        ("signals = [\"events\"]\n".to_owned(), "events"),
        ("propagate = [\"nowhere\"]\n".to_owned(), "propagate"),
        (
            "endpoint = \"http://127.0.0.1:1\"\nheaders_file = \"/nowhere\"\n".to_owned(),
            "otlp.headers_file: /nowhere cannot be read",
        ),
        (file("no header"), "otlp.headers_file: line 1 of"),
        (file("\n\u{7}: x"), "otlp.headers_file: line 2 of"),
        (file("Host: x"), "the server sets itself"),
    ] {
        let refused = Server::builder()
            .config(format!("[otlp]\n{settings}"))
            .refused()
            .await;
        assert!(refused.log.contains(message), "{settings}{}", refused.log);
    }
}

#[tokio::test]
async fn a_bucket_names_a_call_whose_trace_was_exported() {
    let collector = Collector::start().await;
    let settings = format!("{}sampling = 0.0\n", collector.settings());
    let (server, metrics) = super::metrics::server(&settings).await;
    let hello = server.upload(guest("hello")).await.id;
    let traps = server
        .upload(wat(r#"(module (func (export "go") unreachable))"#))
        .await
        .id;
    for _ in 0..3 {
        server.run(hello, "say", "x").await;
    }
    server.run(traps, "go", "").await;
    let spans = collector.until("the trap", |spans| !spans.is_empty()).await;
    let trace = hex(&spans[0].trace_id);
    let scrape = async |accept: &str| {
        let request = reqwest::Client::new()
            .get(format!("{metrics}/metrics"))
            .header("accept", accept);
        server.answer(request).await.text()
    };
    let open = scrape("application/openmetrics-text; version=1.0.0").await;
    let with: Vec<_> = open.lines().filter(|line| line.contains(" # {")).collect();
    let [line] = with.as_slice() else {
        panic!("{with:#?}");
    };
    let form = format!(
        r#"^iof_call_duration_seconds_bucket\{{le="[^"]+",function="{traps}",version="1"\}} 1 # \{{trace_id="{trace}"\}} [0-9.e-]+ [0-9]+\.[0-9]{{3}}$"#
    );
    assert!(regex::Regex::new(&form).unwrap().is_match(line), "{line}");
    // The value is within its bucket.
    let bound: f64 = line
        .split("le=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .parse()
        .unwrap_or(f64::MAX);
    let value: f64 = line.rsplit(' ').nth(1).unwrap().parse().unwrap();
    assert!(value <= bound, "{line}");
    assert!(open.ends_with("# EOF\n"));
    // The last bucket has no bound, or Prometheus takes the histogram for another.
    let all = format!(
        r#"iof_call_duration_seconds_bucket{{le="+Inf",function="{hello}",version="1"}} 3"#
    );
    assert!(open.contains(&all), "{open}");
    let plain = scrape("text/plain").await;
    assert!(!plain.contains(" # {"), "{plain}");
    super::metrics::check(&plain);
}
