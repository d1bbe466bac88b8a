//! The ends of an exchange that is not whole: a fault before the head is an answer, and after it the body is cut.

use super::{get, handler, path, row};
use std::time::{Duration, Instant};

const SMALL: &str = "[limits]\nwall_time = \"6s\"\nfirst_byte = \"3s\"\nbetween_bytes = \"700ms\"\nguest_cpu = \"500ms\"\n";

#[tokio::test]
async fn a_fault_before_the_head_is_an_answer() {
    let (server, function) = handler(SMALL).await;
    for (below, status, fault) in [
        ("/trap", 502, "trap"),
        ("/nothing", 502, "response"),
        ("/error", 502, "response"),
        ("/sleep?9000", 504, "first-byte"),
    ] {
        let answer = get(&server, &function, below).await;
        assert_eq!(
            (answer.http.as_u16(), answer.fault()),
            (status, fault),
            "{below}: {}",
            answer.text()
        );
        assert_eq!(answer.json()["fault"], fault);
    }
    let last = row(&server, &function, 4).await;
    assert_eq!(last["fault"], "first-byte", "{last}");
    assert_eq!(get(&server, &function, "/hello").await.text(), "hello");
}

/// `p2_api_proxy_*`: never ended as if whole.
#[tokio::test]
async fn a_fault_after_the_head_cuts_the_body() {
    let (server, function) = handler(SMALL).await;
    let http2 = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let mut rows = 0;
    for (below, fault) in [
        ("/trap-after", "trap"),
        ("/dropped", "response"),
        ("/forgotten", super::FORGOTTEN),
        ("/short", "response"),
        ("/pause?2000", "between-bytes"),
    ] {
        for client in [None, Some(&http2)] {
            let url = format!("{}{}", server.url, path(&function, below));
            let request = match client {
                None => server.request("GET", &path(&function, below)),
                Some(client) => client.get(&url),
            };
            // What fails at once may take the head of the answer along.
            if let Ok(response) = request.send().await {
                assert_eq!(response.status(), 200, "{below}");
                let read = response.bytes().await;
                assert!(read.is_err(), "{below}: {read:?}");
            }
            rows += 1;
            let row = row(&server, &function, rows).await;
            assert_eq!(row["fault"], fault, "{below}: {row}");
        }
    }
}

/// `p2_cli_serve_*_timeout`: the whole of it, whatever arrives meanwhile.
#[tokio::test]
async fn the_time_of_a_call_ends_with_its_body() {
    let (server, function) = handler(SMALL).await;
    let began = Instant::now();
    let response = server
        .request("GET", &path(&function, "/events?100"))
        .send()
        .await
        .unwrap();
    assert!(response.bytes().await.is_err());
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(5) && took < Duration::from_secs(12),
        "{took:?}"
    );
    let row = row(&server, &function, 1).await;
    assert_eq!(row["fault"], "wall-time", "{row}");
}

#[tokio::test]
async fn others_are_not_touched() {
    let (server, function) = handler(SMALL).await;
    let spin = server.request("GET", &path(&function, "/spin"));
    let quick = async {
        for _ in 0..10 {
            assert_eq!(get(&server, &function, "/hello").await.text(), "hello");
        }
    };
    let (spin, ()) = tokio::join!(server.answer(spin), quick);
    assert_eq!(spin.fault(), "guest-cpu");
}
