//! Many functions that take turns: the code and the memory of each stay in place, whatever the others do.

use iof_tests::guests::wat;
use iof_tests::server::Server;
use serde_json::Value;

/// More functions than calls can run at once, so that slots for calls would not suffice.
const FUNCTIONS: u64 = 40;

/// A module that counts in its memory, which is reset for each call.
fn module(number: u64) -> Vec<u8> {
    wat(&format!(
        r#"(module
             (memory (export "memory") 2)
             (data (i32.const 70000) "\{number:02x}")
             (func (export "count") (result i32)
               (i32.store8 (i32.const 70001) (i32.add (i32.load8_u (i32.const 70001)) (i32.const 1)))
               (i32.add
                 (i32.mul (i32.load8_u (i32.const 70000)) (i32.const 10))
                 (i32.load8_u (i32.const 70001)))))"#
    ))
}

async fn figures(server: &Server) -> Value {
    server.get("/v1/server").await.json()
}

async fn rounds(server: &Server, rounds: usize) {
    for _ in 0..rounds {
        for number in 1..=FUNCTIONS {
            let answer = server.run(number, "count", "").await;
            assert_eq!(answer.text(), (number * 10 + 1).to_string());
        }
    }
}

#[tokio::test]
async fn functions_that_take_turns_cause_no_mapping() {
    let server = Server::start("[server]\nconcurrency = 2\n").await;
    for number in 1..=FUNCTIONS {
        server.upload(module(number)).await;
    }
    rounds(&server, 2).await;
    let before = figures(&server).await;
    rounds(&server, 5).await;
    let after = figures(&server).await;

    assert_eq!(before["functions"]["loaded"], FUNCTIONS, "{before}");
    assert_eq!(before["functions"]["loads"], FUNCTIONS, "{before}");
    assert_eq!(after["functions"], before["functions"]);
    assert_eq!(after["slots"]["warm"], FUNCTIONS, "{after}");
    assert_eq!(after["slots"]["used"], 0, "{after}");
    let maps = |of: &Value| of["maps"]["used"].as_i64().unwrap();
    let more = maps(&after) - maps(&before);
    // The allocator and the store make some such calls themselves.
    assert!(more.abs() < FUNCTIONS.cast_signed() / 4, "{before} {after}");
    assert!(after["maps"]["limit"].as_i64().unwrap() > maps(&after));
}

#[tokio::test]
async fn unloaded_functions_are_loaded_again_correctly() {
    let server = Server::start("[server]\nconcurrency = 2\nloaded_memory = \"1 MiB\"\n").await;
    for number in 1..=FUNCTIONS {
        server.upload(module(number)).await;
    }
    rounds(&server, 3).await;
    let figures = figures(&server).await;
    let functions = &figures["functions"];
    let limit = functions["limit"].as_u64().unwrap();
    assert!(limit < FUNCTIONS, "{figures}");
    assert_eq!(functions["bound"], "server.loaded_memory", "{figures}");
    assert!(
        functions["loaded"].as_u64().unwrap() <= limit + 1,
        "{figures}"
    );
    assert!(
        functions["evictions"].as_u64().unwrap() > FUNCTIONS,
        "{figures}"
    );
    // Their slots are released with them.
    let slots = figures["slots"]["limit"].as_u64().unwrap();
    assert!(
        figures["slots"]["warm"].as_u64().unwrap() <= slots,
        "{figures}"
    );
}

/// A change of a function that was unloaded to make room is visible when it is loaded again.
#[tokio::test]
async fn an_unloaded_function_has_the_state_of_its_row() {
    let server = Server::start("[server]\nloaded_memory = \"64 KiB\"\n").await;
    let first = server.upload(module(1)).await;
    let second = server.upload(module(2)).await;
    for _ in 0..2 {
        for function in [&first, &second] {
            assert_eq!(server.run(function.id, "count", "").await.fault(), "");
        }
    }
    let delete = server
        .request("DELETE", &format!("/v1/functions/{}", first.id))
        .bearer_auth(&first.admin_key);
    assert!(server.answer(delete).await.http.is_success());
    assert_eq!(
        server.run(first.id, "count", "").await.fault(),
        "no-such-function"
    );
    assert_eq!(server.run(second.id, "count", "").await.text(), "21");
}
