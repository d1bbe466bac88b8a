//! The commands of a user, in the order in which they are typed, with all their output.
//!
//! The expected output is in `tests/it/snapshots`; `cargo insta review` shows differences and accepts them.

use iof_tests::{
    guests::{path, wat},
    server::Server,
    user::User,
};
use std::fs;

fn numbered(user: &User, number: u32) {
    let module = wat(&format!(
        "(module (func (export \"which\") (result i32) (i32.const {number})))"
    ));
    fs::write(user.folder().join("numbered.wasm"), module).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn deploying_calling_and_looking() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    fs::copy(path("typed"), user.folder().join("typed.wasm")).unwrap();
    fs::copy(path("hello"), user.folder().join("hello.wasm")).unwrap();
    let mut story = user.types(&["deploy", "hello.wasm"]).await;
    for line in [
        &["call", "hello", "world"][..],
        &["call", "hello", "say", "world"],
        &["call", "hello"],
        &["call", "hello", "shout", "world"],
        &["call", "hello", "say", "-d", "{"],
        &["call", "hello", "say", "-d", "@missing.json"],
        &["call", "nobody", "say", "x"],
        &["logs", "hello"],
        &["list"],
        &["show", "hello"],
        &["deploy", "missing.wasm"],
        &["deploy", "typed.wasm", "--canary", "0%"],
        &["rm", "hello"],
        &["rm", "hello", "--yes"],
        &["list"],
    ] {
        story += &user.types(line).await;
    }
    story += &user
        .types_with(&["call", "hello", "say", "-d", "@-"], "from stdin")
        .await;
    insta::assert_snapshot!(story);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_arguments_and_their_errors() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    let typed = path("typed");
    let mut story = user
        .types(&[
            "deploy",
            typed.to_str().unwrap(),
            "--name",
            "typed",
            "--json",
        ])
        .await;
    story = story
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| line.len().min(2).to_string())
        .collect();
    for line in [
        &["call", "typed", "add", "-d", "{\"a\":2,\"b\":40}"][..],
        &["call", "typed", "add", "-d", "{\"a\":2}"],
        &["call", "typed", "add", "-d", "{\"a\":2,\"c\":1}"],
        &[
            "call",
            "typed",
            "echo_point",
            "-d",
            "{\"value\":{\"north\":1,\"east\":\"x\"}}",
        ],
        &[
            "call",
            "typed",
            "fail_code",
            "-d",
            "{\"code\":\"no-such-customer\",\"message\":\"nobody of that name\"}",
        ],
        &[
            "call",
            "typed",
            "fail_code",
            "-d",
            "{\"code\":\"gone\",\"message\":\"why\"}",
            "--json",
        ],
        &["call", "typed", "nothing"],
        &["call", "typed"],
    ] {
        let output = user.types(line).await;
        // The list of exports would change with every function that a test adds.
        story += &output
            .lines()
            .map(|line| format!("{}\n", line.chars().take(160).collect::<String>()))
            .collect::<String>();
    }
    let detached = user
        .types(&["call", "typed", "shout", "hi", "--detach"])
        .await;
    assert!(detached.contains("\nID\n"), "{detached}");
    story += &detached;
    story += &user
        .types(&["job", "0190a0a0-0000-7000-8000-000000000000"])
        .await;
    insta::assert_snapshot!(story);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_a_function() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    let mut story = String::new();
    for (number, more) in [
        (1, &[][..]),
        (2, &[]),
        (3, &["--canary", "10%"]),
        (4, &["--idle"]),
    ] {
        numbered(&user, number);
        let line = [&["deploy", "numbered.wasm"], more].concat();
        story += &user.types(&line).await;
    }
    for line in [
        &["show", "numbered"][..],
        &["promote", "numbered"],
        &["call", "numbered"],
        &["promote", "numbered"],
        &["rollback", "numbered"],
        &["call", "numbered"],
        &["rollback", "numbered", "--version", "1", "--json"],
        &["rollback", "numbered"],
        &["rollback", "numbered", "--version", "9"],
        &["list", "--json"],
    ] {
        story += &user.types(line).await;
    }
    insta::assert_snapshot!(story);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_profiles() {
    const KEY: &str = "a key of the operator";
    let server = Server::start(format!("[auth]\nkeys = [\"{KEY}\"]\n")).await;
    let mut user = User::new(&server.url);
    numbered(&user, 1);
    let url = std::mem::take(&mut user.server);
    let mut story = user
        .types(&["list"])
        .await
        .replace("8080/: 127.0.0.1:8080", "PORT");
    story.truncate(story.find('\n').unwrap_or(0) + 1);
    for wrong in ["", "not the key of anybody\n"] {
        story += &user.types_with(&["login", &url], wrong).await;
    }
    story += &user.types_with(&["login", &url], &format!("{KEY}\n")).await;
    for line in [
        &["list"][..],
        &["deploy", "numbered.wasm", "--private"],
        &[
            "key",
            "create",
            "shop",
            "--scope",
            "call",
            "--function",
            "numbered",
        ],
        &["key", "create", "shop", "--scope", "everything"],
        &[
            "key",
            "create",
            "shop",
            "--scope",
            "read",
            "--expires",
            "tomorrow",
        ],
        &["key", "list"],
        &["key", "rm", "1"],
        &["key", "rm", "1"],
        &["list", "--profile", "elsewhere"],
        &["secret", "list", "numbered"],
        &["call", "numbered"],
    ] {
        story += &user.types(line).await;
    }
    let story = story.replace(&url, "http://127.0.0.1:8080");
    assert!(!story.contains(KEY));
    insta::assert_snapshot!(story);
    // Only the user can read the stored profiles.
    use std::os::unix::fs::PermissionsExt;
    let file = user.folder().join(".config/iof/profiles.toml");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A key of another user does not work.
    let stranger = User::new(&url);
    let refused = stranger.types(&["show", "numbered"]).await;
    assert!(
        refused.contains("--key, IOF_KEY, or `iof login`"),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_scope_deploy_deploys_and_nothing_else() {
    const KEY: &str = "a key of the operator";
    let server = Server::start(format!("[auth]\nkeys = [\"{KEY}\"]\n")).await;
    let user = User::new(&server.url);
    numbered(&user, 1);
    let created = user.run(
        &["key", "create", "ci", "--scope", "deploy", "--key", KEY],
        "",
    );
    let key = String::from_utf8(created.stdout).unwrap().trim().to_owned();
    let other = User::new(&server.url);
    numbered(&other, 2);
    for (who, version) in [(&user, "version 1"), (&other, "version 2")] {
        let deployed = who.types(&["deploy", "numbered.wasm", "--key", &key]).await;
        assert!(deployed.contains(version), "{deployed}");
    }
    for line in [
        &["list"][..],
        &["logs", "numbered"],
        &["rm", "numbered", "--yes"],
    ] {
        let refused = other.types(&[line, &["--key", &key]].concat()).await;
        assert!(
            refused.contains("[exit status 2]") && refused.contains("Key `ci` lacks the scope"),
            "{refused}"
        );
    }
}

/// All commands, as `iof --help` lists them.
fn commands(user: &User) -> Vec<String> {
    let help = String::from_utf8(user.run(&["--help"], "").stdout).unwrap();
    let list = help
        .split("Commands:\n")
        .nth(1)
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap()
        .to_owned();
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_help() {
    let user = User::new("");
    let mut help = String::new();
    let mut open: Vec<Vec<String>> = vec![vec![]];
    while let Some(words) = open.pop() {
        let line: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let output = user.run(&line, "");
        assert!(output.status.success(), "{line:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        help += &format!("$ iof {}\n{text}\n", line.join(" "));
        let below: Vec<String> = match words.as_slice() {
            [] => commands(&user),
            [one] if text.contains("\nCommands:\n") => {
                let list = text
                    .split("Commands:\n")
                    .nth(1)
                    .unwrap()
                    .split("\n\n")
                    .next()
                    .unwrap();
                assert!(!one.is_empty());
                list.lines()
                    .filter_map(|line| line.split_whitespace().next())
                    .filter(|name| *name != "help")
                    .map(str::to_owned)
                    .collect()
            }
            _ => vec![],
        };
        open.extend(
            below
                .into_iter()
                .rev()
                .map(|name| [words.clone(), vec![name]].concat()),
        );
    }
    insta::assert_snapshot!(help);
}

#[test]
fn shells_and_man_read_what_is_generated() {
    let user = User::new("");
    for (shell, word) in [
        ("bash", "_iof()"),
        ("zsh", "#compdef iof"),
        ("fish", "complete -c iof"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let output = user.run(&["completions", shell], "");
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && script.contains(word), "{shell}");
        assert!(
            script.contains("rollback") && !script.contains("compile-worker"),
            "{shell}"
        );
    }
    let folder = user.folder().join("man");
    let output = user.run(&["man", folder.to_str().unwrap()], "");
    assert!(output.status.success());
    let page = fs::read_to_string(folder.join("iof-deploy.1")).unwrap();
    assert!(page.contains("canary"), "{page}");
}
