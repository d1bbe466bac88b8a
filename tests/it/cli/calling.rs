//! `iof call` with arguments in their order, `iof logs` with filters, `iof calls`.

use iof_tests::guests::path;
use iof_tests::server::Server;
use iof_tests::user::User;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn arguments_in_their_order_negative_numbers_and_stdin() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    fs::copy(path("typed"), user.folder().join("typed.wasm")).unwrap();
    fs::copy(path("hello"), user.folder().join("hello.wasm")).unwrap();
    for module in ["typed.wasm", "hello.wasm"] {
        assert!(user.types(&["deploy", module]).await.contains("version 1"));
    }
    for (line, stdin, words) in [
        (&["call", "typed", "add", "--", "2", "40"][..], "", "42"),
        (&["call", "typed", "add", "--", "-2", "40"], "", "38"),
        (&["call", "typed", "shout", "--", "hi"], "", "HI"),
        (
            &["call", "typed", "add", "--", "2", "3", "4"],
            "",
            "takes 2 arguments (a, b): got 3",
        ),
        (
            &["call", "typed", "add", "--", "two", "3"],
            "",
            "argument a must be JSON: got two",
        ),
        (
            &["call", "typed", "nobody", "--", "1"],
            "",
            "has no export nobody",
        ),
        (&["call", "typed", "--", "1"], "", "has several exports"),
        (&["call", "hello", "say", "-5"], "", "hello -5"),
        (
            &["call", "hello", "--stdin", "-"],
            "from stdin",
            "hello from stdin",
        ),
        (
            &["call", "hello", "say", "--stdin", "missing"],
            "",
            "--stdin missing: No such file",
        ),
        (
            &["call", "hello", "say", "--", "x"],
            "",
            "does not declare the types of say",
        ),
        (
            &["call", "hello", "say", "x", "--", "x"],
            "",
            "given in one way only",
        ),
    ] {
        let output = user.types_with(line, stdin).await;
        assert!(output.contains(words), "{words:?} is missing in: {output}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_found_by_time_fault_and_call() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    fs::copy(path("hello"), user.folder().join("hello.wasm")).unwrap();
    fs::write(user.folder().join("function.toml"), "record = \"always\"\n").unwrap();
    user.types(&["deploy", "hello.wasm"]).await;
    for text in ["a", "b", "c"] {
        user.types(&["call", "hello", "say", text]).await;
    }
    user.types(&["call", "hello", "shout", "x"]).await;
    let lines = async |line: &[&str]| -> Vec<String> {
        let output = tokio::task::block_in_place(|| user.run(line, ""));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let all = lines(&["logs", "hello", "--json"]).await;
    assert_eq!(all.len(), 4, "{all:?}");
    let row: serde_json::Value = serde_json::from_str(&all[1]).unwrap();
    let call = row["call"].as_str().unwrap();
    for (filter, count) in [
        (&["--call", call][..], 1),
        (&["--fault", "no-such-export"], 1),
        (&["--fault", "any"], 1),
        (&["--fault", "guest-cpu"], 0),
        (&["--since", "1h"], 4),
        (&["--since", "0s"], 0),
        (&["--since", "1h", "-n", "2"], 2),
    ] {
        let line = [&["logs", "hello", "--json"], filter].concat();
        assert_eq!(lines(&line).await.len(), count, "{filter:?}");
    }
    let printed = user.types(&["logs", "hello", "--since", "soon"]).await;
    assert!(printed.contains("30s, 10m or 2h"), "{printed}");
    // Recorded calls are listed, and replayed without naming their function.
    let calls = lines(&["calls", "hello"]).await;
    assert!(
        calls.len() >= 4 && calls[0].starts_with("CALL"),
        "{calls:?}"
    );
    let replayed = user.types(&["replay", call]).await;
    assert!(replayed.contains("no difference"), "{replayed}");
    assert!(user.types(&["ls"]).await.contains("hello"));
}
