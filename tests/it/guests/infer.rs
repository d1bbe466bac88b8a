//! Models: added with `iof models`, run by functions with the command `infer`.

use std::process::Output;

use iof_tests::guests::{guest, root};
use iof_tests::server::{Server, program};
use serde_json::{Value, json};

const GRANTED: &str = "[defaults]\ncommands = [\"infer\", \"mobilenet_v2\", \"thumbnail\"]\n";

/// Runs `iof models` on a server's data.
async fn models(server: &Server, args: &[&str]) -> Output {
    tokio::process::Command::new(program())
        .arg("models")
        .args(args)
        .arg("--data")
        .arg(server.data())
        .env_clear()
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

async fn done(server: &Server, args: &[&str]) -> String {
    let output = models(server, args).await;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {printed}{problem}");
    printed
}

/// Adds the example's model, as its README does.
pub(crate) async fn add_digits(server: &Server) -> String {
    let file = |name: &str| {
        let path = root().join("examples/pictures/model").join(name);
        path.to_str().unwrap().to_owned()
    };
    let (model, labels, declaration) =
        (file("digits.onnx"), file("digits.txt"), file("model.toml"));
    let args = [
        "add",
        "digits",
        &model,
        "--labels",
        &labels,
        "--declaration",
        &declaration,
    ];
    done(server, &args).await
}

/// The class of the tests' picture, by an independent runtime.
pub(crate) async fn expected() -> String {
    let folder = root().join("crates/infer/tests/models");
    let references = tokio::fs::read(folder.join("references.json"))
        .await
        .unwrap();
    let references: Value = serde_json::from_slice(&references).unwrap();
    let labels = tokio::fs::read_to_string(folder.join("digits.txt"))
        .await
        .unwrap();
    let digit = references["digit"].as_u64().unwrap() as usize;
    labels.lines().nth(digit).unwrap().to_owned()
}

async fn picture() -> Vec<u8> {
    let path = root().join("crates/infer/tests/models/digit.jpg");
    tokio::fs::read(path).await.unwrap()
}

#[tokio::test]
async fn a_picture_is_recognised_only_by_a_function_with_the_grant() {
    let server = Server::start(GRANTED).await;
    let function = server.upload(guest("pictures")).await;
    let before = server
        .run_bytes(function.id, "classify", picture().await)
        .await;
    assert!(
        before.text().starts_with("error 3: infer: "),
        "{}",
        before.text()
    );

    // The server is running, and notices the change.
    let output = add_digits(&server).await;
    assert!(
        output.contains("input     image:f32:") && output.contains("labels    10"),
        "{output}"
    );
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let answer = server
        .run_bytes(function.id, "classify", picture().await)
        .await;
    let best: Value = serde_json::from_str(&answer.text()).unwrap();
    assert_eq!(best[0]["label"], json!(expected().await), "{best}");
    assert_eq!(best.as_array().unwrap().len(), 3);
    let garbage = server
        .run_bytes(function.id, "classify", *b"no picture")
        .await;
    assert!(
        garbage.text().starts_with("error 4: infer: "),
        "{}",
        garbage.text()
    );

    let bare = server.deploy(guest("pictures"), "").await;
    let denied = server.run_bytes(bare.id, "classify", picture().await).await;
    assert!(denied.text().starts_with("error -1: "), "{}", denied.text());
    // By default no function has the command.
    let plain = Server::start("").await;
    let function = plain.upload(guest("pictures")).await;
    let denied = plain
        .run_bytes(function.id, "classify", picture().await)
        .await;
    assert!(denied.text().starts_with("error -1: "), "{}", denied.text());
}

#[tokio::test]
async fn models_are_listed_shown_and_removed() {
    let server = Server::start(GRANTED).await;
    assert!(
        done(&server, &["list"])
            .await
            .starts_with("no models; `iof models add")
    );
    assert_eq!(done(&server, &["list", "--json"]).await, "[]\n");
    add_digits(&server).await;
    let list = done(&server, &["list"]).await;
    assert!(list.starts_with("NAME    SIZE\ndigits  15.3 KiB"), "{list}");
    let description: Value =
        serde_json::from_str(&done(&server, &["show", "digits", "--json"]).await).unwrap();
    assert_eq!(
        (&description["name"], &description["labels"]),
        (&json!("digits"), &json!(10)),
        "{description}"
    );
    let model = root().join("examples/pictures/model/digits.onnx");
    let model = model.to_str().unwrap();
    for (args, expected) in [
        (&["add", "digits", model][..], "--replace"),
        (&["add", "Digits", model], "Digits"),
        (&["add", "other", "/etc/hostname"], "neither ONNX"),
        (&["add", "other", "/no/such/file"], "/no/such/file"),
        (&["show", "other"], "other"),
        (&["rm", "other"], "other"),
    ] {
        let output = models(&server, args).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && stderr.contains(expected),
            "{args:?}: {stderr}"
        );
    }
    assert_eq!(
        done(&server, &["rm", "digits"]).await,
        "digits is removed\n"
    );
    assert_eq!(done(&server, &["list", "--json"]).await, "[]\n");
}

/// The command of 2020, to the letter: a flat array and a line break.
#[tokio::test]
async fn mobilenet_v2_runs_the_graph_of_a_function() {
    let server = Server::start(GRANTED).await;
    let function = server.upload(guest("command")).await;
    let request = json!({ "program": "mobilenet_v2", "args": ["3", "input", "output", "1", "1"], "stdin": "abcdef" });
    let answer = server
        .run(function.id, "run_ssvm", request.to_string())
        .await;
    assert_eq!(answer.json()["status"], 3, "{}", answer.text());
    let request = json!({ "program": "mobilenet_v2", "args": ["x"] });
    let answer = server
        .run(function.id, "run_ssvm", request.to_string())
        .await;
    assert_eq!(answer.json()["status"], 2, "{}", answer.text());
}
