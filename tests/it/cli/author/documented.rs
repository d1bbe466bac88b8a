//! The commands that pages and examples show are run: the lines of docs/components.md for WASI 0.3, and the example in Python as the component
//! that it makes.

use super::languages::{PATIENT, Project, ran};
use iof_tests::guests::root;
use iof_tests::server::{Server, program};
use serde_json::json;
use std::fs;
use std::process::Command;

/// The block of shell lines of a page that has these words.
fn block(page: &str, words: &str) -> String {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let mut blocks = text.split("```sh\n").skip(1);
    let block = blocks.find_map(|rest| {
        let block = rest.split("```").next()?;
        block.contains(words).then(|| block.to_owned())
    });
    block.unwrap_or_else(|| panic!("{page} has no lines with {words}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_for_wasi_0_3_make_a_site() {
    let lines = block("docs/components.md", "cargo new --lib site3");
    assert!(lines.contains("http://127.0.0.1:8080/fn/"), "{lines}");
    let server = Server::start("").await;
    // Outside of this workspace, as an author would be.
    let folder = tempfile::tempdir().unwrap();
    let program = program();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = program.parent().map(Into::into).into_iter();
    let path = std::env::join_paths(paths.chain(std::env::split_paths(&path))).unwrap();
    let mut shell = Command::new("bash");
    shell
        .args(["-ec", &lines.replace("http://127.0.0.1:8080", &server.url)])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("IOF_SERVER", &server.url)
        .env("XDG_CONFIG_HOME", folder.path());
    for name in ["CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"] {
        shell.env_remove(name);
    }
    let (said, beside) = tokio::task::block_in_place(|| ran(shell));
    assert!(said.ends_with("This is /about\n"), "{said}{beside}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_in_python_is_a_component() {
    let project = Project::of_example("columns", ".venv");
    let (said, beside) = tokio::task::block_in_place(|| ran(project.iof(&["test"])));
    for words in [
        "columns: its tests passed",
        "passed   describe(",
        "1 passed, 0 failed, 0 skipped",
    ] {
        assert!(said.contains(words), "{words}: {said}{beside}");
    }
    let server = Server::start(PATIENT).await;
    let deploy = project.offline(&["deploy", "--server", &server.url]);
    let (said, beside) = tokio::task::block_in_place(|| ran(deploy));
    assert!(
        said.contains("columns version 1: describe"),
        "{said}{beside}"
    );
    let describe = |table: &str| {
        let arguments = json!([table]).to_string();
        let call = ["call", "columns", "describe", "-d", &arguments];
        let mut call = project.iof(&[&call[..], &["--server", &server.url]].concat());
        tokio::task::block_in_place(|| call.output()).unwrap()
    };
    let called = describe("name,price\ntea,4.5\n\"milk, cold\",1.5\n");
    let figures: serde_json::Value = serde_json::from_slice(&called.stdout).unwrap();
    assert_eq!(
        figures,
        json!([{ "name": "price", "count": 2, "least": 1.5, "greatest": 4.5, "mean": 3.0, "median": 3.0 }])
    );
    // A table that is none is the function's own error.
    let refused = describe("a,b\n1\n");
    assert!(!refused.status.success(), "{refused:?}");
    let words = String::from_utf8_lossy(&refused.stderr);
    assert!(words.contains("[error"), "{words}");
}
