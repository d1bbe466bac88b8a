//! Malformed and hostile multipart bodies, which are refused quickly and by name.

use super::multipart::{Part, assert_refused, hello, post, send};
use crate::second_state::modules::form;
use iof_tests::{joey::Joey, upstream::binary};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_malformed_body_is_refused() {
    let (server, function) = hello("").await;
    let joey = Joey::http(&server);
    let id = function.id;
    let (kind, body) = form(&[("input_1", None, b"one"), ("input_2", Some("f"), &binary())]);
    for wrong in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=another",
        "multipart/form-data; border=x",
    ] {
        assert_refused(
            &send(&joey, id, "echo", wrong, &body).await,
            400,
            "multipart",
        );
    }
    // A body that is cut anywhere is refused.
    for cut in (1..body.len() - 4).step_by(37) {
        assert_refused(
            &send(&joey, id, "three", &kind, &body[..cut]).await,
            400,
            "multipart",
        );
    }
    assert_eq!(
        post(&joey, id, "say", &[("a", None, b"Tim")]).await.text(),
        "hello Tim"
    );
}

/// A hostile body gets a clear answer quickly, and the server works afterwards.
#[tokio::test]
async fn hostile_bodies_are_refused_quickly() {
    let (server, function) = hello("").await;
    let joey = Joey::http(&server);
    let id = function.id;
    let many: Vec<Part> = (0..10_000).map(|_| ("x", None, &b"y"[..])).collect();
    let long = "n".repeat(1 << 20);
    let headers = {
        let (kind, body) = form(&[("a", None, b"x")]);
        let flood = format!("\r\nX-Flood: {}", "f".repeat(1 << 20));
        let at = body
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        (kind, [&body[..at], flood.as_bytes(), &body[at..]].concat())
    };
    let start = Instant::now();
    assert_refused(
        &post(&joey, id, "echo", &many).await,
        413,
        "multipart-parts",
    );
    for answer in [
        post(&joey, id, "echo", &[(&*long, None, b"x")]).await,
        send(&joey, id, "echo", &headers.0, &headers.1).await,
    ] {
        let clear = matches!(answer.fault(), "multipart" | "multipart-parts");
        assert!(clear && answer.http.as_u16() >= 400, "{answer:?}");
    }
    // Numbers beyond any list of arguments, or repeated: refused or read as names, but memory is never reserved for
    // them.
    for names in [
        &["input_4294967296"][..],
        &["input_4294967295", "input_1"],
        &["input_18446744073709551616"],
        &["input_1000000"],
        &["input_0"],
        &["input_-1"],
        &["input_1", "other_1"],
        &["input_1", "input_1"],
    ] {
        let parts: Vec<Part> = names
            .iter()
            .map(|name| (*name, None, &b"Tim"[..]))
            .collect();
        let answer = post(&joey, id, "say", &parts).await;
        let read = (answer.status(), answer.text().as_str()) == (200, "hello Tim");
        let refused = matches!(
            answer.fault(),
            "multipart" | "multipart-parts" | "arguments"
        );
        assert!(read || refused, "{names:?} {answer:?} {}", answer.text());
    }
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(
        post(&joey, id, "say", &[("a", None, b"Tim")]).await.text(),
        "hello Tim"
    );
}

#[tokio::test]
async fn the_number_of_parts_is_a_setting() {
    let (server, function) = hello("[server]\nmultipart_parts = 3\n").await;
    let joey = Joey::http(&server);
    let parts: Vec<Part> = ["a_1", "b_2", "c_3", "d_4"]
        .map(|name| (name, None, &b"x"[..]))
        .into();
    assert_eq!(
        post(&joey, function.id, "three", &parts[..3]).await.text(),
        "x|x|x"
    );
    let answer = post(&joey, function.id, "three", &parts).await;
    assert_refused(&answer, 413, "multipart-parts");
    assert!(
        answer
            .header("iof-message")
            .contains("server.multipart_parts"),
        "{answer:?}"
    );
}
