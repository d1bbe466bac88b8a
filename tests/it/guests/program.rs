//! Programs with `main`, built by rustc for `wasm32-wasip1`, the same wrapped as components, and components of WASI 0.3:
//! stdin and arguments in, stdout out.

use crate::scenarios::scenario;
use crate::second_state::modules::form;
use iof_tests::{
    call::{Answer, Uploaded},
    guests::{guest, handler_component, program_component},
    kinds::Kind,
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

/// A program of a kind.
fn module(kind: Kind) -> Vec<u8> {
    match kind.is_component() {
        true => program_component("program"),
        false => guest("program"),
    }
}

scenario!(
    stdin_and_arguments_go_in_and_stdout_comes_out:
    core_program = CoreProgram,
    program_component = ProgramComponent,
);

async fn stdin_and_arguments_go_in_and_stdout_comes_out(kind: Kind) {
    input_and_output(module(kind)).await;
}

async fn input_and_output(program: Vec<u8>) {
    let server = Server::start("").await;
    let program = server.deploy(program, "").await;

    let answer = server.run(program.id, "main", "a text").await;
    assert_eq!(answer.text(), "A TEXT");
    // An array on stdin is not an array of arguments.
    let answer = server.run(program.id, "main", r#"["a",["words"]]"#).await;
    assert_eq!(answer.text(), r#"["A",["WORDS"]]"#);

    let answer = call(&server, &program, &json!({ "stdin": "ü" })).await;
    assert_eq!(answer.http, 200);
    assert_eq!(answer.text(), "Ü");
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    let answer = words(&server, &program, &["words", "two words", "", "ü"]).await;
    assert_eq!(answer.text(), "two words||ü");

    // Bytes that are not text, in both directions.
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
}

scenario!(
    a_status_is_a_fault_and_stderr_goes_to_the_log:
    core_program = CoreProgram,
    program_component = ProgramComponent,
);

async fn a_status_is_a_fault_and_stderr_goes_to_the_log(kind: Kind) {
    // A component of WASI 0.2 only reports success or failure.
    let status = if kind.is_component() { 1 } else { 3 };
    status_and_log(module(kind), status).await;
}

async fn status_and_log(program: Vec<u8>, status: u8) {
    let server = Server::start("").await;
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

scenario!(
    it_says_what_it_takes:
    core_program = CoreProgram,
    program_component = ProgramComponent,
);

async fn it_says_what_it_takes(kind: Kind) {
    arguments(module(kind)).await;
}

async fn arguments(program: Vec<u8>) {
    let server = Server::start("").await;
    let program = server.deploy(program, "").await;
    for (arguments, why) in [
        (json!({ "stdin": "", "words": [] }), "there is no `words`"),
        (json!({ "stdin": "", "args": "-n" }), "args"),
        (json!({ "stdin": "", "args": [1] }), "args"),
        (json!({ "stdin": 1 }), "`stdin` must be a string"),
        (json!(["", [], 1]), "got 3 arguments"),
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

/// A program of WASI 0.3, which reports its status.
#[tokio::test]
async fn a_program_of_wasi_0_3_is_called_in_the_same_way() {
    let program = handler_component("program-0-3");
    input_and_output(program.clone()).await;
    status_and_log(program.clone(), 3).await;
    arguments(program).await;
}
