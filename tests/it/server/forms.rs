//! Forms cost time and memory in proportion to their length, have a deadline, and delay no other request.

use crate::second_state::modules;
use iof_tests::{call::Answer, server::Server};
use std::time::{Duration, Instant};

const FORM: &str = "application/x-www-form-urlencoded";

fn fields(count: usize) -> String {
    let fields: Vec<_> = (0..count).map(|at| format!("a{at}=b")).collect();
    fields.join("&")
}

async fn hello(config: &str) -> (Server, u64) {
    let server = Server::start(config).await;
    let id = server.upload(modules::hello()).await.id;
    (server, id)
}

fn post(server: &Server, id: u64, form: String) -> impl Future<Output = Answer> {
    let request = server
        .request("POST", &format!("/api/run/{id}/echo"))
        .header("Content-Type", FORM)
        .body(form);
    server.answer(request)
}

/// Waits until the server computes nothing any more.
async fn assert_idle(server: &Server) {
    for _ in 0..20 {
        let before = server.processor_time().0;
        tokio::time::sleep(Duration::from_millis(500)).await;
        if server.processor_time().0 - before < Duration::from_millis(150) {
            return;
        }
    }
    panic!("it still computes\n{}", server.log());
}

#[tokio::test]
async fn the_fields_of_a_form_are_limited() {
    let (server, id) = hello("").await;
    let answer = post(&server, id, fields(1000)).await;
    assert_eq!(answer.json().as_object().unwrap().len(), 1000);
    for form in [fields(1001), "&".repeat(1000), "a=1&".repeat(250_000)] {
        let answer = post(&server, id, form).await;
        let truth = (answer.http.as_u16(), answer.status(), answer.fault());
        assert_eq!(truth, (413, 413, "form-fields"), "{}", answer.text());
    }
}

/// Regression: a megabyte of fields took the square of their number, a minute here.
#[tokio::test]
async fn the_cost_of_a_form_is_linear() {
    let (server, id) = hello("[server]\nform_fields = 1000000\n").await;
    let start = Instant::now();
    let answer = post(&server, id, fields(100_000)).await;
    assert_eq!(answer.json().as_object().unwrap().len(), 100_000);
    assert!(
        start.elapsed() < Duration::from_secs(15),
        "{:?}",
        start.elapsed()
    );
    // Nested and repeated fields, too.
    for field in ["a[b]", "a[]", "a", "a[b][c][]"] {
        let form = vec![format!("{field}=1"); 100_000].join("&");
        let answer = post(&server, id, form).await;
        assert_eq!((answer.status(), answer.fault()), (200, ""), "{field}");
    }
    assert!(
        start.elapsed() < Duration::from_secs(45),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_form_delays_no_other_connection() {
    let (server, id) = hello("[server]\nform_fields = 1000000\n").await;
    let forms = (0..6).map(|_| post(&server, id, fields(60_000)));
    let forms = futures::future::join_all(forms);
    let neighbours = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..40 {
            // One connection each, so that each core has some.
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let start = Instant::now();
            let answer = client.get(format!("{}/healthz", server.url)).send().await;
            assert_eq!(answer.unwrap().status(), 200);
            slowest = slowest.max(start.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        slowest
    };
    let (answers, slowest) = tokio::join!(forms, neighbours);
    assert!(answers.iter().all(|answer| answer.status() == 200));
    assert!(slowest < Duration::from_millis(900), "{slowest:?}");
}

#[tokio::test]
async fn a_form_ends_with_its_time_its_client_and_its_server() {
    let config = |time: &str| {
        format!("[server]\nform_fields = 100000000\n[limits]\nwall_time = \"{time}\"\n")
    };
    let (server, id) = hello(&config("300ms")).await;
    let start = Instant::now();
    let answer = post(&server, id, fields(1_500_000)).await;
    assert_eq!(
        (answer.status(), answer.fault()),
        (504, "wall-time"),
        "{answer:?}"
    );
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
    assert_idle(&server).await;

    let (mut server, id) = hello(&config("10m")).await;
    let client = post(&server, id, fields(1_500_000));
    let left = tokio::time::timeout(Duration::from_millis(1500), client).await;
    assert!(left.is_err(), "{left:?}");
    assert_idle(&server).await;
    // A stop does not wait for an abandoned form.
    let client = post(&server, id, fields(1_500_000));
    let _ = tokio::time::timeout(Duration::from_millis(1500), client).await;
    let start = Instant::now();
    assert!(server.stop().await.success());
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
}
