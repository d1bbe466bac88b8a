//! The outbound log: one event for each request, whatever its outcome, without secrets.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use iof_egress::{Config, Egress};
use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::dns::{Dns, are};
use crate::support::{Upstream, get, quick, redirect, rules, send, text};

/// Log lines of this thread, as JSON.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// The outbound events of this thread from now on, until the guard is dropped.
    fn collected() -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_env_filter("iof::egress=info")
            .with_writer(lines.clone());
        let guard = tracing::subscriber::set_default(subscriber.finish());
        (lines, guard)
    }

    pub(crate) fn take(&self) -> Vec<Value> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Lines;

    fn make_writer(&self) -> Lines {
        self.clone()
    }
}

#[tokio::test]
async fn each_request_is_one_event() {
    let (lines, _guard) = Lines::collected();
    let server = Upstream::http(|request, _| match request.uri.path() {
        "/from" => redirect(302, "/to?token=s3cret"),
        "/slow" => panic!("this connection breaks"),
        _ => text(404, "body"),
    })
    .await;
    let dns = Dns::start(|_, _| are(&["10.0.0.1"])).await;
    let config = Config {
        pin: vec![server.pin("a.test")],
        dns_servers: vec![dns.address],
        ..quick()
    };
    let egress = Egress::new(config).unwrap();
    let rules = rules(&["GET,POST http://a.test:*", "* http://blocked.test"]);
    let origin = format!("http://a.test:{}", server.port());

    let request =
        Request::post(server.url("a.test", "/s3cret?s3cret")).header("authorization", "s3cret");
    send(
        &egress,
        &rules,
        request.body(Bytes::from_static(b"12345")).unwrap(),
    )
    .await
    .unwrap();
    let [event] = &lines.take()[..] else {
        panic!("one event")
    };
    let fields = &event["fields"];
    assert_eq!(
        (&event["level"], &event["target"]),
        (&"INFO".into(), &"iof::egress".into())
    );
    for (field, value) in [
        ("function", 7.into()),
        ("rule", "GET,POST http://a.test:*".into()),
        ("method", "POST".into()),
        ("upstream", origin.clone().into()),
        ("address", server.address.to_string().into()),
        ("status", 404.into()),
        ("bytes_out", 5.into()),
        ("bytes_in", 4.into()),
        ("outcome", Value::from("ok")),
    ] {
        assert_eq!(fields[field], value, "{field} in {event}");
    }
    assert!(
        fields["ms"].is_u64() && fields["call"].as_str().unwrap().len() == 36,
        "{event}"
    );

    get(&egress, &rules, &server.url("a.test", "/from"))
        .await
        .unwrap();
    let outcomes: Vec<_> = lines
        .take()
        .iter()
        .map(|e| {
            (
                e["fields"]["status"].clone(),
                e["fields"]["outcome"].clone(),
            )
        })
        .collect();
    assert_eq!(
        outcomes,
        [(302.into(), "redirect".into()), (404.into(), "ok".into())]
    );

    // The function sees a missing name.
    get(&egress, &rules, "http://blocked.test/")
        .await
        .unwrap_err();
    let [event] = &lines.take()[..] else {
        panic!("one event")
    };
    assert_eq!(event["fields"]["outcome"], "egress-dns");
    assert_eq!(
        event["fields"]["detail"],
        "no such host: blocked.test; blocked: 10.0.0.1 is private"
    );

    get(&egress, &rules, "http://denied.test/s3cret?s3cret")
        .await
        .unwrap_err();
    let [event] = &lines.take()[..] else {
        panic!("one event")
    };
    assert_eq!(event["fields"]["outcome"], "egress-denied");
    assert_eq!(event["fields"]["rule"], Value::Null);

    let user = Request::get("http://user:s3cret@a.test/")
        .body(Bytes::new())
        .unwrap();
    send(&egress, &rules, user).await.unwrap_err();
    let [event] = &lines.take()[..] else {
        panic!("one event")
    };
    assert_eq!(event["fields"]["outcome"], "egress-url");
}

/// A call that ends cancels its requests, which are recorded as well.
#[tokio::test]
async fn a_cancelled_request_is_recorded() {
    let (lines, _guard) = Lines::collected();
    let server = Upstream::raw(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let egress = Egress::new(Config {
        pin: vec![server.pin("a.test")],
        ..quick()
    })
    .unwrap();
    let (rules, url) = (rules(&["* http://a.test:*"]), server.url("a.test", "/"));
    let call = tokio::time::timeout(Duration::from_millis(50), get(&egress, &rules, &url)).await;
    assert!(call.is_err());
    let [event] = &lines.take()[..] else {
        panic!("one event")
    };
    assert_eq!(event["fields"]["outcome"], "cancelled");
}
