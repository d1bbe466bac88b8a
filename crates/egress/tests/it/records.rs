//! The records for observers: every request once, whatever its outcome, without paths, queries and header values.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use iof_egress::{Config, Egress, Entry, Observer};

use crate::support::{Upstream, get, quick, redirect, rules, send, text};

/// An observer that keeps its records.
#[derive(Default)]
pub(crate) struct EntryList(Mutex<Vec<Entry<'static>>>);

impl Observer for EntryList {
    fn sent(&self, entry: &Entry<'_>) {
        let text = |text: &str| -> &'static str { text.to_owned().leak() };
        self.0.lock().unwrap().push(Entry {
            rule: entry.rule.map(text),
            secrets: entry.secrets.map(text),
            method: text(entry.method),
            host: entry.host.map(text),
            trace: None,
            ..*entry
        });
    }
}

impl EntryList {
    /// A client, and the records of its requests.
    pub(crate) fn client(config: Config) -> (Egress, Arc<EntryList>) {
        let kept = Arc::new(EntryList::default());
        let egress = Egress::for_server(config, Vec::new(), vec![kept.clone()]);
        (egress.unwrap(), kept)
    }

    pub(crate) fn take(&self) -> Vec<Entry<'static>> {
        let entries = std::mem::take(&mut *self.0.lock().unwrap());
        let text = format!("{entries:?}");
        assert!(!text.contains("s3cret"), "{text}");
        entries
    }

    /// The outcome and the status of each record.
    pub(crate) fn outcomes(&self) -> Vec<(&'static str, Option<u16>)> {
        let entries = self.take().into_iter();
        entries.map(|entry| (entry.outcome, entry.status)).collect()
    }
}

fn pinned(server: &Upstream) -> Config {
    Config {
        pin: vec![server.pin("a.test")],
        ..quick()
    }
}

#[tokio::test]
async fn each_request_is_one_entry() {
    let server = Upstream::http(|request, _| match request.uri.path() {
        "/from" => redirect(302, "/to?token=s3cret"),
        _ => text(404, "body"),
    })
    .await;
    let (kept, second) = (
        Arc::new(EntryList::default()),
        Arc::new(EntryList::default()),
    );
    let egress = Egress::for_server(
        pinned(&server),
        Vec::new(),
        vec![kept.clone(), second.clone()],
    )
    .unwrap();
    let rules = rules(&["GET,POST http://a.test:*"]);
    let before = SystemTime::now();

    let request =
        Request::post(server.url("a.test", "/s3cret?s3cret")).header("authorization", "s3cret");
    let request = request.body(Bytes::from_static(b"12345")).unwrap();
    send(&egress, &rules, request).await.unwrap();
    let [entry] = &kept.take()[..] else {
        panic!("one entry")
    };
    assert!(entry.at >= before && entry.at + entry.took <= SystemTime::now());
    assert!(entry.took > Duration::ZERO && !entry.call.is_nil());
    let host = format!("http://a.test:{}", server.port());
    let expected = Entry {
        at: entry.at,
        call: entry.call,
        function_id: 7,
        version: 2,
        rule: Some("GET,POST http://a.test:*"),
        secrets: None,
        method: "POST",
        host: Some(&host),
        address: Some(server.address),
        status: Some(404),
        bytes_out: 5,
        bytes_in: 4,
        took: entry.took,
        waited: None,
        outcome: "ok",
        trace: None,
    };
    assert_eq!(*entry, expected);

    get(&egress, &rules, &server.url("a.test", "/from"))
        .await
        .unwrap();
    assert_eq!(
        kept.outcomes(),
        [("redirect", Some(302)), ("ok", Some(404))]
    );
    assert_eq!(
        second.outcomes(),
        [
            ("ok", Some(404)),
            ("redirect", Some(302)),
            ("ok", Some(404))
        ]
    );
}

#[tokio::test]
async fn requests_that_were_not_sent_are_recorded_too() {
    let server = Upstream::http(|_, _| text(200, "")).await;
    let (egress, kept) = EntryList::client(pinned(&server));
    let rules = rules(&["* http://a.test:*"]);

    get(&egress, &rules, "http://denied.test/s3cret?s3cret")
        .await
        .unwrap_err();
    let [entry] = &kept.take()[..] else {
        panic!("one entry")
    };
    assert_eq!((entry.outcome, entry.rule), ("egress-denied", None));
    assert_eq!(entry.host, Some("http://denied.test"));
    assert_eq!((entry.address, entry.status), (None, None));

    let user = Request::get("http://user:s3cret@a.test/")
        .body(Bytes::new())
        .unwrap();
    send(&egress, &rules, user).await.unwrap_err();
    let [entry] = &kept.take()[..] else {
        panic!("one entry")
    };
    assert_eq!((entry.outcome, entry.host), ("egress-url", None));

    // Texts of a guest are truncated.
    let long = Request::builder()
        .method(&*"X".repeat(9000))
        .uri(format!("http://{}.test/", "h".repeat(9000)))
        .body(Bytes::new())
        .unwrap();
    send(&egress, &rules, long).await.unwrap_err();
    let [entry] = &kept.take()[..] else {
        panic!("one entry")
    };
    let host = entry.host.map_or(0, str::len);
    assert!(entry.method.len() < 300 && host < 300, "{entry:?}");
}

/// A call that ends cancels its requests.
#[tokio::test]
async fn a_cancelled_request_is_recorded() {
    let server = Upstream::raw(|stream| async move {
        let _stream = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let (egress, kept) = EntryList::client(pinned(&server));
    let (rules, url) = (rules(&["* http://a.test:*"]), server.url("a.test", "/"));
    let call = tokio::time::timeout(Duration::from_millis(50), get(&egress, &rules, &url)).await;
    assert!(call.is_err());
    assert_eq!(kept.outcomes(), [("cancelled", None)]);
}
