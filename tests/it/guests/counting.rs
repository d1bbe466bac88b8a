//! Counters in the storage: concurrent calls make changes that depend on the current values.

use futures::StreamExt;
use iof_tests::{
    call::{Answer, Uploaded},
    guests::guest,
    server::Server,
};
use serde_json::{Value, json};
use std::time::Duration;

const STORAGE: &str = "storage = true\n";

async fn call(server: &Server, function: &Uploaded, export: &str, arguments: Value) -> Answer {
    let path = format!("/v1/functions/{}/call/{export}", function.id);
    server
        .answer(server.request("POST", &path).json(&arguments))
        .await
}

async fn typed(declaration: &str) -> (Server, Uploaded) {
    let server = Server::start("").await;
    let function = server.deploy(guest("typed"), declaration).await;
    (server, function)
}

/// Each of 400 concurrent calls is counted.
#[tokio::test]
async fn four_hundred_parallel_calls_count_to_four_hundred() {
    let (server, function) = typed(STORAGE).await;
    for export in ["sum", "sum_by_update"] {
        let key = export.replace('_', "/");
        let one = |_| call(&server, &function, export, json!({"key": key, "by": 1}));
        let calls = futures::stream::iter(0..400).map(one).buffer_unordered(400);
        let mut sums: Vec<u64> = calls
            .map(|answer| {
                assert_eq!(answer.http, 200, "{export}: {}", answer.text());
                answer.json().as_u64().unwrap()
            })
            .collect()
            .await;
        sums.sort_unstable();
        assert_eq!(sums, (1..=400).collect::<Vec<_>>(), "{export}");
        let last = call(&server, &function, export, json!({"key": key, "by": 0})).await;
        assert_eq!(last.json(), 400, "{export}");
    }
}

/// The sum of three accounts stays the same while amounts move between them.
#[tokio::test]
async fn transfers_keep_the_sum() {
    let (server, function) = typed(STORAGE).await;
    let accounts = ["a", "b", "c"];
    for account in accounts {
        call(
            &server,
            &function,
            "sum",
            json!({"key": account, "by": 100}),
        )
        .await;
    }
    let one = |at: usize| {
        let (from, to) = (accounts[at % 3], accounts[(at + 1 + at / 3 % 2) % 3]);
        let arguments = json!({"from": from, "to": to, "amount": 1 + at % 40});
        call(&server, &function, "transfer", arguments)
    };
    let calls = futures::stream::iter(0..120).map(one).buffer_unordered(30);
    let answers: Vec<_> = calls.collect().await;
    for answer in &answers {
        assert_eq!(answer.http, 200, "{}", answer.text());
    }
    let mut sum = 0;
    for account in accounts {
        let balance = call(&server, &function, "sum", json!({"key": account, "by": 0})).await;
        let balance = balance.json().as_i64().unwrap();
        assert!(balance >= 0);
        sum += balance;
    }
    assert_eq!(sum, 300);
}

#[tokio::test]
async fn counters_survive_a_kill() {
    let (mut server, function) = typed(STORAGE).await;
    for _ in 0..20 {
        call(&server, &function, "sum", json!({"key": "k", "by": 3})).await;
    }
    server.kill().await;
    let server = server.restart().await;
    let sum = call(&server, &function, "sum", json!({"key": "k", "by": 0})).await;
    assert_eq!(sum.json(), 60);
}

#[tokio::test]
async fn a_value_that_is_not_a_number_is_named() {
    let (server, function) = typed(STORAGE).await;
    let keep = json!({"key": "text", "text": "not a number", "milliseconds": 600_000});
    assert_eq!(call(&server, &function, "keep_for", keep).await.http, 204);
    let refused = call(&server, &function, "sum", json!({"key": "text", "by": 1})).await;
    assert_eq!(
        (refused.http.as_u16(), refused.fault()),
        (502, "function:storage-number")
    );
    let most = json!({"key": "most", "by": i64::MAX});
    assert_eq!(call(&server, &function, "sum", most).await.http, 200);
    let over = call(&server, &function, "sum", json!({"key": "most", "by": 1})).await;
    assert_eq!(over.fault(), "function:storage-number");
    let ungranted = server.deploy(guest("typed"), "").await;
    for (export, arguments) in [
        ("sum", json!({"key": "k", "by": 1})),
        ("fill", json!({"prefix": "k", "from": 0, "to": 1})),
    ] {
        let refused = call(&server, &ungranted, export, arguments).await;
        assert_eq!(refused.fault(), "storage-not-granted", "{export}");
    }
}

#[tokio::test]
async fn a_value_expires() {
    let (server, function) = typed(STORAGE).await;
    let text = || call(&server, &function, "text_of", json!({"key": "k"}));
    let keep = |milliseconds: u64| {
        let arguments = json!({"key": "k", "text": "there", "milliseconds": milliseconds});
        call(&server, &function, "keep_for", arguments)
    };
    keep(60_000).await;
    assert_eq!(text().await.json(), "there");
    keep(300).await;
    assert_eq!(text().await.json(), "there");
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(text().await.json(), Value::Null);
    for far in [u64::MAX, 1 << 62] {
        keep(far).await;
        assert_eq!(text().await.json(), "there");
    }
    keep(0).await;
    assert_eq!(text().await.json(), Value::Null);
}

#[tokio::test]
async fn keys_are_listed_in_pages() {
    let (server, function) = typed("storage = true\n[limits]\nstorage_transactions = 1000\n").await;
    for from in [0, 900, 1800] {
        let arguments = json!({"prefix": "p/", "from": from, "to": from + 900});
        let filled = call(&server, &function, "fill", arguments).await;
        assert_eq!(filled.http, 204, "{}", filled.text());
    }
    for (prefix, keys, pages) in [("p/", 2700, 3), ("p/0000", 100, 1), ("q", 0, 0)] {
        let listed = call(&server, &function, "pages_of", json!({ "prefix": prefix })).await;
        assert_eq!(listed.json(), json!([keys, pages]), "{prefix}");
    }
}

#[tokio::test]
async fn batches_are_within_the_limits_of_storage() {
    let server = Server::start("[limits]\nstorage = \"10KiB\"\nstorage_transactions = 150\n").await;
    let function = server.deploy(guest("typed"), STORAGE).await;
    let fill = |from: u32, to: u32| {
        call(
            &server,
            &function,
            "fill",
            json!({"prefix": "k", "from": from, "to": to}),
        )
    };
    assert_eq!(fill(0, 150).await.http, 204);
    let many = fill(0, 151).await;
    assert_eq!(
        (many.http.as_u16(), many.fault()),
        (500, "storage-transactions")
    );
    let full = fill(150, 250).await;
    assert_eq!((full.http.as_u16(), full.fault()), (507, "storage"));
    let listed = call(&server, &function, "pages_of", json!({"prefix": "k"})).await;
    assert_eq!(listed.json(), json!([150, 1]));
}

/// A replayed call counts as the recorded one did, offline, and stores nothing.
#[tokio::test]
async fn a_replay_counts_like_the_recorded_call() {
    let (server, function) = typed("storage = true\nrecord = \"always\"\n").await;
    for (export, arguments) in [
        ("sum", json!({"key": "a", "by": 5})),
        ("sum_by_update", json!({"key": "b", "by": 2})),
        ("transfer", json!({"from": "a", "to": "b", "amount": 1})),
        (
            "keep_for",
            json!({"key": "c", "text": "t", "milliseconds": 9}),
        ),
    ] {
        let answer = call(&server, &function, export, arguments).await;
        assert!(answer.http.is_success(), "{}", answer.text());
        let path = format!("/v1/calls/{}/replay", answer.header("iof-call"));
        let replayed = loop {
            let again = server
                .request("POST", &path)
                .bearer_auth(&function.admin_key);
            let again = server.answer(again).await;
            if again.http == 200 {
                break again.json();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert_eq!(replayed["same"], true, "{export}: {replayed}");
    }
    let sum = call(&server, &function, "sum", json!({"key": "a", "by": 0})).await;
    assert_eq!(sum.json(), 4);
}
