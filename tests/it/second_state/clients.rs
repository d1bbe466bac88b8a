//! The harness's client of 2020 itself: it sends the bytes of those clients, and reads every kind of answer.

use iof_tests::{
    joey::{Joey, Manner},
    upstream::{Upstream, binary},
};
use serde_json::json;

#[tokio::test]
async fn requests_are_those_of_curl_and_of_node() {
    let upstream = Upstream::start().await;
    for manner in [Manner::Curl, Manner::Node] {
        let joey = Joey::to(upstream.address()).like(manner);
        for length in [0, 1, 1024, 1025, 3 << 20] {
            let body = "x".repeat(length);
            let call = joey
                .call("POST", "/echo?a=[1]")
                .header("SSVM_Admin_Key", "k");
            let echo = call.body(&body).send().await.json();
            assert!(echo["body"] == body, "{manner:?} {length}");
            let headers = &echo["headers"];
            assert_eq!(headers["ssvm_admin_key"], "k");
            let expected = match manner {
                Manner::Curl => (
                    json!(length.to_string()),
                    json!(null),
                    json!("application/x-www-form-urlencoded"),
                ),
                Manner::Node => (json!(null), json!("chunked"), json!(null)),
            };
            let framed = (
                headers["content-length"].clone(),
                headers["transfer-encoding"].clone(),
                headers["content-type"].clone(),
            );
            assert_eq!(framed, expected, "{manner:?} {length}");
        }
        let echo = joey.get("/echo").await.json();
        assert_eq!(
            (&echo["method"], &echo["body"]),
            (&json!("GET"), &json!(""))
        );
    }
}

#[tokio::test]
async fn answers_of_every_framing_are_read_whole() {
    let upstream = Upstream::start().await;
    for manner in [Manner::Curl, Manner::Node] {
        let joey = Joey::to(upstream.address()).like(manner);
        assert_eq!(joey.get("/drip/5/1").await.text(), ".....");
        assert_eq!(joey.get("/size/200000").await.body.len(), 200_000);
        assert!(joey.get("/binary").await.body == binary());
        let nothing = joey.get("/nothing").await;
        assert_eq!((nothing.http.as_u16(), nothing.body.len()), (204, 0));
        assert_eq!(joey.get("/status/404").await.text(), "status 404");
    }
}
