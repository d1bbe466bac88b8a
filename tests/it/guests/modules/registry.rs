//! Real programs of package registries, as `cargo xtask programs` fetches them: pinned by version and digest.

use iof_tests::call::Uploaded;
use iof_tests::guests::built;
use iof_tests::server::Server;
use serde_json::json;
use std::path::PathBuf;

/// The time limit of a compile: the test profile is slow, and these modules are large.
const CONFIG: &str =
    "[compile]\ncompile_time = \"10m\"\ncompile_cpu = \"10m\"\ncompile_memory = \"4GiB\"\n";

fn program(name: &str) -> PathBuf {
    built("programs").join(name)
}

async fn upload(server: &Server, name: &str) -> Uploaded {
    let path = program(name);
    let read = tokio::fs::read(&path).await;
    let module = read.unwrap_or_else(|error| {
        panic!(
            "{}: {error}. Run `cargo xtask programs`, which fetches it",
            path.display()
        )
    });
    let request = server
        .request("POST", "/api/executables")
        .header("Content-Type", "application/octet-stream")
        .timeout(std::time::Duration::from_secs(900))
        .body(module);
    let answer = server.answer(request).await;
    assert!(answer.http.is_success(), "{name}: {}", answer.text());
    let json = answer.json();
    Uploaded {
        id: json["wasm_id"].as_u64().unwrap(),
        admin_key: String::new(),
        json,
    }
}

async fn run(server: &Server, function: &Uploaded, stdin: &str, args: &[&str]) -> String {
    let path = format!("/v1/functions/{}/call/main", function.id);
    let request = server.request("POST", &path);
    let answer = server
        .answer(request.json(&json!({ "stdin": stdin, "args": args })))
        .await;
    assert_eq!(answer.fault(), "", "{args:?}: {}", answer.text());
    answer.text()
}

/// QuickJS, in C by wasi-sdk.
#[tokio::test]
async fn quickjs() {
    let server = Server::start(CONFIG).await;
    let function = upload(&server, "quickjs.wasm").await;
    let printed = run(
        &server,
        &function,
        "",
        &["-e", "console.log([3,1,2].sort().join())"],
    )
    .await;
    assert_eq!(printed, "1,2,3\n");
}

/// CPython, in C, with many exports and tables.
#[tokio::test]
async fn cpython() {
    let server = Server::start(CONFIG).await;
    let function = upload(&server, "python.wasm").await;
    let code = "import sys; print(sum(map(int, sys.stdin.read().split())), sys.argv[1])";
    assert_eq!(
        run(&server, &function, "20 22", &["-c", code, "x"]).await,
        "42 x\n"
    );
}

/// C, with exceptions of WebAssembly for its long jumps. It imports functions of its own host, which nothing here calls.
#[tokio::test]
async fn micropython() {
    let server = Server::start(format!("{CONFIG}unknown_imports = \"fault\"\n")).await;
    let function = upload(&server, "micropython-wasi.wasm").await;
    let code = "try:\n  [][1]\nexcept IndexError as e:\n  print('caught', type(e).__name__, sum(range(10)))";
    assert_eq!(
        run(&server, &function, "", &["-c", code]).await,
        "caught IndexError 45\n"
    );
}

/// A Go program of 20 MB, with the most data segments that a module can have.
#[tokio::test]
async fn esbuild() {
    let server = Server::start(CONFIG).await;
    let function = upload(&server, "esbuild.wasm").await;
    let printed = run(
        &server,
        &function,
        "let a: number = 6 * 7; f(a)",
        &["--loader=ts", "--minify"],
    )
    .await;
    assert_eq!(printed, "let a=42;f(a);\n");
}

/// ripgrep, in Rust: a program that uses threads and memory maps where they exist.
#[tokio::test]
async fn ripgrep() {
    let server = Server::start(CONFIG).await;
    let function = upload(&server, "ripgrep.wasm").await;
    let lines = "a plain line\nerror 17: no such thing\nerror: x\n";
    let found = run(
        &server,
        &function,
        lines,
        &["-n", "-o", r"error (\d+)", "-r", "$1", "-"],
    )
    .await;
    assert_eq!(found, "2:17\n");
    // Its status reports that there is no match.
    let path = format!("/v1/functions/{}/call/main", function.id);
    let request = server.request("POST", &path);
    let arguments = json!({ "stdin": lines, "args": ["nowhere", "-"] });
    let none = server.answer(request.json(&arguments)).await;
    assert_eq!(none.fault(), "exit", "{}", none.text());
    assert_eq!(none.header("iof-exit-status"), "1");
}
