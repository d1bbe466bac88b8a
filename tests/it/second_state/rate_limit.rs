//! `second_state.rate_limit`: requests of one address in a minute, with the headers and the texts of 2020.

use iof_tests::{call::Answer, joey::Joey, server::Server};
use std::time::{SystemTime, UNIX_EPOCH};

const WORDS: &str = "Too many requests, please try again later.";

fn number(answer: &Answer, name: &str) -> u64 {
    let value = answer.header(name);
    value
        .parse()
        .unwrap_or_else(|_| panic!("{name} is {value:?} in {answer:?}"))
}

/// Sends so many requests that the last one is refused, all within one window.
async fn drain(joey: &Joey, limit: u64) -> Vec<Answer> {
    for _ in 0..3 {
        let mut answers = vec![];
        for _ in 0..=limit {
            answers.push(joey.get("/api/executables").await);
        }
        let resets: Vec<u64> = answers
            .iter()
            .map(|answer| number(answer, "x-ratelimit-reset"))
            .collect();
        // A new minute may begin in the middle; the requests are then repeated.
        if resets.iter().all(|reset| reset.abs_diff(resets[0]) <= 1) {
            return answers;
        }
    }
    panic!("a minute does not begin three times in a row");
}

#[tokio::test]
async fn one_more_than_the_limit_is_refused() {
    let server = Server::start("[second_state]\nrate_limit = 5\n").await;
    let joey = Joey::http(&server);
    let answers = drain(&joey, 5).await;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    for (at, answer) in answers.iter().enumerate() {
        assert_eq!(number(answer, "x-ratelimit-limit"), 5);
        let left = 4_u64.saturating_sub(u64::try_from(at).unwrap());
        assert_eq!(number(answer, "x-ratelimit-remaining"), left, "{at}");
        let reset = number(answer, "x-ratelimit-reset");
        assert!(
            (now.saturating_sub(1)..=now + 61).contains(&reset),
            "{reset} at {now}"
        );
        assert_eq!(answer.http.as_u16(), if at < 5 { 200 } else { 429 }, "{at}");
    }
    let refused = &answers[5];
    assert_eq!(
        (refused.text().as_str(), refused.status(), refused.fault()),
        (WORDS, 429, "rate-limit")
    );
    assert_eq!(refused.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(refused.header("x-content-type-options"), "nosniff");
    assert!(number(refused, "retry-after") <= 60);
    // The probes of a monitor are neither counted nor refused.
    for _ in 0..10 {
        assert_eq!(joey.get("/healthz").await.http.as_u16(), 200);
    }
}

#[tokio::test]
async fn every_route_of_the_api_counts() {
    let server = Server::start("[second_state]\nrate_limit = 3\n").await;
    let joey = Joey::http(&server);
    drain(&joey, 3).await;
    for (method, path) in [
        ("POST", "/api/executables"),
        ("GET", "/api/executables/1"),
        ("POST", "/api/run/1/say"),
        ("POST", "/api/run/1/say/bytes"),
        ("POST", "/api/multipart/run/1/say"),
        ("GET", "/api/state/1"),
        ("PUT", "/api/keys/1/usage_key"),
        ("GET", "/api/log/1"),
        ("POST", "/api/ephemeral_storage"),
    ] {
        let answer = joey.call(method, path).send().await;
        assert_eq!(
            (answer.http.as_u16(), answer.text().as_str()),
            (429, WORDS),
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn each_address_has_its_own_limit() {
    let server = Server::start("[second_state]\nrate_limit = 3\n").await;
    let joey = Joey::http(&server);
    assert_eq!(drain(&joey, 3).await[3].http.as_u16(), 429);
    let other = Joey::http(&server).from("127.0.0.2".parse().unwrap());
    let answer = other.get("/api/executables").await;
    assert_eq!(
        (
            answer.http.as_u16(),
            number(&answer, "x-ratelimit-remaining")
        ),
        (200, 2)
    );
    // A forwarded address of an untrusted sender is ignored.
    let claims = joey
        .call("GET", "/api/executables")
        .header("X-Forwarded-For", "192.0.2.1");
    assert_eq!(claims.send().await.http.as_u16(), 429);
}

#[tokio::test]
async fn concurrent_requests_have_the_same_limit() {
    let server = Server::start("[second_state]\nrate_limit = 20\n").await;
    let joey = Joey::http(&server);
    let mut passed = 0;
    for _ in 0..3 {
        let answers =
            futures::future::join_all((0..50).map(|_| joey.get("/api/executables"))).await;
        passed = answers
            .iter()
            .filter(|answer| answer.http.as_u16() == 200)
            .count();
        let first = number(&answers[0], "x-ratelimit-reset");
        if answers
            .iter()
            .all(|answer| number(answer, "x-ratelimit-reset").abs_diff(first) <= 1)
        {
            break;
        }
    }
    assert_eq!(passed, 20);
}

#[tokio::test]
async fn by_default_nothing_is_limited() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    for _ in 0..150 {
        let answer = joey.get("/api/executables").await;
        assert_eq!(
            (answer.http.as_u16(), answer.header("x-ratelimit-limit")),
            (200, "")
        );
    }
}
