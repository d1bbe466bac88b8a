//! Regression tests of findings of new users in their first hour.

use super::{module, types};
use crate::v1::functions::{KEY, ask, create, numbered};
use iof_tests::guests::{guest, root, wat};
use iof_tests::server::{Server, program};
use iof_tests::user::User;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_checks_the_server_before_it_builds() {
    let user = User::new("");
    let folder = user.folder().join("crate");
    fs::create_dir_all(folder.join("src")).unwrap();
    // The code does not compile, but the deploy fails before the build.
    fs::write(folder.join("src/lib.rs"), "fn broken( {").unwrap();
    let manifest = "[workspace]\n[package]\nname = \"broken\"\n[lib]\ncrate-type = [\"cdylib\"]\n";
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    let line = ["deploy", "crate", "--server", "http://127.0.0.1:9"];
    let output = types(
        &user,
        &line,
        &["Is the server running there?", "[exit status 2]"],
    )
    .await;
    assert!(
        !output.contains("cargo") && !output.contains("build broken"),
        "{output}"
    );
    assert!(!folder.join("target").exists() && !folder.join("Cargo.lock").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_steps_of_a_deploy_name_its_server() {
    let server = Server::start("").await;
    let user = User::new("");
    module(&user, 1);
    let to = format!("iof call hello which … --server {}\n", server.url);
    types(
        &user,
        &["deploy", "hello.wasm", "--server", &server.url],
        &[&to],
    )
    .await;
    // The environment applies to the next command as well.
    let user = User::new(&server.url);
    module(&user, 2);
    let line = ["deploy", "hello.wasm", "--name", "other"];
    let output = types(&user, &line, &["iof   iof call other which …\n"]).await;
    assert!(!output.contains("--server"), "{output}");
}

/// Only a terminal gets the prompt; without one, `--dev` confirms the deploy.
#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_to_a_server_of_dev_asks_for_confirmation() {
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    fs::create_dir_all(project.join("src")).unwrap();
    let manifest = "[workspace]\n[package]\nname = \"small\"\nedition = \"2021\"\n[lib]\ncrate-type = [\"cdylib\"]\n";
    fs::write(project.join("Cargo.toml"), manifest).unwrap();
    fs::write(
        project.join("src/lib.rs"),
        "#[no_mangle] pub extern \"C\" fn f() -> i32 { 1 }\n",
    )
    .unwrap();
    // An import of the author's own, which a server refuses.
    let declaration =
        "commands = [\"http_proxy\"]\noutbound = [\"GET http://localhost:21699/x\"]\n";
    fs::write(project.join("function.toml"), declaration).unwrap();
    // From a subfolder: the project is found in the parent.
    let mut dev = Command::new(program());
    dev.args([
        "dev",
        "--listen",
        "127.0.0.1:0",
        "--allow",
        "localhost:21699",
    ])
    .current_dir(project.join("src"))
    .env("XDG_CONFIG_HOME", folder.path());
    let mut dev = tokio::task::block_in_place(|| super::dev::Running::start(dev));
    let page = tokio::task::block_in_place(|| {
        dev.line("small version 1 runs");
        dev.line("call it")
    });
    assert!(!dev.seen.contains("note:"), "{}", dev.seen);
    let url = page.split_whitespace().last().unwrap();
    let url = url.split("/v1/").next().unwrap().to_owned();
    assert!(project.join("target/iof-dev/key").is_file());
    let module = folder.path().join("hello.wasm");
    fs::write(&module, numbered(1)).unwrap();
    let answers = |answer: &str| {
        let line = format!(
            "'{}' deploy '{}' --server {url}",
            program().display(),
            module.display()
        );
        let typed = format!("printf '{answer}\\n' | script -qec \"{line}\" /dev/null");
        let output = Command::new("sh")
            .args(["-c", &typed])
            .env("XDG_CONFIG_HOME", folder.path())
            .output()
            .unwrap();
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            output.status.success(),
        )
    };
    let (printed, done) = tokio::task::block_in_place(|| answers("n"));
    assert!(
        !done
            && printed.contains("Deploy to it? [y/N]")
            && printed.contains("nothing was deployed"),
        "{printed}"
    );
    let (printed, done) = tokio::task::block_in_place(|| answers("y"));
    assert!(done && printed.contains("hello version 1"), "{printed}");
    assert_eq!(
        tokio::task::block_in_place(|| dev.interrupt()),
        Some(0),
        "{}",
        dev.seen
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undeclared_secret_is_reported_with_the_name_of_its_function() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    module(&user, 1);
    let signing =
        "[[signing]]\nsecret = \"HOOK_SECRET\"\nalgorithm = \"hmac-sha256\"\nuse = [\"sign\"]\n";
    fs::write(user.folder().join("function.toml"), signing).unwrap();
    types(&user, &["deploy", "hello.wasm"], &["hello version 1"]).await;
    let output = user
        .types_with(&["secret", "set", "1", "HOOK_SECERT"], "x")
        .await;
    assert!(
        output.contains("no version of hello declares it, and declared are HOOK_SECRET, not set"),
        "{output}"
    );
}

#[tokio::test]
async fn a_wrong_method_is_refused_with_the_right_one() {
    let server = Server::start("").await;
    server.upload(numbered(1)).await;
    for (method, path) in [
        ("GET", "/v1/functions/1/call/which"),
        ("PUT", "/v1/functions/1/call/which"),
        ("GET", "/fn/1/which"),
    ] {
        let answer = server.answer(server.request(method, path)).await;
        assert_eq!(answer.http, 405, "{path}: {}", answer.text());
        let allowed = answer.header("allow").to_owned();
        assert!(
            allowed.contains("POST") && answer.text().contains("POST"),
            "{method} {path}: {allowed}: {}",
            answer.text()
        );
    }
}

/// Temporary refusals, by the function's own limit and by the server's.
#[tokio::test(flavor = "multi_thread")]
async fn calls_refused_for_lack_of_room_are_rows_of_the_log() {
    let config = format!(
        "[auth]\nkeys = [\"{KEY}\"]\n[server]\nconcurrency = 1\nconcurrency_per_function = 1\nqueue = 0\n"
    );
    let server = Server::start(config).await;
    let spin = wat(
        "(module (func (export \"spin\") (loop (br 0))) (func (export \"which\") (result i32) (i32.const 1)))",
    );
    let declared = server
        .try_deploy_named("rare", KEY, numbered(1), "rate = 1\n")
        .await;
    assert_eq!(declared.http, 201, "{}", declared.text());
    create(&server, "?name=busy", spin, KEY).await;
    let post = |path: &str| server.answer(server.request("POST", path));
    post("/v1/functions/rare/call/which").await;
    let rare = post("/v1/functions/rare/call/which").await;
    assert_eq!(
        (rare.http.as_u16(), rare.fault()),
        (429, "rate"),
        "{}",
        rare.text()
    );
    let (_, full) = tokio::join!(post("/v1/functions/busy/call/spin"), async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        post("/v1/functions/busy/call/which").await
    });
    assert!(matches!(full.http.as_u16(), 429 | 503), "{}", full.text());
    let user = User::new(&server.url);
    types(
        &user,
        &["logs", "rare", "--key", KEY],
        &["which  refused: rate"],
    )
    .await;
    let words = format!("which  refused: {}", full.fault());
    types(&user, &["logs", "busy", "--key", KEY], &[&words]).await;
}

/// The rows that wait when a server is stopped are written.
#[tokio::test(flavor = "multi_thread")]
async fn waiting_rows_are_written_at_a_stop() {
    let mut server = Server::start(format!("[auth]\nkeys = [\"{KEY}\"]\n")).await;
    create(&server, "?name=hello", numbered(1), KEY).await;
    let calls =
        (0..20).map(|_| server.answer(server.request("POST", "/v1/functions/hello/call/which")));
    for answer in futures::future::join_all(calls).await {
        assert_eq!(answer.http, 200, "{}", answer.text());
    }
    assert!(server.stop().await.success());
    let server = server.restart().await;
    let logs = ask(
        &server,
        "GET",
        "/v1/functions/hello/logs?limit=100",
        KEY,
        None,
    )
    .await;
    assert_eq!(
        logs.json()["logs"].as_array().unwrap().len(),
        20,
        "{}",
        logs.text()
    );
}

/// docs/egress.md lists each setting with the default that a server prints.
#[test]
fn the_settings_of_egress_are_documented_with_their_defaults() {
    let output = Command::new(program())
        .args(["serve", "--print-config"])
        .env_clear()
        .output()
        .unwrap();
    let printed: toml::Table = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    let settings = printed["egress"].as_table().unwrap();
    assert_eq!(
        settings["max_concurrent_per_function"].as_integer(),
        Some(256)
    );
    let page = fs::read_to_string(root().join("docs/egress.md")).unwrap();
    let section = page.split("## Settings: `[egress]`").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut seen = 0;
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`');
        let Some(value) = settings.get(name) else {
            panic!("{name} is documented, and not a setting");
        };
        seen += 1;
        let documented = cells[2].split('`').nth(1);
        let Some(documented) = documented else {
            continue;
        };
        let plain = |text: &str| {
            text.replace(['"', ' '], "")
                .replace(".0", "")
                .replace("1m", "60s")
                .to_lowercase()
        };
        assert_eq!(
            plain(&value.to_string()),
            plain(documented),
            "{name}: {row}"
        );
    }
    assert!(seen > 15, "{seen} rows");
}

/// Files in the commands of examples exist, or are made by an earlier line.
#[test]
fn readmes_of_examples_name_existing_files() {
    let created = ["target/"];
    for example in fs::read_dir(root().join("examples")).unwrap() {
        let example = example.unwrap().path();
        let Ok(readme) = fs::read_to_string(example.join("README.md")) else {
            continue;
        };
        for word in readme.split(|c: char| c.is_whitespace() || c == '`' || "()[]".contains(c)) {
            let file = match word.rsplit_once('@') {
                Some((_, file)) => file,
                None if word.contains('/') && !word.contains("://") => word,
                None => continue,
            };
            let is_file = Path::new(file).extension().is_some() && !file.contains('{');
            if !is_file
                || created.iter().any(|created| file.contains(created))
                || file.contains("example.com")
            {
                continue;
            }
            let file = file.trim_end_matches(['.', ',', ':', ';']);
            let there: Vec<PathBuf> = vec![example.join(file), root().join(file)];
            assert!(
                there.iter().any(|path| path.exists()) || file.starts_with('/'),
                "{}: {file} is not there",
                example.display()
            );
        }
    }
}

/// A key that a command of the documents makes is readable only by its user.
#[test]
fn keys_made_by_documented_commands_are_private() {
    let mut pages = vec![root().join("README.md")];
    for folder in ["docs", "docs/guide"] {
        let files = fs::read_dir(root().join(folder)).unwrap();
        pages.extend(
            files
                .map(|file| file.unwrap().path())
                .filter(|path| path.is_file()),
        );
    }
    let mut seen = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        let makes = |line: &&str| line.contains("openssl rand") && line.contains(" > ");
        for line in text.lines().filter(makes) {
            seen += 1;
            assert!(line.contains("(umask 077"), "{}: {line}", page.display());
        }
    }
    assert!(seen > 0);
}

/// The JSON log contains the output of a function unchanged, not in Rust's debug form.
#[tokio::test]
async fn the_output_of_a_function_is_unchanged_in_the_log() {
    let server = Server::start("").await;
    let function = server.upload(guest("wasi")).await.id;
    server.run(function, "print_lines", "2").await;
    for _ in 0..100 {
        if server.log().contains("\"iof::guest\"") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let log = server.log();
    let rows = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let texts: Vec<String> = rows
        .filter(|row| row["target"] == "iof::guest")
        .map(|row| row["text"].as_str().unwrap().to_owned())
        .collect();
    assert!(!texts.is_empty(), "{log}");
    for text in texts {
        assert!(!text.starts_with('"') && !text.contains("\\n"), "{text:?}");
    }
}
