//! Invalid commands: their errors name the problem and the next step.

use crate::v1::functions::numbered;
use iof_tests::guests::guest;
use iof_tests::server::Server;
use iof_tests::user::User;
use std::fs;

/// Each error names the problem and the command to type.
#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_command_names_the_next_step() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    fs::write(user.folder().join("typed.wasm"), guest("typed")).unwrap();
    user.types(&["deploy", "typed.wasm"]).await;
    fs::create_dir(user.folder().join("data")).unwrap();
    fs::write(user.folder().join("data/iof.db"), "a secret of mine\n").unwrap();
    fs::write(
        user.folder().join("notes.txt"),
        "a secret of mine\n".repeat(100),
    )
    .unwrap();
    for (line, expected) in [
        (
            &["call", "typed", "one", "two"][..],
            &[
                "has no export `one`",
                "put them after `--`: iof call typed -- one two",
            ][..],
        ),
        (
            &["call", "typed", "add", "1", "2"],
            &["iof call FUNCTION EXPORT -- ONE TWO"],
        ),
        (
            &["login"],
            &["<SERVER>", "iof login https://functions.example.com"],
        ),
        (&["secret", "set"], &["<FUNCTION>", "tip: iof secret set "]),
        (
            &["restore", "notes.txt", "--data", "new"],
            &["it is not a tar archive", "that `iof backup` made"],
        ),
        (
            &["doctor", "--data", "data"],
            &[
                "data/iof.db is damaged: it is not an SQLite database",
                "`iof restore`",
            ],
        ),
        (
            &["serve", "--data", "data", "--listen", "127.0.0.1:0"],
            &[
                "data/iof.db is damaged: it is not an SQLite database",
                "--data",
            ],
        ),
        (
            &["upgrade", "--check", "--data", "data"],
            &[
                "data/iof.db is damaged: it is not an SQLite database",
                "--data",
            ],
        ),
        (
            &["restore", "nowhere", "--data", "new"],
            &["there is no backup at nowhere", "`iof backup` made"],
        ),
        // Empty values, and invalid names of functions.
        (&["call", ""], &["a function has a number, or a name"]),
        (
            &["show", "a b"],
            &["'a b'", "a function has a number, or a name"],
        ),
        (
            &["rm", "../x", "--yes"],
            &["a function has a number, or a name"],
        ),
        (
            &["deploy", "typed.wasm", "--name", ""],
            &["a function has a number, or a name"],
        ),
        (&["logs", "typed", "--fault", ""], &["'--fault <CODE>'"]),
        (&["job", ""], &["'<JOB>'"]),
        (&["login", "nowhere"], &["SERVER"]),
        (
            &["login", "http://127.0.0.1:1", "--no-key", "--profile", ""],
            &["'--profile <NAME>'"],
        ),
        (
            &["call", "typed", "nope"],
            &[
                "typed has no export nope; it exports add, ",
                " more. Name one",
            ],
        ),
        (
            &["call", "typed", "add", "--", "1", "x"],
            &["argument b must be JSON: got x"],
        ),
        (
            &["call", "typed", "add", "-d", "{"],
            &["--data must be JSON"],
        ),
        (
            &["variable", "rm", "typed", "NOPE"],
            &["typed has no variables"],
        ),
    ] {
        let output = user.types(line).await;
        assert!(!output.contains("line 1 column"), "{line:?}: {output}");
        for words in expected {
            assert!(output.contains(words), "{line:?} {words}: {output}");
        }
        assert!(
            output.contains("[exit status ") && !output.contains("secret of mine"),
            "{line:?}: {output}"
        );
    }
}

/// A first version runs for all calls, which is reported if the deploy requests less.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_version_is_reported_as_running_for_all_calls() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    fs::write(user.folder().join("hello.wasm"), numbered(1)).unwrap();
    for (name, option) in [("one", "--canary=10%"), ("two", "--idle")] {
        let output = user
            .types(&["deploy", "hello.wasm", "--name", name, option])
            .await;
        assert!(
            output.contains("version 1, the first one, which runs for all calls"),
            "{output}"
        );
        let output = user.types(&["deploy", "hello.wasm", "--name", name]).await;
        assert!(!output.contains("the first one"), "{output}");
    }
}

/// A size is printed in the form in which it is set.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_out_of_range_is_printed_with_its_unit() {
    let user = User::new("");
    for (set, expected) in [
        (
            "limits.memory=1",
            "limits.memory must be between 64.0 KiB and 4.0 GiB: got 1 B",
        ),
        (
            "server.concurrency=0",
            "server.concurrency must be between 1 and 10000: got 0",
        ),
    ] {
        let output = user.types(&["serve", "--check", "--set", set]).await;
        assert!(output.contains(expected), "{set}: {output}");
    }
}
