//! The bodies of functions with one raw argument, and of those with fields.

use super::{addresses, post, typed};
use iof_tests::{guests::guest, server::Server};

/// Bodies of webhooks.
const BODIES: [(&str, &str); 7] = [
    ("application/json", "{\"action\":\"opened\",\"body\":{}}"),
    ("application/json; charset=utf-16", "{}"),
    ("application/x-www-form-urlencoded", "token=a&text=b%20c"),
    ("application/cloudevents+json", "{}"),
    ("text/xml", "<a/>"),
    ("multipart/form-data", "no boundary"),
    ("", "[1]"),
];

#[tokio::test]
async fn any_body_of_any_type_arrives_unchanged() {
    let (server, function) = typed().await;
    for (content_type, body) in BODIES {
        for path in addresses(&function, "raw_text") {
            let answer = post(&server, &path, content_type, body).await;
            assert_eq!(answer.http, 200, "{path} {content_type}: {}", answer.text());
            assert_eq!(answer.text(), format!("{} {body}", body.len()));
        }
    }
    let large = vec![0xff; 3 << 20];
    for path in addresses(&function, "raw_bytes") {
        for body in [vec![], vec![0], b"[1,2]".to_vec(), large.clone()] {
            let answer = post(&server, &path, "application/json", body.clone()).await;
            assert_eq!((answer.http.as_u16(), &answer.body), (200, &body), "{path}");
        }
    }
    for path in addresses(&function, "raw_json") {
        for (body, action) in [
            ("{\"action\":\"opened\"}", "\"opened\""),
            ("[1]", "null"),
            ("", "null"),
        ] {
            let answer = post(&server, &path, "text/plain", body).await;
            assert_eq!(
                (answer.http.as_u16(), &*answer.text()),
                (200, action),
                "{path} {body}"
            );
        }
    }
}

#[tokio::test]
async fn bodies_that_a_raw_function_cannot_take_are_named() {
    let (server, function) = typed().await;
    for index in [0, 1] {
        let path = |export| addresses(&function, export)[index].clone();
        for (export, body, fault) in [
            ("raw_text", &b"a\xff"[..], "arguments"),
            ("raw_json", b"{\"a\":", "json"),
            ("raw_json", b"\"\xff\"", "json"),
            ("raw_json", b"{} {}", "json"),
        ] {
            let answer = post(&server, &path(export), "text/plain", body.to_vec()).await;
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (400, fault),
                "{export} {body:?}"
            );
        }
        let deep = "[".repeat(2000) + &"]".repeat(2000);
        let deep = post(&server, &path("raw_json"), "", deep).await;
        assert_eq!((deep.http.as_u16(), deep.fault()), (413, "json-depth"));
        let query = post(&server, &(path("raw_text") + "?a=1"), "", "x").await;
        assert_eq!((query.http.as_u16(), query.fault()), (400, "query"));
        assert!(query.text().contains("?a=1"), "{}", query.text());
    }
}

#[tokio::test]
async fn bodies_of_webhooks_are_limited() {
    let server = Server::start("[server]\nrequest_body = \"100KiB\"\n").await;
    let function = server.deploy(guest("typed"), "").await;
    for export in ["raw_bytes", "show"] {
        for path in addresses(&function, export) {
            let fits = post(&server, &path, "", vec![b'a'; 100 << 10]).await;
            assert_eq!(fits.http, 200, "{}", fits.text());
            let answer = post(&server, &path, "", vec![b'a'; (100 << 10) + 1]).await;
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (413, "request-body"),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn fields_of_a_form_or_a_query_are_arguments() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let (server, function) = typed().await;
    for path in addresses(&function, "fields") {
        for (body, text) in [
            ("name=Ada+L%2E&count=3", "Ada L. 3 None"),
            ("count=0&name=&tags=%5B%22a%22%5D", " 0 Some([\"a\"])"),
        ] {
            let answer = post(&server, &path, FORM, body).await;
            assert_eq!(
                (answer.http.as_u16(), &*answer.text()),
                (200, text),
                "{path}"
            );
        }
        for (body, words) in [
            ("name=Ada", "`count` is missing"),
            ("name=Ada&count=1&more=2", "there is no `more`"),
            (
                "name=Ada&count=1&count=2",
                "`count` was sent more than once",
            ),
            ("name=Ada&count=x", "32 bits"),
            ("name=Ada&count=1&tags=a", "`tags` is not JSON"),
        ] {
            let answer = post(&server, &path, FORM, body).await;
            assert_eq!(
                (answer.http.as_u16(), answer.fault()),
                (400, "arguments"),
                "{body}"
            );
            assert!(answer.text().contains(words), "{}", answer.text());
        }
        let many = "a=1&".repeat(1000);
        let many = post(&server, &path, FORM, many).await;
        assert_eq!((many.http.as_u16(), many.fault()), (413, "form-fields"));
        let json = post(
            &server,
            &path,
            "application/json",
            "{\"name\":\"Ada\",\"count\":1}",
        )
        .await;
        assert_eq!(json.text(), "Ada 1 None");
    }
    let path = &addresses(&function, "fields")[0];
    let answer = server.get(&format!("{path}?name=Ada%20L.&count=3")).await;
    assert_eq!(
        (answer.http.as_u16(), &*answer.text()),
        (200, "Ada L. 3 None")
    );
    let short = server.get(&format!("{path}?name=Ada")).await;
    assert_eq!((short.http.as_u16(), short.fault()), (400, "arguments"));
    // A function without described names has no fields.
    let plain = server.upload(guest("hello")).await;
    let form = post(&server, &format!("/fn/{}/say", plain.id), FORM, "a=b").await;
    assert_eq!((form.http.as_u16(), form.fault()), (415, "content-type"));
    let text = post(
        &server,
        &format!("/fn/{}/say", plain.id),
        "text/plain",
        "Ada",
    )
    .await;
    assert_eq!((text.http.as_u16(), &*text.text()), (200, "hello Ada"));
}
