//! Programs with `main`, as rustc makes them for `wasm32-wasip1`, as components, and of WASI 0.3: stdin and arguments in,
//! stdout out.

use crate::second_state::modules::form;
use iof_tests::{
    call::{Answer, Uploaded},
    guests::{guest, handler_component, program_component},
    server::Server,
};
use serde_json::{Value, json};

async fn call(server: &Server, function: &Uploaded, arguments: &Value) -> Answer {
    let path = format!("/v1/functions/{}/call/main", function.id);
    let request = server.request("POST", &path).json(arguments);
    server.answer(request).await
}

async fn words(server: &Server, function: &Uploaded, words: &[&str]) -> Answer {
    call(server, function, &json!({ "stdin": "", "args": words })).await
}

/// A test of a program as a core module, of the same as a component, and of one of WASI 0.3.
macro_rules! each {
    ($test:ident) => {
        mod $test {
            #[tokio::test]
            async fn of_a_module() {
                super::$test(super::guest("program")).await;
            }

            #[tokio::test]
            async fn of_a_component() {
                super::$test(super::program_component("program")).await;
            }

            #[tokio::test]
            async fn of_a_component_of_wasi_0_3() {
                super::$test(super::handler_component("program-0-3")).await;
            }
        }
    };
}

each!(stdin_and_arguments_go_in_and_stdout_comes_out);

async fn stdin_and_arguments_go_in_and_stdout_comes_out(program: Vec<u8>) {
    let server = Server::start("").await;
    let program = server.deploy(program, "").await;

    let answer = server.run(program.id, "main", "a text").await;
    assert_eq!(answer.text(), "A TEXT");
    // An array on stdin is no array of arguments.
    let answer = server.run(program.id, "main", r#"["a",["words"]]"#).await;
    assert_eq!(answer.text(), r#"["A",["WORDS"]]"#);

    let answer = call(&server, &program, &json!({ "stdin": "ü" })).await;
    assert_eq!(answer.http, 200);
    assert_eq!(answer.text(), "Ü");
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let answer = words(&server, &program, &["words", "two words", "", "ü"]).await;
    assert_eq!(answer.text(), "two words||ü");

    // Bytes that are no text, both ways.
    let path = format!("/v1/functions/{}/call/main", program.id);
    let request = server
        .request("POST", &path)
        .json(&json!(["", ["words", "by place"]]));
    assert_eq!(server.answer(request).await.text(), "by place");
    let (kind, body) = form(&[
        ("input_1", None, &[0, 255, 7]),
        ("input_2", None, br#"["same"]"#),
    ]);
    let path = format!("/api/multipart/run/{}/main/bytes", program.id);
    let request = server.request("POST", &path);
    let request = request.header("Content-Type", kind).body(body);
    assert_eq!(server.answer(request).await.body, [0, 255, 7]);

    // Its surroundings are those of every function, but for the arguments.
    assert_eq!(
        words(&server, &program, &["variables"]).await.text(),
        "wasm_id storage_key"
    );
    for _ in 0..2 {
        let answer = words(&server, &program, &["file"]).await;
        assert_eq!(answer.text(), "kept for this run");
    }
}

each!(a_status_is_a_fault_and_stderr_is_the_log);

async fn a_status_is_a_fault_and_stderr_is_the_log(program: Vec<u8>) {
    let server = Server::start("").await;
    // A component of WASI 0.2 ends well or not.
    let second = b"wasi:cli/run@0.2";
    let status = match program.windows(second.len()).any(|bytes| bytes == second) {
        true => 1,
        false => 3,
    };
    let program = server.deploy(program, "").await;
    let answer = words(&server, &program, &["exit", "3"]).await;
    assert_eq!(answer.fault(), "exit");
    assert_eq!(
        answer.json()["error"],
        format!("The program ended with status {status}. What it printed is in its log.")
    );
    assert_eq!(
        words(&server, &program, &["exit", "0"]).await.text(),
        "so far"
    );
    let answer = words(&server, &program, &["panic"]).await;
    let error = answer.json()["error"].to_string();
    assert!(!error.contains("as asked"), "{error}");
    let path = format!("/v1/functions/{}/logs", program.id);
    let log = server.read_as(&program, &path).await;
    let messages = log["logs"].to_string();
    assert!(
        messages.contains("as asked") && messages.contains("It printed: why it ends"),
        "{log}"
    );
}

each!(every_limit_of_a_call_holds_for_programs);

async fn every_limit_of_a_call_holds_for_programs(program: Vec<u8>) {
    let server = Server::start(
        "[limits]\noutput = \"64 KiB\"\nlog = \"8 KiB\"\nguest_cpu = \"200ms\"\nwall_time = \"5s\"\nmemory = \"32MiB\"\n\
         scratch = \"256KiB\"\nfiles = 8\nscratch_directories = 8\n",
    )
    .await;
    let program = server.deploy(program, "").await;
    for (asked, fault) in [
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
        let answer = words(&server, &program, asked).await;
        assert_eq!(answer.fault(), fault, "{asked:?}");
    }
}

each!(it_says_what_it_takes);

async fn it_says_what_it_takes(program: Vec<u8>) {
    let server = Server::start("").await;
    let program = server.deploy(program, "").await;
    for (arguments, why) in [
        (json!({ "stdin": "", "words": [] }), "there is no `words`"),
        (json!({ "stdin": "", "args": "-n" }), "args"),
        (json!({ "stdin": "", "args": [1] }), "args"),
        (json!({ "stdin": 1 }), "`stdin` must be a string"),
        (json!(["", [], 1]), "3 arguments came"),
    ] {
        let answer = call(&server, &program, &arguments).await;
        assert_eq!(answer.http, 400, "{arguments}");
        assert_eq!(answer.json()["fault"], "arguments");
        let error = answer.json()["error"].to_string();
        assert!(error.contains(why), "{error}");
    }
    let path = format!("/v1/functions/{}/openapi.json", program.id);
    let document = server.answer(server.request("GET", &path)).await.json();
    let path = format!("/v1/functions/{}/call/main", program.id);
    let body = &document["paths"][&path]["post"]["requestBody"]["content"]["application/json"];
    assert_eq!(body["schema"]["required"], json!([]), "{document}");
    let shown = format!("/v1/functions/{}", program.id);
    let shown = server.read_as(&program, &shown).await;
    assert_eq!(shown["versions"][0]["exports"], json!(["main"]), "{shown}");
}
