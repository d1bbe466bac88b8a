//! Programs of WASI 0.3: what only they can do, and what they cannot.

use iof_tests::{
    call::{Answer, Uploaded},
    guests::handler_component,
    server::Server,
};
use serde_json::json;

async fn program(config: &str) -> (Server, Uploaded) {
    let server = Server::start(config).await;
    let program = server.deploy(handler_component("program-0-3"), "").await;
    (server, program)
}

async fn run(server: &Server, program: &Uploaded, words: &[&str]) -> Answer {
    let path = format!("/v1/functions/{}/call/main", program.id);
    let arguments = json!({ "stdin": "", "args": words });
    server
        .answer(server.request("POST", &path).json(&arguments))
        .await
}

/// `p3_cli_hello_stdout_post_return`: the call lasts until the last task has ended.
#[tokio::test]
async fn tasks_go_on_when_it_has_returned() {
    let (server, program) = program("").await;
    let answer = run(&server, &program, &["after"]).await;
    assert_eq!(answer.text(), "before and after");
    let answer = run(&server, &program, &["fail"]).await;
    assert_eq!(answer.fault(), "exit");
    assert!(answer.text().contains("status 1"), "{}", answer.text());
}

#[tokio::test]
async fn sockets_and_names_are_denied() {
    let (server, program) = program("").await;
    let answer = run(&server, &program, &["connect"]).await;
    let text = answer.text();
    assert_eq!(answer.http, 200, "{text}");
    assert!(!text.contains("Ok("), "{text}");
    assert_eq!(text.matches("AccessDenied").count(), 2, "{text}");
    assert!(text.contains("PermanentResolverFailure"), "{text}");
}

#[tokio::test]
async fn files_are_those_of_the_call_within_its_limits() {
    let (server, program) = program("[limits]\nfiles = 8\nscratch = \"1MiB\"\n").await;
    for (words, text) in [
        (&["streams", "5"][..], "5"),
        (&["lists", "5"], "5"),
        (&["write", "500000"], "500000 Ok(())"),
        (&["random", "2000000"], "1048576"),
        (&["random", "7"], "7"),
    ] {
        let answer = run(&server, &program, words).await;
        assert_eq!(answer.text(), text, "{words:?}");
    }
    for (words, fault) in [
        (&["streams", "8"][..], "files"),
        // Lists that nobody reads are files, and hold no thread of the server.
        (&["lists", "8"], "files"),
        (&["write", "2000000"], "scratch"),
    ] {
        let answer = run(&server, &program, words).await;
        assert_eq!(answer.fault(), fault, "{words:?}: {}", answer.text());
    }
    let answer = run(&server, &program, &["long", "5000"]).await;
    assert!(answer.text().contains("NameTooLong"), "{}", answer.text());
    let answer = run(&server, &program, &["outside"]).await;
    assert!(!answer.text().contains("None"), "{}", answer.text());
}

/// Functions with types may be asynchronous.
#[tokio::test]
async fn an_asynchronous_function_is_called_as_others_are() {
    let server = Server::start("").await;
    let source = iof_tests::guests::wat(
        r#"(component
            (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
                (export "wait-for" (func async (param "how-long" u64)))))
            (core func $wait (canon lower (func $clock "wait-for")))
            (core module $m
                (import "h" "wait" (func $wait (param i64)))
                (func (export "twice") (param i32) (result i32)
                    (call $wait (i64.const 1000000))
                    (i32.mul (local.get 0) (i32.const 2))))
            (core instance $i (instantiate $m (with "h" (instance (export "wait" (func $wait))))))
            (func (export "twice") async (param "number" u32) (result u32)
                (canon lift (core func $i "twice"))))"#,
    );
    let function = server.deploy(source, "").await;
    let path = format!("/v1/functions/{}/call/twice", function.id);
    let answer = server
        .answer(server.request("POST", &path).json(&json!({ "number": 21 })))
        .await;
    assert_eq!(answer.text(), "42");
}

#[tokio::test]
async fn every_limit_of_a_call_holds() {
    let (server, program) = program(
        "[limits]\noutput = \"64 KiB\"\nlog = \"8 KiB\"\nguest_cpu = \"200ms\"\nwall_time = \"5s\"\nmemory = \"32MiB\"\n\
         scratch = \"256KiB\"\nfiles = 8\nscratch_directories = 8\n",
    )
    .await;
    for (words, fault) in [
        (&["flood", "65536"][..], ""),
        (&["flood", "69632"], "output"),
        (&["complain", "8192"], ""),
        (&["complain", "8193"], "log"),
        (&["loop"], "guest-cpu"),
        (&["sleep", "60"], "wall-time"),
        (&["recurse"], "stack"),
        (&["memory", "1000000"], ""),
        (&["memory", "100000000"], "memory"),
        (&["write", "65536"], ""),
        (&["write", "1048576"], "scratch"),
        (&["open", "5"], ""),
        (&["open", "20"], "files"),
        (&["directories", "5"], ""),
        (&["directories", "20"], "scratch-directories"),
    ] {
        let answer = run(&server, &program, words).await;
        assert_eq!(answer.fault(), fault, "{words:?}");
    }
}
