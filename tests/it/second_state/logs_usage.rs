//! The calls that a function's owner sees: the log, and the usage.

use super::keys_state_logs::{NIL, TEXT, invocations, owned, run, set_state, usage};
use crate::second_state::modules;
use iof_tests::{joey::Joey, server::Server};
use serde_json::{Value, json};

#[tokio::test]
async fn the_log_begins_with_the_first_call() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::hello()).await;
    let log = async |query: &str| {
        owned(&joey, &function, "GET", &format!("/api/log/{{id}}{query}")).await
    };
    assert_eq!(log("").await.text(), "{}", "nothing yet");
    assert_eq!(log("?last=5").await.text(), "[]");
    joey.run(1, "say", TEXT, "Tim").await;
    let first = log("").await;
    let at = first.json()["execution_timestamp"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        first.text(),
        format!(
            r#"{{"log_id":1,"wasm_executable_id":1,"wasm_executable_state":"\"{{}}\"","execution_timestamp":"{at}","execution_object":"{{\"original_wasm_executables_id\":\"1\",\"data_payload\":\"Tim\"}}"}}"#
        )
    );
    // A time in JavaScript's form.
    let shape: String = at
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");

    set_state(&joey, &function, "a \"state\"").await;
    joey.run(1, "say", "application/json", "{\"a\": 1}").await;
    joey.run(1, "trap", TEXT, "last").await;
    assert_eq!(log("").await.text(), first.text(), "still the first");
    let newest = log("?last=2").await.json();
    let payload = |row: &Value| -> Value {
        let object: Value =
            serde_json::from_str(row["execution_object"].as_str().unwrap()).unwrap();
        object["data_payload"].clone()
    };
    assert_eq!(newest.as_array().unwrap().len(), 2, "{newest}");
    assert_eq!(
        (payload(&newest[0]), payload(&newest[1])),
        (json!("last"), json!({ "a": 1 }))
    );
    assert_eq!(newest[1]["wasm_executable_state"], "\"a \\\"state\\\"\"");
    assert_eq!(log("?last=100").await.json().as_array().unwrap().len(), 3);
    let columns = log("?filterBy=%5B%22log_id%22,%22execution_object%22%5D")
        .await
        .json();
    assert_eq!(columns["log_id"], 1);
    assert_eq!(columns.as_object().unwrap().len(), 2, "{columns}");
}

#[tokio::test]
async fn a_log_is_read_only_by_its_owner() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::hello()).await;
    let other = server.upload(modules::hello()).await;
    joey.run(function.id, "say", TEXT, "a secret").await;
    for key in [None, Some(NIL), Some(&*other.admin_key)] {
        for query in ["", "?last=1", "?filterBy=%5B%22log_id%22%5D"] {
            let mut call = joey.call("GET", format!("/api/log/{}{query}", function.id));
            if let Some(key) = key {
                call = call.header("SSVM_Admin_Key", key);
            }
            let answer = call.send().await;
            assert_eq!(
                answer.json(),
                json!({ "error": "Wrong admin key ... 1 can not be accessed." })
            );
            assert_eq!((answer.status(), answer.fault()), (403, "admin-key"));
        }
    }
}

/// A read sees every call that was answered before, however many calls run at once.
#[tokio::test]
async fn no_answered_call_is_missing_in_the_log() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::hello()).await;
    for round in 1..=5 {
        let calls = (0..20).map(|_| run(&joey, function.id, "say", None));
        futures::future::join_all(calls).await;
        let rows = owned(&joey, &function, "GET", "/api/log/{id}?last=1000")
            .await
            .json();
        let ids: Vec<u64> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["log_id"].as_u64().unwrap())
            .collect();
        assert_eq!(ids.len(), round * 20);
        assert!(ids.is_sorted_by(|a, b| a > b), "newest first: {ids:?}");
        assert_eq!(invocations(&joey, &function).await, round * 20);
    }
}

#[tokio::test]
async fn usage_is_counted_for_its_owner() {
    let server = Server::start("").await;
    let joey = Joey::http(&server);
    let function = server.upload(modules::hello()).await;
    for _ in 0..3 {
        run(&joey, function.id, "say", None).await;
    }
    let usage = usage(&joey, &function).await;
    assert_eq!(usage["total_invocations"], 3, "{usage}");
    assert!(usage["total_gas_consumed"].as_u64().unwrap() > 0, "{usage}");
    // Numbers as texts, by the second of the call, as in the original.
    assert!(
        usage["latest_execution_time_in_nanoseconds"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .is_ok()
    );
    let report = usage["full_usage_report"].as_object().unwrap();
    assert!(!report.is_empty(), "{usage}");
    for (second, entry) in report {
        assert!(second.parse::<u64>().unwrap() > 1_600_000_000, "{usage}");
        for name in ["gas", "total_execution_time"] {
            assert!(
                entry[name].as_str().unwrap().parse::<u64>().is_ok(),
                "{usage}"
            );
        }
    }
    // The usage of one function is separate from that of others.
    let other = server.upload(modules::hello()).await;
    assert_eq!(invocations(&joey, &other).await, 0);
}
